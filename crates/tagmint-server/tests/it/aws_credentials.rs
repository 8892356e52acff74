//! Credentials for the SDKs' container provider: minted for, assumed, cached; and what ends that.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use jiff::SignedDuration;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tagmint_core::{
    clock::Clock,
    ledger::{LedgerEntry, Outcome},
    trusted_issuer::{IssuerKind, Reuse, TrustedIssuer},
};
use tagmint_server::{settings::StsLimits, sts::StsError};
use tagmint_store::LedgerQuery;
use tagmint_testkit::{ci_claims, ci_platform::CiPlatform, clock::MockClock};

use crate::{
    exchange::{fresh, trusted_issuer},
    issuer::{Answer, ROLE, Setup, TestIssuer},
    ledger::hold_write_lock,
};

const RULES: &str = r#"
[[rule]]
name = "bearers"
from = "bearer"
subject = "bearer:${sub}"
roles = ["arn:aws:iam::123456789012:role/agentkeys-data-role-test", "arn:aws:iam::123456789012:role/other"]
tags.prefix = "${sub}"

[[rule]]
name = "sessions"
from = "session"
subject = "session:${sub}"
roles = ["arn:aws:iam::123456789012:role/agentkeys-data-role-test", "arn:aws:iam::123456789012:role/other"]
tags.prefix = "${sub}"
"#;
const JOBS: &str = r#"
[[rule]]
name = "jobs"
from = "github"
subject = "ci:${repository_id}"
role = "arn:aws:iam::123456789012:role/agentkeys-data-role-test"
"#;
const NARROWER: &str = r#"
[[rule]]
name = "bearers"
from = "bearer"
subject = "bearer:${sub}"
role = "arn:aws:iam::123456789012:role/other"
"#;

async fn issuer() -> TestIssuer {
    TestIssuer::start_with(Setup { rules: RULES, ..Setup::default() }).await
}

fn question(query: &str, authorization: &str) -> Request<Body> {
    let request = Request::get(format!("/v1/aws/credentials?{query}")).header("authorization", authorization);
    request.body(Body::empty()).unwrap()
}

async fn ask(issuer: &TestIssuer, credential: &str) -> Answer {
    issuer.send(question(&format!("role={ROLE}"), credential)).await
}

fn key_id(answer: &Answer) -> String {
    let body = answer.json();
    assert_eq!(answer.status, StatusCode::OK, "{body}");
    body["AccessKeyId"].as_str().unwrap().to_owned()
}

/// Asserts status and code of an error in the SDKs' form, and that it tells no secret.
fn refused(answer: &Answer, status: u16, code: &str) -> Value {
    let body = answer.json();
    assert_eq!((answer.status.as_u16(), body["code"].as_str()), (status, Some(code)), "{body}");
    assert_eq!(body["type"], format!("urn:tagmint:problem:{code}"));
    assert_eq!((answer.header("content-type"), answer.header("cache-control")), ("application/json", "no-store"));
    assert!(!body["message"].as_str().unwrap().is_empty());
    let text = body.to_string();
    assert!(!["planted", "eyJ", "tmb_", "tms_"].iter().any(|secret| text.contains(secret)), "{text}");
    body
}

async fn entries(issuer: &TestIssuer) -> Vec<LedgerEntry> {
    let rows = issuer.store.ledger().page(&LedgerQuery::default(), 1_000).await.unwrap();
    rows.iter().map(|row| serde_json::from_str(&row.body).unwrap()).collect()
}

/// The outcomes of the ledger's rows, which are all of this route.
async fn outcomes(issuer: &TestIssuer) -> Vec<&'static str> {
    let entries = entries(issuer).await;
    assert!(entries.iter().all(|entry| entry.route == "GET /v1/aws/credentials"), "{entries:?}");
    entries.iter().map(LedgerEntry::outcome_name).collect()
}

