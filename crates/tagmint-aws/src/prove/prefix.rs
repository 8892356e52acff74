//! Prefixes: the session's own, and those that it must not reach.

use tagmint_core::random::{Random, RandomUnavailable};

/// A prefix of keys, without the slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(String);

/// Why a text is no prefix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// It is empty, or begins with a slash.
    #[error("`{0}` is no prefix: it is empty or begins with a slash; give one as `team/blue`")]
    Form(String),
    /// The neighbour's prefix is the own one, or lies below it.
    #[error("`{neighbour}/` lies below the own prefix `{own}/`: name one that the session must not reach")]
    Within {
        /// The neighbour's.
        neighbour: String,
        /// The own.
        own: String,
    },
}

impl Prefix {
    /// Reads a prefix; one slash at its end may be there or not.
    pub fn parse(text: &str) -> Result<Self, PrefixError> {
        let bare = text.strip_suffix('/').unwrap_or(text);
        if bare.is_empty() || bare.starts_with('/') {
            return Err(PrefixError::Form(text.to_owned()));
        }
        Ok(Self(bare.to_owned()))
    }

    /// Without the slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// With the slash, as it is listed.
    pub fn listed(&self) -> String {
        format!("{}/", self.0)
    }

    /// The key of a name below it.
    pub fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.0)
    }

    /// Whether a key lies below it.
    pub fn holds(&self, key: &str) -> bool {
        key.strip_prefix(&self.0).is_some_and(|rest| rest.starts_with('/'))
    }
}

/// A prefix that the session must not reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// What its checks' names begin with, as `neighbour`.
    pub label: String,
    /// The prefix.
    pub prefix: Prefix,
}

impl Neighbour {
    /// The prefixes of somebody else, by their names.
    pub fn named(own: &Prefix, prefixes: &[Prefix]) -> Result<Vec<Self>, PrefixError> {
        let one = |(index, prefix): (usize, &Prefix)| {
            if prefix == own || own.holds(prefix.as_str()) {
                let (neighbour, own) = (prefix.0.clone(), own.0.clone());
                return Err(PrefixError::Within { neighbour, own });
            }
            let label = if index == 0 { "neighbour".to_owned() } else { format!("neighbour-{}", index + 1) };
            Ok(Self { label, prefix: prefix.clone() })
        };
        prefixes.iter().enumerate().map(one).collect()
    }

    /// Two prefixes that are nobody's: one that begins as the own does (`team` and `teamx`), and one that has nothing in common with it.
    pub fn made_up(own: &Prefix, random: &dyn Random) -> Result<Vec<Self>, RandomUnavailable> {
        let sibling = Self { label: "sibling".to_owned(), prefix: Prefix(format!("{}x", own.0)) };
        let stranger = Prefix(format!("tagmint-prove-{}", random_name(random)?));
        Ok(vec![sibling, Self { label: "stranger".to_owned(), prefix: stranger }])
    }
}

/// Sixteen random letters and digits.
pub(super) fn random_name(random: &dyn Random) -> Result<String, RandomUnavailable> {
    let mut bytes = [0; 8];
    random.fill(&mut bytes)?;
    Ok(format!("{:016x}", u64::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_read_and_compared_whole() {
        let prefix = |text: &str| Prefix::parse(text);
        assert_eq!(prefix("a/b/"), prefix("a/b"));
        for text in ["", "/", "/a"] {
            assert_eq!(prefix(text), Err(PrefixError::Form(text.to_owned())));
        }
        let own = prefix("team").unwrap();
        assert!(own.holds("team/x") && !own.holds("team2/x") && !own.holds("team"));
        let named = |texts: &[&str]| {
            let prefixes: Vec<Prefix> = texts.iter().map(|text| prefix(text).unwrap()).collect();
            Neighbour::named(&own, &prefixes)
        };
        assert!(matches!(named(&["team/below"]), Err(PrefixError::Within { .. })));
        assert!(matches!(named(&["team/"]), Err(PrefixError::Within { .. })));
        let labels: Vec<String> = named(&["team2", "x"]).unwrap().into_iter().map(|one| one.label).collect();
        assert_eq!(labels, ["neighbour", "neighbour-2"]);
    }
}
