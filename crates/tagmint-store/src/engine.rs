//! What differs between the engines: how to connect, to begin a transaction, to migrate, and what an error means.
//!
//! Everything else is one text for both. The second engine is one more variant in each enum here, one more arm in [`on_engine!`], a module
//! beside `sqlite`, and its folder of migrations.

mod same_file;
mod sqlite;

use std::sync::Arc;

use sqlx::{Connection as _, Sqlite, SqliteConnection, SqlitePool, pool::PoolConnection, sqlite::SqliteConnectOptions};
use tokio::sync::Mutex;

use self::same_file::OpenFiles;
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

    fn close_on_drop(&mut self) {
        match self {
            Self::Sqlite(connection) => connection.close_on_drop(),
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
        run(self.executor(), sqlite::BEGIN_WRITE).await
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
            self.lease.close_on_drop();
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
    Sqlite {
        options: SqliteConnectOptions,
        readers: SqlitePool,
        writer: SqlitePool,
        files: Arc<OpenFiles>,
        /// Open from the first check to the end: see [`OpenFiles`].
        anchor: Arc<Mutex<Option<SqliteConnection>>>,
    },
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
            DatabaseUrl::Sqlite(path) => sqlite::open(path, options, mode).await,
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

    /// Whether the database's name still leads to the file that is open. Every way to a connection asks; who keeps one asks again before
    /// using it.
    pub(crate) fn check_in_place(&self) -> Result<(), StoreError> {
        match &self.pools {
            Pools::Sqlite { files, .. } => sqlite::check_in_place(files, &self.name),
        }
    }

    /// A connection for reading.
    pub(crate) async fn reader(&self, doing: &'static str) -> Result<Lease, StoreError> {
        match &self.pools {
            Pools::Sqlite { readers, .. } => self.lease(readers, doing).await,
        }
    }

    /// A connection for single statements that write.
    pub(crate) async fn writer(&self, doing: &'static str) -> Result<Lease, StoreError> {
        match &self.pools {
            Pools::Sqlite { writer, .. } => self.lease(writer, doing).await,
        }
    }

    async fn lease(&self, pool: &SqlitePool, doing: &'static str) -> Result<Lease, StoreError> {
        self.check_in_place()?;
        let mut lease = pool.acquire().await.map(Lease::Sqlite).map_err(self.failed(doing))?;
        // It may have been opened just now, on another file: such a one must not go into the pool.
        self.check_in_place().inspect_err(|_| lease.close_on_drop())?;
        Ok(lease)
    }

    /// A transaction that holds the write lock from its beginning: what it reads stays true until it commits.
    pub(crate) async fn begin_write(&self, doing: &'static str) -> Result<Transaction, StoreError> {
        Transaction::begin(self.writer(doing).await?, sqlite::BEGIN_WRITE).await.map_err(self.failed(doing))
    }

    /// A transaction that sees one state of the database, however long it reads.
    pub(crate) async fn begin_snapshot(&self, doing: &'static str) -> Result<Transaction, StoreError> {
        Transaction::begin(self.reader(doing).await?, sqlite::BEGIN_SNAPSHOT).await.map_err(self.failed(doing))
    }

    /// A connection for one task that keeps it.
    pub(crate) async fn connect(&self) -> Result<Connection, StoreError> {
        self.check_in_place()?;
        let connection = match &self.pools {
            Pools::Sqlite { options, .. } => SqliteConnection::connect_with(options).await.map(Connection::Sqlite),
        };
        let connection = connection.map_err(self.failed("open the database"))?;
        self.check_in_place()?;
        Ok(connection)
    }

    pub(crate) async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { readers, writer, anchor, .. } => {
                readers.close().await;
                writer.close().await;
                if let Some(anchor) = anchor.lock().await.take() {
                    Connection::Sqlite(anchor).close().await;
                }
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
            sqlite::fault_of_code(code)
        }
        sqlx::Error::PoolTimedOut => Fault::Locked,
        sqlx::Error::Io(_) => Fault::Io,
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
