//! Refusals of unidentified callers: bounded in the ledger from however many addresses they come, and counted beyond; guesses of auth
//! tokens, and how many sessions a subject may have.

use axum::{
    body::Body,
    http::{Method, Request},
};
use jiff::SignedDuration;
use serde_json::{Map, json};
use tagmint_core::ledger::{LedgerEntry, Omitted, Outcome, Refused};
use tagmint_server::{
    backend::BackendSession,
    client_address::Peer,
    settings::{HourlyRate, Limits, Rate},
};
use tagmint_store::LedgerQuery;
use tagmint_testkit::keys::master_key;

use crate::issuer::{AUTH_TOKEN, Answer, Setup, TestIssuer, WALLET};

const FREE: Rate = Rate { per_second: 0, burst: 0 };

fn limits() -> Limits {
    let free = HourlyRate { per_hour: 0, burst: 0 };
    Limits {
        per_credential: FREE,
        per_address: FREE,
        failed_per_address: FREE,
        failed_per_network: FREE,
        refusal_rows_per_network: free,
        refusal_rows: free,
        sessions_per_subject: 0,
        session_opens_per_subject: FREE,
        ..Limits::default()
    }
}

async fn start(limits: Limits) -> TestIssuer {
    TestIssuer::start_with(Setup { limits, ..Setup::default() }).await
}

async fn send_from(issuer: &TestIssuer, address: &str, path: &str, credential: Option<&str>, body: &str) -> Answer {
    let mut request = Request::post(path);
    if let Some(credential) = credential {
        request = request.header("authorization", format!("Bearer {credential}"));
    }
    let mut request = request.body(Body::from(body.to_owned())).unwrap();
    let address: std::net::IpAddr = address.parse().unwrap();
    request.extensions_mut().insert(Peer::Tcp((address, 1).into()));
    issuer.send(request).await
}

async fn open_from(issuer: &TestIssuer, address: &str, auth_token: &str) -> Answer {
    send_from(issuer, address, "/v1/sessions", None, &json!({"auth_token": auth_token}).to_string()).await
}

async fn entries(issuer: &TestIssuer) -> Vec<LedgerEntry> {
    let rows = issuer.store.ledger().page(&LedgerQuery::default(), 10_000).await.unwrap();
    rows.iter().map(|row| serde_json::from_str(&row.body).unwrap()).collect()
}

fn refused(entry: &LedgerEntry) -> &Refused {
    match &entry.outcome {
        Outcome::Refused(refused) => refused,
        other => panic!("{other:?}"),
    }
}

/// The last row, which says what has none.
async fn summary(issuer: &TestIssuer) -> (LedgerEntry, Omitted) {
    issuer.app.write_refusal_summary().await;
    let entry = entries(issuer).await.pop().unwrap();
    let omitted = refused(&entry).omitted.clone().unwrap();
    (entry, omitted)
}

async fn metric(issuer: &TestIssuer, series: &str) -> u64 {
    let text = String::from_utf8(issuer.send_admin("/metrics").await.body).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {series} in {text}")).parse().unwrap()
}

#[tokio::test]
async fn a_48_full_of_addresses_fills_no_ledger() {
    let rows = |burst| HourlyRate { per_hour: 1, burst };
    let issuer = start(Limits { refusal_rows_per_network: rows(5), refusal_rows: rows(12), ..limits() }).await;
    let session = issuer.open_session().await;
    // Every address of its own /64: none of them is limited by itself.
    for number in 0..100 {
        let answer =
            send_from(&issuer, &format!("2001:db8:0:{number:x}::1"), "/v1/tokens", Some("tms_test_x"), "").await;
        answer.problem(401, "credential-invalid");
    }
    assert_eq!(entries(&issuer).await.len(), 5);
    // Nor do many /48s, or many IPv4 networks.
    for number in 1..50 {
        send_from(&issuer, &format!("2001:db8:{number:x}::1"), "/v1/tokens", None, "")
            .await
            .problem(401, "credential-missing");
        send_from(&issuer, &format!("198.51.{number}.1"), "/v1/tokens", Some("a.b.c"), "")
            .await
            .problem(401, "ci-token-invalid");
    }
    assert_eq!(entries(&issuer).await.len(), 12);
    assert_eq!(issuer.mint(&session, json!({})).await.status, 200, "who proves something is not concerned");
    assert_eq!(issuer.mint(&session, json!({"audience": "nobody"})).await.status, 403);
    let rows = entries(&issuer).await;
    assert_eq!(
        refused(rows.last().unwrap()).code,
        "audience_not_allowed",
        "refusals of the identified have their rows"
    );
    let unrecorded = |limit: &str| format!("tagmint_refusals_unrecorded_total{{limit=\"{limit}\"}}");
    let by_network = metric(&issuer, &unrecorded("refusal_rows_per_network")).await;
    let in_total = metric(&issuer, &unrecorded("refusal_rows")).await;
    assert_eq!((by_network, by_network + in_total), (95, 198 - 12));
    assert_eq!(
        metric(&issuer, "tagmint_refusals_total{reason=\"credential_malformed\"}").await,
        100,
        "all are counted"
    );

    let (entry, omitted) = summary(&issuer).await;
    let row = refused(&entry);
    assert_eq!((row.code.as_str(), entry.route.as_str(), &entry.remote), (Omitted::CODE, Omitted::ROUTE, &None));
    assert!(row.detail.starts_with("186 refusals of unidentified callers from 2026-"), "{}", row.detail);
    assert_eq!((omitted.count, omitted.limits.get("refusal_rows_per_network")), (186, Some(&95)));
    assert_eq!(omitted.networks.get("2001:db8::/48"), Some(&95), "{omitted:?}");
    let before = entries(&issuer).await.len();
    issuer.app.write_refusal_summary().await;
    assert_eq!(entries(&issuer).await.len(), before, "nothing since, no row");
    assert_eq!(issuer.store.ledger().verify(&master_key(1)).await.unwrap().rows, before as u64);
}

