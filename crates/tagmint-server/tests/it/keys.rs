//! Rotation as relying parties see it, also with two nodes and the database gone.

use std::{collections::HashMap, sync::Arc};

use jiff::SignedDuration;
use serde_json::json;
use tagmint_core::{clock::Clock, signing_key::Algorithm};
use tagmint_server::{flows::keys::KeyContext, key_cache::KeyCache};
use tagmint_testkit::{clock::MockClock, keys::master_key};

use crate::issuer::{Setup, TestIssuer};

const DAY: SignedDuration = SignedDuration::from_hours(24);

#[tokio::test]
async fn a_rotation_by_hand_publishes_first_and_signs_later() {
    let issuer = TestIssuer::start().await;
    let session = issuer.open_session().await;
    let old = issuer.signing_kid(&session).await;
    let hour = SignedDuration::from_secs(3600 + 30);
    issuer.keys().rotate(Some(hour)).await.unwrap();
    issuer.app.tend_keys().await.unwrap();
    let published = issuer.published().await;
    assert_eq!((published.len(), &published[0]), (2, &old), "the signing key comes first");
    let new = published[1].clone();
    let last_of_old = issuer.mint(&session, json!({})).await.json()["token"].as_str().unwrap().to_owned();

    issuer.clock.advance(hour - SignedDuration::from_secs(1));
    let session = issuer.open_session().await;
    assert_eq!(issuer.signing_kid(&session).await, old);
    issuer.clock.advance(SignedDuration::from_secs(1));
    assert_eq!(issuer.signing_kid(&session).await, new);
    assert_eq!(issuer.published().await, [new.clone(), old.clone()]);

    issuer.clock.advance(SignedDuration::from_secs(1229));
    assert_eq!(issuer.published().await.len(), 2, "the old key outlives its last token");
    issuer.clock.advance(SignedDuration::from_secs(1));
    assert_eq!(issuer.published().await, [new]);
    assert!(issuer.verify(&last_of_old).await.is_err());
}

#[tokio::test]
async fn the_schedule_rotates_by_itself() {
    let issuer = TestIssuer::start().await;
    let first = issuer.published().await;
    issuer.clock.advance(DAY * 29);
    issuer.app.tend_keys().await.unwrap();
    let published = issuer.published().await;
    assert_eq!((published.len(), &published[0]), (2, &first[0]));
    issuer.clock.advance(DAY);
    issuer.app.tend_keys().await.unwrap();
    assert_eq!(issuer.published().await[0], published[1]);
}

#[tokio::test]
async fn two_nodes_agree_without_talking_to_each_other() {
    let one = TestIssuer::start().await;
    let two = TestIssuer::start_in(Setup::default(), Arc::clone(&one.dir), one.clock.clone()).await.unwrap();
    assert_eq!(one.published().await, two.published().await);
    let ahead = SignedDuration::from_secs(3630);
    one.keys().rotate(Some(ahead)).await.unwrap();
    one.app.tend_keys().await.unwrap();
    // The second node reads the change when it next needs the keys, at the latest when they are stale.
    one.clock.advance(ahead);
    let session = two.open_session().await;
    assert_eq!(one.signing_kid(&session).await, two.signing_kid(&session).await);
    assert_eq!(one.published().await, two.published().await);
}

#[tokio::test]
async fn two_nodes_that_start_at_once_make_one_key() {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let clock = MockClock::default();
    let start = || TestIssuer::start_in(Setup::default(), Arc::clone(&dir), clock.clone());
    let (one, two) = tokio::join!(start(), start());
    let (one, two) = (one.unwrap().published().await, two.unwrap().published().await);
    assert_eq!((one.len(), &one), (1, &two));
}

#[tokio::test]
async fn after_a_compromise_nothing_is_minted_until_the_successor_may_sign() {
    let issuer = TestIssuer::start().await;
    let session = issuer.open_session().await;
    let token = issuer.mint(&session, json!({})).await.json()["token"].as_str().unwrap().to_owned();
    let kid = issuer.published().await[0].parse().unwrap();
    assert!(issuer.keys().withdraw(&kid, false).await.unwrap_err().to_string().contains("--compromised"));
    issuer.keys().withdraw(&kid, true).await.unwrap();
    issuer.app.tend_keys().await.unwrap();
    assert!(issuer.verify(&token).await.is_err(), "its tokens are refused at once");
    let answer = issuer.mint(&session, json!({})).await;
    answer.problem(503, "no-signing-key");
    assert_eq!(answer.header("retry-after"), "3630");
    issuer.clock.advance(SignedDuration::from_secs(3630));
    let session = issuer.open_session().await;
    assert_ne!(issuer.signing_kid(&session).await, kid.as_str());
}

