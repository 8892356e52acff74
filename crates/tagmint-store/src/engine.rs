//! What differs between the engines: how to connect, to begin a transaction, to migrate, and what an error means.
//!
//! Everything else is one text for both. The second engine is one more variant in each enum here, one more arm in [`on_engine!`], and its
//! folder of migrations.

use std::{io::ErrorKind, path::Path, sync::Arc, time::Duration};

use sqlx::{
    Connection as _, Row as _, SqlSafeStr, Sqlite, SqliteConnection, SqlitePool,
    migrate::{Migration, MigrationType, Migrator},
    pool::PoolConnection,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous},
};
use tagmint_core::environment::Stamp;

use crate::{
    error::{Fault, StoreError},
    store::{DatabaseUrl, StoreOptions},
};

/// Runs `$body` with `$connection` bound to the connection of whichever engine it is.
macro_rules! on_engine {
    ($executor:expr, $connection:ident => $body:expr) => {
        match $executor {
            $crate::engine::Executor::Sqlite($connection) => $body,
        }
    };
}
pub(crate) use on_engine;

/// The migrations of an engine: version, name, text.
type Migrations = &'static [(i64, &'static str, &'static str)];

const SQLITE_MIGRATIONS: Migrations = &[(1, "initial", include_str!("../../../migrations/sqlite/0001_initial.sql"))];

/// Takes the write lock at once: taken later it could fail although others would have waited.
const SQLITE_BEGIN_WRITE: &str = "BEGIN IMMEDIATE";
/// One state of the database from the first read on.
const SQLITE_BEGIN_SNAPSHOT: &str = "BEGIN DEFERRED";

/// Waits between attempts where SQLite does not wait by itself.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// Something that runs statements.
pub(crate) enum Executor<'c> {
    Sqlite(&'c mut SqliteConnection),
}

/// A connection out of a pool.
pub(crate) enum Lease {
    Sqlite(PoolConnection<Sqlite>),
}

impl Lease {
    pub(crate) fn executor(&mut self) -> Executor<'_> {
        match self {
            Self::Sqlite(connection) => Executor::Sqlite(connection),
        }
    }
}

/// A connection that one task keeps for itself.
pub(crate) enum Connection {
    Sqlite(SqliteConnection),
}

impl Connection {
    pub(crate) fn executor(&mut self) -> Executor<'_> {
        match self {
            Self::Sqlite(connection) => Executor::Sqlite(connection),
        }
    }

    /// Begins a transaction that holds the write lock from its beginning. After an error in it the connection must be dropped.
    pub(crate) async fn begin_write(&mut self) -> Result<(), sqlx::Error> {
        run(self.executor(), SQLITE_BEGIN_WRITE).await
    }

    pub(crate) async fn commit(&mut self) -> Result<(), sqlx::Error> {
        run(self.executor(), "COMMIT").await
    }

    pub(crate) async fn close(self) {
        let closed = match self {
            Self::Sqlite(connection) => connection.close().await,
        };
        if let Err(error) = closed {
            tracing::debug!(%error, "a database connection did not close in order");
        }
    }
}

/// A transaction on a connection out of a pool. Undone when dropped, by closing the connection: after an error SQLite may or may not have
/// undone it already, and a connection in doubt must not go back to the pool.
pub(crate) struct Transaction {
    lease: Lease,
    finished: bool,
}

impl Transaction {
    async fn begin(lease: Lease, statement: &'static str) -> Result<Self, sqlx::Error> {
        let mut transaction = Self { lease, finished: false };
        run(transaction.executor(), statement).await?;
        Ok(transaction)
    }

    pub(crate) fn executor(&mut self) -> Executor<'_> {
        self.lease.executor()
    }

    pub(crate) async fn commit(self) -> Result<(), sqlx::Error> {
        self.finish("COMMIT").await
    }

    /// Undoes it and keeps the connection: for ends that are no errors of the database.
    pub(crate) async fn rollback(self) -> Result<(), sqlx::Error> {
        self.finish("ROLLBACK").await
    }

    async fn finish(mut self, statement: &'static str) -> Result<(), sqlx::Error> {
        run(self.executor(), statement).await?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.finished {
            match &mut self.lease {
                Lease::Sqlite(connection) => connection.close_on_drop(),
            }
        }
    }
}

