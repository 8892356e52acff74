//! Sessions from creation to deletion.

use tagmint_core::issued_secret::SecretKind;

use super::*;
use crate::test_support::{TestDatabase, at, engine_tests, secret, session};

fn stored(session: NewSession, revoked_at: Option<Timestamp>) -> SessionRecord {
    let NewSession { id, secret_hash: _, subject, attributes, created_at, expires_at } = session;
    SessionRecord { id, subject, attributes, created_at, expires_at, revoked_at }
}

engine_tests! {
    async fn a_session_is_good_until_it_expires(database: TestDatabase) {
        let store = database.open().await;
        store.sessions().create(&session(1)).await.unwrap();
        let find = |second| store.sessions().find_by_secret(session(1).secret_hash, at(second));
        for second in [0, 99] {
            assert_eq!(find(second).await.unwrap(), CredentialLookup::Valid(stored(session(1), None)));
        }
        for second in [100, 1000] {
            assert_eq!(find(second).await.unwrap(), CredentialLookup::Expired(at(100)));
        }
        let unknown = store.sessions().find_by_secret(secret(SecretKind::Session, 2).hash(), at(0)).await.unwrap();
        assert_eq!(unknown, CredentialLookup::NotFound);
        assert_eq!(store.sessions().get(session(1).id).await.unwrap(), Some(stored(session(1), None)));
        assert_eq!(store.sessions().get(session(2).id).await.unwrap(), None);
    }

    async fn a_revocation_is_seen_at_once_by_other_processes(database: TestDatabase) {
        let (here, there) = (database.open().await, database.open().await);
        here.sessions().create(&session(1)).await.unwrap();
        let find = || there.sessions().find_by_secret(session(1).secret_hash, at(1));
        assert!(matches!(find().await.unwrap(), CredentialLookup::Valid(_)));
        assert_eq!(here.sessions().revoke(session(1).id, at(1)).await.unwrap(), Revocation::Done);
        assert_eq!(find().await.unwrap(), CredentialLookup::Revoked(at(1)));
        assert_eq!(here.sessions().revoke(session(1).id, at(2)).await.unwrap(), Revocation::AlreadyRevoked);
        assert_eq!(find().await.unwrap(), CredentialLookup::Revoked(at(1)));
        let unknown = here.sessions().revoke(session(2).id, at(1)).await.unwrap_err();
        assert!(matches!(unknown, StoreError::UnknownSession(id) if id == session(2).id));
    }

    async fn a_subject_has_so_many_good_sessions_and_no_more(database: TestDatabase) {
        let store = database.open().await;
        let sessions = store.sessions();
        let of = |number: u32, from: i64, until: i64| NewSession {
            subject: "0xa".to_owned(),
            created_at: at(from),
            expires_at: at(until),
            ..session(number)
        };
        for session in [of(1, 0, 50), of(2, 0, 40)] {
            assert_eq!(sessions.create_within(&session, 2).await.unwrap(), Ok(()));
        }
        assert_eq!(sessions.create_within(&of(3, 10, 90), 2).await.unwrap(), Err(at(40)), "when the first ends");
        assert_eq!(sessions.get(session(3).id).await.unwrap(), None);
        // Another subject has its own; an ended and a revoked one make room.
        assert_eq!(sessions.create_within(&session(4), 1).await.unwrap(), Ok(()));
        assert_eq!(sessions.create_within(&of(5, 40, 90), 2).await.unwrap(), Ok(()));
        assert_eq!(sessions.create_within(&of(6, 41, 90), 2).await.unwrap(), Err(at(50)));
        sessions.revoke(session(1).id, at(42)).await.unwrap();
        assert_eq!(sessions.create_within(&of(6, 42, 90), 2).await.unwrap(), Ok(()));
    }

    async fn a_secret_or_id_stands_once(database: TestDatabase) {
        let store = database.open().await;
        store.sessions().create(&session(1)).await.unwrap();
        for twice in [
            NewSession { id: session(2).id, ..session(1) },
            NewSession { secret_hash: session(2).secret_hash, ..session(1) },
        ] {
            let error = store.sessions().create(&twice).await.unwrap_err();
            assert_eq!(error.fault(), Some(crate::Fault::Taken), "{error}");
        }
    }

    async fn many_look_ups_at_once_each_get_their_own_answer(database: TestDatabase) {
        let store = database.open().await;
        for number in 0..50 {
            store.sessions().create(&session(number)).await.unwrap();
        }
        let asked: Vec<_> = (0..400_u32)
            .map(|number| {
                let store = store.clone();
                tokio::spawn(async move {
                    let hash = secret(SecretKind::Session, number % 100).hash();
                    (number % 100, store.sessions().find_by_secret(hash, at(1)).await.unwrap())
                })
            })
            .collect();
        for answer in asked {
            match answer.await.unwrap() {
                (number @ 0..50, found) => assert_eq!(found, CredentialLookup::Valid(stored(session(number), None))),
                (_, found) => assert_eq!(found, CredentialLookup::NotFound),
            }
        }
    }

    async fn lists_take_all_or_the_good_ones(database: TestDatabase) {
        let store = database.open().await;
        let sessions = store.sessions();
        for number in 0..4 {
            let created_at = at(i64::from(number));
            sessions.create(&NewSession { created_at, expires_at: at(100 + i64::from(number)), ..session(number) }).await.unwrap();
        }
        sessions.revoke(session(3).id, at(5)).await.unwrap();
        let ids = |records: Vec<SessionRecord>| records.into_iter().map(|record| record.id).collect::<Vec<_>>();
        let of = |numbers: &[u32]| numbers.iter().map(|number| session(*number).id).collect::<Vec<_>>();
        assert_eq!(ids(sessions.list(CredentialFilter::All, 10).await.unwrap()), of(&[3, 2, 1, 0]));
        assert_eq!(ids(sessions.list(CredentialFilter::All, 2).await.unwrap()), of(&[3, 2]));
        assert_eq!(ids(sessions.list(CredentialFilter::ActiveAt(at(101)), 10).await.unwrap()), of(&[2]));
    }

    async fn expired_sessions_are_deleted(database: TestDatabase) {
        let store = database.open().await;
        for number in 0..3 {
            store.sessions().create(&NewSession { expires_at: at(i64::from(number)), ..session(number) }).await.unwrap();
        }
        let delete = async |lifetime| store.sessions().delete_expired(at(2), SignedDuration::from_secs(lifetime)).await.unwrap();
        assert_eq!(delete(-1).await, 0);
        assert_eq!(delete(0).await, 1, "one that was made for longer may be good by the right clock");
        assert_eq!(delete(3600).await, 1);
        assert_eq!(delete(3600).await, 0);
        assert_eq!(store.sessions().list(CredentialFilter::All, 10).await.unwrap().len(), 1);
        assert_eq!(store.sessions().find_by_secret(session(0).secret_hash, at(2)).await.unwrap(), CredentialLookup::NotFound);
    }

    async fn a_damaged_row_is_an_error_for_its_own_look_up_alone(database: TestDatabase) {
        let store = database.open().await;
        for number in 1..=2 {
            store.sessions().create(&session(number)).await.unwrap();
        }
        database.tamper("UPDATE sessions SET attributes = '{\"a\":1,\"a\":2}' WHERE subject = '0x1'").await;
        let (first, second) = tokio::join!(
            store.sessions().find_by_secret(session(1).secret_hash, at(1)),
            store.sessions().find_by_secret(session(2).secret_hash, at(1)),
        );
        let error = first.unwrap_err();
        assert!(matches!(&error, StoreError::Row { table: "sessions", column: "attributes", row, .. } if *row == session(1).id.to_string()));
        assert!(matches!(second.unwrap(), CredentialLookup::Valid(_)));
    }

    async fn no_secret_is_stored(database: TestDatabase) {
        let store = database.open().await;
        store.sessions().create(&session(1)).await.unwrap();
        let bytes = database.bytes();
        let contains = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        let secret = secret(SecretKind::Session, 1);
        assert!(contains(&secret.hash().to_hex()), "the session is among these bytes");
        assert!(!contains(secret.expose()) && !contains(&secret.expose()[9..30]));
    }
}
