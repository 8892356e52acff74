//! Archives: the ledger's oldest rows in a file, so that they can leave the database.
//!
//! A file holds JSON lines. The first says whose rows follow and after which head; then come the rows as
//! [`ledger export`](LedgerRow) writes them; the last has the SHA-256 of all bytes before it and a seal under the key file. The
//! database keeps an [`ArchiveRecord`] of each file, sealed too: the last row's hash in it is what the first row that is left builds on,
//! so the chain can be followed from the first archive to the head, and without the files from the last archive on.

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

use super::{ChainVerifier, LedgerFault, LedgerHead, LedgerRow, hex};
use crate::{environment::Stamp, json, sealing::MasterKey};

/// The format, in the first line of a file.
const FORMAT: &str = "tagmint ledger archive v1";
/// How a row begins in a file, and how the last line does.
const ROW_BEGINS: &str = "{\"seq\":";
const END_BEGINS: &str = "{\"end\":";

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Beginning {
    archive: String,
    issuer: String,
    environment: String,
    /// The head that the first row builds on.
    after: LedgerHead,
}

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ending {
    end: End,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    rows: u64,
    head: LedgerHead,
    sha256: String,
    seal: String,
}

/// The facts about a whole file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveFacts {
    /// The head that its first row builds on: the rows after this one are in it.
    pub after: LedgerHead,
    /// Its last row.
    pub last: LedgerHead,
    /// SHA-256 of its bytes before the last line, in hex.
    pub sha256: String,
}

impl ArchiveFacts {
    /// The first row in it.
    pub const fn first_seq(&self) -> i64 {
        self.after.seq + 1
    }

    /// How many rows it holds.
    pub const fn rows(&self) -> u64 {
        self.last.seq.abs_diff(self.after.seq)
    }

    /// The text that the file's seal covers.
    fn message(&self, stamp: &Stamp) -> String {
        let Self { after, last, sha256 } = self;
        let Stamp { issuer, environment } = stamp;
        format!("file\n{issuer}\n{environment}\n{} {}\n{} {}\n{sha256}", after.seq, after.hash, last.seq, last.hash)
    }
}

/// The database's record of an archive whose rows have left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveRecord {
    /// The first row in it.
    pub first_seq: i64,
    /// The last row in it: what the next row builds on.
    pub last: LedgerHead,
    /// When it was archived; milliseconds since the epoch.
    pub archived_at_ms: i64,
    /// The file's [`ArchiveFacts::sha256`].
    pub sha256: String,
    /// The seal over all this.
    pub seal: String,
}

impl ArchiveRecord {
    /// A record of an archive, sealed.
    pub fn new(facts: &ArchiveFacts, archived_at_ms: i64, stamp: &Stamp, key: &MasterKey) -> Self {
        let mut record = Self {
            first_seq: facts.first_seq(),
            last: facts.last.clone(),
            archived_at_ms,
            sha256: facts.sha256.clone(),
            seal: String::new(),
        };
        record.seal = key.seal_ledger_archive(&record.message(stamp));
        record
    }

    /// Whether its seal is genuine.
    pub fn is_genuine(&self, stamp: &Stamp, key: &MasterKey) -> bool {
        key.ledger_archive_is_genuine(&self.message(stamp), &self.seal)
    }

    fn message(&self, stamp: &Stamp) -> String {
        let Self { first_seq, last, archived_at_ms, sha256, seal: _ } = self;
        let Stamp { issuer, environment } = stamp;
        format!("record\n{issuer}\n{environment}\n{first_seq}\n{} {}\n{archived_at_ms}\n{sha256}", last.seq, last.hash)
    }
}

/// Checks that records are genuine and follow each other from the first row on. Gives the last row that is archived; none: no row is.
pub fn check_records(
    records: &[ArchiveRecord],
    stamp: &Stamp,
    key: &MasterKey,
) -> Result<Option<LedgerHead>, LedgerFault> {
    let mut last: Option<&LedgerHead> = None;
    for record in records {
        let expected = last.map_or(1, |head| head.seq + 1);
        if !record.is_genuine(stamp, key) {
            return Err(LedgerFault::ArchiveRecord { seq: record.last.seq });
        }
        if record.first_seq != expected {
            return Err(LedgerFault::ArchiveMissing { expected, found: record.first_seq });
        }
        last = Some(&record.last);
    }
    Ok(last.cloned())
}

/// Makes a file's lines. Each row is checked before it is written: no archive is made of a ledger that was altered.
pub struct ArchiveWriter<'a> {
    stamp: &'a Stamp,
    after: LedgerHead,
    chain: ChainVerifier,
    digest: digest::Context,
}

impl<'a> ArchiveWriter<'a> {
    /// Begins a file with the rows after `after`. Returns its first line, too.
    pub fn begin(stamp: &'a Stamp, after: LedgerHead) -> (Self, String) {
        let beginning = Beginning {
            archive: FORMAT.to_owned(),
            issuer: stamp.issuer.to_string(),
            environment: stamp.environment.to_string(),
            after: after.clone(),
        };
        let chain = ChainVerifier::after(after.clone());
        let mut writer = Self { stamp, after, chain, digest: digest::Context::new(&digest::SHA256) };
        let line = writer.line(&beginning);
        (writer, line)
    }

    /// The next row's line.
    pub fn row(&mut self, row: &LedgerRow) -> Result<String, LedgerFault> {
        self.chain.check(row)?;
        Ok(self.line(row))
    }