#[tokio::test]
async fn what_the_address_limit_keeps_out_of_the_ledger_is_counted_too() {
    let issuer = start(Limits { failed_per_address: Rate { per_second: 1, burst: 2 }, ..limits() }).await;
    for _ in 0..2 {
        issuer.mint("tms_test_x", json!({})).await.problem(401, "credential-invalid");
    }
    for _ in 0..3 {
        issuer.mint("tms_test_x", json!({})).await.problem(429, "too-many-requests");
    }
    let (_, omitted) = summary(&issuer).await;
    assert_eq!((omitted.count, omitted.limits.get("failed_per_address")), (3, Some(&3)));
    assert_eq!(omitted.networks.get("127.0.0.0/24"), Some(&3));
}

#[tokio::test]
async fn a_48_whose_credentials_prove_nothing_waits_as_a_whole() {
    let issuer = start(Limits { failed_per_network: Rate { per_second: 1, burst: 3 }, ..limits() }).await;
    for number in 0..3 {
        let answer =
            send_from(&issuer, &format!("2001:db8:0:{number:x}::1"), "/v1/tokens", Some("tms_test_x"), "").await;
        assert_eq!(answer.status, 401);
    }
    let answer = send_from(&issuer, "2001:db8:0:ff::1", "/v1/tokens", Some("tms_test_x"), "").await;
    let problem = answer.problem(429, "too-many-requests");
    assert!(problem["detail"].as_str().unwrap().contains("this network"), "{problem}");
    assert_eq!(answer.header("retry-after"), "1");
    let answer = send_from(&issuer, "2001:db8:1::1", "/v1/tokens", Some("tms_test_x"), "").await;
    assert_eq!(answer.status, 401, "another /48");
}

#[tokio::test]
async fn guesses_of_the_auth_token_leave_rows_and_are_limited() {
    let issuer = start(Limits { failed_per_address: Rate { per_second: 1, burst: 3 }, ..limits() }).await;
    for _ in 0..3 {
        open_from(&issuer, "192.0.2.7", "guess").await.problem(401, "auth-token-refused");
    }
    let rows = entries(&issuer).await;
    let row = rows.last().unwrap();
    assert_eq!((rows.len(), row.route.as_str(), row.remote.as_deref()), (3, "POST /v1/sessions", Some("192.0.2.7")));
    assert_eq!((refused(row).code.as_str(), &row.identity), ("auth_token_refused", &None));
    assert!(!row.to_body().contains("guess"), "the guess is a secret, perhaps");
    // Beyond the limit not even the right one is tried: a guess that happens to be right must not be told from a wrong one.
    let answer = open_from(&issuer, "192.0.2.7", AUTH_TOKEN).await;
    answer.problem(429, "too-many-requests");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(open_from(&issuer, "192.0.2.8", AUTH_TOKEN).await.status, 201, "another address");
    assert_eq!(entries(&issuer).await.len(), 3);
    assert_eq!(metric(&issuer, "tagmint_session_refusals_total{reason=\"auth_token_refused\"}").await, 3);
    // The same bucket as for other credentials.
    send_from(&issuer, "192.0.2.7", "/v1/tokens", Some("tms_test_x"), "").await.problem(429, "too-many-requests");
}

