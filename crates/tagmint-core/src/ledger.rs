//! The record of every mint and every refusal, and the hash chain that makes a change to it visible.
//!
//! A row is its sequence number, the hash of the row before, the entry as JSON (its exact bytes), and its own hash:
//! `SHA-256(previous hash ‖ sequence as 8 bytes, big-endian ‖ body)`. An export can be checked with nothing but SHA-256. The head (the last
//! sequence and hash) is kept apart and sealed with a key that the database does not hold
//! ([`MasterKey::seal_ledger_head`](crate::sealing::MasterKey::seal_ledger_head)), so that cutting the end off or computing the chain anew is
//! noticed too. What no chain can show is a database put back whole to an earlier state: compare the head with one that was noted elsewhere.

pub mod archive;
mod run;

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    environment::Stamp,
    id::{FetchId, MintId, RefusalId, RequestId},
    json,
};

pub use self::run::{AddressClass, Run, Shadow};

/// The format of an entry's body that is written now. Bodies of format 1 have no `format` and no `run`.
pub const FORMAT: u8 = 2;

/// What happened, completely: who asked how, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// The format of the body: [`FORMAT`], or that of the program that wrote it.
    #[serde(default = "first_format", skip_serializing_if = "is_first_format")]
    pub format: u8,
    /// When it was decided; milliseconds since the epoch.
    pub at_ms: i64,
    /// The HTTP request, as in the answer's `x-request-id` and the log.
    pub request_id: RequestId,
    /// Method and path by which it came.
    pub route: String,
    /// The caller's address.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub remote: Option<String>,
    /// The credential that was presented, by id: `ses_…`, `brr_…`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub credential: Option<String>,
    /// Where the identity was vouched for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source: Option<String>,
    /// The identity's name there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub identity: Option<String>,
    /// The rule that decided.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rule: Option<String>,
    /// What the rules saw. None where nobody was identified.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub run: Option<Box<Run>>,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

const fn first_format() -> u8 {
    1
}

// By reference, as serde calls it.
#[allow(clippy::trivially_copy_pass_by_ref)]
const fn is_first_format(format: &u8) -> bool {
    *format == 1
}

/// What came of a request for a token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub enum Outcome {
    /// A token was signed. It may not have reached its caller; no token reached anyone without this row.
    Minted(Minted),
    /// No token was made.
    Refused(Refused),
    /// A token's credentials were fetched from STS on the caller's behalf.
    Fetched(Fetched),
}

/// Credentials of AWS that went through the issuer, without their secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fetched {
    /// The row's id.
    pub fetch_id: FetchId,
    /// The token that they were fetched with.
    pub mint_id: MintId,
    /// The role that was assumed.
    pub role: String,
    /// The role that the session assumed at once.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub assume_then: Option<String>,
    /// STS's id of the request (`RequestId` of the answer), as CloudTrail shows it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sts_request_id: Option<String>,
    /// The access key's id, as CloudTrail shows it.
    pub access_key_id: String,
    /// When they expire, in seconds since the epoch.
    pub expires_at: i64,
}

/// The token that was signed, without its signature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Minted {
    /// The token's `jti` and source identity.
    pub mint_id: MintId,
    /// The key it was signed with.
    pub kid: String,
    /// `sub`.
    pub subject: String,
    /// `aud`.
    pub audience: String,
    /// The tags claim.
    pub tags: Value,
    /// The roles claim.
    pub roles: Vec<String>,
    /// `iat`, in seconds since the epoch.
    pub issued_at: i64,
    /// `exp`, in seconds since the epoch.
    pub expires_at: i64,
}

/// Why no token was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refused {
    /// The refusal's id.
    pub refusal_id: RefusalId,
    /// The stable code of the reason.
    pub code: String,
    /// The reason in words.
    pub detail: String,
    /// Set where this row stands for refusals that have no row of their own; its code is then [`Omitted::CODE`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub omitted: Option<Omitted>,
}

