//! What can go wrong, with the database named.

use std::{fmt, sync::Arc, time::Duration};

use tagmint_core::{
    environment::Stamp,
    id::{BearerId, SessionId},
    ledger::LedgerFault,
    sealing::SealingError,
    signing_key::{KeyId, SigningError},
};

/// Why the database refused a statement, as far as an operator can act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No space is left.
    DiskFull,
    /// The file or its file system takes no writes.
    ReadOnly,
    /// Another writer held the database for longer than the busy timeout.
    Locked,
    /// The file is something else.
    NotADatabase,
    /// The file is damaged.
    Corrupt,
    /// The file cannot be opened.
    CannotOpen,
    /// A value that must be unique is there already.
    Taken,
    /// The operating system failed to read or write.
    Io,
    /// Anything else; the cause tells.
    Other,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DiskFull => "the disk is full; free some space",
            Self::ReadOnly => "the file is read-only; check its mode, its owner and how the file system is mounted",
            Self::Locked => "another process holds the database; look for one that hangs",
            Self::NotADatabase => "the file is not a database; check the configured path",
            Self::Corrupt => "the file is damaged; restore it from a backup",
            Self::CannotOpen => "the file cannot be opened; check its mode and owner",
            Self::Taken => "a value that must be unique is there already",
            Self::Io => "reading or writing failed; check the disk",
            Self::Other => "the database refused",
        })
    }
}

/// Why the store did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// A statement failed.
    #[error("{database}: could not {doing}: {fault} ({cause})")]
    Database {
        /// The database file.
        database: Arc<str>,
        /// What was tried.
        doing: &'static str,
        /// What to act on.
        fault: Fault,
        /// The engine's words.
        cause: Arc<str>,
    },
    /// The folder of a database that should be created is not there.
    #[error("{database}: the folder `{folder}` does not exist; create it, writable for the issuer alone")]
    NoFolder {
        /// The database file.
        database: Arc<str>,
        /// Its folder.
        folder: String,
    },
    /// The file could not be created or looked at.
    #[error("{database}: the file cannot be used: {cause}")]
    File {
        /// The database file.
        database: Arc<str>,
        /// The operating system's words.
        cause: Arc<str>,
    },
    /// No database, or one without an issuer's data, where one must exist.
    #[error("{database}: there is no issuer's data here; `tagmint serve` creates it, or the configured path is wrong")]
    Missing {
        /// The database file.
        database: Arc<str>,
    },
    /// Another file, or none, has the database's name now; or its log was removed.
    #[error("{database}: the database file was replaced or removed under the running issuer; restart it")]
    Replaced {
        /// The database file.
        database: Arc<str>,
    },
    /// Another program's database.
    #[error("{database}: the database belongs to another program; check the configured path")]
    Foreign {
        /// The database file.
        database: Arc<str>,
    },
    /// Another issuer's or environment's database.
    #[error(
        "{database}: the database belongs to the issuer {} (environment `{}`), not to {} (environment `{}`); \
         every issuer has a database of its own",
        found.0, found.1, expected.issuer, expected.environment
    )]
    OtherStamp {
        /// The database file.
        database: Arc<str>,
        /// The stored issuer and environment.
        found: Box<(String, String)>,
        /// Who opened it.
        expected: Box<Stamp>,
    },
    /// Migrated, but without its stamp.
    #[error("{database}: the stamp with the issuer's name is gone; restore the database from a backup")]
    NoStamp {
        /// The database file.
        database: Arc<str>,
    },
    /// A newer Tagmint has migrated the database.
    #[error(
        "{database}: the database has schema {found}, this program knows up to {known}; use the newer version that migrated it"
    )]
    NewerSchema {
        /// The database file.
        database: Arc<str>,
        /// The database's schema version.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// Migrations are due, and this is not the place to run them.
    #[error(
        "{database}: the database has schema {found}, this program needs {needed}; start the issuer once with this version"
    )]
    OlderSchema {
        /// The database file.
        database: Arc<str>,
        /// The database's schema version.
        found: i64,
        /// The one that this program needs.
        needed: i64,
    },
    /// The database ran another text of a migration.
    #[error(
        "{database}: migration {version} is not the one that this program holds; the database comes from an unreleased build"
    )]
    MigrationChanged {
        /// The database file.
        database: Arc<str>,
        /// The migration.
        version: i64,
    },
    /// A migration failed; nothing was changed.
    #[error("{database}: the migrations failed, nothing was changed: {cause}")]
    Migration {
        /// The database file.
        database: Arc<str>,
        /// The engine's words.
        cause: Arc<str>,
    },
    /// The file system cannot keep a write-ahead log.
    #[error(
        "{database}: the file system cannot keep SQLite's write-ahead log (mode `{mode}`); use a local disk, not a network share"
    )]
    NoWriteAheadLog {
        /// The database file.
        database: Arc<str>,
        /// The journal mode that SQLite chose.
        mode: String,
    },
    /// A write touched another number of rows than it must. It was undone.
    #[error("{database}: {doing} touched {touched} rows instead of {expected}; it was undone")]
    RowsTouched {
        /// The database file.
        database: Arc<str>,
        /// What was tried.
        doing: &'static str,
        /// How many rows it must touch.
        expected: u64,
        /// How many it touched.
        touched: u64,
    },
    /// A stored value that Tagmint never writes.
    #[error("{database}: `{column}` of row `{row}` in `{table}` is unusable: the database was altered or damaged")]
    Row {
        /// The database file.
        database: Arc<str>,
        /// The table.
        table: &'static str,
        /// The row's id.
        row: String,
        /// The column.
        column: &'static str,
    },
    /// No such session.
    #[error("there is no session `{0}`; `tagmint session list` shows them")]
    UnknownSession(SessionId),
    /// No such bearer.
    #[error("there is no bearer `{0}`; `tagmint bearer list` shows them")]
    UnknownBearer(BearerId),
    /// An unrevoked bearer has the name.
    #[error("a bearer named `{0}` exists; revoke it first, or choose another name")]
    BearerNameTaken(String),
    /// No such signing key.
    #[error("there is no signing key `{0}`; `tagmint keys list` shows them")]
    UnknownKey(KeyId),
    /// The key was withdrawn, and its private part wiped.
    #[error("the private part of the signing key `{0}` was wiped when the key was withdrawn")]
    KeyWiped(KeyId),
    /// The key is stored already.
    #[error("the signing key `{0}` is stored already")]
    KeyExists(KeyId),
    /// A plan publishes more keys than were made for it.
    #[error("the plan publishes {0} keys at once; one at a time is made")]
    TooManyKeys(usize),
    /// The keys and the ledger were sealed under another key file. Nothing was changed.
    #[error(
        "{database}: the key file is not the one that this database was made with; nothing was changed; put the right key file back"
    )]
    OtherKeyFile {
        /// The database file.
        database: Arc<str>,
    },
    /// A key could not be sealed or opened.
    #[error("{database}: signing key `{kid}`: {cause}{}", way_out(*cause, kid))]
    Sealing {
        /// The database file.
        database: Arc<str>,
        /// The key.
        kid: KeyId,
        /// Why.
        cause: SealingError,
    },
    /// A key could not be encoded or read.
    #[error("{database}: signing key `{kid}`: {cause}")]
    Signing {
        /// The database file.
        database: Arc<str>,
        /// The key.
        kid: KeyId,
        /// Why.
        cause: SigningError,
    },
    /// The private key of a certificate or an ACME account could not be sealed or opened.
    #[error("{database}: the private key of the {owner}: {cause}")]
    TlsKey {
        /// The database file.
        database: Arc<str>,
        /// Whose key: `account https://…` or `order crt_…`.
        owner: Arc<str>,
        /// Why.
        cause: SealingError,
    },
    /// The store was closed.
    #[error("the database has been closed")]
    Closed,
}

