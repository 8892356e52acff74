//! Opening, checking and closing a database.

use std::{
    fmt,
    num::NonZeroU32,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use tagmint_core::{environment::Stamp, sealing::MasterKey};
use tokio::sync::oneshot;

use crate::{
    acme::Acme,
    alarms::Alarms,
    batch::Batches,
    bearers::{BearerSource, Bearers, LastUses},
    clock::Clock,
    engine::{Engine, OpenMode, expect_rows, on_engine},
    error::{LedgerError, StoreError},
    keys::Keys,
    ledger::{Ledger, LedgerWriter},
    lookup::BatchLookup,
    sessions::{SessionSource, Sessions},
    used_tokens::{ClaimWork, UsedTokens},
    witness::Witness,
};

/// How often the bearers' last uses are written.
const LAST_USE_INTERVAL: Duration = Duration::from_mins(1);

/// Where a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file: `sqlite:PATH`, or the path alone.
    Sqlite(PathBuf),
}

/// The text names no database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDatabaseUrl {
    /// No path.
    #[error("the database has no path: write a file's path, or `sqlite:PATH`")]
    Empty,
    /// A database that is gone when the process ends.
    #[error("`{0}` is a database in memory: the ledger must outlive the process; name a file")]
    InMemory(String),
    /// Another scheme.
    #[error("`{0}` is not a kind of database: write a file's path, or `sqlite:PATH`")]
    Scheme(String),
}

impl FromStr for DatabaseUrl {
    type Err = InvalidDatabaseUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = text.strip_prefix("sqlite:").unwrap_or(text);
        if path.is_empty() {
            return Err(InvalidDatabaseUrl::Empty);
        }
        if path.contains(":memory:") {
            return Err(InvalidDatabaseUrl::InMemory(text.to_owned()));
        }
        match path.split_once("://") {
            Some((scheme, _)) => Err(InvalidDatabaseUrl::Scheme(scheme.to_owned())),
            None => Ok(Self::Sqlite(path.into())),
        }
    }
}

impl From<&Path> for DatabaseUrl {
    fn from(path: &Path) -> Self {
        Self::Sqlite(path.to_owned())
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
        }
    }
}

/// How to open a database.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Where it is.
    pub database: DatabaseUrl,
    /// Whose it is.
    pub stamp: Stamp,
    /// How long a write waits for another process's.
    pub busy_timeout: Duration,
    /// Connections for listing and verifying.
    pub readers: NonZeroU32,
}

impl StoreOptions {
    /// The usual options: 5 s of waiting, 2 readers.
    pub const fn new(database: DatabaseUrl, stamp: Stamp) -> Self {
        Self { database, stamp, busy_timeout: Duration::from_secs(5), readers: NonZeroU32::MIN.saturating_add(1) }
    }
}

/// An issuer's database. Clones share its connections.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) engine: Engine,
    pub(crate) stamp: Stamp,
    pub(crate) session_lookup: BatchLookup<SessionSource>,
    pub(crate) bearer_lookup: BatchLookup<BearerSource>,
    pub(crate) token_claims: Batches<ClaimWork>,
    pub(crate) last_uses: Arc<LastUses>,
    /// Dropped with the store: ends the task that writes the last uses.
    _open: oneshot::Sender<()>,
}

impl Store {
    /// Opens the issuer's database; makes it where there is none, and runs due migrations. Needs a tokio runtime.
    ///
    /// The file is made with mode 0600. Its folder must exist.
    pub async fn open(options: &StoreOptions) -> Result<Self, StoreError> {
        Self::open_as(options, OpenMode::Create).await
    }

    /// Opens the issuer's database where it exists and is up to date; changes nothing. For administration beside a running issuer.
    pub async fn open_existing(options: &StoreOptions) -> Result<Self, StoreError> {
        Self::open_as(options, OpenMode::Existing).await
    }

    async fn open_as(options: &StoreOptions, mode: OpenMode) -> Result<Self, StoreError> {
        let engine = Engine::open(options, mode).await?;
        let last_uses = Arc::new(LastUses::default());
        let (open, closed) = oneshot::channel();
        tokio::spawn(write_last_uses(engine.clone(), Arc::clone(&last_uses), closed));
        let inner = Inner {
            session_lookup: BatchLookup::start(engine.clone()),
            bearer_lookup: BatchLookup::start(engine.clone()),
            token_claims: Batches::start(engine.clone()),
            engine,
            stamp: options.stamp.clone(),
            last_uses,
            _open: open,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Sessions.
    pub const fn sessions(&self) -> Sessions<'_> {
        Sessions { store: self }
    }

    /// Bearers.
    pub const fn bearers(&self) -> Bearers<'_> {
        Bearers { store: self }
    }

