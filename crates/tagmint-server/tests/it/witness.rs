//! Fetches of the key set are recorded, and a new key waits for STS's where that is wanted.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Method, Request},
};
use jiff::SignedDuration;
use tagmint_core::{
    clock::Clock,
    witness::{Document, FetchClass, Recognition},
};
use tagmint_server::settings::WitnessSettings;
use tagmint_store::{FetchQuery, FetchSum, KeyFetches};

use crate::issuer::{Answer, Setup, TestIssuer};

const JWKS: &str = "/.well-known/jwks.json";
const DISCOVERY: &str = "/.well-known/openid-configuration";
const STS: &str = "ExampleFetcher/1.0";
const PROXY: &str = "127.0.0.1";
const AHEAD: SignedDuration = SignedDuration::from_secs(3630);
const DEADLINE: SignedDuration = SignedDuration::from_hours(72);
const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// An issuer behind a proxy, whose keys wait for a fetch by [`STS`] from 203.0.113.0/24.
fn setup() -> Setup {
    let recognition = Recognition {
        user_agents: vec!["ExampleFetcher/".to_owned()],
        networks: Some("203.0.113.0/24".parse().unwrap()),
    };
    Setup {
        trusted_proxies: PROXY.parse().unwrap(),
        witness: WitnessSettings { recognition, ..WitnessSettings::default() },
        witness_deadline: Some(DEADLINE),
        ..Setup::default()
    }
}

async fn fetch(issuer: &TestIssuer, path: &str, from: &str, agent: &str) -> Answer {
    let request = Request::get(path).header("x-forwarded-for", from).header("user-agent", agent);
    issuer.send(request.body(Body::empty()).unwrap()).await
}

/// Fetches the key set as STS.
async fn sts_fetches(issuer: &TestIssuer) {
    fetch(issuer, JWKS, "203.0.113.7", STS).await;
}

/// What the issuer's tasks do every few seconds.
async fn tend(issuer: &TestIssuer) {
    issuer.app.write_fetches().await.unwrap();
    issuer.app.tend_keys().await.unwrap();
}

async fn sums(issuer: &TestIssuer) -> Vec<FetchSum> {
    issuer.app.write_fetches().await.unwrap();
    issuer.store.witness().list(FetchQuery { class: None, limit: 100 }).await.unwrap()
}

async fn by_sts(issuer: &TestIssuer) -> Vec<KeyFetches> {
    issuer.app.write_fetches().await.unwrap();
    let all = issuer.store.witness().keys().await.unwrap();
    all.into_iter().filter(|row| row.class == FetchClass::Sts).collect()
}

/// A rotation that has begun: the old and the new `kid`.
async fn rotation(issuer: &TestIssuer) -> [String; 2] {
    issuer.clock.advance(SECOND);
    issuer.keys().rotate(Some(AHEAD)).await.unwrap();
    issuer.app.tend_keys().await.unwrap();
    issuer.published().await.try_into().unwrap()
}

async fn signing(issuer: &TestIssuer) -> String {
    issuer.signing_kid(&issuer.open_session().await).await
}