/// What to do about a key that does not open.
fn way_out(cause: SealingError, kid: &KeyId) -> String {
    match cause {
        SealingError::Unsealing => {
            format!(
                "; put the right key file back; if the others open, withdraw this one: `tagmint keys withdraw {kid}`"
            )
        }
        _ => String::new(),
    }
}

impl StoreError {
    /// What an operator can act on, where the database itself refused.
    pub const fn fault(&self) -> Option<Fault> {
        match self {
            Self::Database { fault, .. } => Some(*fault),
            _ => None,
        }
    }
}

/// Why a change of keys was not made. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum KeyChangeError<E> {
    /// The plan refused.
    #[error(transparent)]
    Plan(E),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an entry is not in the ledger, as far as is known. Without an answer nothing may be released.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LedgerError {
    /// The row could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No answer came in time. The row may still be written.
    #[error("the ledger did not answer within {} ms; the disk is slow or the load too high", .0.as_millis())]
    Timeout(Duration),
    /// An entry of this id is in the ledger.
    #[error("the ledger has an entry `{0}` already")]
    Duplicate(String),
    /// The stored head was not sealed under this key file.
    #[error(
        "{database}: the seal of the ledger's head is not genuine: the key file is another one, or the ledger was altered"
    )]
    Seal {
        /// The database file.
        database: Arc<str>,
    },
    /// The ledger does not hold what this process has written or read last.
    #[error(
        "{database}: the ledger ends at row {found} and does not hold row {known} as this issuer wrote it: the database was restored or \
         replaced under the running issuer; put the newer one back, or restart the issuer to accept this one"
    )]
    RolledBack {
        /// The database file.
        database: Arc<str>,
        /// The row that this process knows as the last one.
        known: i64,
        /// The last row now.
        found: i64,
    },
    /// Rows, but no head.
    #[error("{database}: the ledger's head is gone: it was removed; restore the database from a backup")]
    HeadMissing {
        /// The database file.
        database: Arc<str>,
    },
    /// The writer was closed.
    #[error("the ledger is closed: the issuer is shutting down")]
    Closed,
}

/// Why an archive of the ledger was not recorded. Nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ArchiveError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It does not continue the archives before, or its last row is not in the ledger as it says.
    #[error(
        "rows {first} to {last} are not the oldest in the database: another process has archived some of them meanwhile, or the ledger was altered"
    )]
    OutOfOrder {
        /// The archive's first row.
        first: i64,
        /// Its last row.
        last: i64,
    },
}

/// Why a ledger does not verify.
#[derive(Debug, Clone, thiserror::Error)]
pub enum VerifyError {
    /// It could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It was tampered with.
    #[error("{fault} (the {rows} rows before are as they were written)")]
    Fault {
        /// What is wrong, and where.
        fault: LedgerFault,
        /// How many rows were checked and found good.
        rows: u64,
    },
    /// It has no head.
    #[error(
        "{database}: the ledger has no head: it was removed, or the issuer was never started ({rows} rows are there)"
    )]
    HeadMissing {
        /// The database file.
        database: Arc<str>,
        /// How many rows are there.
        rows: u64,
    },
}
