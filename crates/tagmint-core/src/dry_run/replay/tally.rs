//! Counts of what changes, by rule and repository, with the first example of each.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    dry_run::{Repository, Undecidable},
    ledger::{LedgerEntry, Outcome},
};

/// The most groups that are kept. Rows of further ones are counted together.
pub const MAX_GROUPS: usize = 5_000;
/// The most codes of refusals that are counted apart.
const MAX_CODES: usize = 200;

/// How a row changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It was allowed, and would be refused.
    NewlyRefused,
    /// It was refused, and would be allowed.
    NewlyAllowed,
    /// It would be allowed otherwise.
    Changed,
}

/// The first row of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Example {
    /// The row's id.
    pub id: String,
    /// When it was decided; milliseconds since the epoch.
    pub at_ms: i64,
    /// What changes, and why.
    pub reason: String,
}

/// Rows that change in the same way, of one rule and one repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// How they change.
    pub change: Change,
    /// The rule that granted; of newly allowed rows the one that would grant.
    pub rule: String,
    /// The repository, project or other thing that the identity runs for.
    pub repository: String,
    /// How many rows.
    pub rows: u64,
    /// In how many rows each part of the token changes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, u64>,
    /// The first row.
    pub first: Example,
}

/// Rows that cannot be decided again, for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Undecided {
    /// How many rows.
    pub rows: u64,
    /// The first row.
    pub first: Example,
}

/// What a replay has counted.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Tokens that were minted.
    pub mints: u64,
    /// Requests that were refused.
    pub refusals: u64,
    /// Fetches of credentials, which no rule decides.
    pub fetches: u64,
    /// Refusals that the ledger counted and did not record.
    pub omitted: u64,
    /// Rows with the same outcome.
    pub unchanged: u64,
    /// Rows by how they change.
    changes: [u64; 3],
    /// Rows that the change has no part in, by why: the code of a refusal that rules have no part in, for instance.
    pub not_affected: BTreeMap<String, u64>,
    /// Rows that cannot be decided again, by the reason's code.
    pub undecided: BTreeMap<&'static str, Undecided>,
    groups: BTreeMap<(Change, String, String), Group>,
    /// Rows of groups beyond [`MAX_GROUPS`].
    pub rows_beyond: u64,
}

impl Tally {
    /// How many rows were read.
    pub fn rows(&self) -> u64 {
        let unreadable = self.undecided.get("unreadable_row").map_or(0, |it| it.rows);
        self.mints + self.refusals + self.fetches + unreadable
    }

    /// How many rows change so.
    pub const fn count(&self, change: Change) -> u64 {
        self.changes[change as usize]
    }

    /// Whether any row changes.
    pub fn has_changes(&self) -> bool {
        self.changes.iter().any(|rows| *rows > 0)
    }

    /// How many rows cannot be decided again.
    pub fn undecided_rows(&self) -> u64 {
        self.undecided.values().map(|it| it.rows).sum()
    }

    /// What changes: newly refused rows first, then newly allowed and changed ones; the largest groups first.
    pub fn groups(&self) -> Vec<&Group> {
        let mut groups: Vec<&Group> = self.groups.values().collect();
        groups.sort_by(|a, b| (a.change, b.rows, a.first.at_ms).cmp(&(b.change, a.rows, b.first.at_ms)));
        groups
    }

    /// Counts a row by its recorded outcome.
    pub fn see(&mut self, entry: &LedgerEntry) {
        match &entry.outcome {
            Outcome::Minted(_) => self.mints += 1,
            Outcome::Fetched(_) => self.fetches += 1,
            Outcome::Refused(refused) => {
                self.refusals += 1;
                self.omitted += refused.omitted.as_ref().map_or(0, |omitted| omitted.count);
            }
        }
    }

    /// Counts a row that stays as it is.
    pub const fn unchanged(&mut self) {
        self.unchanged += 1;
    }

    /// Counts a row that the change has no part in.
    pub fn not_affected(&mut self, code: &str) {
        let full = self.not_affected.len() >= MAX_CODES && !self.not_affected.contains_key(code);
        *self.not_affected.entry(if full { "other" } else { code }.to_owned()).or_default() += 1;
    }

    /// Counts a row that cannot be decided again.
    pub fn undecided(&mut self, why: &Undecidable, entry: &LedgerEntry) {
        match why {
            Undecidable::Fetch => self.not_affected("fetch"),
            Undecidable::NotByRules(code) => self.not_affected(code),
            why => self.cannot(why.code(), &entry.id(), entry.at_ms, || why.to_string()),
        }
    }

    /// Counts a row that cannot be read.
    pub fn unreadable(&mut self, id: &str, at_ms: i64) {
        self.cannot("unreadable_row", id, at_ms, || "the row cannot be read: run `tagmint ledger verify`".to_owned());
    }

    fn cannot(&mut self, code: &'static str, id: &str, at_ms: i64, reason: impl FnOnce() -> String) {
        let first = || Example { id: id.to_owned(), at_ms, reason: reason() };
        self.undecided.entry(code).or_insert_with(|| Undecided { rows: 0, first: first() }).rows += 1;
    }

    /// Counts a row that changes. The reason is asked for the first one of a group only.
    pub fn changed<'f>(
        &mut self,
        change: Change,
        rule: &str,
        repository: Repository,
        entry: &LedgerEntry,
        reason: impl FnOnce() -> String,
        fields: impl IntoIterator<Item = &'f str>,
    ) {
        self.changes[change as usize] += 1;
        let key = (change, rule.to_owned(), repository.key);
        if self.groups.len() >= MAX_GROUPS && !self.groups.contains_key(&key) {
            self.rows_beyond += 1;
            return;
        }
        let group = self.groups.entry(key).or_insert_with(|| Group {
            change,
            rule: rule.to_owned(),
            repository: repository.label,
            rows: 0,
            fields: BTreeMap::new(),
            first: Example { id: entry.id(), at_ms: entry.at_ms, reason: reason() },
        });
        group.rows += 1;
        for field in fields {
            // The keys are those of tokens' contents; tags are at most 50 of a rule.
            *group.fields.entry(field.to_owned()).or_default() += 1;
        }
    }
}
