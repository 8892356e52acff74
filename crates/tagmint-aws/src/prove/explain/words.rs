//! Parts of sentences.

use tagmint_iam::advice::Explanation;

use crate::{
    failure::Failure,
    policies::{Problem, Unread},
};

/// What could not be read, as the end of a sentence; empty where everything was.
pub(super) fn unread(role: Option<&Unread>, rest: &[Unread]) -> String {
    let all: Vec<&Unread> = role.into_iter().chain(rest).collect();
    // Without credentials everything fails for the one reason.
    if let Some(none) = all.iter().find_map(|unread| match &unread.problem {
        Problem::Failure(none @ Failure::NoCredentials { .. }) => Some(none),
        _ => None,
    }) {
        return format!("; the policies could not be read: {none}");
    }
    all.iter().fold(String::new(), |text, unread| text + "; " + &unread.to_string())
}

/// What failed, and the fix.
pub(super) fn failed_checks(explanation: &Explanation) -> String {
    let mut text = explanation.error.as_ref().map_or_else(String::new, |error| format!("{}: ", error.code));
    let failed: Vec<_> = explanation.checks.iter().filter(|check| !check.passed).collect();
    let told: Vec<String> = failed
        .iter()
        .map(|check| format!("{}: wanted {}, found {}", check.check, check.expected, check.actual))
        .collect();
    text.push_str(&told.join("; "));
    if let Some(fix) = failed.iter().find_map(|check| check.fix.as_ref()) {
        text.push_str(". Fix: ");
        text.push_str(fix);
    }
    text
}
