//! Introspection (RFC 7662) and revocation (RFC 7009).

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Method, Request},
};
use base64::Engine;
use jiff::SignedDuration;
use serde_json::{Map, Value, json};
use tagmint_core::{
    environment::Environment,
    issued_secret::{IssuedSecret, SecretKind},
    random::SystemRandom,
    rules::TagScope,
};
use tagmint_server::settings::{Limits, Rate};
use tagmint_testkit::clock::MockClock;

use crate::issuer::{AUDIENCE, Answer, Setup, TestIssuer, WALLET};

/// Posts a form, with whatever stands in the Authorization header.
async fn post(issuer: &TestIssuer, path: &str, authorization: Option<&str>, form: &[(&str, &str)]) -> Answer {
    let body = form.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
    let mut request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    issuer.send(request.body(Body::from(body)).unwrap()).await
}

/// What `caller` is told about `token`.
async fn ask(issuer: &TestIssuer, caller: &str, token: &str) -> Value {
    let answer = post(issuer, "/oauth2/introspect", Some(&format!("Bearer {caller}")), &[("token", token)]).await;
    assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (200, "no-store"), "{}", answer.json());
    answer.json()
}

async fn revoke(issuer: &TestIssuer, token: &str) -> Answer {
    post(issuer, "/oauth2/revoke", None, &[("token", token)]).await
}

/// Makes a bearer that may ask about others' credentials.
async fn auditor(issuer: &TestIssuer) -> String {
    let attributes = json!({"introspect": "true"}).as_object().unwrap().clone();
    issuer.make_bearer_with(|bearer| bearer.attributes = attributes).await.1
}

fn inactive() -> Value {
    json!({"active": false})
}

#[tokio::test]
async fn everybody_may_ask_about_their_own_credential() {
    let issuer = TestIssuer::start().await;
    let session = issuer.open_session().await;
    let told = ask(&issuer, &session, &session).await;
    assert_eq!((&told["active"], &told["credential"], &told["sub"]), (&json!(true), &json!("session"), &json!(WALLET)));
    assert_eq!((&told["iat"], &told["exp"]), (&json!(1_790_000_000), &json!(1_790_003_600)));
    assert!(told["jti"].as_str().unwrap().starts_with("ses_"), "{told}");

    let scope = TagScope::new([("prefix", "ci/team-a")]).unwrap();
    let (id, bearer) = issuer.make_bearer_with(|bearer| bearer.scope = scope).await;
    assert_eq!(
        ask(&issuer, &bearer, &bearer).await,
        json!({
            "active": true, "token_type": "Bearer", "credential": "bearer", "iss": "https://broker.example",
            "sub": format!("nightly-{id}"), "jti": id, "iat": 1_790_000_000, "exp": 1_790_000_000 + 90 * 86_400,
            "tag_scope": {"prefix": "ci/team-a"},
        })
    );
}

#[tokio::test]
async fn about_others_credentials_only_who_was_allowed_to_learns_anything() {
    let issuer = TestIssuer::start().await;
    let session = issuer.open_session().await;
    let (_, bearer) = issuer.make_bearer(None).await;
    let allowed = auditor(&issuer).await;
    for (caller, about) in [(&session, &bearer), (&bearer, &session), (&bearer, &allowed), (&session, &allowed)] {
        assert_eq!(ask(&issuer, caller, about).await, inactive());
    }
    assert_eq!(ask(&issuer, &allowed, &session).await["sub"], WALLET);
    assert_eq!(ask(&issuer, &allowed, &bearer).await["credential"], "bearer");
    // A session's backend may say what it likes.
    let says = tagmint_server::backend::BackendSession {
        subject: WALLET.to_owned(),
        expires_in: 3600,
        attributes: Map::from_iter([("introspect".to_owned(), json!("true"))]),
    };
    issuer.backend.say(Ok(says));
    let pretender = issuer.open_session().await;
    assert_eq!(ask(&issuer, &pretender, &bearer).await, inactive());

    // Who asks has not used it.
    issuer.store.bearers().flush_last_uses().await.unwrap();
    let listed = issuer.store.bearers().list(tagmint_store::CredentialFilter::All, 10).await.unwrap();
    let used = listed.iter().filter(|bearer| bearer.last_used_at.is_some()).count();
    assert_eq!(used, 2, "the two that asked: {listed:?}");
}

