//! Where a run of CI writes.

use std::fmt;

use serde::Serialize;

/// What the namespaces of CI begin with; everything else is outside of them. docs/sweep.md has the grammar.
pub const NAMESPACES: [&str; 5] = ["pr-", "branch-", "mr-", "ref-", "bearer-"];

/// Longest run id and pull request number, in digits.
const MAX_DIGITS: usize = 20;
/// Longest slug, in characters: that of the rules' function `slug`.
const MAX_SLUG: usize = 40;
/// Longest segment, in characters: that of the rules' function `segment`.
const MAX_SEGMENT: usize = 128;
/// Longest prefix outside of the namespaces, in bytes: that of a tag's value.
const MAX_MINTED: usize = 256;

/// A prefix that may be removed as one, with the slash at its end. It is never empty, and never a wallet's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct RunPrefix {
    text: String,
}

impl RunPrefix {
    /// The prefix of the namespaces that a key lies below: `pr-NUMBER/run-ID/`, `branch-SLUG/run-ID/`, `mr-SLUG/run-ID/`,
    /// `ref-SLUG/run-ID/` or `bearer-NAME/`. None for every other key.
    pub fn of_key(key: &str) -> Option<Self> {
        let (space, rest) = key.split_once('/')?;
        if space.strip_prefix("bearer-").is_some_and(is_segment) {
            return Some(Self { text: format!("{space}/") });
        }
        let named = space.strip_prefix("pr-").is_some_and(is_number)
            || ["branch-", "mr-", "ref-"].iter().any(|name| space.strip_prefix(name).is_some_and(is_slug));
        let (run, _) = rest.split_once('/')?;
        let is_run = run.strip_prefix("run-").is_some_and(is_number);
        (named && is_run).then(|| Self { text: format!("{space}/{run}/") })
    }

    /// The prefix that the ledger minted as a tag's value. None where it is no plain path of safe parts, where it is a wallet's, and where it
    /// is a namespace's beginning that holds several runs.
    pub fn minted(value: &str) -> Option<Self> {
        let text = format!("{value}/");
        if let Some(run) = Self::of_key(&text) {
            return (run.text == text).then_some(run);
        }
        let mut parts = value.split('/');
        let outside = !NAMESPACES.iter().any(|name| value.starts_with(name));
        let plain = value.len() <= MAX_MINTED && value.split('/').all(is_segment);
        (outside && plain && !parts.next().is_some_and(is_wallet)).then_some(Self { text })
    }

    /// The prefix with the slash at its end.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is one of the namespaces.
    pub fn is_in_namespace(&self) -> bool {
        Self::of_key(&self.text).is_some()
    }

    /// The pull request's number and the run's id, of `pr-NUMBER/run-ID/`.
    pub fn pull_request(&self) -> Option<(u64, u64)> {
        let (number, run) = self.text.strip_prefix("pr-")?.split_once("/run-")?;
        Some((number.parse().ok()?, run.strip_suffix('/')?.parse().ok()?))
    }
}

impl fmt::Display for RunPrefix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

fn is_number(text: &str) -> bool {
    (1..=MAX_DIGITS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0')
}

fn is_slug(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MAX_SLUG).contains(&text.len())
        && text.bytes().all(allowed)
        && !text.starts_with('-')
        && !text.ends_with('-')
        && !text.contains("--")
}

fn is_segment(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._=@+:-".contains(&byte);
    (1..=MAX_SEGMENT).contains(&text.len()) && text.bytes().all(allowed) && text != "." && text != ".."
}

/// Whatever its letters' case and its length: a wallet's data is never one of CI's.
fn is_wallet(text: &str) -> bool {
    text.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("0x"))
}
