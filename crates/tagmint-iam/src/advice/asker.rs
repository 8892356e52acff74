//! Whom the advice is for: commands differ in what they can be told.

/// The command that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// `tagmint explain`, which takes keys of the request as `--context KEY=VALUE`.
    Explain,
    /// A command that makes the request itself, such as `tagmint prove`: nothing can be told to it.
    Maker,
}

impl Asker {
    /// How to tell a key of the request, as the end of a sentence.
    pub(super) fn telling(self, key: &str) -> String {
        match self {
            Self::Explain => format!(": give what the caller will have, as `--context {key}=…`"),
            Self::Maker => String::new(),
        }
    }
}