#[tokio::test]
async fn what_is_not_good_is_inactive_and_nothing_more() {
    let issuer = TestIssuer::start().await;
    let allowed = auditor(&issuer).await;
    let session = issuer.open_session().await;
    let ended = issuer.open_session().await;
    assert_eq!(revoke(&issuer, &ended).await.status, 200);
    let unissued = IssuedSecret::generate(SecretKind::Bearer, Environment::Test, &SystemRandom).unwrap();
    let prods = IssuedSecret::generate(SecretKind::Session, Environment::Prod, &SystemRandom).unwrap();
    issuer.clock.advance(SignedDuration::from_secs(3_600));
    for token in [&session, &ended, unissued.expose(), prods.expose(), "", "x", "a.b.c", "tmb_test_x", "%00"] {
        assert_eq!(ask(&issuer, &allowed, token).await, inactive(), "{token}");
    }
}

#[tokio::test]
async fn a_minted_token_is_active_until_it_expires() {
    let issuer = TestIssuer::start().await;
    let session = issuer.open_session().await;
    let (_, bearer) = issuer.make_bearer(None).await;
    let minted = issuer.mint(&session, json!({"audience": "second.example"})).await.json();
    let token = minted["token"].as_str().unwrap();
    let told = ask(&issuer, &bearer, token).await;
    assert_eq!(
        told,
        json!({
            "active": true, "token_type": "Bearer", "credential": "token", "iss": "https://broker.example",
            "sub": minted["subject"], "aud": "second.example", "jti": minted["mint_id"],
            "iat": 1_790_000_000, "exp": 1_790_000_300,
        })
    );
    let (body, signature) = token.rsplit_once('.').unwrap();
    let other = issuer.mint(&session, json!({})).await.json()["token"].as_str().unwrap().to_owned();
    let other_signature = other.rsplit_once('.').unwrap().1;
    for forged in [format!("{body}.{other_signature}"), format!("{body}."), format!("x{token}"), signature.to_owned()] {
        assert_eq!(ask(&issuer, &bearer, &forged).await, inactive());
    }
    let stranger = TestIssuer::start().await;
    let (_, his) = stranger.make_bearer(None).await;
    assert_eq!(ask(&stranger, &his, token).await, inactive(), "the same name, other keys");
    issuer.clock.advance(SignedDuration::from_secs(299));
    assert_eq!(ask(&issuer, &bearer, token).await["active"], true);
    issuer.clock.advance(SignedDuration::from_secs(1));
    assert_eq!(ask(&issuer, &bearer, token).await, inactive());
    issuer.clock.advance(SignedDuration::from_secs(-303));
    assert_eq!(ask(&issuer, &bearer, token).await["active"], true, "by a clock a little behind");
    issuer.clock.advance(SignedDuration::from_secs(-30));
    assert_eq!(ask(&issuer, &bearer, token).await, inactive());
}

