//! What AWS, its CLI or a job's log printed: which error it is, what causes it, and what to do next.
//!
//! A log is not needed whole: each known text is looked for, in whatever the clients wrapped it. Nothing of the log is repeated but role ARNs,
//! issuers, actions, resources and file names, so that a token in it stays unsaid.

mod catalogue;
mod clean;
mod facts;

use serde::Serialize;

use self::{catalogue::Entry, facts::Facts};

/// An error that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// Its name, stable, as `audience-not-registered`.
    pub id: &'static str,
    /// AWS's code, as `InvalidIdentityToken`.
    pub code: &'static str,
    /// AWS's words, as they were found.
    pub message: String,
    /// The meaning of AWS's words.
    pub means: &'static str,
    /// The causes, the likeliest first.
    pub causes: Vec<Cause>,
    /// The commands to run next, filled in with what the text has; words in capitals are to be filled in.
    pub next: Vec<String>,
    /// The page about it.
    pub docs: String,
}

/// A cause of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// The fault.
    pub cause: &'static str,
    /// The fix.
    pub fix: &'static str,
}

/// The known errors in a text, those that say most first.
pub fn explain(text: &str) -> Vec<Explained> {
    let clean = clean::text(text);
    let lower = clean.to_ascii_lowercase();
    let facts = Facts::of(&clean);
    let mut found: Vec<(bool, usize, &Entry)> = catalogue::ENTRIES
        .iter()
        .copied()
        .filter_map(|entry| {
            let at = entry.seen.iter().filter_map(|seen| position(&lower, seen)).min()?;
            Some((entry.general, at, entry))
        })
        .collect();
    // A general error adds nothing to a specific one.
    if found.iter().any(|(general, ..)| !general) {
        found.retain(|(general, ..)| !general);
    }
    // The first error in a log causes the later ones; what STS says comes before what follows from it.
    found.sort_by_key(|(_, at, entry)| (entry.follows, *at));
    found.into_iter().map(|(_, _, entry)| explained(entry, &clean, &lower, &facts)).collect()
}

/// The texts that are known, with AWS's code: as AWS prints them, without what is filled in.
pub fn messages() -> impl Iterator<Item = (&'static str, &'static str)> {
    catalogue::ENTRIES.iter().flat_map(|entry| entry.shown.iter().map(|message| (entry.code, *message)))
}

/// The page about each known text.
pub fn pages() -> impl Iterator<Item = &'static str> {
    catalogue::ENTRIES.iter().map(|entry| entry.docs)
}

/// Where a text stands; not within a longer word.
fn position(lower: &str, seen: &str) -> Option<usize> {
    let starts_word = seen.starts_with(|c: char| c.is_ascii_alphanumeric());
    let ends_word = seen.ends_with(|c: char| c.is_ascii_alphanumeric());
    let word = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = lower.as_bytes();
    lower.match_indices(seen).map(|(at, _)| at).find(|at| {
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        let after = bytes.get(at + seen.len());
        // `InvalidIdentityTokenException` is `InvalidIdentityToken`.
        let exception = lower.get(at + seen.len()..).is_some_and(|rest| rest.starts_with("exception"));
        let begins = !(starts_word && word(before));
        let ends = exception || !(ends_word && word(after));
        begins && ends
    })
}

fn explained(entry: &Entry, clean: &str, lower: &str, facts: &Facts) -> Explained {
    let at = entry.seen.iter().filter_map(|seen| Some((position(lower, seen)?, *seen))).min();
    let (at, seen) = at.unwrap_or((0, ""));
    let shown = entry.shown.first().copied().unwrap_or(seen);
    let canonical =
        entry.shown.iter().find(|shown| shown.to_ascii_lowercase().contains(seen)).copied().unwrap_or(shown);
    let message = match facts::word_after(clean, at + seen.len()).filter(|_| entry.names) {
        Some(word) => format!("{} {word}", canonical.trim_end_matches(" …")),
        None => canonical.to_owned(),
    };
    Explained {
        id: entry.id,
        code: entry.code,
        message,
        means: entry.means,
        causes: entry.causes.iter().map(|(cause, fix)| Cause { cause, fix }).collect(),
        next: entry.next.iter().map(|next| next.command(facts)).collect(),
        docs: format!("docs/troubleshooting.md#{}", entry.docs),
    }
}

#[cfg(test)]
mod tests;
