//! Signing keys from publication to wiping.

use std::sync::Arc;

use tagmint_core::{key_schedule::RotationError, sealing::SealingError};
use tagmint_testkit::{
    keys::{fresh_signing_key, master_key, signing_key},
    random::{CountingRandom, NoRandom},
};

use super::*;
use crate::test_support::{TestDatabase, at, engine_tests};

fn schedule(published: i64, withdrawn: Option<i64>) -> KeySchedule {
    KeySchedule {
        published_at: at(published),
        active_at: at(published + 10),
        retiring_at: withdrawn.map(|second| at(second - 5)),
        withdrawn_at: withdrawn.map(at),
        due_at: withdrawn.map(|second| at(second - 7)),
        withdrawn: false,
    }
}

type Plan = Result<Vec<KeyChange>, RotationError>;

async fn change(
    store: &Store,
    key: &SigningKey,
    now: i64,
    plan: Plan,
) -> Result<Vec<KeyState>, KeyChangeError<RotationError>> {
    let candidate = KeyCandidate { key, certificate_der: Some(vec![0x30, 0]) };
    store.keys().change(at(now), &candidate, &master_key(1), &CountingRandom::default(), |_| plan).await
}

async fn published(store: &Store, published_at: i64) -> Arc<SigningKey> {
    let key = fresh_signing_key();
    change(store, &key, published_at, Ok(vec![KeyChange::Publish(schedule(published_at, None))])).await.unwrap();
    key
}