#[tokio::test]
async fn a_restart_goes_on_with_the_same_keys() {
    let first = TestIssuer::start().await;
    let session = first.open_session().await;
    let kid = first.signing_kid(&session).await;
    let second = TestIssuer::start_in(Setup::default(), Arc::clone(&first.dir), first.clock.clone()).await.unwrap();
    assert_eq!(second.signing_kid(&session).await, kid, "session and key survive");
}

#[tokio::test]
async fn keys_of_both_algorithms_are_published_while_one_follows_the_other() {
    let old = TestIssuer::start().await;
    let session = old.open_session().await;
    let setup = Setup { algorithm: Algorithm::Rs256, ..Setup::default() };
    let new = TestIssuer::start_in(setup, Arc::clone(&old.dir), old.clock.clone()).await.unwrap();
    let algorithms = |document: &serde_json::Value| document["id_token_signing_alg_values_supported"].clone();
    let discovery = new.get("/.well-known/openid-configuration").await.json();
    assert_eq!(algorithms(&discovery), json!(["ES256", "RS256"]));
    let token = |answer: crate::issuer::Answer| answer.json()["token"].as_str().unwrap().to_owned();
    let before = new.verify(&token(new.mint(&session, json!({})).await)).await.unwrap();
    assert_eq!(before.algorithm, Algorithm::Es256);
    new.clock.advance(SignedDuration::from_secs(3630));
    let session = new.open_session().await;
    let after = new.verify(&token(new.mint(&session, json!({})).await)).await.unwrap();
    assert_eq!(after.algorithm, Algorithm::Rs256);
}

/// An admin command that was given another key file.
fn with_another_key_file(issuer: &TestIssuer) -> KeyContext {
    KeyContext { master_key: master_key(2), ..issuer.keys() }
}

#[tokio::test]
async fn another_key_file_changes_no_keys() {
    let issuer = TestIssuer::start().await;
    let session = issuer.open_session().await;
    let kid = issuer.signing_kid(&session).await;
    let admin = with_another_key_file(&issuer);
    for refused in [admin.rotate(None).await, admin.withdraw(&kid.parse().unwrap(), true).await] {
        let text = refused.unwrap_err().to_string();
        assert!(text.contains("the key file is not the one that this database was made with"), "{text}");
    }
    issuer.app.tend_keys().await.unwrap();
    assert_eq!(issuer.published().await, std::slice::from_ref(&kid));
    assert_eq!(issuer.signing_kid(&session).await, kid);
}

#[tokio::test]
async fn a_next_key_that_does_not_open_hinders_nobody_before_its_turn() {
    let issuer = TestIssuer::start().await;
    issuer.clock.advance(SignedDuration::from_secs(1));
    issuer.keys().rotate(Some(DAY)).await.unwrap();
    let [old, next] = issuer.keys().load(&HashMap::new()).await.unwrap().keys.try_into().unwrap();
    let known = HashMap::from([(old.state.kid.clone(), old.signer.unwrap())]);
    let (old, next) = (old.state.kid, next.state.kid);
    let clock = MockClock::new(issuer.clock.now());
    let cache = KeyCache::new(with_another_key_file(&issuer).load(&known).await.unwrap(), clock.now());
    let view = cache.current(&clock);
    assert_eq!(view.signing.as_ref().map(|signer| signer.kid()), Some(&old));
    let jwks = String::from_utf8(view.jwks.to_vec()).unwrap();
    assert!(jwks.contains(old.as_str()) && jwks.contains(next.as_str()), "{jwks}");
    clock.advance(DAY);
    let view = cache.current(&clock);
    assert!(view.signing.is_none());
    assert_eq!(view.unopened, Some(next));
}

#[tokio::test]
async fn an_active_key_that_does_not_open_is_published_and_nothing_is_minted() {
    let before = TestIssuer::start().await;
    let session = before.open_session().await;
    let token = before.mint(&session, json!({})).await.json()["token"].as_str().unwrap().to_owned();
    let setup = Setup { key_file: 2, ..Setup::default() };
    let issuer = TestIssuer::start_in(setup, Arc::clone(&before.dir), before.clock.clone()).await.unwrap();
    assert_eq!(issuer.published().await, before.published().await);
    issuer.verify(&token).await.unwrap();
    issuer.mint(&session, json!({})).await.problem(503, "no-signing-key");
    let ready = issuer.get("/readyz").await;
    assert_eq!(ready.status, 503);
    let checks = ready.json();
    assert!(checks.to_string().contains("signing_key"), "{checks}");
}
