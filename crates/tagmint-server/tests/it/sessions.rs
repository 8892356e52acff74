//! Sessions and credentials: opened, described, ended, refused.

use axum::{
    body::Body,
    http::{Method, Request},
};
use jiff::SignedDuration;
use serde_json::{Map, json};
use tagmint_core::{
    environment::Environment,
    issued_secret::{IssuedSecret, SecretKind},
    random::SystemRandom,
};
use tagmint_server::backend::{BackendError, BackendSession};

use crate::issuer::{AUTH_TOKEN, Answer, Setup, TestIssuer, WALLET};

async fn open(issuer: &TestIssuer, body: &str) -> Answer {
    issuer.send(Request::post("/v1/sessions").body(Body::from(body.to_owned())).unwrap()).await
}

#[tokio::test]
async fn a_session_lives_from_opening_to_ending() {
    let issuer = TestIssuer::start().await;
    issuer.clock.advance(SignedDuration::from_nanos(917_166_249));
    let opened = open(&issuer, &json!({"auth_token": AUTH_TOKEN}).to_string()).await;
    assert_eq!((opened.status.as_u16(), opened.header("cache-control")), (201, "no-store"));
    let body = opened.json();
    assert_eq!((body["subject"].as_str(), body["expires_at"].as_str()), (Some(WALLET), Some("2026-09-21T15:13:20Z")));
    let session = body["session"].as_str().unwrap();
    assert!(session.starts_with("tms_test_"));

    let current = issuer.call(Method::GET, "/v1/sessions/current", session, "").await;
    assert_eq!(current.json()["subject"], WALLET);
    assert_eq!(current.json()["expires_at"], body["expires_at"]);
    assert!(!String::from_utf8(current.body).unwrap().contains(session), "the secret is shown once");

    assert_eq!(issuer.call(Method::DELETE, "/v1/sessions/current", session, "").await.status, 204);
    let problem = issuer.mint(session, json!({})).await.problem(401, "credential-invalid");
    assert!(problem["detail"].as_str().unwrap().contains("revoked"), "{problem}");
    issuer.call(Method::DELETE, "/v1/sessions/current", session, "").await.problem(401, "credential-invalid");
}

#[tokio::test]
async fn a_session_ends_with_its_time_also_when_the_clock_was_moved() {
    let issuer = TestIssuer::start().await;
    let session = issuer.open_session().await;
    issuer.clock.advance(SignedDuration::from_secs(3599));
    assert_eq!(issuer.mint(&session, json!({})).await.status, 200);
    issuer.clock.advance(SignedDuration::from_secs(1));
    let answer = issuer.mint(&session, json!({})).await;
    let problem = answer.problem(401, "credential-invalid");
    assert!(problem["detail"].as_str().unwrap().contains("expired at 2026-09-21T15:13:20Z"), "{problem}");
    assert!(answer.header("www-authenticate").contains("invalid_token"));
}

#[tokio::test]
async fn the_backends_shorter_life_wins() {
    let issuer = TestIssuer::start().await;
    issuer.backend.say(Ok(BackendSession { subject: WALLET.into(), expires_in: 60, attributes: Map::new() }));
    let body = open(&issuer, &json!({"auth_token": AUTH_TOKEN}).to_string()).await.json();
    assert_eq!(body["expires_at"], "2026-09-21T14:14:20Z");
    issuer.backend.say(Ok(BackendSession { subject: WALLET.into(), expires_in: u64::MAX, attributes: Map::new() }));
    let body = open(&issuer, &json!({"auth_token": AUTH_TOKEN}).to_string()).await.json();
    assert_eq!(body["expires_at"], "2026-09-21T15:13:20Z");
}