async fn run(executor: Executor<'_>, statement: &'static str) -> Result<(), sqlx::Error> {
    on_engine!(executor, connection => sqlx::query(statement).execute(connection).await.map(|_| ()))
}

/// A database, opened, migrated and checked.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    name: Arc<str>,
    pools: Pools,
}

#[derive(Debug, Clone)]
enum Pools {
    Sqlite { options: SqliteConnectOptions, readers: SqlitePool, writer: SqlitePool },
}

/// Whether a missing database is made and a due migration run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpenMode {
    Create,
    Existing,
}

impl Engine {
    pub(crate) async fn open(options: &StoreOptions, mode: OpenMode) -> Result<Self, StoreError> {
        match &options.database {
            DatabaseUrl::Sqlite(path) => open_sqlite(path, options, mode).await,
        }
    }

    /// The database as messages name it.
    pub(crate) const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Names the database in an error.
    pub(crate) fn failed(&self, doing: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
        failed(&self.name, doing)
    }

    /// A connection for reading.
    pub(crate) async fn reader(&self) -> Result<Lease, sqlx::Error> {
        match &self.pools {
            Pools::Sqlite { readers, .. } => readers.acquire().await.map(Lease::Sqlite),
        }
    }

    /// A connection for single statements that write.
    pub(crate) async fn writer(&self) -> Result<Lease, sqlx::Error> {
        match &self.pools {
            Pools::Sqlite { writer, .. } => writer.acquire().await.map(Lease::Sqlite),
        }
    }

    /// A transaction that holds the write lock from its beginning: what it reads stays true until it commits.
    pub(crate) async fn begin_write(&self) -> Result<Transaction, sqlx::Error> {
        Transaction::begin(self.writer().await?, SQLITE_BEGIN_WRITE).await
    }

    /// A transaction that sees one state of the database, however long it reads.
    pub(crate) async fn begin_snapshot(&self) -> Result<Transaction, sqlx::Error> {
        Transaction::begin(self.reader().await?, SQLITE_BEGIN_SNAPSHOT).await
    }

    /// A connection for one task that keeps it.
    pub(crate) async fn connect(&self) -> Result<Connection, sqlx::Error> {
        match &self.pools {
            Pools::Sqlite { options, .. } => SqliteConnection::connect_with(options).await.map(Connection::Sqlite),
        }
    }

    pub(crate) async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { readers, writer, .. } => {
                readers.close().await;
                writer.close().await;
            }
        }
    }
}

/// Names the database in an error.
fn failed(name: &Arc<str>, doing: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    let database = Arc::clone(name);
    move |error| StoreError::Database { database, doing, fault: fault(&error), cause: cause(&error).into() }
}

/// What an error means to an operator.
pub(crate) fn fault(error: &sqlx::Error) -> Fault {
    match error {
        sqlx::Error::Database(database) => {
            let code = database.code().and_then(|code| code.parse::<u32>().ok()).unwrap_or_default();
            sqlite_fault(code)
        }
        sqlx::Error::PoolTimedOut => Fault::Locked,
        sqlx::Error::Io(_) => Fault::Io,
        _ => Fault::Other,
    }
}

/// <https://www.sqlite.org/rescode.html>: the lower byte is the primary code, the rest details it.
const fn sqlite_fault(code: u32) -> Fault {
    const UNIQUE: u32 = 2067;
    const PRIMARY_KEY: u32 = 1555;
    match (code, code & 0xff) {
        (UNIQUE | PRIMARY_KEY, _) => Fault::Taken,
        (_, 5 | 6) => Fault::Locked,
        (_, 8) => Fault::ReadOnly,
        (_, 10) => Fault::Io,
        (_, 11) => Fault::Corrupt,
        (_, 13) => Fault::DiskFull,
        (_, 14) => Fault::CannotOpen,
        (_, 26) => Fault::NotADatabase,
        _ => Fault::Other,
    }
}

/// The engine's words, without sqlx's around them.
fn cause(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(database) => database.to_string(),
        other => other.to_string(),
    }
}

/// Whether a trigger raised `message`.
pub(crate) fn is_raised(error: &sqlx::Error, message: &str) -> bool {
    matches!(error, sqlx::Error::Database(database) if database.message() == message)
}