engine_tests! {
    async fn a_published_key_comes_back_and_signs(database: TestDatabase) {
        let store = database.open().await;
        for (index, algorithm) in [Algorithm::Rs256, Algorithm::Es256].into_iter().enumerate() {
            let key = signing_key(algorithm);
            let now = i64::try_from(index).unwrap();
            let state = KeyState { kid: key.kid().clone(), algorithm, schedule: schedule(now, None) };
            let changed = change(&store, &key, now, Ok(vec![KeyChange::Publish(schedule(now, None))])).await.unwrap();
            assert_eq!(changed, std::slice::from_ref(&state));
            let expected =
                KeyRecord { state, public: key.public().clone(), certificate_der: Some(vec![0x30, 0]), has_private: true };
            assert_eq!(store.keys().list().await.unwrap()[index], expected);
            let loaded = store.keys().load_signing_key(key.kid(), &master_key(1)).await.unwrap();
            key.public().verify(b"message", &loaded.sign(b"message").unwrap()).unwrap();
        }
    }

    async fn a_plan_is_written_whole_or_not_at_all(database: TestDatabase) {
        let store = database.open().await;
        let first = published(&store, 0).await;
        let second = fresh_signing_key();
        let retire = |kid: &KeyId| KeyChange::Reschedule { kid: kid.clone(), schedule: schedule(0, Some(50)) };
        let publish = || KeyChange::Publish(schedule(20, None));
        let before = store.keys().list().await.unwrap();
        let unknown = fresh_signing_key().kid().clone();
        let refused = change(&store, &second, 20, Ok(vec![publish(), retire(first.kid()), retire(&unknown)])).await;
        assert!(matches!(refused, Err(KeyChangeError::Store(StoreError::UnknownKey(kid))) if kid == unknown));
        let refused = change(&store, &second, 20, Ok(vec![publish(), publish()])).await;
        assert!(matches!(refused, Err(KeyChangeError::Store(StoreError::TooManyKeys(2)))));
        let refused = change(&store, &first, 20, Ok(vec![publish()])).await;
        assert!(matches!(refused, Err(KeyChangeError::Store(StoreError::KeyExists(kid))) if kid == *first.kid()));
        let refused = change(&store, &second, 20, Err(RotationError::Active(first.kid().clone()))).await;
        assert!(matches!(refused, Err(KeyChangeError::Plan(RotationError::Active(_)))));
        assert_eq!(store.keys().list().await.unwrap(), before);

        let changed = change(&store, &second, 20, Ok(vec![retire(first.kid()), publish()])).await.unwrap();
        assert_eq!(changed.iter().map(|state| &state.kid).collect::<Vec<_>>(), [first.kid(), second.kid()]);
        let states: Vec<_> = store.keys().list().await.unwrap().into_iter().map(|record| record.state).collect();
        assert_eq!(states, changed);
    }

    async fn a_plan_sees_the_keys_as_they_are(database: TestDatabase) {
        let (here, there) = (database.open().await, database.open().await);
        // Both want to publish the first key, and plan on what they see inside the transaction.
        let first_key = async |store: &Store, key: &SigningKey| {
            let candidate = KeyCandidate { key, certificate_der: None };
            let plan = |states: &[KeyState]| -> Plan {
                Ok(if states.is_empty() { vec![KeyChange::Publish(schedule(0, None))] } else { vec![] })
            };
            store.keys().change(at(0), &candidate, &master_key(1), &CountingRandom::default(), plan).await.unwrap().len()
        };
        let (one, other) = (fresh_signing_key(), fresh_signing_key());
        let (a, b) = tokio::join!(first_key(&here, &one), first_key(&there, &other));
        assert_eq!(a + b, 1);
        assert_eq!(here.keys().list().await.unwrap().len(), 1);
    }

    async fn a_withdrawn_keys_private_half_is_wiped(database: TestDatabase) {
        let store = database.open().await;
        let (old, new) = (published(&store, 0).await, published(&store, 1).await);
        let withdraw = KeyChange::Reschedule { kid: old.kid().clone(), schedule: schedule(0, Some(50)) };
        change(&store, &fresh_signing_key(), 20, Ok(vec![withdraw])).await.unwrap();
        for (now, waiting) in [(49, false), (50, true)] {
            assert_eq!(store.keys().has_withdrawn_private(at(now)).await.unwrap(), waiting, "{now}");
        }
        change(&store, &fresh_signing_key(), 49, Ok(vec![])).await.unwrap();
        store.keys().load_signing_key(old.kid(), &master_key(1)).await.unwrap();
        change(&store, &fresh_signing_key(), 50, Ok(vec![])).await.unwrap();
        let wiped = store.keys().load_signing_key(old.kid(), &master_key(1)).await.unwrap_err();
        assert!(matches!(wiped, StoreError::KeyWiped(kid) if kid == *old.kid()));
        store.keys().load_signing_key(new.kid(), &master_key(1)).await.unwrap();
        let left: Vec<_> = store.keys().list().await.unwrap().iter().map(|record| record.has_private).collect();
        assert_eq!(left, [false, true]);
        assert!(!store.keys().has_withdrawn_private(at(60)).await.unwrap());
    }

    async fn a_key_opens_under_its_own_key_file_alone(database: TestDatabase) {
        let store = database.open().await;
        let (one, two) = (published(&store, 0).await, published(&store, 1).await);
        let closed = store.keys().load_signing_key(one.kid(), &master_key(2)).await.unwrap_err();
        assert!(matches!(&closed, StoreError::Sealing { kid, cause: SealingError::Unsealing, .. } if kid == one.kid()));
        let unknown = fresh_signing_key();
        let missing = store.keys().load_signing_key(unknown.kid(), &master_key(1)).await.unwrap_err();
        assert!(matches!(missing, StoreError::UnknownKey(_)));
        // Another key's private half under this kid: the seal names its kid.
        database.tamper("UPDATE signing_keys SET private_key = (SELECT private_key FROM signing_keys ORDER BY published_at_ms DESC LIMIT 1)").await;
        assert!(store.keys().load_signing_key(one.kid(), &master_key(1)).await.is_err());
        store.keys().load_signing_key(two.kid(), &master_key(1)).await.unwrap();
    }

    async fn another_key_file_changes_nothing(database: TestDatabase) {
        let store = database.open().await;
        let change_under = async |number: u32| {
            let key = fresh_signing_key();
            let candidate = KeyCandidate { key: &key, certificate_der: None };
            let plan = |_: &[KeyState]| -> Plan { Ok(vec![KeyChange::Publish(schedule(20, None))]) };
            let random = CountingRandom::default();
            store.keys().change(at(20), &candidate, &master_key(number), &random, plan).await.map(|_| ())
        };
        let refused = async |when: &str| {
            let before = store.keys().list().await.unwrap();
            let error = change_under(2).await.unwrap_err();
            assert!(matches!(error, KeyChangeError::Store(StoreError::OtherKeyFile { .. })), "{when}: {error}");
            assert!(error.to_string().contains("not the one that this database was made with"), "{error}");
            assert_eq!(store.keys().list().await.unwrap(), before, "{when}");
        };
        // The ledger's head tells, with no key yet.
        store.ledger_writer(master_key(1)).await.unwrap().close().await;
        refused("no keys").await;
        change_under(1).await.unwrap();
        refused("a head and a key").await;

        // The ledger was altered: the keys tell, and the operator can act still.
        database.tamper("UPDATE ledger_head SET seal = 'ff'").await;
        refused("an altered head").await;
        change_under(1).await.unwrap();
        database.tamper("DELETE FROM ledger_head").await;
        refused("no head").await;
        change_under(1).await.unwrap();

        // One key of several that opens proves nothing: it may be the one that went wrong.
        database.tamper("UPDATE signing_keys SET private_key = x'00' WHERE kid = (SELECT min(kid) FROM signing_keys)").await;
        let error = change_under(1).await.unwrap_err();
        assert!(matches!(error, KeyChangeError::Store(StoreError::OtherKeyFile { .. })), "{error}");
    }

    async fn a_key_that_does_not_open_can_be_withdrawn(database: TestDatabase) {
        let store = database.open().await;
        store.ledger_writer(master_key(1)).await.unwrap().close().await;
        let key = published(&store, 0).await;
        database.tamper("UPDATE signing_keys SET private_key = x'00'").await;
        let error = store.keys().load_signing_key(key.kid(), &master_key(1)).await.unwrap_err();
        assert!(error.to_string().contains(&format!("tagmint keys withdraw {}", key.kid())), "{error}");
        let withdraw = KeyChange::Reschedule { kid: key.kid().clone(), schedule: schedule(0, Some(20)) };
        change(&store, &fresh_signing_key(), 20, Ok(vec![withdraw])).await.unwrap();
        assert!(!store.keys().list().await.unwrap()[0].has_private);
    }

    async fn another_public_half_under_a_kid_is_refused(database: TestDatabase) {
        let store = database.open().await;
        published(&store, 0).await;
        published(&store, 1).await;
        database.tamper("UPDATE signing_keys SET jwks = (SELECT jwks FROM signing_keys ORDER BY published_at_ms DESC LIMIT 1)").await;
        let error = store.keys().list().await.unwrap_err();
        assert!(matches!(error, StoreError::Row { table: "signing_keys", column: "jwks", .. }), "{error}");
    }

    async fn no_private_key_is_stored_in_plain(database: TestDatabase) {
        let store = database.open().await;
        let key = published(&store, 0).await;
        let (bytes, pkcs8) = (database.bytes(), key.to_pkcs8().unwrap());
        let contains = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
        assert!(contains(key.kid().as_str().as_bytes()), "the key is among these bytes");
        // RFC 5915: the private number begins 36 bytes into the document of a P-256 key.
        assert!(!contains(&pkcs8[36..68]) && !contains(&pkcs8[..32]));
    }

    async fn without_randomness_nothing_is_published(database: TestDatabase) {
        let store = database.open().await;
        let candidate = KeyCandidate { key: &signing_key(Algorithm::Es256), certificate_der: None };
        let plan = |_: &[KeyState]| -> Plan { Ok(vec![KeyChange::Publish(schedule(0, None))]) };
        let refused = store.keys().change(at(0), &candidate, &master_key(1), &NoRandom, plan).await;
        assert!(matches!(refused, Err(KeyChangeError::Store(StoreError::Sealing { cause: SealingError::Random(_), .. }))));
        assert_eq!(store.keys().list().await.unwrap(), []);
    }
}