#[tokio::test]
async fn the_sdks_get_credentials_in_their_form() {
    let issuer = issuer().await;
    let (_, bearer) = issuer.make_bearer(None).await;
    let answer = ask(&issuer, &bearer).await;
    assert_eq!(
        answer.json(),
        json!({
            "AccessKeyId": "ASIAEXAMPLE1",
            "SecretAccessKey": "planted-secret-1",
            "Token": "planted-session-token-1",
            "Expiration": "2026-09-21T15:13:20Z",
        })
    );
    assert_eq!(answer.header("cache-control"), "no-store");
    let seen = issuer.sts.seen().remove(0);
    let token = issuer.verify(seen.token.expose_secret()).await.unwrap();
    assert_eq!(token.claims["https://aws.amazon.com/roles"], json!([ROLE]), "pinned to the one role");
    assert_eq!(token.claims["jti"], seen.session_name.as_str(), "the mint id is the session's name");
    assert_eq!((seen.role.as_str(), seen.duration_seconds), (ROLE, None));

    // The token has its row, and so has what came of it.
    let [minted, fetched] = entries(&issuer).await.try_into().unwrap();
    assert_eq!([&minted, &fetched].map(|entry| entry.route.as_str()), ["GET /v1/aws/credentials"; 2]);
    assert_eq!(
        (&fetched.request_id, &fetched.identity, &fetched.rule, &fetched.credential, &fetched.source),
        (&minted.request_id, &minted.identity, &minted.rule, &minted.credential, &minted.source)
    );
    let (Outcome::Minted(minted), Outcome::Fetched(fetched)) = (minted.outcome, fetched.outcome) else {
        panic!("other outcomes")
    };
    assert_eq!((fetched.mint_id, minted.mint_id.to_string()), (minted.mint_id, seen.session_name.as_str().to_owned()));
    assert_eq!((fetched.role.as_str(), fetched.assume_then), (ROLE, None));
    assert_eq!(
        (fetched.access_key_id.as_str(), fetched.sts_request_id.as_deref()),
        ("ASIAEXAMPLE1", Some("sts-request-1"))
    );
    assert_eq!(fetched.expires_at, issuer.clock.now().as_second() + 3_600);
    let rows = issuer.store.ledger().page(&LedgerQuery::default(), 10).await.unwrap();
    assert!(rows.iter().all(|row| !row.body.contains("planted")), "no secret is kept");

    let query = format!("role={ROLE}&session_name=build%40ci&duration_seconds=900");
    let answer = issuer.send(question(&query, &format!("Bearer {bearer}"))).await;
    assert_eq!(key_id(&answer), "ASIAEXAMPLE2");
    let seen = issuer.sts.seen().remove(1);
    assert_eq!((seen.session_name.as_str(), seen.duration_seconds), ("build@ci", Some(900)));
}

#[tokio::test]
async fn a_malformed_question_says_what_is_wrong() {
    let issuer = issuer().await;
    let (_, bearer) = issuer.make_bearer(None).await;
    for (query, says) in [
        ("", "`role` is missing"),
        ("rol=x", "no parameter `rol`"),
        (&format!("role={ROLE}&session_name=a%20b"), "session name"),
        (&format!("role={ROLE}&session_name="), "session name"),
        (&format!("role={ROLE}&duration_seconds=899"), "900 to 43200"),
        (&format!("role={ROLE}&duration_seconds=43201"), "900 to 43200"),
        (&format!("role={ROLE}&duration_seconds=1h"), "900 to 43200"),
        (&format!("role={ROLE}&role={ROLE}"), "twice"),
    ] {
        let body = refused(&issuer.send(question(query, &bearer)).await, 400, "malformed-request");
        assert!(body["message"].as_str().unwrap().contains(says), "{query}: {body}");
    }
    assert_eq!(issuer.sts.calls(), 0);
}

#[tokio::test]
async fn who_is_refused_is_told_in_the_sdks_form_and_recorded() {
    let issuer = issuer().await;
    let session = issuer.open_session().await;
    refused(&ask(&issuer, "Basic abc").await, 401, "credential-missing");
    let unknown = "tmb_test_plantedplantedplantedplantedplantedplantedplanted";
    refused(&ask(&issuer, unknown).await, 401, "credential-invalid");
    let foreign = issuer.send(question("role=arn:aws:iam::123456789012:role/admin", &session)).await;
    refused(&foreign, 403, "not-allowed");
    assert_eq!(outcomes(&issuer).await, ["refused"; 3]);
    assert_eq!(issuer.sts.calls(), 0);

    let without = TestIssuer::start_with(Setup { rules: RULES, aws: false, ..Setup::default() }).await;
    let (_, bearer) = without.make_bearer(None).await;
    refused(&ask(&without, &bearer).await, 404, "aws-not-set-up");
}