#[tokio::test]
async fn fetches_are_summed_up_by_who_asked_and_what_they_got() {
    let issuer = TestIssuer::start_with(setup()).await;
    sts_fetches(&issuer).await;
    let etag = fetch(&issuer, JWKS, "203.0.113.200", STS).await.header("etag").to_owned();
    fetch(&issuer, DISCOVERY, "203.0.113.7", STS).await;
    fetch(&issuer, JWKS, "2001:db8:1:2::3", "curl/8").await;
    let told: Vec<_> = sums(&issuer)
        .await
        .into_iter()
        .map(|sum| (sum.class, sum.network, sum.agent, sum.document, sum.status, sum.fetches))
        .collect();
    let sts =
        |document, fetches| (FetchClass::Sts, "203.0.113.0/24".to_owned(), STS.to_owned(), document, 200, fetches);
    let other = (FetchClass::Other, "2001:db8:1::/48".to_owned(), "curl/8".to_owned(), Document::Jwks, 200, 1);
    assert_eq!(told, [other, sts(Document::Discovery, 1), sts(Document::Jwks, 2)]);
    assert_eq!(by_sts(&issuer).await.iter().map(|row| row.fetches).collect::<Vec<_>>(), [2]);

    let conditional = |method: Method, tag: &str| {
        let request = Request::builder().method(method).uri(JWKS).header("if-none-match", tag);
        request.header("x-forwarded-for", "203.0.113.7").header("user-agent", STS).body(Body::empty()).unwrap()
    };
    for (method, tag, status, shown) in [
        (Method::GET, etag.as_str(), 304, 1),
        (Method::GET, "*", 304, 0),
        (Method::HEAD, "\"other\"", 200, 0),
        (Method::GET, "\"other\"", 200, 1),
    ] {
        let before = by_sts(&issuer).await[0].fetches;
        assert_eq!(issuer.send(conditional(method.clone(), tag)).await.status.as_u16(), status);
        assert_eq!(by_sts(&issuer).await[0].fetches - before, shown, "{method} {tag}");
    }
    let metrics = issuer.send_admin("/metrics").await.body;
    let metrics = String::from_utf8(metrics).unwrap();
    for line in [
        r#"tagmint_document_fetches_total{class="sts",document="jwks"} 6"#,
        r#"tagmint_document_fetches_total{class="sts",document="discovery"} 1"#,
        r#"tagmint_document_fetches_total{class="other",document="jwks"} 1"#,
        "tagmint_document_fetches_dropped_total 0",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}

#[tokio::test]
async fn a_new_key_signs_once_sts_has_fetched_it_and_the_old_one_until_then() {
    let issuer = TestIssuer::start_with(setup()).await;
    // The first key does not wait, and a fetch of it alone is no witness for the next one.
    sts_fetches(&issuer).await;
    let [old, new] = rotation(&issuer).await;
    issuer.clock.advance(AHEAD + SignedDuration::from_hours(5));
    tend(&issuer).await;
    assert_eq!(signing(&issuer).await, old);
    let metrics = String::from_utf8(issuer.send_admin("/metrics").await.body).unwrap();
    assert!(metrics.contains("tagmint_signing_keys_waiting 1"), "{metrics}");
    assert!(metrics.contains("tagmint_sts_fetch_age_seconds 21631"), "{metrics}");

    // Neither the agent from elsewhere nor somebody else from there.
    fetch(&issuer, JWKS, "198.51.100.1", STS).await;
    fetch(&issuer, JWKS, "203.0.113.7", "curl/8").await;
    fetch(&issuer, DISCOVERY, "203.0.113.7", STS).await;
    tend(&issuer).await;
    issuer.clock.advance(SignedDuration::from_secs(60));
    tend(&issuer).await;
    assert_eq!(signing(&issuer).await, old);

    sts_fetches(&issuer).await;
    tend(&issuer).await;
    issuer.clock.advance(SignedDuration::from_secs(29));
    assert_eq!(signing(&issuer).await, old, "other nodes may not know yet");
    issuer.clock.advance(SECOND);
    assert_eq!(signing(&issuer).await, new);
    tend(&issuer).await;
    let metrics = String::from_utf8(issuer.send_admin("/metrics").await.body).unwrap();
    assert!(metrics.contains("tagmint_signing_keys_waiting 0"), "{metrics}");
    assert!(metrics.contains("tagmint_signing_keys_unseen 0"), "{metrics}");
}

#[tokio::test]
async fn a_forged_fetch_hastens_nothing() {
    let issuer = TestIssuer::start_with(setup()).await;
    let [old, new] = rotation(&issuer).await;
    for _ in 0..3 {
        sts_fetches(&issuer).await;
        tend(&issuer).await;
    }
    issuer.clock.advance(AHEAD - SECOND);
    assert_eq!(signing(&issuer).await, old);
    issuer.clock.advance(SECOND);
    assert_eq!(signing(&issuer).await, new);
}

#[tokio::test]
async fn at_the_deadline_the_key_signs_unseen_and_the_figures_say_so() {
    let issuer = TestIssuer::start_with(setup()).await;
    let [old, new] = rotation(&issuer).await;
    issuer.clock.advance(AHEAD + DEADLINE - SECOND);
    tend(&issuer).await;
    assert_eq!(signing(&issuer).await, old);
    issuer.clock.advance(SECOND);
    assert_eq!(signing(&issuer).await, new);
    tend(&issuer).await;
    let metrics = String::from_utf8(issuer.send_admin("/metrics").await.body).unwrap();
    assert!(metrics.contains("tagmint_signing_keys_unseen 1"), "{metrics}");
    sts_fetches(&issuer).await;
    tend(&issuer).await;
    let metrics = String::from_utf8(issuer.send_admin("/metrics").await.body).unwrap();
    assert!(metrics.contains("tagmint_signing_keys_unseen 0"), "{metrics}");
}

#[tokio::test]
async fn a_fetch_from_one_node_is_a_witness_for_all() {
    let one = TestIssuer::start_with(setup()).await;
    let two = TestIssuer::start_in(setup(), Arc::clone(&one.dir), one.clock.clone()).await.unwrap();
    let [_, new] = rotation(&one).await;
    one.clock.advance(AHEAD + SECOND);
    two.app.tend_keys().await.unwrap();
    sts_fetches(&two).await;
    two.app.write_fetches().await.unwrap();
    one.app.tend_keys().await.unwrap();
    // The other node reads the change at the latest when what it has read is older than that.
    one.clock.advance(SignedDuration::from_secs(31));
    assert_eq!(signing(&one).await, new);
    assert_eq!(signing(&two).await, new);
}

#[tokio::test]
async fn with_the_database_gone_the_key_set_is_answered_and_nothing_seen_is_lost() {
    let issuer = TestIssuer::start_with(setup()).await;
    let (database, away) = (issuer.dir.path().join("tagmint.db"), issuer.dir.path().join("away"));
    std::fs::rename(&database, &away).unwrap();
    sts_fetches(&issuer).await;
    assert!(issuer.app.write_fetches().await.is_err());
    assert_eq!(fetch(&issuer, JWKS, "203.0.113.7", STS).await.status.as_u16(), 200);
    std::fs::rename(&away, &database).unwrap();
    assert_eq!(by_sts(&issuer).await[0].fetches, 2);
}

#[tokio::test]
async fn a_wait_that_is_switched_off_ends_at_the_next_start() {
    let before = TestIssuer::start_with(setup()).await;
    let [old, new] = rotation(&before).await;
    before.clock.advance(AHEAD + SignedDuration::from_hours(1));
    assert_eq!(signing(&before).await, old);
    let after = TestIssuer::start_in(Setup::default(), Arc::clone(&before.dir), before.clock.clone()).await.unwrap();
    after.clock.advance(SignedDuration::from_secs(30));
    assert_eq!(signing(&after).await, new);
    assert!(after.keys().list().await.unwrap().iter().all(|key| !key.state.schedule.waits(after.clock.now())));
}