#[tokio::test]
async fn good_auth_tokens_and_outages_cost_an_address_nothing() {
    let issuer = start(Limits { failed_per_address: Rate { per_second: 1, burst: 2 }, ..limits() }).await;
    for _ in 0..20 {
        assert_eq!(open_from(&issuer, "192.0.2.7", AUTH_TOKEN).await.status, 201);
    }
    issuer.backend.say(Err(tagmint_server::backend::BackendError::Outage("it answered 500".into())));
    for _ in 0..20 {
        open_from(&issuer, "192.0.2.7", AUTH_TOKEN).await.problem(503, "backend-unavailable");
    }
    assert_eq!(entries(&issuer).await.len(), 0);
}

#[tokio::test]
async fn refused_auth_tokens_share_the_rows_of_unidentified_callers() {
    let rows = HourlyRate { per_hour: 1, burst: 2 };
    let issuer = start(Limits { refusal_rows: rows, ..limits() }).await;
    for number in 0..10 {
        open_from(&issuer, &format!("2001:db8:{number:x}::1"), "guess").await.problem(401, "auth-token-refused");
    }
    assert_eq!(entries(&issuer).await.len(), 2);
    assert_eq!(summary(&issuer).await.1.count, 8);
}

#[tokio::test]
async fn a_subject_has_so_many_sessions_and_no_more() {
    let issuer = start(Limits { sessions_per_subject: 2, ..limits() }).await;
    let first = issuer.open_session().await;
    issuer.clock.advance(SignedDuration::from_mins(10));
    issuer.open_session().await;
    let answer = open_from(&issuer, "192.0.2.7", AUTH_TOKEN).await;
    let problem = answer.problem(429, "too-many-requests");
    assert!(problem["detail"].as_str().unwrap().contains("as many open sessions"), "{problem}");
    assert_eq!(answer.header("retry-after"), "3000", "until the first ends");
    let rows = entries(&issuer).await;
    let row = rows.last().unwrap();
    assert_eq!((refused(row).code.as_str(), row.identity.as_deref()), ("sessions_per_subject", Some(WALLET)));
    assert_eq!((row.source.as_deref(), row.remote.as_deref()), (Some("session"), Some("192.0.2.7")));

    let other = BackendSession { subject: "0xb".into(), expires_in: 3600, attributes: Map::new() };
    issuer.backend.say(Ok(other));
    issuer.open_session().await;
    issuer.backend.say(Ok(BackendSession { subject: WALLET.into(), expires_in: 3600, attributes: Map::new() }));
    assert_eq!(issuer.call(Method::DELETE, "/v1/sessions/current", &first, "").await.status, 204);
    issuer.open_session().await;
    assert_eq!(open_from(&issuer, "192.0.2.7", AUTH_TOKEN).await.status, 429);
    issuer.clock.advance(SignedDuration::from_hours(1));
    issuer.open_session().await;
    assert_eq!(metric(&issuer, "tagmint_rate_limited_total{bucket=\"sessions_per_subject\"}").await, 2);
}

#[tokio::test]
async fn one_good_auth_token_opens_sessions_at_a_rate() {
    let issuer = start(Limits { session_opens_per_subject: Rate { per_second: 1, burst: 3 }, ..limits() }).await;
    for number in 0..3 {
        assert_eq!(open_from(&issuer, &format!("192.0.2.{number}"), AUTH_TOKEN).await.status, 201);
    }
    let answer = open_from(&issuer, "192.0.2.9", AUTH_TOKEN).await;
    assert!(answer.problem(429, "too-many-requests")["detail"].as_str().unwrap().contains("opened too fast"));
    assert_eq!(answer.header("retry-after"), "1");
    issuer.backend.say(Ok(BackendSession { subject: "0xb".into(), expires_in: 3600, attributes: Map::new() }));
    assert_eq!(open_from(&issuer, "192.0.2.9", AUTH_TOKEN).await.status, 201, "another subject");
}

#[tokio::test]
async fn guesses_of_sessions_where_nothing_is_minted_are_limited_as_well() {
    let issuer = start(Limits { failed_per_address: Rate { per_second: 1, burst: 2 }, ..limits() }).await;
    let session = issuer.open_session().await;
    for method in [Method::GET, Method::DELETE] {
        issuer.call(method, "/v1/sessions/current", "tms_test_x", "").await.problem(401, "credential-invalid");
    }
    let get = Method::GET;
    issuer.call(get.clone(), "/v1/sessions/current", "tms_test_x", "").await.problem(429, "too-many-requests");
    assert_eq!(issuer.call(get, "/v1/sessions/current", &session, "").await.status, 200);
}
