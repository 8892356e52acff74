//! Rows of one world's database, put into the other's behind the store's back. Both have one key file and one issuer URL here, so that the
//! environment alone tells them apart.

use sqlx::Connection as _;
use tagmint_core::{
    environment::Environment,
    issued_secret::{InvalidSecret, IssuedSecret, SecretKind},
    key_schedule::{KeyChange, KeySchedule},
    sealing::SealingError,
    signing_key::Signer,
};
use tagmint_testkit::{
    keys::{fresh_signing_key, master_key},
    random::CountingRandom,
};

use crate::{
    CredentialLookup, Store, StoreError, StoreOptions,
    test_support::{TestDatabase, at, engine_tests, secret, session, stamp},
};

const DIRECTORY: &str = "https://acme.example/directory";

async fn open(database: &TestDatabase, environment: Environment) -> Store {
    let options = StoreOptions { stamp: stamp("https://broker.example", environment), ..database.options() };
    Store::open(&options).await.unwrap()
}

/// Copies a table's rows from one database to the other.
async fn copy(from: &TestDatabase, to: &TestDatabase, statement: &'static str) {
    let mut raw = to.raw().await;
    let path = from.path().display().to_string();
    sqlx::query("ATTACH DATABASE $1 AS other").bind(path).execute(&mut raw).await.unwrap();
    assert_eq!(sqlx::query(statement).execute(&mut raw).await.unwrap().rows_affected(), 1);
    raw.close().await.unwrap();
}

engine_tests! {
    async fn a_sealed_key_of_the_other_world_does_not_open(prod: TestDatabase) {
        let worlds = [(prod, Environment::Prod, Environment::Test), (TestDatabase::sqlite(), Environment::Test, Environment::Prod)];
        for (from, own, other) in worlds {
            let to = TestDatabase::sqlite();
            let (ours, theirs) = (open(&from, own).await, open(&to, other).await);
            let (key, random) = (fresh_signing_key(), CountingRandom::default());
            let schedule = KeySchedule { published_at: at(0), active_at: at(10), retiring_at: None, withdrawn_at: None, due_at: None, withdrawn: false };
            let candidate = crate::KeyCandidate { key: &key, certificate_der: None };
            let plan: Result<_, std::convert::Infallible> = Ok(vec![KeyChange::Publish(schedule)]);
            ours.keys().change(at(0), &candidate, &master_key(1), &random, |_| plan).await.unwrap();
            ours.acme().add_account(DIRECTORY, b"account key", at(0), &master_key(1), &random).await.unwrap();
            copy(&from, &to, "INSERT INTO main.signing_keys SELECT * FROM other.signing_keys").await;
            copy(&from, &to, "INSERT INTO main.acme_accounts SELECT * FROM other.acme_accounts").await;

            assert!(ours.keys().load_signing_key(key.kid(), &master_key(1)).await.is_ok());
            let refused = theirs.keys().load_signing_key(key.kid(), &master_key(1)).await.unwrap_err();
            assert!(matches!(refused, StoreError::Sealing { cause: SealingError::Unsealing, .. }), "{refused}");
            assert!(refused.to_string().contains("for another issuer or environment"), "{refused}");
            assert!(ours.acme().account(DIRECTORY, &master_key(1)).await.is_ok());
            let refused = theirs.acme().account(DIRECTORY, &master_key(1)).await.unwrap_err().to_string();
            assert!(refused.contains("for another issuer or environment"), "{refused}");
        }
    }

    // The row is found by the hash of the whole secret, environment included: who has the row's secret is refused before the look-up.
    async fn a_row_of_the_other_worlds_session_opens_nothing(test: TestDatabase) {
        let prod = TestDatabase::sqlite();
        let (ours, theirs) = (open(&test, Environment::Test).await, open(&prod, Environment::Prod).await);
        ours.sessions().create(&session(1)).await.unwrap();
        copy(&test, &prod, "INSERT INTO main.sessions SELECT * FROM other.sessions").await;
        let shown = secret(SecretKind::Session, 1);
        let refused = IssuedSecret::parse(shown.expose(), Environment::Prod).unwrap_err();
        assert!(matches!(refused, InvalidSecret::OtherEnvironment { .. }));
        // With the other environment written into it, it is another secret.
        let disguised = IssuedSecret::generate(SecretKind::Session, Environment::Prod, &CountingRandom::starting_at(1 << 32)).unwrap();
        assert_eq!(disguised.expose().get(9..52), shown.expose().get(9..52), "the same random part");
        let found = theirs.sessions().find_by_secret(disguised.hash(), at(1)).await.unwrap();
        assert!(matches!(found, CredentialLookup::NotFound), "{found:?}");
    }

    async fn the_ledger_of_the_other_world_does_not_go_on_here(test: TestDatabase) {
        let prod = TestDatabase::sqlite();
        let (ours, theirs) = (open(&test, Environment::Test).await, open(&prod, Environment::Prod).await);
        for store in [&ours, &theirs] {
            store.ledger_writer(master_key(1)).await.unwrap().close().await;
        }
        let mut raw = prod.raw().await;
        let path = test.path().display().to_string();
        sqlx::query("ATTACH DATABASE $1 AS other").bind(path).execute(&mut raw).await.unwrap();
        let moved = "UPDATE main.ledger_head SET hash = (SELECT hash FROM other.ledger_head), seal = (SELECT seal FROM other.ledger_head)";
        sqlx::query(moved).execute(&mut raw).await.unwrap();
        raw.close().await.unwrap();
        let report = theirs.ledger().verify(&master_key(1)).await;
        assert!(report.is_err(), "the chain begins with the other's stamp: {report:?}");
        assert!(ours.ledger().verify(&master_key(1)).await.is_ok());
    }
}