/// Whether the unique column `table.column` refused the row.
pub(crate) fn is_taken(error: &sqlx::Error, table_column: &str) -> bool {
    matches!(error, sqlx::Error::Database(database) if database.is_unique_violation() && database.message().contains(table_column))
}

async fn open_sqlite(path: &Path, options: &StoreOptions, mode: OpenMode) -> Result<Engine, StoreError> {
    let name: Arc<str> = path.to_string_lossy().into();
    create_file(path, &name, mode)?;
    let connect = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(options.busy_timeout)
        .foreign_keys(true)
        // An acknowledged row survives a power cut.
        .synchronous(SqliteSynchronous::Full)
        // What is deleted or wiped is overwritten.
        .pragma("secure_delete", "ON")
        // The log is cut back to this after a burst.
        .pragma("journal_size_limit", "67108864");
    let mut connection = SqliteConnection::connect_with(&connect).await.map_err(failed(&name, "open the database"))?;
    let settled = settle_sqlite(&mut connection, &name, options, mode).await;
    let closed = connection.close().await;
    settled?;
    closed.map_err(failed(&name, "close the database after checking it"))?;

    let pool = || {
        SqlitePoolOptions::new()
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(options.busy_timeout + Duration::from_secs(1))
    };
    let reading = connect.clone().pragma("query_only", "ON");
    Ok(Engine {
        pools: Pools::Sqlite {
            readers: pool().max_connections(options.readers.get()).connect_lazy_with(reading),
            writer: pool().max_connections(1).connect_lazy_with(connect.clone()),
            options: connect,
        },
        name,
    })
}

/// Makes an empty file that only its owner may read; SQLite gives its log the same mode. A file that is there is left alone, not even opened:
/// closing it would drop the locks that this process holds on it.
fn create_file(path: &Path, name: &Arc<str>, mode: OpenMode) -> Result<(), StoreError> {
    let file = |cause: std::io::Error| StoreError::File { database: Arc::clone(name), cause: cause.to_string().into() };
    if mode == OpenMode::Existing {
        return match path.try_exists() {
            Ok(true) => Ok(()),
            Ok(false) => Err(StoreError::Missing { database: Arc::clone(name) }),
            Err(error) => Err(file(error)),
        };
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(StoreError::NoFolder { database: Arc::clone(name), folder: folder.to_string_lossy().into() });
    }
    let mut create = std::fs::OpenOptions::new();
    create.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut create, 0o600);
    match create.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(file(error)),
    }
}

/// Checks whose database it is and brings its schema up to date, in one transaction: of two processes that start at once one waits, and a
/// database that is refused has not been touched.
async fn settle_sqlite(
    connection: &mut SqliteConnection,
    name: &Arc<str>,
    options: &StoreOptions,
    mode: OpenMode,
) -> Result<(), StoreError> {
    let mut transaction =
        connection.begin_with(SQLITE_BEGIN_WRITE).await.map_err(failed(name, "check the database"))?;
    migrate_sqlite(&mut transaction, name, &options.stamp, mode).await?;
    transaction.commit().await.map_err(failed(name, "migrate the database"))?;

    // SQLite does not wait for its lock here.
    let deadline = tokio::time::Instant::now() + options.busy_timeout;
    loop {
        let answer = sqlx::query("PRAGMA journal_mode = WAL").fetch_one(&mut *connection).await;
        match answer.and_then(|row| row.try_get::<String, _>(0)) {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(mode) => return Err(StoreError::NoWriteAheadLog { database: Arc::clone(name), mode }),
            Err(error) if fault(&error) == Fault::Locked && tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(BUSY_PAUSE).await;
            }
            Err(error) => return Err(failed(name, "switch on the write-ahead log")(error)),
        }
    }
}

