//! What sessions and bearers have in common.

use jiff::Timestamp;
use serde_json::{Map, Value};
use tagmint_core::json;

/// What a look-up by secret found.
#[derive(Debug, Clone, PartialEq)]
pub enum CredentialLookup<R> {
    /// It is good now.
    Valid(R),
    /// It was good until this moment.
    Expired(Timestamp),
    /// It was revoked at this moment.
    Revoked(Timestamp),
    /// It was never issued, or has been deleted since.
    NotFound,
}

impl<R> CredentialLookup<R> {
    /// Judges a record by its moments. Revoked is told before expired: it says more.
    pub(crate) fn judge(
        record: R,
        expires_at: Option<Timestamp>,
        revoked_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        match (revoked_at, expires_at) {
            (Some(moment), _) => Self::Revoked(moment),
            (None, Some(moment)) if moment <= now => Self::Expired(moment),
            (None, _) => Self::Valid(record),
        }
    }
}

/// What a revocation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// It was good until now.
    Done,
    /// It had been revoked before; the moment stays.
    AlreadyRevoked,
}

/// Which credentials to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialFilter {
    /// Those that are good at this moment.
    ActiveAt(Timestamp),
    /// All that are stored.
    All,
}

impl CredentialFilter {
    /// The moment in seconds; `None` for all.
    pub(crate) fn active_at(self) -> Option<i64> {
        match self {
            Self::ActiveAt(now) => Some(now.as_second()),
            Self::All => None,
        }
    }
}

/// The stored form of attributes.
pub(crate) fn attributes_to_text(attributes: &Map<String, Value>) -> String {
    serde_json::to_string(attributes).expect("a JSON object has a text")
}

/// The attributes of a stored form; the column's name where there are none.
pub(crate) fn attributes_from_text(text: &str) -> Result<Map<String, Value>, &'static str> {
    json::parse_as(text.as_bytes()).map_err(|_| "attributes")
}

/// A stored moment; the column's name where there is none.
pub(crate) fn moment(seconds: i64, column: &'static str) -> Result<Timestamp, &'static str> {
    Timestamp::from_second(seconds).map_err(|_| column)
}

/// A stored moment that may be absent.
pub(crate) fn optional_moment(seconds: Option<i64>, column: &'static str) -> Result<Option<Timestamp>, &'static str> {
    seconds.map(|seconds| moment(seconds, column)).transpose()
}