#[tokio::test]
async fn credentials_are_cached_for_the_same_question_until_shortly_before_they_expire() {
    let issuer = issuer().await;
    let (_, bearer) = issuer.make_bearer(None).await;
    let (_, other) = issuer.make_bearer(None).await;
    assert_eq!(key_id(&ask(&issuer, &bearer).await), "ASIAEXAMPLE1");
    assert_eq!(key_id(&ask(&issuer, &format!("Bearer {bearer}")).await), "ASIAEXAMPLE1");
    let differ = [
        ask(&issuer, &other).await,
        issuer.send(question("role=arn:aws:iam::123456789012:role/other", &bearer)).await,
        issuer.send(question(&format!("role={ROLE}&session_name=me"), &bearer)).await,
        issuer.send(question(&format!("role={ROLE}&duration_seconds=3600"), &bearer)).await,
    ];
    let ids: Vec<String> = differ.iter().map(key_id).collect();
    assert_eq!(ids, ["ASIAEXAMPLE2", "ASIAEXAMPLE3", "ASIAEXAMPLE4", "ASIAEXAMPLE5"]);
    issuer.clock.advance(SignedDuration::from_secs(3_299));
    assert_eq!(key_id(&ask(&issuer, &bearer).await), "ASIAEXAMPLE1");
    issuer.clock.advance(SignedDuration::from_secs(1));
    assert_eq!(key_id(&ask(&issuer, &bearer).await), "ASIAEXAMPLE6");
    assert_eq!(outcomes(&issuer).await, ["minted", "fetched"].repeat(6), "a cached answer is no mint");
    let metrics = String::from_utf8(issuer.send_admin("/metrics").await.body).unwrap();
    assert!(metrics.contains(r#"tagmint_role_credentials_total{result="assumed"} 6"#), "{metrics}");
    assert!(metrics.contains(r#"tagmint_role_credentials_total{result="cached"} 2"#), "{metrics}");
}

#[tokio::test]
async fn a_revoked_bearer_and_a_narrower_rule_end_it_at_once() {
    let issuer = issuer().await;
    let (id, bearer) = issuer.make_bearer(None).await;
    let (_, kept) = issuer.make_bearer(None).await;
    key_id(&ask(&issuer, &bearer).await);
    key_id(&ask(&issuer, &kept).await);
    issuer.store.bearers().revoke(id, issuer.clock.now()).await.unwrap();
    refused(&ask(&issuer, &bearer).await, 401, "credential-invalid");
    assert_eq!(key_id(&ask(&issuer, &kept).await), "ASIAEXAMPLE2");

    // Rules change with a restart, and the cache does not outlive it.
    let narrower = Setup { rules: NARROWER, ..Setup::default() };
    let second = TestIssuer::start_in(narrower, Arc::clone(&issuer.dir), issuer.clock.clone()).await.unwrap();
    refused(&ask(&second, &kept).await, 403, "not-allowed");
    assert_eq!((issuer.sts.calls(), second.sts.calls()), (2, 0));
}

#[tokio::test]
async fn a_refusal_of_sts_is_told_and_not_cached() {
    let issuer = issuer().await;
    let (_, bearer) = issuer.make_bearer(None).await;
    let echo = "Value 'eyJhbGciOiJFUzI1NiJ9.e30.c2ln' is malformed";
    for (error, status, code) in [
        (
            StsError::refused("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"),
            403,
            "sts-refused",
        ),
        (StsError::refused("ValidationError", echo), 400, "sts-invalid-request"),
        (StsError::refused("InvalidIdentityToken", "No OpenIDConnect provider found"), 502, "sts-token-rejected"),
        (StsError::outage("planted-cause"), 503, "sts-unavailable"),
    ] {
        issuer.sts.refuse(Some(error.clone()));
        let answer = ask(&issuer, &bearer).await;
        let body = refused(&answer, status, code);
        if let StsError::Refused { code, .. } = &error {
            assert!(body["message"].as_str().unwrap().contains(code), "{body}");
        }
        assert_eq!(answer.header("retry-after").is_empty(), status != 503);
    }
    assert_eq!(outcomes(&issuer).await, ["minted"; 4], "nothing came of the tokens");
    issuer.sts.refuse(None);
    assert_eq!(key_id(&ask(&issuer, &bearer).await), "ASIAEXAMPLE5");
    assert_eq!(outcomes(&issuer).await[4..], ["minted", "fetched"]);
}

/// The session policy and the second role of a rule: STS is told, callers who ask STS themselves are told, and the ledger knows.
#[tokio::test]
async fn a_rules_session_terms_reach_sts_and_callers() {
    let second = "arn:aws:iam::444455556666:role/data";
    let rules = r#"
[[rule]]
name = "bearers"
from = "bearer"
subject = "bearer:${sub}"
role = "arn:aws:iam::123456789012:role/agentkeys-data-role-test"
session_policy = '{"Version": "2012-10-17", "Statement": []}'
session_policy_arns = ["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]
assume_then = "arn:aws:iam::444455556666:role/data"

[[rule]]
name = "sessions"
from = "session"
subject = "session:${sub}"
role = "arn:aws:iam::123456789012:role/agentkeys-data-role-test"
"#;
    let issuer = TestIssuer::start_with(Setup { rules, ..Setup::default() }).await;
    let (_, bearer) = issuer.make_bearer(None).await;
    key_id(&ask(&issuer, &bearer).await);
    let terms = issuer.sts.seen().remove(0).terms;
    assert_eq!(terms.policy.as_deref(), Some(r#"{"Version":"2012-10-17","Statement":[]}"#));
    assert_eq!(terms.policy_arns, ["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]);
    assert_eq!(terms.assume_then.as_deref(), Some(second));
    let Outcome::Fetched(fetched) = entries(&issuer).await.pop().unwrap().outcome else { panic!("another outcome") };
    assert_eq!((fetched.role.as_str(), fetched.assume_then.as_deref()), (ROLE, Some(second)));

    let told = issuer.mint(&bearer, json!({})).await.json();
    assert_eq!(told["session"], serde_json::to_value(&terms).unwrap(), "{told}");
    let session = issuer.open_session().await;
    key_id(&ask(&issuer, &session).await);
    assert!(issuer.sts.seen().remove(1).terms.is_empty());
    let told = issuer.mint(&session, json!({})).await.json();
    assert_eq!(told.get("session"), None, "{told}");
}

/// What STS gave is handed out only when the ledger knows of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn no_credentials_without_their_row() {
    let issuer = issuer().await;
    let (_, bearer) = issuer.make_bearer(None).await;
    issuer.sts.hold();
    let held = async {
        issuer.sts.has_calls(1).await;
        let lock = hold_write_lock(&issuer).await;
        issuer.sts.go_on();
        lock
    };
    let (answer, (release, holder)) = tokio::join!(ask(&issuer, &bearer), held);
    let body = refused(&answer, 503, "ledger-unavailable");
    assert!(!body.to_string().contains("planted"), "{body}");
    drop(release);
    holder.await.unwrap();
    assert_eq!(outcomes(&issuer).await, ["minted"]);
    assert_eq!(key_id(&ask(&issuer, &bearer).await), "ASIAEXAMPLE2", "the first ones were not kept");
    assert_eq!(outcomes(&issuer).await, ["minted", "minted", "fetched"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_at_once_cause_one_call() {
    let issuer = issuer().await;
    let (_, bearer) = issuer.make_bearer(None).await;
    issuer.sts.hold();
    let all = futures::future::join_all((0..50).map(|_| ask(&issuer, &bearer)));
    let let_go = async {
        issuer.sts.has_calls(1).await;
        issuer.sts.go_on();
    };
    let (answers, ()) = tokio::join!(all, let_go);
    assert!(answers.iter().all(|answer| key_id(answer) == "ASIAEXAMPLE1"));
    assert_eq!((issuer.sts.calls(), outcomes(&issuer).await), (1, vec!["minted", "fetched"]));

    let (_, refused_one) = issuer.make_bearer(None).await;
    issuer.sts.hold();
    issuer.sts.refuse(Some(StsError::refused("AccessDenied", "no")));
    let all = futures::future::join_all((0..20).map(|_| ask(&issuer, &refused_one)));
    let let_go = async {
        issuer.sts.has_calls(2).await;
        // The others are waiting by now, or come too late and ask for themselves.
        tokio::time::sleep(Duration::from_millis(300)).await;
        issuer.sts.go_on();
    };
    let (answers, ()) = tokio::join!(all, let_go);
    for answer in &answers {
        refused(answer, 403, "sts-refused");
    }
    assert_eq!(issuer.sts.calls(), 2);
}

#[tokio::test]
async fn a_call_goes_on_when_its_caller_leaves() {
    let issuer = issuer().await;
    let (_, bearer) = issuer.make_bearer(None).await;
    issuer.sts.hold();
    let impatient = tokio::time::timeout(Duration::from_millis(100), ask(&issuer, &bearer)).await;
    assert!(impatient.is_err());
    issuer.sts.has_calls(1).await;
    issuer.sts.go_on();
    issuer.sts.has_answered(1).await;
    assert_eq!(key_id(&ask(&issuer, &bearer).await), "ASIAEXAMPLE1");
    assert_eq!(issuer.sts.calls(), 1);
}

#[tokio::test]
async fn a_bearer_that_is_revoked_while_sts_is_asked_gets_nothing() {
    let issuer = issuer().await;
    let (id, bearer) = issuer.make_bearer(None).await;
    issuer.sts.hold();
    let revoke = async {
        issuer.sts.has_calls(1).await;
        issuer.store.bearers().revoke(id, issuer.clock.now()).await.unwrap();
        issuer.sts.go_on();
    };
    let (answer, ()) = tokio::join!(ask(&issuer, &bearer), revoke);
    refused(&answer, 401, "credential-invalid");
}

#[tokio::test]
async fn calls_are_bounded_in_time_and_number() {
    // Long enough for the call that is answered at the end, on a busy machine too.
    let sts_limits = StsLimits { call: Duration::from_secs(2), calls: 1, ..StsLimits::default() };
    let issuer = TestIssuer::start_with(Setup { rules: RULES, sts_limits, ..Setup::default() }).await;
    let (_, bearer) = issuer.make_bearer(None).await;
    let (_, other) = issuer.make_bearer(None).await;
    issuer.sts.hold();
    let second = async {
        issuer.sts.has_calls(1).await;
        ask(&issuer, &other).await
    };
    let (first, second) = tokio::join!(ask(&issuer, &bearer), second);
    refused(&first, 503, "sts-unavailable");
    refused(&second, 503, "sts-unavailable");
    assert_eq!(issuer.sts.calls(), 1);
    issuer.sts.go_on();
    key_id(&ask(&issuer, &bearer).await);
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_refused_in_the_sdks_form() {
    let mut setup = Setup { rules: RULES, ..Setup::default() };
    // Long enough for the request that is answered at the end, on a busy machine too.
    setup.limits.request_timeout = Duration::from_secs(2);
    let issuer = TestIssuer::start_with(setup).await;
    let (_, bearer) = issuer.make_bearer(None).await;
    issuer.sts.hold();
    refused(&ask(&issuer, &bearer).await, 503, "timeout");
    issuer.sts.go_on();
    issuer.sts.has_answered(1).await;
    assert_eq!(key_id(&ask(&issuer, &bearer).await), "ASIAEXAMPLE1");
}

/// An issuer that takes the tokens of a CI platform.
async fn with_jobs(change: impl FnOnce(&mut TrustedIssuer)) -> (TestIssuer, CiPlatform) {
    let clock = MockClock::default();
    let github = CiPlatform::start(Arc::new(clock.clone())).await;
    let mut first = trusted_issuer("github", IssuerKind::GITHUB, &github);
    change(&mut first.0);
    let setup = Setup { rules: JOBS, trusted_issuers: vec![first], ..Setup::default() };
    (TestIssuer::start_in(setup, Arc::new(tempfile::tempdir().unwrap()), clock).await.unwrap(), github)
}

fn job_token(github: &CiPlatform) -> String {
    github.token(&fresh(ci_claims::github_push()))
}

#[tokio::test]
async fn a_ci_token_gets_credentials_once() {
    let (issuer, github) = with_jobs(|_| {}).await;
    let token = job_token(&github);
    assert_eq!(key_id(&ask(&issuer, &token).await), "ASIAEXAMPLE1");
    refused(&ask(&issuer, &token).await, 401, "ci-token-spent");
    issuer.mint(&token, json!({})).await.problem(401, "ci-token-spent");
    // A token that was exchanged elsewhere is spent here too.
    let token = job_token(&github);
    assert_eq!(issuer.mint(&token, json!({})).await.status, StatusCode::OK);
    refused(&ask(&issuer, &token).await, 401, "ci-token-spent");
    assert_eq!(issuer.sts.calls(), 1);
}

#[tokio::test]
async fn a_job_that_left_finds_its_credentials_when_it_asks_again() {
    let (issuer, github) = with_jobs(|_| {}).await;
    let token = job_token(&github);
    issuer.sts.hold();
    assert!(tokio::time::timeout(Duration::from_millis(300), ask(&issuer, &token)).await.is_err());
    issuer.sts.has_calls(1).await;
    issuer.mint(&token, json!({})).await.problem(401, "ci-token-spent");
    issuer.sts.go_on();
    issuer.sts.has_answered(1).await;
    let another = issuer.send(question(&format!("role={ROLE}&session_name=other"), &token)).await;
    refused(&another, 401, "ci-token-spent");
    assert_eq!(key_id(&ask(&issuer, &token).await), "ASIAEXAMPLE1");
    refused(&ask(&issuer, &token).await, 401, "ci-token-spent");

    let late = job_token(&github);
    issuer.sts.hold();
    assert!(tokio::time::timeout(Duration::from_millis(300), ask(&issuer, &late)).await.is_err());
    issuer.sts.has_calls(2).await;
    issuer.sts.go_on();
    issuer.sts.has_answered(2).await;
    issuer.clock.advance(SignedDuration::from_mins(10));
    refused(&ask(&issuer, &late).await, 401, "ci-token-invalid");
}

#[tokio::test]
async fn a_ci_token_can_be_shown_again_when_sts_gave_nothing() {
    let (issuer, github) = with_jobs(|_| {}).await;
    let token = job_token(&github);
    issuer.sts.refuse(Some(StsError::outage("gone")));
    refused(&ask(&issuer, &token).await, 503, "sts-unavailable");
    issuer.sts.refuse(None);
    assert_eq!(key_id(&ask(&issuer, &token).await), "ASIAEXAMPLE2");
    refused(&ask(&issuer, &token).await, 401, "ci-token-spent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_200_questions_with_one_ci_token_one_is_answered() {
    let (issuer, github) = with_jobs(|_| {}).await;
    let token = job_token(&github);
    let answers = futures::future::join_all((0..200).map(|_| ask(&issuer, &token))).await;
    let good = answers.iter().filter(|answer| answer.status == StatusCode::OK).count();
    assert_eq!((good, issuer.sts.calls()), (1, 1));
    for answer in answers.iter().filter(|answer| answer.status != StatusCode::OK) {
        refused(answer, 401, "ci-token-spent");
    }
    let outcomes = outcomes(&issuer).await;
    let count = |outcome: &str| outcomes.iter().filter(|it| **it == outcome).count();
    assert_eq!(["minted", "fetched", "refused"].map(count), [1, 1, 199], "each refusal has its row");
}

#[tokio::test]
async fn uses_that_the_configuration_allows_are_given() {
    let reuse = Reuse::Times { uses: 2, within: SignedDuration::from_secs(10) };
    let (issuer, github) = with_jobs(|trusted_issuer| trusted_issuer.reuse = reuse).await;
    let token = job_token(&github);
    let ids = [key_id(&ask(&issuer, &token).await), key_id(&ask(&issuer, &token).await)];
    assert_eq!(ids, ["ASIAEXAMPLE1", "ASIAEXAMPLE2"]);
    refused(&ask(&issuer, &token).await, 401, "ci-token-spent");
}
