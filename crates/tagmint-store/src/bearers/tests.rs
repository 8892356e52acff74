//! Bearers from creation to revocation.

use tagmint_core::issued_secret::SecretKind;

use super::*;
use crate::test_support::{TestDatabase, at, bearer, engine_tests, secret};

engine_tests! {
    async fn a_bearer_comes_back_as_it_was_stored(database: TestDatabase) {
        let store = database.open().await;
        let attributes = serde_json::json!({"team": "a", "n": 1}).as_object().unwrap().clone();
        let scope = TagScope::new([("prefix", "ci/team-a")]).unwrap();
        let rule = Some(RuleName::parse("ci").unwrap());
        let bound = NewBearer { rule, attributes, scope, expires_at: None, ..bearer(1, "bound") };
        for bearer in [&bound, &bearer(2, "free")] {
            store.bearers().create(bearer).await.unwrap();
            let expected = BearerRecord {
                id: bearer.id,
                name: bearer.name.clone(),
                rule: bearer.rule.clone(),
                scope: bearer.scope.clone(),
                attributes: bearer.attributes.clone(),
                created_at: bearer.created_at,
                expires_at: bearer.expires_at,
                revoked_at: None,
                last_used_at: None,
                replaced_by: None,
            };
            let found = store.bearers().find_by_secret(bearer.secret_hash, at(1)).await.unwrap();
            assert_eq!(found, CredentialLookup::Valid(expected.clone()));
            assert_eq!(store.bearers().get_by_name(&bearer.name).await.unwrap(), Some(expected));
        }
        let later = |hash| store.bearers().find_by_secret(hash, at(100));
        assert!(matches!(later(bound.secret_hash).await.unwrap(), CredentialLookup::Valid(_)), "no end was given");
        assert_eq!(later(bearer(2, "free").secret_hash).await.unwrap(), CredentialLookup::Expired(at(100)));
        assert_eq!(later(secret(SecretKind::Bearer, 3).hash()).await.unwrap(), CredentialLookup::NotFound);
    }

    async fn a_name_is_free_again_after_the_revocation(database: TestDatabase) {
        let store = database.open().await;
        let bearers = store.bearers();
        bearers.create(&bearer(1, "ci")).await.unwrap();
        let taken = bearers.create(&bearer(2, "ci")).await.unwrap_err();
        assert!(matches!(taken, StoreError::BearerNameTaken(name) if name == "ci"));
        assert_eq!(bearers.revoke(bearer(1, "ci").id, at(5)).await.unwrap(), Revocation::Done);
        assert_eq!(bearers.revoke(bearer(1, "ci").id, at(6)).await.unwrap(), Revocation::AlreadyRevoked);
        bearers.create(&bearer(2, "ci")).await.unwrap();
        assert_eq!(bearers.get_by_name("ci").await.unwrap().unwrap().id, bearer(2, "ci").id);
        let old = bearers.find_by_secret(bearer(1, "ci").secret_hash, at(5)).await.unwrap();
        assert_eq!(old, CredentialLookup::Revoked(at(5)));
        assert!(matches!(bearers.revoke(bearer(9, "ci").id, at(6)).await, Err(StoreError::UnknownBearer(_))));
        let ids = |records: Vec<BearerRecord>| records.into_iter().map(|record| record.id).collect::<Vec<_>>();
        assert_eq!(ids(bearers.list(CredentialFilter::ActiveAt(at(6)), 10).await.unwrap()), [bearer(2, "ci").id]);
        assert_eq!(bearers.list(CredentialFilter::All, 10).await.unwrap().len(), 2);
        assert_eq!(bearers.list(CredentialFilter::ActiveAt(at(100)), 10).await.unwrap(), []);
    }

    async fn last_uses_are_written_together_and_never_go_back(database: TestDatabase) {
        let (here, there) = (database.open().await, database.open().await);
        for (number, name) in [(1, "one"), (2, "two")] {
            here.bearers().create(&bearer(number, name)).await.unwrap();
        }
        let last_use = async |number| here.bearers().get(bearer(number, "").id).await.unwrap().unwrap().last_used_at;
        for second in [3, 9, 5] {
            here.bearers().find_by_secret(bearer(1, "").secret_hash, at(second)).await.unwrap();
        }
        here.bearers().find_by_secret(bearer(2, "").secret_hash, at(4)).await.unwrap();
        here.bearers().find_by_secret(bearer(2, "").secret_hash, at(500)).await.unwrap();
        assert_eq!(last_use(1).await, None, "not on the way of a request");
        here.bearers().flush_last_uses().await.unwrap();
        assert_eq!((last_use(1).await, last_use(2).await), (Some(at(9)), Some(at(4))), "an expired one is not used");
        there.bearers().find_by_secret(bearer(1, "").secret_hash, at(6)).await.unwrap();
        there.bearers().flush_last_uses().await.unwrap();
        assert_eq!(last_use(1).await, Some(at(9)));
    }

    async fn last_uses_outlive_a_failed_write(database: TestDatabase) {
        use sqlx::Connection as _;
        let store = database.open_impatient().await;
        store.bearers().create(&bearer(1, "ci")).await.unwrap();
        store.bearers().find_by_secret(bearer(1, "").secret_hash, at(3)).await.unwrap();
        let mut raw = database.raw().await;
        let holder = raw.begin_with("BEGIN IMMEDIATE").await.unwrap();
        assert!(store.bearers().flush_last_uses().await.is_err());
        holder.rollback().await.unwrap();
        store.bearers().flush_last_uses().await.unwrap();
        assert_eq!(store.bearers().get(bearer(1, "").id).await.unwrap().unwrap().last_used_at, Some(at(3)));
    }

    async fn an_unreadable_binding_does_not_become_none(database: TestDatabase) {
        let store = database.open().await;
        store.bearers().create(&bearer(1, "ci")).await.unwrap();
        for scope in ["", "null", "[]", r#"{"prefix": ""}"#, r#"{"prefix": "a", "prefix": "b"}"#] {
            let statement = format!("UPDATE bearers SET scope = '{scope}'");
            sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut database.raw().await).await.unwrap();
            let error = store.bearers().find_by_secret(bearer(1, "").secret_hash, at(1)).await.unwrap_err();
            assert!(matches!(error, StoreError::Row { table: "bearers", column: "scope", .. }), "{scope}: {error}");
        }
        database.tamper("UPDATE bearers SET scope = '{}'").await;
        database.tamper("UPDATE bearers SET rule = 'No Rule!'").await;
        let error = store.bearers().find_by_secret(bearer(1, "").secret_hash, at(1)).await.unwrap_err();
        assert!(matches!(error, StoreError::Row { table: "bearers", column: "rule", .. }), "{error}");
    }
}
