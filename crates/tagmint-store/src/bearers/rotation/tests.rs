//! Two secrets of one name, for as long as was said.

use serde_json::json;
use tagmint_core::rules::{RuleName, TagScope};

use super::*;
use crate::{
    CredentialFilter, CredentialLookup, Revocation, Store,
    test_support::{TestDatabase, at, bearer, engine_tests},
};

/// A rotation of `ci` to the secret with this number, at this second, with 10 s of overlap.
fn rotation(number: u32, second: i64) -> Rotation {
    let next = bearer(number, "ci");
    Rotation {
        name: "ci".to_owned(),
        id: next.id,
        secret_hash: next.secret_hash,
        now: at(second),
        old_until: at(second + 10),
        life: RotatedLife::AsBefore,
        force: false,
    }
}

/// The numbers of the secrets that work at this second.
async fn good(store: &Store, second: i64) -> Vec<u32> {
    let mut good = Vec::new();
    for number in 1..=4 {
        let found = store.bearers().find_by_secret(bearer(number, "").secret_hash, at(second)).await.unwrap();
        if matches!(found, CredentialLookup::Valid(_)) {
            good.push(number);
        }
    }
    good
}

engine_tests! {
    async fn both_secrets_work_until_the_overlap_ends(database: TestDatabase) {
        let store = database.open().await;
        let scope = TagScope::new([("prefix", "ci/a")]).unwrap();
        let attributes = json!({"team": "a"}).as_object().unwrap().clone();
        let old = NewBearer { rule: Some(RuleName::parse("ci").unwrap()), scope, attributes, ..bearer(1, "ci") };
        store.bearers().create(&old).await.unwrap();
        let rotated = store.bearers().rotate(&rotation(2, 50)).await.unwrap();
        let next = bearer(2, "ci");
        // The new one lives as long as the old one was made for.
        let expected =
            NewBearer { id: next.id, secret_hash: next.secret_hash, created_at: at(50), expires_at: Some(at(150)), ..old.clone() };
        assert_eq!((&rotated.new, rotated.ended.len()), (&expected, 0));
        assert_eq!((rotated.old.id, rotated.old.expires_at, rotated.old.replaced_by), (old.id, Some(at(60)), Some(next.id)));
        assert_eq!(store.bearers().get(old.id).await.unwrap().unwrap(), rotated.old);
        let stored = store.bearers().get_by_name("ci").await.unwrap().unwrap();
        assert_eq!((stored.id, &stored.rule, &stored.scope, &stored.attributes), (next.id, &old.rule, &old.scope, &old.attributes));
        for (second, expected) in [(50, &[1, 2][..]), (59, &[1, 2]), (60, &[2]), (149, &[2]), (150, &[])] {
            assert_eq!(good(&store, second).await, expected, "{second}");
        }
        let names = store.bearers().list_name("ci", CredentialFilter::ActiveAt(at(55))).await.unwrap();
        assert_eq!(names.iter().map(|bearer| bearer.id).collect::<Vec<_>>(), [next.id, old.id]);
        let taken = store.bearers().create(&bearer(3, "ci")).await.unwrap_err();
        assert!(matches!(taken, StoreError::BearerNameTaken(_)), "{taken}");
    }

    async fn an_end_is_brought_forward_and_never_put_off(database: TestDatabase) {
        let store = database.open().await;
        store.bearers().create(&bearer(1, "ci")).await.unwrap();
        let late = Rotation { old_until: at(1_000), life: RotatedLife::Until(at(500)), ..rotation(2, 50) };
        let rotated = store.bearers().rotate(&late).await.unwrap();
        assert_eq!((rotated.old.expires_at, rotated.new.expires_at), (Some(at(100)), Some(at(500))));
        // Without an end it gets one; at once, if so wished.
        store.bearers().create(&NewBearer { expires_at: None, ..bearer(3, "other") }).await.unwrap();
        let at_once = Rotation { name: "other".to_owned(), old_until: at(50), ..rotation(4, 50) };
        let rotated = store.bearers().rotate(&at_once).await.unwrap();
        assert_eq!((rotated.old.expires_at, rotated.new.expires_at), (Some(at(50)), None));
        assert_eq!(good(&store, 50).await, [1, 2, 4]);
    }

    async fn a_name_has_two_secrets_at_most(database: TestDatabase) {
        let store = database.open().await;
        let bearers = store.bearers();
        bearers.create(&bearer(1, "ci")).await.unwrap();
        bearers.rotate(&rotation(2, 10)).await.unwrap();
        let refused = bearers.rotate(&rotation(3, 15)).await.unwrap_err();
        assert!(
            matches!(&refused, RotateError::Overlap { older, until, .. } if *older == bearer(1, "").id && *until == Some(at(20))),
            "{refused}"
        );
        assert_eq!(good(&store, 15).await, [1, 2], "a refusal changes nothing");
        let forced = bearers.rotate(&Rotation { force: true, ..rotation(3, 15) }).await.unwrap();
        assert_eq!(forced.ended, [bearer(1, "").id]);
        assert_eq!(good(&store, 15).await, [2, 3]);
        // When the overlap is over no force is needed.
        bearers.rotate(&rotation(4, 25)).await.unwrap();
        assert_eq!(good(&store, 26).await, [3, 4]);
    }

    async fn a_new_secret_that_got_lost_is_replaced(database: TestDatabase) {
        let store = database.open().await;
        let bearers = store.bearers();
        bearers.create(&bearer(1, "ci")).await.unwrap();
        bearers.rotate(&rotation(2, 10)).await.unwrap();
        assert_eq!(bearers.revoke(bearer(2, "").id, at(11)).await.unwrap(), Revocation::Done);
        assert_eq!(bearers.get_by_name("ci").await.unwrap().unwrap().id, bearer(1, "").id);
        let again = bearers.rotate(&rotation(3, 12)).await.unwrap();
        assert_eq!((again.old.id, again.old.expires_at), (bearer(1, "").id, Some(at(20))));
        assert_eq!(good(&store, 19).await, [1, 3]);
    }

    async fn what_cannot_be_rotated_is_left_alone(database: TestDatabase) {
        let store = database.open().await;
        let bearers = store.bearers();
        assert!(matches!(bearers.rotate(&rotation(2, 10)).await, Err(RotateError::Unknown(name)) if name == "ci"));
        bearers.create(&bearer(1, "ci")).await.unwrap();
        let ended = Rotation { life: RotatedLife::Until(at(10)), ..rotation(2, 10) };
        assert!(matches!(bearers.rotate(&ended).await, Err(RotateError::Ended)));
        let same_secret = Rotation { secret_hash: bearer(1, "").secret_hash, ..rotation(2, 10) };
        assert!(matches!(bearers.rotate(&same_secret).await, Err(RotateError::Store(_))));
        let untouched = bearers.get(bearer(1, "").id).await.unwrap().unwrap();
        assert_eq!((untouched.expires_at, untouched.replaced_by), (Some(at(100)), None));
        bearers.revoke(bearer(1, "").id, at(11)).await.unwrap();
        assert!(matches!(bearers.rotate(&rotation(2, 12)).await, Err(RotateError::Revoked(_))));
        assert_eq!(good(&store, 12).await, [0; 0]);
    }

    async fn what_a_rotation_left_does_not_come_to_life_again(database: TestDatabase) {
        let store = database.open().await;
        let bearers = store.bearers();
        bearers.create(&bearer(1, "ci")).await.unwrap();
        bearers.rotate(&rotation(2, 10)).await.unwrap();
        bearers.revoke(bearer(2, "").id, at(15)).await.unwrap();
        assert!(matches!(bearers.rotate(&rotation(3, 20)).await, Err(RotateError::Revoked(_))));
        assert_eq!(good(&store, 20).await, [0; 0]);
        let all = bearers.list_name("ci", CredentialFilter::All).await.unwrap();
        assert_eq!(all.iter().map(|found| found.id).collect::<Vec<_>>(), [bearer(2, "").id, bearer(1, "").id]);
    }

    async fn rotations_at_once_make_one_new_secret(database: TestDatabase) {
        let (here, there) = (database.open().await, database.open().await);
        here.bearers().create(&bearer(1, "ci")).await.unwrap();
        let (first, second) = (rotation(2, 10), rotation(3, 10));
        let (first, second) = tokio::join!(here.bearers().rotate(&first), there.bearers().rotate(&second));
        assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
        assert_eq!(good(&here, 10).await.len(), 2);
    }
}
