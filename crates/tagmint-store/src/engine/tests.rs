//! Which files are taken, and which are refused with what words.

use std::os::unix::fs::PermissionsExt;

use sqlx::Connection as _;
use tagmint_core::environment::Environment;

use super::{
    sqlite::{fault_of_code, migration_due},
    *,
};
use crate::{
    Store,
    test_support::{TestDatabase, engine_tests, session, stamp},
};

async fn refused(options: &StoreOptions) -> StoreError {
    Store::open(options).await.unwrap_err()
}

engine_tests! {
    async fn a_new_database_is_private_and_opens_again(database: TestDatabase) {
        let store = database.open().await;
        store.sessions().create(&session(1)).await.unwrap();
        let mode = std::fs::metadata(database.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        store.close().await;
        drop(store);
        let store = Store::open_existing(&database.options()).await.unwrap();
        assert!(store.sessions().get(session(1).id).await.unwrap().is_some());
    }

    async fn another_issuers_database_is_refused(database: TestDatabase) {
        database.open().await.close().await;
        let others = [stamp("https://other.example", Environment::Test), stamp("https://broker.example", Environment::Prod)];
        for other in others {
            let options = StoreOptions { stamp: other.clone(), ..database.options() };
            for error in [refused(&options).await, Store::open_existing(&options).await.unwrap_err()] {
                assert!(matches!(&error, StoreError::OtherStamp { expected, .. } if **expected == other), "{error}");
                let text = error.to_string();
                for named in ["tagmint.db", "https://broker.example", "`test`", other.issuer.as_str(), other.environment.as_str()] {
                    assert!(text.contains(named), "{text}");
                }
            }
        }
        database.open().await;
    }

    async fn a_lost_stamp_is_not_written_anew(database: TestDatabase) {
        database.open().await.close().await;
        database.tamper("DELETE FROM stamp").await;
        assert!(matches!(refused(&database.options()).await, StoreError::NoStamp { .. }));
    }

    async fn a_database_of_a_newer_version_is_refused(database: TestDatabase) {
        database.open().await.close().await;
        database.tamper("INSERT INTO _sqlx_migrations SELECT 99, 'later', installed_on, success, checksum, 0 FROM _sqlx_migrations").await;
        let error = refused(&database.options()).await;
        assert!(matches!(error, StoreError::NewerSchema { found: 99, known: 1, .. }), "{error}");
        assert!(Store::open_existing(&database.options()).await.is_err());
    }

    async fn another_text_of_a_migration_is_refused(database: TestDatabase) {
        database.open().await.close().await;
        database.tamper("UPDATE _sqlx_migrations SET checksum = x'00'").await;
        let error = refused(&database.options()).await;
        assert!(matches!(error, StoreError::MigrationChanged { version: 1, .. }), "{error}");
    }

    async fn administration_makes_no_database(database: TestDatabase) {
        let error = Store::open_existing(&database.options()).await.unwrap_err();
        assert!(matches!(error, StoreError::Missing { .. }), "{error}");
        assert!(!database.path().exists());
        std::fs::write(database.path(), "").unwrap();
        let error = Store::open_existing(&database.options()).await.unwrap_err();
        assert!(matches!(error, StoreError::Missing { .. }), "{error}");
    }

    async fn processes_that_start_at_once_wait_for_each_other(database: TestDatabase) {
        let options = database.options();
        let starts: Vec<_> = (0..8)
            .map(|_| {
                let options = options.clone();
                tokio::spawn(async move { Store::open(&options).await.unwrap().check_readable().await.unwrap() })
            })
            .collect();
        for start in starts {
            start.await.unwrap();
        }
    }

    async fn a_lock_that_stays_is_named(database: TestDatabase) {
        let store = database.open_impatient().await;
        let mut raw = database.raw().await;
        let holder = raw.begin_with("BEGIN IMMEDIATE").await.unwrap();
        let error = store.sessions().create(&session(1)).await.unwrap_err();
        assert_eq!(error.fault(), Some(Fault::Locked), "{error}");
        assert!(store.check_writable(crate::test_support::at(0)).await.is_err());
        store.check_readable().await.unwrap();
        holder.rollback().await.unwrap();
        store.sessions().create(&session(1)).await.unwrap();
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_alone() {
    let database = TestDatabase::sqlite();
    let text = "[database]\npath = \"this is a config file\"\n".repeat(100);
    std::fs::write(database.path(), &text).unwrap();
    let error = refused(&database.options()).await;
    assert_eq!(error.fault(), Some(Fault::NotADatabase), "{error}");
    assert!(error.to_string().contains("tagmint.db"), "{error}");
    assert_eq!(std::fs::read_to_string(database.path()).unwrap(), text);
}

#[tokio::test]
async fn another_programs_database_is_left_alone() {
    let database = TestDatabase::sqlite();
    let mut raw = database.raw().await;
    sqlx::query("CREATE TABLE bookmarks (url TEXT)").execute(&mut raw).await.unwrap();
    raw.close().await.unwrap();
    let before = database.bytes();
    let error = refused(&database.options()).await;
    assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
    assert_eq!(database.bytes(), before);
}

#[tokio::test]
async fn a_damaged_database_is_an_error() {
    let database = TestDatabase::sqlite();
    let store = database.open().await;
    store.sessions().create(&session(1)).await.unwrap();
    store.close().await;
    drop(store);
    let mut bytes = std::fs::read(database.path()).unwrap();
    // The header stays, so that it is still taken for a database.
    bytes[100..].fill(0xa5);
    std::fs::write(database.path(), bytes).unwrap();
    let error = refused(&database.options()).await;
    assert_eq!(error.fault(), Some(Fault::Corrupt), "{error}");
}

#[tokio::test]
async fn a_missing_folder_and_a_folder_are_named() {
    let database = TestDatabase::sqlite();
    let missing = database.path().join("sub/tagmint.db");
    let error = refused(&StoreOptions { database: DatabaseUrl::Sqlite(missing), ..database.options() }).await;
    assert!(matches!(error, StoreError::NoFolder { .. }) && error.to_string().contains("sub"), "{error}");
    std::fs::create_dir(database.path()).unwrap();
    let error = refused(&database.options()).await;
    assert_eq!(error.fault(), Some(Fault::CannotOpen), "{error}");
}

#[test]
fn migrations_run_only_where_they_may() {
    let name: Arc<str> = "x".into();
    let due = |mode, found| migration_due(&name, mode, found, 2);
    assert_eq!([0, 1, 2].map(|found| due(OpenMode::Create, found).unwrap()), [true, true, false]);
    assert!(matches!(due(OpenMode::Existing, 0), Err(StoreError::Missing { .. })));
    assert!(matches!(due(OpenMode::Existing, 1), Err(StoreError::OlderSchema { found: 1, needed: 2, .. })));
    assert!(!due(OpenMode::Existing, 2).unwrap());
}

#[test]
fn extended_codes_mean_what_their_primary_code_means() {
    let cases = [
        (5, Fault::Locked),
        (517, Fault::Locked),
        (8, Fault::ReadOnly),
        (1032, Fault::ReadOnly),
        (778, Fault::Io),
        (11, Fault::Corrupt),
        (13, Fault::DiskFull),
        (14, Fault::CannotOpen),
        (26, Fault::NotADatabase),
        (2067, Fault::Taken),
        (1555, Fault::Taken),
        (1811, Fault::Other),
        (1, Fault::Other),
    ];
    for (code, expected) in cases {
        assert_eq!(fault_of_code(code), expected, "{code}");
    }
}

#[test]
fn a_write_that_touches_other_rows_is_an_error() {
    let name: Arc<str> = "x.db".into();
    assert!(expect_rows(&name, "storing", 1, 1).is_ok());
    for touched in [0, 2] {
        let error = expect_rows(&name, "storing", 1, touched).unwrap_err();
        assert!(error.to_string().contains(&format!("touched {touched} rows instead of 1")), "{error}");
    }
}
