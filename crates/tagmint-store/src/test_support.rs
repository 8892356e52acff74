//! What the store's tests share: a database per test on each engine, and a way to it behind the store's back.

use std::{path::PathBuf, time::Duration};

use jiff::Timestamp;
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tagmint_core::{
    environment::{Environment, Stamp},
    id::{BearerId, SessionId},
    issued_secret::{IssuedSecret, SecretKind},
    issuer::IssuerUrl,
    rules::TagScope,
};
use tagmint_testkit::random::CountingRandom;
use tempfile::TempDir;

use crate::{DatabaseUrl, NewBearer, NewSession, Store, StoreOptions};

/// Runs each test once per engine, in a module named like the engine.
macro_rules! engine_tests {
    ($(async fn $name:ident($database:ident: TestDatabase) $body:block)*) => {
        $(async fn $name($database: TestDatabase) $body)*

        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name($crate::test_support::TestDatabase::sqlite()).await;
                }
            )*
        }
    };
}
pub(crate) use engine_tests;

/// A place for one database; gone when dropped.
pub(crate) struct TestDatabase {
    folder: TempDir,
}

impl TestDatabase {
    pub(crate) fn sqlite() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("tagmint.db")
    }

    pub(crate) fn options(&self) -> StoreOptions {
        StoreOptions::new(DatabaseUrl::Sqlite(self.path()), stamp("https://broker.example", Environment::Test))
    }

    pub(crate) async fn open(&self) -> Store {
        Store::open(&self.options()).await.unwrap()
    }

    /// Opens it with little patience for locks.
    pub(crate) async fn open_impatient(&self) -> Store {
        let options = StoreOptions { busy_timeout: Duration::from_millis(50), ..self.options() };
        Store::open(&options).await.unwrap()
    }

    /// A connection that knows no rules.
    pub(crate) async fn raw(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.path()).create_if_missing(true);
        SqliteConnection::connect_with(&options).await.unwrap()
    }

    /// Runs statements behind the store's back, with the triggers gone.
    pub(crate) async fn tamper(&self, statements: &'static str) {
        const UNGUARD: &str = "DROP TRIGGER IF EXISTS ledger_no_update; DROP TRIGGER IF EXISTS ledger_no_delete; \
             DROP TRIGGER IF EXISTS ledger_head_no_delete; DROP TRIGGER IF EXISTS ledger_archives_no_update; \
             DROP TRIGGER IF EXISTS ledger_archives_no_delete; DROP TRIGGER IF EXISTS ledger_archives_in_order";
        let mut raw = self.raw().await;
        sqlx::raw_sql(UNGUARD).execute(&mut raw).await.unwrap();
        sqlx::raw_sql(statements).execute(&mut raw).await.unwrap();
        raw.close().await.unwrap();
    }

    /// All bytes on disk: the file and its log.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = std::fs::read(self.path()).unwrap();
        bytes.extend(std::fs::read(self.folder.path().join("tagmint.db-wal")).unwrap_or_default());
        bytes
    }

    /// Moves files into another folder, or back again. The files: `tagmint.db`, and with these endings its log and the log's index.
    pub(crate) fn move_to(&self, other: &Self, endings: &[&str]) {
        for ending in endings {
            let name = format!("tagmint.db{ending}");
            std::fs::rename(self.folder.path().join(&name), other.folder.path().join(&name)).unwrap();
        }
    }

    /// What would be on disk had the process been killed now.
    pub(crate) fn after_a_kill(&self) -> Self {
        let copy = Self::sqlite();
        for name in ["tagmint.db", "tagmint.db-wal"] {
            std::fs::copy(self.folder.path().join(name), copy.folder.path().join(name)).unwrap();
        }
        copy
    }
}

pub(crate) fn stamp(issuer: &str, environment: Environment) -> Stamp {
    Stamp { issuer: IssuerUrl::parse(issuer).unwrap(), environment }
}

/// A moment, in seconds after the tests' beginning.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + seconds).unwrap()
}

/// The secret with this number.
pub(crate) fn secret(kind: SecretKind, number: u32) -> IssuedSecret {
    let random = CountingRandom::starting_at(u64::from(number) << 32);
    IssuedSecret::generate(kind, Environment::Test, &random).unwrap()
}

/// A session that lives from 0 to 100.
pub(crate) fn session(number: u32) -> NewSession {
    NewSession {
        id: SessionId::generate(at(0), &CountingRandom::starting_at(u64::from(number) << 32)).unwrap(),
        secret_hash: secret(SecretKind::Session, number).hash(),
        subject: format!("0x{number}"),
        attributes: serde_json::json!({"chain": "litentry", "nested": {"ü": [1, null]}}).as_object().unwrap().clone(),
        created_at: at(0),
        expires_at: at(100),
    }
}

/// A bearer that lives from 0 to 100.
pub(crate) fn bearer(number: u32, name: &str) -> NewBearer {
    NewBearer {
        id: BearerId::generate(at(0), &CountingRandom::starting_at(u64::from(number) << 32)).unwrap(),
        name: name.to_owned(),
        secret_hash: secret(SecretKind::Bearer, number).hash(),
        rule: None,
        scope: TagScope::default(),
        attributes: serde_json::Map::new(),
        created_at: at(0),
        expires_at: Some(at(100)),
    }
}