#[tokio::test]
async fn a_client_authenticates_as_it_likes() {
    let issuer = TestIssuer::start().await;
    let session = issuer.open_session().await;
    let basic = |pair: String| format!("Basic {}", base64::prelude::BASE64_STANDARD.encode(pair));
    // Some clients encode even the underscores.
    let encoded = session.replace('_', "%5F");
    for header in [format!("Bearer {session}"), basic(format!("id:{session}")), basic(format!("id:{encoded}"))] {
        let answer = post(&issuer, "/oauth2/introspect", Some(&header), &[("token", &session)]).await;
        assert_eq!(answer.json()["active"], true, "{header}");
    }
    let form = [("token", session.as_str()), ("client_secret", &session), ("token_type_hint", "x"), ("more", "x")];
    assert_eq!(post(&issuer, "/oauth2/introspect", None, &form).await.json()["active"], true);

    let header = format!("Bearer {session}");
    let twice: &[(&str, &str)] = &[("token", "x"), ("client_secret", "x")];
    for (authorization, form, status, error) in [
        (None, &[("token", session.as_str())][..], 401, "invalid_client"),
        (Some("Bearer tms_test_x"), &[("token", &session)], 401, "invalid_client"),
        (Some(&basic("id:".to_owned())), &[("token", &session)], 401, "invalid_client"),
        (Some("Digest x"), &[("token", &session)], 400, "invalid_request"),
        (Some(&header), twice, 400, "invalid_request"),
        (Some(&header), &[], 400, "invalid_request"),
        (Some(&header), &[("token", "x"), ("token", "x")], 400, "invalid_request"),
    ] {
        let answer = post(&issuer, "/oauth2/introspect", authorization, form).await;
        let body = answer.json();
        assert_eq!((answer.status.as_u16(), body["error"].as_str()), (status, Some(error)), "{form:?}: {body}");
        assert_eq!(body.get("active"), None);
    }
    let large = vec![b'x'; 65_537];
    let request = Request::post("/oauth2/revoke").body(Body::from(large)).unwrap();
    assert_eq!(issuer.send(request).await.status, 413);
}

#[tokio::test]
async fn who_shows_a_credential_ends_it_for_all_processes() {
    let clock = MockClock::default();
    let here =
        TestIssuer::start_in(Setup::default(), Arc::new(tempfile::tempdir().unwrap()), clock.clone()).await.unwrap();
    let there = TestIssuer::start_in(Setup::default(), here.dir.clone(), clock).await.unwrap();
    let session = here.open_session().await;
    let (id, bearer) = here.make_bearer(None).await;
    for secret in [&session, &bearer] {
        let good = there.call(Method::GET, "/v1/id-token", secret, "").await;
        assert_ne!(good.status, 401, "known there");
        // As `--data-urlencode token@FILE` sends a file that ends in a line break.
        let answer = revoke(&here, &format!("{secret}\r\n")).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["revoked"]), (200, &json!(true)));
        assert!(!answer.json().to_string().contains(secret.as_str()));
        there.mint(secret, json!({})).await.problem(401, "credential-invalid");
        here.mint(secret, json!({})).await.problem(401, "credential-invalid");
        let again = revoke(&there, secret).await.json();
        assert!(again["revoked"] == true && again["detail"].as_str().unwrap().contains("before"), "{again}");
    }
    let record = here.store.bearers().get(id).await.unwrap().unwrap();
    assert_eq!(record.revoked_at, Some(tagmint_core::clock::Clock::now(&here.clock)));
    assert_eq!(record.last_used_at, None);
}

#[tokio::test]
async fn there_may_be_nothing_to_end() {
    let issuer = TestIssuer::start().await;
    let unissued = IssuedSecret::generate(SecretKind::Bearer, Environment::Test, &SystemRandom).unwrap();
    let prods = IssuedSecret::generate(SecretKind::Bearer, Environment::Prod, &SystemRandom).unwrap();
    for (token, says) in [
        (unissued.expose(), "not known"),
        (prods.expose(), "environment `prod`; this issuer is `test`"),
        ("", "begin with `tms_`"),
        ("tmb_test_x", "malformed"),
    ] {
        let answer = revoke(&issuer, token).await;
        let body = answer.json();
        assert_eq!((answer.status.as_u16(), &body["revoked"]), (200, &json!(false)), "{token}");
        assert!(body["detail"].as_str().unwrap().contains(says), "{body}");
    }
    let session = issuer.open_session().await;
    let minted = issuer.mint(&session, json!({})).await.json()["token"].as_str().unwrap().to_owned();
    let answer = revoke(&issuer, &minted).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["error"]), (400, &json!("unsupported_token_type")));
    let missing = post(&issuer, "/oauth2/revoke", None, &[("client_id", "x")]).await;
    assert_eq!((missing.status.as_u16(), &missing.json()["error"]), (400, &json!("invalid_request")));
}

