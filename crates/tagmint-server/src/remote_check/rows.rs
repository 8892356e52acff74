//! What was found, row by row.

use serde::Serialize;

/// How a row ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Nothing to do; worth knowing.
    Note,
    /// It works, and something should be done.
    Warning,
    /// STS will refuse tokens, or soon.
    Failure,
    /// Not looked at, because of another failure.
    Skipped,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its stable name.
    pub check: &'static str,
    /// Whether it was looked at and did not fail.
    pub ok: bool,
    /// How it ended.
    pub level: Level,
    /// What was seen.
    pub seen: String,
    /// What should be.
    pub expected: String,
    /// What to do about it.
    pub fix: Option<String>,
}

impl Row {
    fn new(check: &'static str, level: Level, seen: String, expected: &str, fix: Option<&str>) -> Self {
        let ok = !matches!(level, Level::Failure | Level::Skipped);
        Self { check, ok, level, seen, expected: expected.to_owned(), fix: fix.map(str::to_owned) }
    }

    /// As it should be.
    pub fn good(check: &'static str, seen: impl Into<String>, expected: &str) -> Self {
        Self::new(check, Level::Ok, seen.into(), expected, None)
    }

    /// Worth knowing.
    pub fn note(check: &'static str, seen: impl Into<String>, expected: &str) -> Self {
        Self::new(check, Level::Note, seen.into(), expected, None)
    }

    /// Something should be done.
    pub fn warning(check: &'static str, seen: impl Into<String>, expected: &str, fix: &str) -> Self {
        Self::new(check, Level::Warning, seen.into(), expected, Some(fix))
    }

    /// It is wrong.
    pub fn failure(check: &'static str, seen: impl Into<String>, expected: &str, fix: &str) -> Self {
        Self::new(check, Level::Failure, seen.into(), expected, Some(fix))
    }

    /// Not looked at.
    pub fn skipped(check: &'static str, why: &str) -> Self {
        Self::new(check, Level::Skipped, format!("not looked at: {why}"), "", None)
    }
}

/// All that was looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Whether every row is.
    pub ok: bool,
    /// The issuer.
    pub url: String,
    /// The rows, in the order of looking.
    pub rows: Vec<Row>,
    /// Whether anybody answered.
    #[serde(skip)]
    pub reached: bool,
}

impl Report {
    pub(super) fn new(url: &str) -> Self {
        Self { ok: true, url: url.to_owned(), rows: vec![], reached: true }
    }

    pub(super) fn add(&mut self, row: Row) {
        self.ok &= row.ok;
        self.rows.push(row);
    }

    pub(super) fn extend(&mut self, rows: impl IntoIterator<Item = Row>) {
        rows.into_iter().for_each(|row| self.add(row));
    }

    /// Nobody is there.
    pub(super) fn unreachable(&mut self, check: &'static str, seen: String, fix: &str) {
        self.add(Row::failure(check, seen, "public addresses", fix));
        self.reached = false;
    }
}
