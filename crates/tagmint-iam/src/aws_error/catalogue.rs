//! The known errors.
//!
//! Sources: recorded answers of STS and IAM of September 2026, the service models of STS and IAM, the IAM user guide ("Troubleshoot access
//! denied error messages"), and public reports of clients.

mod clients;
mod iam;
mod s3;
mod sts;
mod token;

use super::facts::Next;

/// An error that is known.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its name.
    pub(super) id: &'static str,
    /// AWS's code.
    pub(super) code: &'static str,
    /// What AWS prints; `…` stands for what is filled in.
    pub(super) shown: &'static [&'static str],
    /// The texts to look for: in lower case, with single blanks.
    pub(super) seen: &'static [&'static str],
    /// Whether the word behind the text belongs to it.
    pub(super) names: bool,
    /// Whether it says nothing where another error is found.
    pub(super) general: bool,
    /// Whether it mostly follows from an error that comes before it.
    pub(super) follows: bool,
    /// The meaning of the error.
    pub(super) means: &'static str,
    /// The causes with their fixes, the likeliest first.
    pub(super) causes: &'static [(&'static str, &'static str)],
    /// The commands to run next.
    pub(super) next: &'static [Next],
    /// The section of `docs/troubleshooting.md`.
    pub(super) docs: &'static str,
}

/// An entry of which most members are set.
pub(super) const PLAIN: Entry = Entry {
    id: "",
    code: "",
    shown: &[],
    seen: &[],
    names: false,
    general: false,
    follows: false,
    means: "",
    causes: &[],
    next: &[],
    docs: "",
};

/// All of them.
pub(super) static ENTRIES: std::sync::LazyLock<Vec<&'static Entry>> = std::sync::LazyLock::new(|| {
    [sts::ENTRIES, token::ENTRIES, s3::ENTRIES, iam::ENTRIES, clients::ENTRIES].into_iter().flatten().collect()
});