#[tokio::test]
async fn a_client_that_names_itself_must_be_that() {
    let issuer = TestIssuer::start().await;
    let (session, other) = (issuer.open_session().await, issuer.open_session().await);
    let (_, client) = issuer.make_bearer(None).await;
    let by = async |client: &str, token: &str| {
        post(&issuer, "/oauth2/revoke", Some(&format!("Bearer {client}")), &[("token", token)]).await
    };
    assert_eq!(by("tmb_test_x", &session).await.json()["error"], "invalid_client");
    assert_eq!(issuer.mint(&session, json!({})).await.status, 200, "still good");
    assert_eq!(by(&client, &session).await.status, 200);
    assert_eq!(issuer.mint(&session, json!({})).await.status, 401);
    // Who asks again, because the first answer got lost, hears the same.
    for _ in 0..2 {
        assert_eq!(by(&other, &other).await.json()["revoked"], true);
    }
    assert_eq!(issuer.mint(&other, json!({"audience": AUDIENCE})).await.status, 401);
}

#[tokio::test]
async fn guesses_cost_their_address() {
    let free = Rate { per_second: 0, burst: 0 };
    let limits = Limits {
        per_credential: free,
        per_address: free,
        failed_per_address: Rate { per_second: 1, burst: 4 },
        ..Limits::default()
    };
    let issuer = TestIssuer::start_with(Setup { limits, ..Setup::default() }).await;
    let session = issuer.open_session().await;
    let unissued = IssuedSecret::generate(SecretKind::Bearer, Environment::Test, &SystemRandom).unwrap();
    for token in ["x", unissued.expose()] {
        assert_eq!(revoke(&issuer, token).await.status, 200);
        let asked = post(&issuer, "/oauth2/introspect", Some("Bearer tmb_test_x"), &[("token", token)]).await;
        assert_eq!(asked.status, 401);
    }
    let refused = revoke(&issuer, "x").await;
    assert_eq!((refused.status.as_u16(), &refused.json()["error"]), (429, &json!("temporarily_unavailable")));
    assert!(!refused.header("retry-after").is_empty());
    let asked = post(&issuer, "/oauth2/introspect", Some("Bearer tmb_test_x"), &[("token", "x")]).await;
    assert_eq!(asked.status, 429);
    assert_eq!(ask(&issuer, &session, &session).await["active"], true, "who proves something goes on");
    assert_eq!(revoke(&issuer, &session).await.json()["revoked"], true);
}

#[tokio::test]
async fn a_bearer_gets_nothing_outside_its_scope() {
    let issuer = TestIssuer::start().await;
    let scope = |prefix: &str| TagScope::new([("run", prefix)]).unwrap();
    let (_, inside) = issuer.make_bearer_with(|bearer| bearer.scope = scope("run-7")).await;
    assert_eq!(issuer.mint(&inside, json!({"tags": {"run": "run-7"}})).await.status, 200);
    let problem = issuer.mint(&inside, json!({"tags": {"run": "run-77"}})).await.problem(403, "not-allowed");
    assert_eq!(problem["rule"], "ci");
    assert!(problem["detail"].as_str().unwrap().contains("`run` is \"run-7\" or lies below it"), "{problem}");
    let absent = TagScope::new([("prefix", "a")]).unwrap();
    let (_, without) = issuer.make_bearer_with(|bearer| bearer.scope = absent).await;
    issuer.mint(&without, json!({"tags": {"run": "run-7"}})).await.problem(403, "not-allowed");
    let rows = issuer.store.ledger().page(&tagmint_store::LedgerQuery::default(), 10).await.unwrap();
    assert_eq!(rows.iter().filter(|row| row.body.contains("\"out_of_scope\"")).count(), 2);
}
