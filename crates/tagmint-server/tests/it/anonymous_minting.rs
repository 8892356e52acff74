//! Tokens without proof: at one route of a test issuer that is set up for it, and nowhere else.

use axum::{
    body::Body,
    http::{Method, Request},
};
use serde_json::{Value, json};
use tagmint_core::{
    environment::Environment,
    ledger::{LedgerEntry, Outcome},
};
use tagmint_server::{
    app::StartError,
    settings::{AnonymousMinting, Limits, Rate},
};
use tagmint_store::LedgerQuery;
use tagmint_testkit::{clock::MockClock, keys::master_key};

use crate::issuer::{Answer, ROLE, Setup, TestIssuer};

const RULES: &str = r#"
[[rule]]
name = "wallet"
from = "session"
subject = "wallet:${sub}"
[rule.tags]
prefix = "wallets/${sub}"

[[rule]]
name = "anyone"
from = "anonymous"
subject = "anonymous:${sub}"
role = "arn:aws:iam::123456789012:role/agentkeys-data-role-test"
lifetime = "2m"
[rule.tags]
shared = { one_of = ["fixtures", "docs"], default = "fixtures" }
"#;

fn setup() -> Setup {
    let wide = Rate { per_second: 100, burst: 1_000 };
    Setup {
        rules: RULES,
        anonymous_minting: Some(AnonymousMinting { per_address: wide, total: wide }),
        ..Setup::default()
    }
}

/// Asks without a credential.
async fn ask(issuer: &TestIssuer, request: Value) -> Answer {
    issuer.send(Request::post("/v1/tokens").body(Body::from(request.to_string())).unwrap()).await
}

async fn last_entry(issuer: &TestIssuer) -> LedgerEntry {
    let rows = issuer.store.ledger().page(&LedgerQuery::default(), 10_000).await.unwrap();
    serde_json::from_str(&rows.last().unwrap().body).unwrap()
}

#[tokio::test]
async fn whoever_asks_gets_what_the_rule_for_nobody_gives_and_no_more() {
    let issuer = TestIssuer::start_with(setup()).await;
    let answer = ask(&issuer, json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    let body = answer.json();
    let claims = issuer.verify(body["token"].as_str().unwrap()).await.unwrap().claims;
    assert_eq!((&claims["sub"], &body["tags"]), (&json!("anonymous:anonymous"), &json!({"shared": "fixtures"})));
    assert_eq!(claims["https://aws.amazon.com/roles"], json!([ROLE]), "it is pinned to its role");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 120);

    let entry = last_entry(&issuer).await;
    assert!(matches!(&entry.outcome, Outcome::Minted(row) if row.mint_id.to_string() == body["mint_id"]));
    let told = [entry.source.as_deref(), entry.identity.as_deref(), entry.credential.as_deref(), entry.rule.as_deref()];
    assert_eq!(told, [Some("anonymous"), Some("anonymous"), None, Some("anyone")]);

    assert_eq!(ask(&issuer, json!({"tags": {"shared": "docs"}, "rule": "anyone"})).await.status, 200);
    for request in [
        json!({"rule": "wallet"}),
        json!({"tags": {"shared": "wallets"}}),
        json!({"tags": {"prefix": "wallets/0xa1"}}),
        json!({"lifetime_seconds": 300}),
        json!({"audience": "other.example"}),
        json!({"role": "arn:aws:iam::123456789012:role/admin"}),
    ] {
        ask(&issuer, request.clone()).await.problem(403, "not-allowed");
        let entry = last_entry(&issuer).await;
        assert_eq!(entry.source.as_deref(), Some("anonymous"), "a refusal is a row, too: {request}");
    }
    let metrics = String::from_utf8(issuer.send_admin("/metrics").await.body).unwrap();
    assert!(metrics.contains("\ntagmint_anonymous_mints_total 2\n"), "{metrics}");
    assert!(metrics.contains("tagmint_mints_total{route=\"POST /v1/tokens\"} 2"), "{metrics}");
}