async fn migrate_sqlite(
    connection: &mut SqliteConnection,
    name: &Arc<str>,
    stamp: &Stamp,
    mode: OpenMode,
) -> Result<(), StoreError> {
    const TABLES: &str = "SELECT count(*), count(*) FILTER (WHERE name = '_sqlx_migrations') FROM sqlite_schema";
    let (tables, own): (i64, i64) =
        sqlx::query_as(TABLES).fetch_one(&mut *connection).await.map_err(failed(name, "check the database"))?;
    if tables > 0 && own == 0 {
        return Err(StoreError::Foreign { database: Arc::clone(name) });
    }
    let migrator = migrator(SQLITE_MIGRATIONS);
    let found = if own == 0 { 0 } else { schema_version(connection, name, &migrator).await? };
    let needed = newest(&migrator);
    if found > 0 {
        check_stamp(connection, name, stamp).await?;
    }
    if migration_due(name, mode, found, needed)? {
        let migrated = migrator.run_direct(None, connection, false).await;
        migrated
            .map_err(|error| StoreError::Migration { database: Arc::clone(name), cause: error.to_string().into() })?;
    }
    if found == 0 { write_stamp(connection, name, stamp).await } else { Ok(()) }
}

/// Whether migrations must run; an error where they must not.
fn migration_due(name: &Arc<str>, mode: OpenMode, found: i64, needed: i64) -> Result<bool, StoreError> {
    match (mode, found) {
        (OpenMode::Existing, 0) => Err(StoreError::Missing { database: Arc::clone(name) }),
        (OpenMode::Existing, found) if found < needed => {
            Err(StoreError::OlderSchema { database: Arc::clone(name), found, needed })
        }
        (_, found) => Ok(found < needed),
    }
}

fn migrator(migrations: Migrations) -> Migrator {
    let migration = |&(version, name, text): &(i64, &'static str, &'static str)| {
        Migration::new(version, name.into(), MigrationType::Simple, text.into_sql_str(), false)
    };
    Migrator::with_migrations(migrations.iter().map(migration).collect())
}

fn newest(migrator: &Migrator) -> i64 {
    migrator.iter().map(|migration| migration.version).max().unwrap_or_default()
}

/// The newest migration that the database has run, if this program knows all that it has run.
async fn schema_version(
    connection: &mut SqliteConnection,
    name: &Arc<str>,
    migrator: &Migrator,
) -> Result<i64, StoreError> {
    const APPLIED: &str = "SELECT version, checksum FROM _sqlx_migrations ORDER BY version";
    let applied: Vec<(i64, Vec<u8>)> =
        sqlx::query_as(APPLIED).fetch_all(connection).await.map_err(failed(name, "read the schema's version"))?;
    for (version, checksum) in &applied {
        let database = Arc::clone(name);
        match migrator.iter().find(|migration| migration.version == *version) {
            None => return Err(StoreError::NewerSchema { database, found: *version, known: newest(migrator) }),
            Some(known) if *known.checksum != **checksum => {
                return Err(StoreError::MigrationChanged { database, version: *version });
            }
            Some(_) => {}
        }
    }
    Ok(applied.last().map_or(0, |(version, _)| *version))
}

async fn check_stamp(connection: &mut SqliteConnection, name: &Arc<str>, expected: &Stamp) -> Result<(), StoreError> {
    let found: Option<(String, String)> = sqlx::query_as("SELECT issuer, environment FROM stamp WHERE id = 1")
        .fetch_optional(connection)
        .await
        .map_err(failed(name, "read the stamp"))?;
    let database = Arc::clone(name);
    match found {
        None => Err(StoreError::NoStamp { database }),
        Some((issuer, environment))
            if issuer == expected.issuer.as_str() && environment == expected.environment.as_str() =>
        {
            Ok(())
        }
        Some(found) => {
            Err(StoreError::OtherStamp { database, found: Box::new(found), expected: Box::new(expected.clone()) })
        }
    }
}

async fn write_stamp(connection: &mut SqliteConnection, name: &Arc<str>, stamp: &Stamp) -> Result<(), StoreError> {
    let written = sqlx::query("INSERT INTO stamp (id, issuer, environment) VALUES (1, $1, $2)")
        .bind(stamp.issuer.as_str())
        .bind(stamp.environment.as_str())
        .execute(connection)
        .await
        .map_err(failed(name, "write the stamp"))?;
    expect_rows(name, "writing the stamp", 1, written.rows_affected())
}

/// Every write says how many rows it must touch.
pub(crate) fn expect_rows(name: &Arc<str>, doing: &'static str, expected: u64, touched: u64) -> Result<(), StoreError> {
    if touched == expected {
        Ok(())
    } else {
        Err(StoreError::RowsTouched { database: Arc::clone(name), doing, expected, touched })
    }
}

#[cfg(test)]
mod tests;
