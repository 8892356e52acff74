//! The record of what was checked.

use serde::Serialize;

use super::StsError;

/// One check: what it was, what it wanted, what it found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its name, stable, as `token-signature`.
    pub check: &'static str,
    /// Whether it passed.
    pub passed: bool,
    /// What is wanted.
    pub expected: String,
    /// What was there.
    pub actual: String,
    /// What to do about it when it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

#[derive(Default)]
pub(super) struct Checks(Vec<Check>);

impl Checks {
    pub(super) fn pass(&mut self, check: &'static str, expected: impl Into<String>, actual: impl Into<String>) {
        self.0.push(Check { check, passed: true, expected: expected.into(), actual: actual.into(), fix: None });
    }

    /// Records a failure, and hands back the refusal that follows from it.
    pub(super) fn fail(
        &mut self,
        check: &'static str,
        expected: impl Into<String>,
        actual: impl Into<String>,
        fix: impl Into<String>,
        error: StsError,
    ) -> StsError {
        let (expected, actual, fix) = (expected.into(), actual.into(), Some(fix.into()));
        self.0.push(Check { check, passed: false, expected, actual, fix });
        error
    }

    pub(super) fn into_vec(self) -> Vec<Check> {
        self.0
    }
}

/// A text from outside, short enough for a trace.
pub(super) fn shown(text: &str) -> String {
    let mut start: String = text.chars().take(200).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    start
}