#[tokio::test]
async fn a_refusal_and_an_outage_are_told_apart() {
    let issuer = TestIssuer::start().await;
    open(&issuer, r#"{"auth_token": "wrong"}"#).await.problem(401, "auth-token-refused");
    issuer.backend.say(Err(BackendError::Outage("it answered 500 for 10.1.2.3".into())));
    let answer = open(&issuer, &json!({"auth_token": AUTH_TOKEN}).to_string()).await;
    let problem = answer.problem(503, "backend-unavailable");
    assert!(!problem.to_string().contains("10.1.2.3"), "what the backend said is for the log");
    assert!(!answer.header("retry-after").is_empty());
    let large = Map::from_iter([("x".to_owned(), "y".repeat(20_000).into())]);
    issuer.backend.say(Ok(BackendSession { subject: WALLET.into(), expires_in: 60, attributes: large }));
    open(&issuer, &json!({"auth_token": AUTH_TOKEN}).to_string()).await.problem(503, "backend-unavailable");
}

#[tokio::test]
async fn malformed_questions_get_a_400_that_does_not_repeat_the_secret() {
    let issuer = TestIssuer::start().await;
    for body in [
        "",
        "{}",
        r#"{"auth_token": 1}"#,
        r#"["federation-proof"]"#,
        r#"{"auth_token": "planted", "x": 1}"#,
        r#"{"auth_token":"planted","auth_token":"b"}"#,
    ] {
        let problem = open(&issuer, body).await.problem(400, "malformed-body");
        assert!(!problem.to_string().contains("planted"), "{problem}");
    }
}

#[tokio::test]
async fn an_issuer_without_backend_says_so() {
    let issuer = TestIssuer::start_with(Setup { backend: false, ..Setup::default() }).await;
    open(&issuer, &json!({"auth_token": AUTH_TOKEN}).to_string()).await.problem(404, "no-session-backend");
}

#[tokio::test]
async fn credentials_that_prove_nothing_are_refused() {
    let issuer = TestIssuer::start().await;
    let none = issuer.send(Request::post("/v1/tokens").body(Body::empty()).unwrap()).await;
    none.problem(401, "credential-missing");
    assert_eq!(none.header("www-authenticate"), "Bearer");

    let foreign = IssuedSecret::generate(SecretKind::Session, Environment::Prod, &SystemRandom).unwrap();
    let unknown = IssuedSecret::generate(SecretKind::Bearer, Environment::Test, &SystemRandom).unwrap();
    for (credential, says) in [
        (foreign.expose(), "environment `prod`"),
        (unknown.expose(), "not known"),
        ("tms_test_short", "malformed"),
        ("ghp_0123456789", "ot a Tagmint credential"),
        ("' OR 1=1 --", "ot a Tagmint credential"),
    ] {
        let problem = issuer.mint(credential, json!({})).await.problem(401, "credential-invalid");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
        assert!(!problem.to_string().contains(credential));
    }
}

#[tokio::test]
async fn a_bearer_works_until_it_is_revoked_or_expires() {
    let issuer = TestIssuer::start().await;
    let request = json!({"tags": {"run": "run-1"}});
    let (id, bearer) = issuer.make_bearer(None).await;
    assert_eq!(issuer.mint(&bearer, request.clone()).await.status, 200);
    issuer.call(Method::GET, "/v1/sessions/current", &bearer, "").await.problem(403, "session-required");
    issuer.store.bearers().revoke(id, tagmint_core::clock::Clock::now(&issuer.clock)).await.unwrap();
    issuer.mint(&bearer, request.clone()).await.problem(401, "credential-invalid");
    let (_, other) = issuer.make_bearer(None).await;
    issuer.clock.advance(SignedDuration::from_hours(24 * 90));
    issuer.mint(&other, request).await.problem(401, "credential-invalid");
}

#[tokio::test]
async fn a_prod_issuer_does_not_start_against_the_mock() {
    let dir = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let setup = Setup { environment: Environment::Prod, ..Setup::default() };
    let refused = TestIssuer::start_in(setup, dir, tagmint_testkit::clock::MockClock::default()).await;
    let message = refused.err().unwrap().to_string();
    assert!(message.contains("mock-backend"), "{message}");
}