    /// The last row that was written; what the file began after, where none was.
    pub const fn last(&self) -> &LedgerHead {
        self.chain.head()
    }

    /// The last line, and what the file holds.
    pub fn finish(self, key: &MasterKey) -> (ArchiveFacts, String) {
        let sha256 = hex(self.digest.finish().as_ref());
        let facts = ArchiveFacts { after: self.after, last: self.chain.head().clone(), sha256 };
        let seal = key.seal_ledger_archive(&facts.message(self.stamp));
        let end = End { rows: facts.rows(), head: facts.last.clone(), sha256: facts.sha256.clone(), seal };
        let line = serde_json::to_string(&Ending { end }).expect("texts and integers are JSON");
        (facts, line + "\n")
    }

    fn line(&mut self, value: &impl Serialize) -> String {
        let line = serde_json::to_string(value).expect("texts and integers are JSON") + "\n";
        self.digest.update(line.as_bytes());
        line
    }
}

/// Why a file is no archive that can be relied on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveFault {
    /// It does not begin like one.
    #[error("it is not an archive of a ledger: its first line is not that of one")]
    NoArchive,
    /// It is another issuer's or environment's.
    #[error("it is an archive of the issuer {issuer} (environment `{environment}`)")]
    Foreign {
        /// Its issuer.
        issuer: String,
        /// Its environment.
        environment: String,
    },
    /// A line is not what must stand there.
    #[error("line {0} is not a row of the ledger")]
    Line(u64),
    /// A row was altered, dropped or inserted.
    #[error(transparent)]
    Row(#[from] LedgerFault),
    /// It has no last line.
    #[error("it is incomplete: its last line is missing")]
    Incomplete,
    /// Something follows the last line.
    #[error("something was added after its last line")]
    Continued,
    /// The last line does not fit the rest.
    #[error("its rows or its first line were altered: they do not fit its last line")]
    Digest,
    /// The seal is not genuine.
    #[error("its seal is not genuine: it was altered, or the key file is another one")]
    Seal,
}

/// Checks a file line by line.
pub struct ArchiveReader<'a> {
    stamp: &'a Stamp,
    key: &'a MasterKey,
    digest: digest::Context,
    state: Reading,
    lines: u64,
}

enum Reading {
    Nothing,
    Rows { after: LedgerHead, chain: ChainVerifier },
    Ended(ArchiveFacts),
}

impl<'a> ArchiveReader<'a> {
    /// Nothing is read yet.
    pub fn new(stamp: &'a Stamp, key: &'a MasterKey) -> Self {
        Self { stamp, key, digest: digest::Context::new(&digest::SHA256), state: Reading::Nothing, lines: 0 }
    }

    /// Checks the next line, with its end. Returns the row in it, where it holds one.
    pub fn line(&mut self, line: &str) -> Result<Option<LedgerRow>, ArchiveFault> {
        self.lines += 1;
        match &mut self.state {
            Reading::Nothing => {
                let beginning: Beginning = json::parse_as(line.as_bytes()).map_err(|_| ArchiveFault::NoArchive)?;
                if beginning.archive != FORMAT {
                    return Err(ArchiveFault::NoArchive);
                }
                let Beginning { issuer, environment, after, .. } = beginning;
                if issuer != self.stamp.issuer.as_str() || environment != self.stamp.environment.as_str() {
                    return Err(ArchiveFault::Foreign { issuer, environment });
                }
                let chain = ChainVerifier::after(after.clone());
                self.state = Reading::Rows { after, chain };
                self.digest.update(line.as_bytes());
                Ok(None)
            }
            Reading::Rows { chain, .. } if line.starts_with(ROW_BEGINS) => {
                let whole = line.ends_with('\n');
                let row: Option<LedgerRow> = json::parse_as(line.as_bytes()).ok();
                let row = row.filter(|_| whole).ok_or(ArchiveFault::Line(self.lines))?;
                chain.check(&row)?;
                self.digest.update(line.as_bytes());
                Ok(Some(row))
            }
            Reading::Rows { after, chain } if line.starts_with(END_BEGINS) => {
                let Ending { end } = json::parse_as(line.as_bytes()).map_err(|_| ArchiveFault::Incomplete)?;
                let sha256 = hex(self.digest.clone().finish().as_ref());
                let facts = ArchiveFacts { after: after.clone(), last: chain.head().clone(), sha256 };
                if (end.rows, &end.head, &end.sha256) != (facts.rows(), &facts.last, &facts.sha256) {
                    return Err(ArchiveFault::Digest);
                }
                if !self.key.ledger_archive_is_genuine(&facts.message(self.stamp), &end.seal) {
                    return Err(ArchiveFault::Seal);
                }
                self.state = Reading::Ended(facts);
                Ok(None)
            }
            Reading::Rows { .. } => Err(ArchiveFault::Line(self.lines)),
            Reading::Ended(_) => Err(ArchiveFault::Continued),
        }
    }

    /// The facts about the whole file.
    pub fn finish(self) -> Result<ArchiveFacts, ArchiveFault> {
        match self.state {
            Reading::Ended(facts) => Ok(facts),
            Reading::Nothing => Err(ArchiveFault::NoArchive),
            Reading::Rows { .. } => Err(ArchiveFault::Incomplete),
        }
    }
}
