//! Which files are taken, and which are refused with what words.

use std::os::unix::fs::PermissionsExt;

use sqlx::Connection as _;
use tagmint_core::{
    environment::Environment,
    key_schedule::{KeyChange, KeyState},
};
use tagmint_testkit::{
    keys::{fresh_signing_key, master_key},
    random::CountingRandom,
};

use super::{
    sqlite::{fault_of_code, migration_due},
    *,
};
use crate::{
    Allowance, Claim, CredentialLookup, KeyCandidate, KeyChangeError, Store, TokenUse,
    test_support::{TestDatabase, at, bearer, engine_tests, session, stamp},
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
        database.tamper("INSERT INTO _sqlx_migrations SELECT 99, 'later', installed_on, success, checksum, 0 FROM _sqlx_migrations WHERE version = 1").await;
        let error = refused(&database.options()).await;
        assert!(matches!(error, StoreError::NewerSchema { found: 99, known: 8, .. }), "{error}");
        assert!(Store::open_existing(&database.options()).await.is_err());
    }

    async fn a_database_of_the_version_before_is_brought_up_to_date(database: TestDatabase) {
        const BACK: &str = "DROP TABLE used_tokens; DROP INDEX bearers_name; ALTER TABLE bearers DROP COLUMN scope; \
             ALTER TABLE bearers DROP COLUMN replaced_by; \
             CREATE UNIQUE INDEX bearers_name ON bearers (name) WHERE revoked_at IS NULL; \
             DROP TABLE acme_accounts; DROP TABLE acme_orders; DROP TABLE acme_challenges; DROP TABLE acme_certificates; \
             DROP TABLE acme_state; DROP TABLE alarms; DROP TABLE alarm_notices; \
             DROP TABLE archived_prefixes; DROP INDEX sessions_subject; DROP TABLE ledger_archives; \
             CREATE TRIGGER ledger_no_delete BEFORE DELETE ON ledger BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END; \
             DROP TABLE document_fetches; DROP TABLE key_fetches; ALTER TABLE signing_keys DROP COLUMN due_at_ms; \
             DROP TABLE clock; DROP TRIGGER signing_keys_withdrawn_is_final; ALTER TABLE signing_keys DROP COLUMN withdrawn; \
             DELETE FROM _sqlx_migrations WHERE version > 1";
        let store = database.open().await;
        store.bearers().create(&bearer(1, "ci")).await.unwrap();
        store.close().await;
        database.tamper(BACK).await;
        let error = Store::open_existing(&database.options()).await.unwrap_err();
        assert!(matches!(error, StoreError::OlderSchema { found: 1, needed: 8, .. }), "{error}");
        let store = database.open().await;
        let kept = store.bearers().find_by_secret(bearer(1, "").secret_hash, at(1)).await.unwrap();
        let CredentialLookup::Valid(kept) = kept else { panic!("{kept:?}") };
        assert!(kept.scope.is_empty() && kept.replaced_by.is_none(), "{kept:?}");
        assert_eq!(store.used_tokens().delete_expired(at(1), jiff::SignedDuration::MAX).await.unwrap(), 0);
        assert_eq!(store.witness().keys().await.unwrap(), []);
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
        assert!(store.check_writable(at(0)).await.is_err());
        store.check_readable().await.unwrap();
        holder.rollback().await.unwrap();
        store.sessions().create(&session(1)).await.unwrap();
    }
}

const ALL: &[&str] = &["", "-wal", "-shm"];

fn is_replaced<T>(result: Result<T, StoreError>) -> bool {
    match result.err() {
        Some(StoreError::Replaced { database }) => database.ends_with("tagmint.db"),
        other => panic!("{other:?}"),
    }
}