#[tokio::test]
async fn a_wrong_credential_is_refused_and_no_other_route_opens() {
    let issuer = TestIssuer::start_with(setup()).await;
    let session = issuer.open_session().await;
    let proved = issuer.mint(&session, json!({})).await.json();
    assert!(proved["subject"].as_str().unwrap().starts_with("wallet:"), "who proves something is not anonymous");
    issuer.mint(&session, json!({"rule": "anyone"})).await.problem(403, "not-allowed");
    let with = async |values: &[&str]| {
        let mut request = Request::post("/v1/tokens");
        for value in values {
            request = request.header("authorization", *value);
        }
        issuer.send(request.body(Body::from("{}")).unwrap()).await
    };
    let bearer = format!("Bearer {session}");
    for values in [
        &["Bearer tms_test_wrong"][..],
        &["Bearer a.b.c"],
        &["Bearer "],
        &["Bearer"],
        &[""],
        &["Basic dXNlcjpwYXNzd29yZA=="],
        &[session.as_str()],
        &[bearer.as_str(), bearer.as_str()],
    ] {
        assert_eq!(with(values).await.status, 401, "{values:?}");
    }
    let bare = async |method: Method, path: &str, form: Option<&'static str>| {
        let request = Request::builder().method(method).uri(path);
        let request = match form {
            Some(form) => request.header("content-type", "application/x-www-form-urlencoded").body(form.into()),
            None => request.body(Body::empty()),
        };
        issuer.send(request.unwrap()).await.status.as_u16()
    };
    assert_eq!(bare(Method::GET, "/v1/id-token", None).await, 401);
    assert_eq!(bare(Method::POST, "/v1/mint-oidc-jwt", None).await, 401);
    assert_eq!(bare(Method::GET, &format!("/v1/aws/credentials?role={ROLE}"), None).await, 401);
    assert_eq!(bare(Method::GET, "/v1/sessions/current", None).await, 401);
    let exchange = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aid_token";
    assert!(matches!(bare(Method::POST, "/oauth2/token", Some(exchange)).await, 400 | 401));
    assert!(matches!(bare(Method::POST, "/oauth2/token", Some("grant_type=client_credentials")).await, 400 | 401));
    assert!(matches!(bare(Method::POST, "/oauth2/introspect", Some("token=x")).await, 400 | 401));
    let refused = issuer.send(Request::post("/v1/sessions").body(Body::from(r#"{"auth_token": ""}"#)).unwrap()).await;
    assert!(refused.status.is_client_error(), "a session needs its proof");
}

#[tokio::test]
async fn an_issuer_that_is_not_set_up_for_it_takes_nobody_without_proof() {
    let issuer = TestIssuer::start_with(Setup { anonymous_minting: None, ..setup() }).await;
    ask(&issuer, json!({})).await.problem(401, "credential-missing");
    ask(&issuer, json!({"rule": "anyone"})).await.problem(401, "credential-missing");
    let prod = Setup { environment: Environment::Prod, backend: false, ..setup() };
    let refused = TestIssuer::start_in(prod, std::sync::Arc::new(tempfile::tempdir().unwrap()), MockClock::default());
    assert!(matches!(refused.await, Err(StartError::AnonymousMinting)));
}

#[tokio::test]
async fn strangers_wait_and_those_with_a_credential_do_not() {
    let rate = |per_second, burst| Rate { per_second, burst };
    let limits = Limits { per_credential: rate(1, 100), per_address: rate(0, 0), ..Limits::default() };
    let minting = |address, total| Some(AnonymousMinting { per_address: address, total });
    for (anonymous_minting, passed, bucket) in [
        (minting(rate(1, 3), rate(100, 100)), 3, "anonymous_minting_address"),
        (minting(rate(100, 100), rate(1, 2)), 2, "anonymous_minting_total"),
    ] {
        let issuer = TestIssuer::start_with(Setup { limits, anonymous_minting, ..setup() }).await;
        let session = issuer.open_session().await;
        for _ in 0..passed {
            assert_eq!(ask(&issuer, json!({})).await.status, 200);
        }
        // The buckets go by real time: on a busy machine one more may pass.
        let mut more = 0;
        for _ in 0..20 {
            let answer = ask(&issuer, json!({})).await;
            if answer.status == 200 {
                more += 1;
                continue;
            }
            let problem = answer.problem(429, "too-many-requests");
            assert!(problem["detail"].as_str().unwrap().contains("without a credential"), "{problem}");
            assert_eq!(answer.header("retry-after"), "1");
        }
        assert_eq!(issuer.mint(&session, json!({})).await.status, 200);
        assert_eq!(issuer.mint("tms_test_x", json!({})).await.status, 401, "their bucket is another");
        let rows = issuer.store.ledger().verify(&master_key(1)).await.unwrap().rows;
        assert!(more < 10, "{more} passed");
        assert_eq!(rows, passed + more + 2, "who waits leaves no row");
        let metrics = String::from_utf8(issuer.send_admin("/metrics").await.body).unwrap();
        let limited = format!("tagmint_rate_limited_total{{bucket=\"{bucket}\"}} {}\n", 20 - more);
        assert!(metrics.contains(&limited), "{metrics}");
    }
}