/// Refusals of unidentified callers that were counted and not recorded, because such callers had used up their rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Omitted {
    /// How many.
    pub count: u64,
    /// When the first was refused; milliseconds since the epoch.
    pub since_ms: i64,
    /// When the last was refused; milliseconds since the epoch.
    pub until_ms: i64,
    /// How many by the limit that was reached.
    pub limits: BTreeMap<String, u64>,
    /// The networks (IPv4 /24, IPv6 /48) that most of them came from, and how many from each.
    pub networks: BTreeMap<String, u64>,
}

impl Omitted {
    /// The code of a row that stands for omitted refusals.
    pub const CODE: &str = "refusals_not_recorded";
    /// The route of such a row: it belongs to no request.
    pub const ROUTE: &str = "(summary)";
}

impl LedgerEntry {
    /// The entry's id: the mint's or the refusal's.
    pub fn id(&self) -> String {
        match &self.outcome {
            Outcome::Minted(minted) => minted.mint_id.to_string(),
            Outcome::Refused(refused) => refused.refusal_id.to_string(),
            Outcome::Fetched(fetched) => fetched.fetch_id.to_string(),
        }
    }

    /// `minted`, `refused` or `fetched`.
    pub const fn outcome_name(&self) -> &'static str {
        match self.outcome {
            Outcome::Minted(_) => "minted",
            Outcome::Refused(_) => "refused",
            Outcome::Fetched(_) => "fetched",
        }
    }

    /// When it was decided.
    pub fn at(&self) -> Timestamp {
        Timestamp::from_millisecond(self.at_ms).unwrap_or_default()
    }

    /// The bytes that are stored and hashed.
    pub fn to_body(&self) -> String {
        serde_json::to_string(self).expect("an entry is strings, integers and JSON values")
    }
}

/// A stored row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerRow {
    /// Its place, from 1, without gaps.
    pub seq: i64,
    /// The entry's id, as stored beside the body for look-ups.
    pub entry_id: String,
    /// The entry's time, as stored beside the body.
    pub at_ms: i64,
    /// The entry's outcome, as stored beside the body.
    pub outcome: String,
    /// The entry: the exact bytes that were hashed.
    pub body: String,
    /// The hash of the row before.
    pub prev_hash: String,
    /// This row's hash.
    pub hash: String,
}

/// The end of a chain: what the next row builds on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerHead {
    /// The last sequence; 0 for an empty ledger.
    pub seq: i64,
    /// The last hash; for an empty ledger that of the stamp.
    pub hash: String,
}

impl LedgerHead {
    /// The head of an empty ledger: bound to the issuer and the environment, so that no chain passes for another's.
    pub fn genesis(stamp: &Stamp) -> Self {
        let text = format!("tagmint ledger v1\n{}\n{}", stamp.issuer, stamp.environment);
        Self { seq: 0, hash: hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref()) }
    }

    /// Chains an entry to this head and moves the head on to it.
    pub fn append(&mut self, entry: &LedgerEntry) -> LedgerRow {
        let body = entry.to_body();
        let seq = self.seq + 1;
        let hash = row_hash(&self.hash, seq, &body);
        let prev_hash = std::mem::replace(&mut self.hash, hash.clone());
        self.seq = seq;
        LedgerRow {
            seq,
            entry_id: entry.id(),
            at_ms: entry.at_ms,
            outcome: entry.outcome_name().to_owned(),
            body,
            prev_hash,
            hash,
        }
    }
}

fn row_hash(prev_hash: &str, seq: i64, body: &str) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(prev_hash.as_bytes());
    context.update(&seq.to_be_bytes());
    context.update(body.as_bytes());
    hex(context.finish().as_ref())
}