/// Every way to the database that a running issuer has.
async fn nothing_is_done(store: &Store) {
    assert!(is_replaced(store.check_readable().await));
    assert!(is_replaced(store.check_writable(at(0)).await));
    assert!(is_replaced(store.keys().list().await));
    assert!(is_replaced(store.keys().has_withdrawn_private(at(0)).await));
    assert!(is_replaced(store.sessions().create(&session(2)).await));
    assert!(is_replaced(store.sessions().find_by_secret(session(1).secret_hash, at(1)).await));
    assert!(is_replaced(store.bearers().find_by_secret(bearer(1, "ci").secret_hash, at(1)).await));
    assert!(is_replaced(store.bearers().revoke(bearer(1, "ci").id, at(1)).await));
    let token = TokenUse {
        provider: "github".to_owned(),
        token_hash: "a".to_owned(),
        keep_until: at(9),
        now: at(1),
        request_hash: String::new(),
        network: "192.0.2.0/24".to_owned(),
        allowance: Allowance::ONCE,
    };
    assert!(is_replaced(store.used_tokens().claim(&token).await));
    assert!(is_replaced(store.used_tokens().release(&token, Claim::First).await));
    assert!(is_replaced(store.ledger().head().await));
    assert!(store.ledger_writer(master_key(1)).await.is_err());
    let candidate = KeyCandidate { key: &fresh_signing_key(), certificate_der: None };
    let plan = |_: &[KeyState]| -> Result<Vec<KeyChange>, StoreError> { panic!("nothing is planned") };
    let changed = store.keys().change(at(0), &candidate, &master_key(1), &CountingRandom::default(), plan).await;
    assert!(matches!(changed, Err(KeyChangeError::Store(StoreError::Replaced { .. }))));
}

#[tokio::test]
async fn a_replaced_file_is_noticed_by_connections_of_all_ages() {
    // Connections are opened when they are needed first: here before the file is replaced, and while it is.
    for used_before in [true, false] {
        let (database, aside) = (TestDatabase::sqlite(), TestDatabase::sqlite());
        let store = database.open().await;
        let copy = database.after_a_kill();
        if used_before {
            store.sessions().create(&session(1)).await.unwrap();
            store.sessions().find_by_secret(session(1).secret_hash, at(1)).await.unwrap();
            store.bearers().find_by_secret(bearer(1, "ci").secret_hash, at(1)).await.unwrap();
            store.keys().list().await.unwrap();
        }
        database.move_to(&aside, ALL);
        nothing_is_done(&store).await;
        copy.move_to(&database, &["", "-wal"]);
        nothing_is_done(&store).await;
        // A restart takes the file that is there.
        let restarted = database.open().await;
        assert_eq!(restarted.sessions().get(session(1).id).await.unwrap(), None);
        restarted.close().await;
        std::fs::remove_file(database.path()).unwrap();
        aside.move_to(&database, ALL);

        store.check_writable(at(2)).await.unwrap();
        if !used_before {
            store.sessions().create(&session(1)).await.unwrap();
        }
        assert!(store.sessions().get(session(1).id).await.unwrap().is_some());
        let found = store.sessions().find_by_secret(session(1).secret_hash, at(1)).await.unwrap();
        assert!(matches!(found, CredentialLookup::Valid(_)), "{found:?}");
        store.close().await;
        assert!(database.open().await.sessions().get(session(1).id).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn the_file_alone_and_the_log_alone_are_missed_as_well() {
    for ending in ["", "-wal"] {
        let (database, aside) = (TestDatabase::sqlite(), TestDatabase::sqlite());
        let store = database.open().await;
        database.move_to(&aside, &[ending]);
        nothing_is_done(&store).await;
        aside.move_to(&database, &[ending]);
        store.sessions().create(&session(1)).await.unwrap();
    }
}

#[tokio::test]
async fn a_link_to_the_file_may_be_configured() {
    let (database, target) = (TestDatabase::sqlite(), TestDatabase::sqlite());
    std::os::unix::fs::symlink(target.path(), database.path()).unwrap();
    std::fs::write(target.path(), "").unwrap();
    let store = database.open().await;
    store.check_writable(at(0)).await.unwrap();
    std::fs::remove_file(database.path()).unwrap();
    std::os::unix::fs::symlink(TestDatabase::sqlite().path(), database.path()).unwrap();
    nothing_is_done(&store).await;
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
