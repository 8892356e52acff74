//! Addresses of databases, and the checks behind `readyz`.

use super::*;
use crate::{
    Fault,
    test_support::{TestDatabase, at, bearer, engine_tests, session},
};

#[test]
fn addresses() {
    use InvalidDatabaseUrl as E;
    for text in ["sqlite:/var/lib/tagmint/tagmint.db", "/var/lib/tagmint/tagmint.db"] {
        let url: DatabaseUrl = text.parse().unwrap();
        assert_eq!(url, DatabaseUrl::Sqlite("/var/lib/tagmint/tagmint.db".into()));
        assert_eq!(url.to_string(), "sqlite:/var/lib/tagmint/tagmint.db");
    }
    for (text, expected) in [
        ("", E::Empty),
        ("sqlite:", E::Empty),
        ("sqlite::memory:", E::InMemory("sqlite::memory:".into())),
        ("postgres://h/d", E::Scheme("postgres".into())),
    ] {
        assert_eq!(text.parse::<DatabaseUrl>(), Err(expected), "{text}");
    }
}

/// Runs a statement on the one connection that writes.
async fn on_writer(store: &Store, statement: &'static str) {
    let mut writer = store.inner.engine.writer("test").await.unwrap();
    on_engine!(writer.executor(), connection => sqlx::query(statement).execute(connection).await.map(|_| ())).unwrap();
}

engine_tests! {
    async fn a_healthy_database_reads_and_writes(database: TestDatabase) {
        let store = database.open().await;
        store.check_readable().await.unwrap();
        for second in 0..3 {
            store.check_writable(at(second)).await.unwrap();
        }
        assert!(format!("{store:?}").contains("tagmint.db"));
    }

    async fn a_full_disk_is_noticed_and_forgotten(database: TestDatabase) {
        let store = database.open().await;
        on_writer(&store, "PRAGMA max_page_count = 1").await;
        let error = store.check_writable(at(0)).await.unwrap_err();
        assert_eq!(error.fault(), Some(Fault::DiskFull), "{error}");
        store.check_readable().await.unwrap();
        on_writer(&store, "PRAGMA max_page_count = 100000").await;
        store.check_writable(at(0)).await.unwrap();
    }

    async fn a_read_only_database_is_noticed(database: TestDatabase) {
        let store = database.open().await;
        on_writer(&store, "PRAGMA query_only = ON").await;
        assert_eq!(store.sessions().create(&session(1)).await.unwrap_err().fault(), Some(Fault::ReadOnly));
        let error = store.check_writable(at(0)).await.unwrap_err();
        assert_eq!(error.fault(), Some(Fault::ReadOnly), "{error}");
        store.check_readable().await.unwrap();
    }

    async fn a_closed_store_refuses_and_has_written_what_it_kept_back(database: TestDatabase) {
        let store = database.open().await;
        let bearer = bearer(1, "ci");
        store.bearers().create(&bearer).await.unwrap();
        store.bearers().find_by_secret(bearer.secret_hash, at(7)).await.unwrap();
        store.close().await;
        assert!(matches!(store.bearers().find_by_secret(bearer.secret_hash, at(8)).await, Err(StoreError::Closed)));
        assert!(store.check_readable().await.is_err());
        let again = database.open().await;
        assert_eq!(again.bearers().get(bearer.id).await.unwrap().unwrap().last_used_at, Some(at(7)));
    }
}