/// What is wrong with a stored ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerFault {
    /// Rows are missing before this one.
    #[error("row {expected} is missing: the next one stored is {found}")]
    Dropped {
        /// The sequence that should have come.
        expected: i64,
        /// The one that came.
        found: i64,
    },
    /// A row that does not follow from the one before: it, or the one before, was inserted or put in another's place.
    #[error("row {seq} does not follow from the row before it: one of them was inserted or replaced")]
    Unchained {
        /// The row.
        seq: i64,
    },
    /// The hash does not fit the row.
    #[error("row {seq} was altered: its hash does not fit its content")]
    Altered {
        /// The row.
        seq: i64,
    },
    /// The columns beside the body say something else than the body.
    #[error("row {seq} was altered: its column `{column}` differs from its body")]
    Column {
        /// The row.
        seq: i64,
        /// The column.
        column: &'static str,
    },
    /// The rows end before or after the head.
    #[error("the ledger ends at row {found}, its head says {expected}: rows were cut off or added at the end")]
    Cut {
        /// The head's sequence.
        expected: i64,
        /// The last row's.
        found: i64,
    },
    /// The record of an archive is not genuine.
    #[error(
        "the record of the archive that ends at row {seq} is not genuine: it was altered or inserted, or the key file is another one"
    )]
    ArchiveRecord {
        /// The last row of the archive.
        seq: i64,
    },
    /// The record of an archive is missing.
    #[error("no archive is recorded for row {expected}: the next one recorded begins at row {found}")]
    ArchiveMissing {
        /// The row that the archive should have begun with.
        expected: i64,
        /// The row that the next one begins with.
        found: i64,
    },
    /// A row of a format that this program does not know.
    #[error("row {seq} has the format {format}, which a newer version of Tagmint wrote; use that version")]
    Format {
        /// The row.
        seq: i64,
        /// Its format.
        format: u64,
    },
    /// The head's seal is not genuine.
    #[error("the head's seal is not genuine: the chain was computed anew, or the key file is another one")]
    Seal,
}

/// Checks rows in order. Feed every row, then compare with the stored head.
#[derive(Debug)]
pub struct ChainVerifier {
    head: LedgerHead,
}

impl ChainVerifier {
    /// Begins at an empty ledger's head.
    pub fn new(stamp: &Stamp) -> Self {
        Self::after(LedgerHead::genesis(stamp))
    }

    /// Begins after a row that is known by its hash.
    pub const fn after(head: LedgerHead) -> Self {
        Self { head }
    }

    /// The last row that was checked.
    pub const fn head(&self) -> &LedgerHead {
        &self.head
    }

    /// Checks that a row follows from the ones before, and that it says what it said when it was written.
    pub fn check(&mut self, row: &LedgerRow) -> Result<(), LedgerFault> {
        let seq = row.seq;
        if seq != self.head.seq + 1 {
            return Err(LedgerFault::Dropped { expected: self.head.seq + 1, found: seq });
        }
        if row.prev_hash != self.head.hash {
            return Err(LedgerFault::Unchained { seq });
        }
        if row_hash(&row.prev_hash, seq, &row.body) != row.hash {
            return Err(LedgerFault::Altered { seq });
        }
        let entry: LedgerEntry = json::parse_as(row.body.as_bytes()).map_err(|_| unreadable(seq, &row.body))?;
        if entry.format > FORMAT {
            return Err(LedgerFault::Format { seq, format: entry.format.into() });
        }
        for (column, same) in [
            ("entry_id", entry.id() == row.entry_id),
            ("at_ms", entry.at_ms == row.at_ms),
            ("outcome", entry.outcome_name() == row.outcome),
        ] {
            if !same {
                return Err(LedgerFault::Column { seq, column });
            }
        }
        self.head = LedgerHead { seq, hash: row.hash.clone() };
        Ok(())
    }

    /// Checks that the rows end where the stored head says.
    pub fn finish(self, stored: &LedgerHead) -> Result<LedgerHead, LedgerFault> {
        if self.head.seq != stored.seq {
            return Err(LedgerFault::Cut { expected: stored.seq, found: self.head.seq });
        }
        if self.head.hash != stored.hash {
            return Err(LedgerFault::Unchained { seq: stored.seq });
        }
        Ok(self.head)
    }
}

/// Why a row that hashes as it should is no entry: it is of a later format, or was no entry when it was written.
fn unreadable(seq: i64, body: &str) -> LedgerFault {
    let format = json::parse(body.as_bytes()).ok().and_then(|body| body.get("format")?.as_u64());
    match format {
        Some(format) if format > FORMAT.into() => LedgerFault::Format { seq, format },
        _ => LedgerFault::Altered { seq },
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The bytes of lower- or upper-case hexadecimal.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    let pairs = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    pairs.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).ok()).collect()
}

#[cfg(test)]
mod tests;