    /// Tokens of CI platforms that were exchanged.
    pub const fn used_tokens(&self) -> UsedTokens<'_> {
        UsedTokens { store: self }
    }

    /// Signing keys.
    pub const fn keys(&self) -> Keys<'_> {
        Keys { store: self }
    }

    /// The latest moment that was seen on the clock.
    pub const fn clock(&self) -> Clock<'_> {
        Clock { store: self }
    }

    /// Certificates by ACME.
    pub const fn acme(&self) -> Acme<'_> {
        Acme { store: self }
    }

    /// Alarms that are known, and notices of them.
    pub const fn alarms(&self) -> Alarms<'_> {
        Alarms { store: self }
    }

    /// Fetches of discovery and the key set.
    pub const fn witness(&self) -> Witness<'_> {
        Witness { store: self }
    }

    /// The mint ledger, for reading.
    pub const fn ledger(&self) -> Ledger<'_> {
        Ledger { store: self }
    }

    /// Starts a writer of the mint ledger. An empty ledger gets its head; a head that was not sealed under `master_key` is refused.
    pub async fn ledger_writer(&self, master_key: Arc<MasterKey>) -> Result<LedgerWriter, LedgerError> {
        LedgerWriter::start(self.inner.engine.clone(), self.inner.stamp.clone(), master_key).await
    }

    /// Whose database this is.
    pub fn stamp(&self) -> &Stamp {
        &self.inner.stamp
    }

    /// Whether the database answers.
    pub async fn check_readable(&self) -> Result<(), StoreError> {
        let engine = &self.inner.engine;
        let doing = "read from the database";
        let mut reader = engine.reader(doing).await?;
        let found: Result<Option<(i64,)>, _> = on_engine!(reader.executor(), connection => {
            sqlx::query_as("SELECT id FROM stamp").fetch_optional(connection).await
        });
        let stamp = found.map_err(engine.failed(doing))?;
        stamp.map(|_| ()).ok_or_else(|| StoreError::NoStamp { database: Arc::clone(engine.name()) })
    }

    /// Whether the database takes writes: commits one that needs space, and gives the space back.
    pub async fn check_writable(&self, now: Timestamp) -> Result<(), StoreError> {
        const FILLER: [u8; 8192] = [0; 8192];
        let engine = &self.inner.engine;
        let doing = "write to the database";
        let mut transaction = engine.begin_write(doing).await?;
        let written = on_engine!(transaction.executor(), connection => {
            sqlx::query("INSERT INTO write_checks (at_ms, filler) VALUES ($1, $2)")
                .bind(now.as_millisecond())
                .bind(FILLER.as_slice())
                .execute(connection)
                .await
                .map(|done| done.rows_affected())
        });
        expect_rows(engine.name(), doing, 1, written.map_err(engine.failed(doing))?)?;
        let emptied = on_engine!(transaction.executor(), connection => {
            sqlx::query("DELETE FROM write_checks").execute(connection).await.map(|done| done.rows_affected())
        });
        expect_rows(engine.name(), doing, 1, emptied.map_err(engine.failed(doing))?)?;
        transaction.commit().await.map_err(engine.failed(doing))
    }

    /// Writes what is kept back, then closes all connections but those of ledger writers: close these first.
    pub async fn close(&self) {
        if let Err(error) = self.bearers().flush_last_uses().await {
            tracing::warn!(%error, "the bearers' last uses were not written");
        }
        self.inner.session_lookup.close().await;
        self.inner.bearer_lookup.close().await;
        self.inner.token_claims.close().await;
        self.inner.engine.close().await;
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.inner.engine.name())
    }
}

/// Writes the bearers' last uses now and then, until the store is dropped.
async fn write_last_uses(engine: Engine, last_uses: Arc<LastUses>, mut closed: oneshot::Receiver<()>) {
    loop {
        tokio::select! {
            _ = &mut closed => return,
            () = tokio::time::sleep(LAST_USE_INTERVAL) => {}
        }
        if let Err(error) = last_uses.flush(&engine).await {
            tracing::warn!(%error, "the bearers' last uses were not written; trying again");
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod worlds;
