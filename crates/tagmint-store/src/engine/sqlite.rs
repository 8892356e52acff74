//! SQLite: opening a file, whose it is, and its migrations.

use std::{io::ErrorKind, path::Path, sync::Arc, time::Duration};

use sqlx::{
    Connection as _, Row as _, SqlSafeStr, SqliteConnection,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous},
};
use tagmint_core::environment::Stamp;
use tokio::sync::Mutex;

use super::{Engine, OpenMode, Pools, expect_rows, failed, fault, same_file::OpenFiles};
use crate::{
    error::{Fault, StoreError},
    store::StoreOptions,
};

/// Version, name and text of each migration.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "initial", include_str!("../../../../migrations/sqlite/0001_initial.sql")),
    (2, "ci", include_str!("../../../../migrations/sqlite/0002_ci.sql")),
    (3, "acme", include_str!("../../../../migrations/sqlite/0003_acme.sql")),
    (4, "witness", include_str!("../../../../migrations/sqlite/0004_witness.sql")),
    (5, "alarms", include_str!("../../../../migrations/sqlite/0005_alarms.sql")),
    (6, "clock", include_str!("../../../../migrations/sqlite/0006_clock.sql")),
    (7, "ledger archives", include_str!("../../../../migrations/sqlite/0007_ledger_archives.sql")),
    (8, "token_reuse", include_str!("../../../../migrations/sqlite/0008_token_reuse.sql")),
];

/// Takes the write lock at once: taken later it could fail although others would have waited.
pub(super) const BEGIN_WRITE: &str = "BEGIN IMMEDIATE";
/// One state of the database from the first read on.
pub(super) const BEGIN_SNAPSHOT: &str = "BEGIN DEFERRED";

/// Waits between attempts where SQLite does not wait by itself.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// Opens, checks and migrates a file.
pub(super) async fn open(path: &Path, options: &StoreOptions, mode: OpenMode) -> Result<Engine, StoreError> {
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
    let settled = settle(&mut connection, &name, options, mode).await;
    let files = settled.and_then(|()| OpenFiles::of(path).map_err(unusable(&name)));
    let files = files.and_then(|files| check_in_place(&files, &name).map(|()| files));
    let files = match files {
        Ok(files) => Arc::new(files),
        Err(error) => {
            let _ = connection.close().await;
            return Err(error);
        }
    };

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
            files,
            anchor: Arc::new(Mutex::new(Some(connection))),
        },
        name,
    })
}

/// Whether the files' names lead to the same files still.
pub(super) fn check_in_place(files: &OpenFiles, name: &Arc<str>) -> Result<(), StoreError> {
    let in_place = files.in_place().map_err(unusable(name))?;
    if in_place { Ok(()) } else { Err(StoreError::Replaced { database: Arc::clone(name) }) }
}

fn unusable(name: &Arc<str>) -> impl Fn(std::io::Error) -> StoreError {
    let database = Arc::clone(name);
    move |cause| StoreError::File { database: Arc::clone(&database), cause: cause.to_string().into() }
}

/// Makes an empty file that only its owner may read; SQLite gives its log the same mode. A file that is there is left alone, not even opened:
/// closing it would drop the locks that this process holds on it.
fn create_file(path: &Path, name: &Arc<str>, mode: OpenMode) -> Result<(), StoreError> {
    let file = unusable(name);
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
async fn settle(
    connection: &mut SqliteConnection,
    name: &Arc<str>,
    options: &StoreOptions,
    mode: OpenMode,
) -> Result<(), StoreError> {
    let mut transaction = connection.begin_with(BEGIN_WRITE).await.map_err(failed(name, "check the database"))?;
    migrate(&mut transaction, name, &options.stamp, mode).await?;
    transaction.commit().await.map_err(failed(name, "migrate the database"))?;

    // SQLite does not wait for its lock here.
    let deadline = tokio::time::Instant::now() + options.busy_timeout;
    loop {
        let answer = sqlx::query("PRAGMA journal_mode = WAL").fetch_one(&mut *connection).await;
        match answer.and_then(|row| row.try_get::<String, _>(0)) {
            Ok(mode) if mode == "wal" => break,
            Ok(mode) => return Err(StoreError::NoWriteAheadLog { database: Arc::clone(name), mode }),
            Err(error) if fault(&error) == Fault::Locked && tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(BUSY_PAUSE).await;
            }
            Err(error) => return Err(failed(name, "switch on the write-ahead log")(error)),
        }
    }
    // The first read opens the log.
    let read = sqlx::query("SELECT id FROM stamp").fetch_one(connection).await;
    read.map(|_| ()).map_err(failed(name, "read the stamp"))
}

async fn migrate(
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
    let migrator = migrator();
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
pub(super) fn migration_due(name: &Arc<str>, mode: OpenMode, found: i64, needed: i64) -> Result<bool, StoreError> {
    match (mode, found) {
        (OpenMode::Existing, 0) => Err(StoreError::Missing { database: Arc::clone(name) }),
        (OpenMode::Existing, found) if found < needed => {
            Err(StoreError::OlderSchema { database: Arc::clone(name), found, needed })
        }
        (_, found) => Ok(found < needed),
    }
}

fn migrator() -> Migrator {
    let migration = |&(version, name, text): &(i64, &'static str, &'static str)| {
        Migration::new(version, name.into(), MigrationType::Simple, text.into_sql_str(), false)
    };
    Migrator::with_migrations(MIGRATIONS.iter().map(migration).collect())
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

/// <https://www.sqlite.org/rescode.html>: the lower byte is the primary code, the rest details it.
pub(super) const fn fault_of_code(code: u32) -> Fault {
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
