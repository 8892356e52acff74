//! Token exchange: a CI job's ID token for one of ours, once, by the rules.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use jiff::SignedDuration;
use serde_json::{Map, Value, json};
use tagmint_core::trusted_issuer::{IssuerKind, Reuse, TrustedIssuer, TrustedIssuerName, TrustedIssuerUrl};
use tagmint_server::settings::{Limits, Rate, UpstreamSettings};
use tagmint_store::LedgerQuery;
use tagmint_testkit::{ci_claims, ci_platform::CiPlatform, clock::MockClock};

use crate::issuer::{Answer, ROLE, Setup, TestIssuer};

const AUDIENCE: &str = "https://broker.example";
pub(crate) const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub(crate) const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// One rule for all three kinds of proof, so that paths can be compared; the branch of a GitHub job decides.
const RULES: &str = r#"
[[rule]]
name = "main"
from = "github"
match = { repository_id = "456789", branch = "main" }
subject = "ci:${repository_id}"
audiences = ["sts.amazonaws.com", "second.example"]
role = "arn:aws:iam::123456789012:role/agentkeys-data-role-test"
transitive = ["prefix"]
[rule.tags]
prefix = "branch-main/run-${run_id}"

[[rule]]
name = "other-platform"
from = "gitlab"
subject = "gitlab:${project_id}"

[[rule]]
name = "bearers"
from = "bearer"
match.branch = "main"
subject = "bearer:${sub}"
role = "arn:aws:iam::123456789012:role/agentkeys-data-role-test"
"#;

pub(crate) struct Stage {
    github: CiPlatform,
    gitlab: CiPlatform,
    pub(crate) issuer: TestIssuer,
}

pub(crate) fn trusted_issuer(name: &str, kind: IssuerKind, platform: &CiPlatform) -> (TrustedIssuer, UpstreamSettings) {
    let issuer = TrustedIssuerUrl::parse(platform.issuer()).unwrap();
    let trusted_issuer =
        TrustedIssuer::new(TrustedIssuerName::parse(name).unwrap(), kind, issuer, vec![AUDIENCE.to_owned()]);
    let settings = UpstreamSettings {
        ca_pem: Some(platform.ca_pem().as_bytes().to_vec()),
        allow_private_addresses: true,
        ..UpstreamSettings::default()
    };
    (trusted_issuer, settings)
}

impl Stage {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut TrustedIssuer)) -> Self {
        let clock = MockClock::default();
        let github = CiPlatform::start(Arc::new(clock.clone())).await;
        let gitlab = CiPlatform::start(Arc::new(clock.clone())).await;
        let mut first = trusted_issuer("github", IssuerKind::GITHUB, &github);
        change(&mut first.0);
        let trusted_issuers = vec![first, trusted_issuer("gitlab", IssuerKind::GITLAB, &gitlab)];
        let setup = Setup { rules: RULES, trusted_issuers, ..Setup::default() };
        let issuer = TestIssuer::start_in(setup, Arc::new(tempfile::tempdir().unwrap()), clock).await.unwrap();
        Self { github, gitlab, issuer }
    }

    pub(crate) fn push(&self) -> String {
        self.token(ci_claims::github_push())
    }

    pub(crate) fn token(&self, claims: Map<String, Value>) -> String {
        self.github.token(&fresh(claims))
    }

    pub(crate) async fn exchange(&self, token: &str) -> Answer {
        self.exchange_with(token, &[]).await
    }

    /// An exchange with further parameters.
    pub(crate) async fn exchange_with(&self, token: &str, further: &[(&str, &str)]) -> Answer {
        let form = [("grant_type", EXCHANGE), ("subject_token_type", ID_TOKEN), ("subject_token", token)];
        self.post(&[&form[..], further].concat()).await
    }

    pub(crate) async fn post(&self, form: &[(&str, &str)]) -> Answer {
        self.issuer.send(request(form)).await
    }
}

/// The claims for this issuer; times and `jti` are left to the platform.
pub(crate) fn fresh(mut claims: Map<String, Value>) -> Map<String, Value> {
    claims.retain(|name, _| !["jti", "iat", "nbf", "exp"].contains(&name.as_str()));
    claims.insert("aud".to_owned(), json!(AUDIENCE));
    claims
}

pub(crate) fn request(form: &[(&str, &str)]) -> Request<Body> {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let builder = Request::post("/oauth2/token").header("content-type", "application/x-www-form-urlencoded");
    builder.body(body.into()).unwrap()
}

pub(crate) fn kind(answer: &Answer) -> String {
    let text = answer.json()["type"].as_str().unwrap_or_default().to_owned();
    text.trim_start_matches("urn:tagmint:problem:").to_owned()
}

#[tokio::test]
async fn a_job_gets_a_token_for_its_branch() {
    let stage = Stage::new().await;
    let answer = stage.exchange(&stage.push()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.json());
    let body = answer.json();
    assert_eq!(body["issued_token_type"], JWT);
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], 300);
    let token = stage.issuer.verify(body["access_token"].as_str().unwrap()).await.unwrap();
    assert_eq!(token.claims["sub"], "ci:456789");
    let run = &ci_claims::github_push()["run_id"];
    let prefix = format!("branch-main/run-{}", run.as_str().unwrap());
    assert_eq!(token.claims["https://aws.amazon.com/tags"]["principal_tags"]["prefix"], json!([prefix]));
    assert_eq!(token.claims["https://aws.amazon.com/roles"], json!([ROLE]));

    let rows = stage.issuer.store.ledger().page(&LedgerQuery::default(), 10).await.unwrap();
    let row: Value = serde_json::from_str(&rows.last().unwrap().body).unwrap();
    assert_eq!((&row["source"], &row["rule"]), (&json!("github"), &json!("main")));
    assert!(row["credential"].as_str().unwrap().starts_with("github/"), "{row}");
}

#[tokio::test]
async fn audience_and_role_are_chosen_within_the_rule() {
    let stage = Stage::new().await;
    let token = stage.push();
    let base = [("grant_type", EXCHANGE), ("subject_token_type", JWT), ("subject_token", token.as_str())];
    let refused = stage.post(&[&base[..], &[("resource", "arn:aws:iam::123456789012:role/admin")]].concat()).await;
    assert_eq!((refused.status, refused.json()["error"].as_str()), (StatusCode::BAD_REQUEST, Some("invalid_target")));
    assert_eq!(refused.json()["rule"], "main");
    // The refusal left the token unused.
    let chosen = stage.post(&[&base[..], &[("audience", "second.example"), ("resource", ROLE)]].concat()).await;
    assert_eq!(chosen.status, StatusCode::OK, "{}", chosen.json());
}

#[tokio::test]
async fn what_is_wrong_with_a_token_is_told() {
    let stage = Stage::new().await;
    let mut altered = stage.push();
    altered.replace_range(altered.rfind('.').unwrap() + 1.., "AAAA");
    let for_aws = stage.github.token(&{
        let mut claims = ci_claims::github_push();
        claims.insert("aud".to_owned(), json!("sts.amazonaws.com"));
        claims
    });
    let (_, bearer) = stage.issuer.make_bearer(None).await;
    let foreign = CiPlatform::start(Arc::new(stage.issuer.clock.clone())).await;
    let claims = fresh(ci_claims::github_push());
    let cases = [
        (altered, "ci-token-invalid", "signature"),
        (for_aws, "ci-token-audience", "audience"),
        (foreign.token(&claims), "ci-token-invalid", "no provider has the token's issuer"),
        (bearer, "ci-token-wanted", "ID token"),
        (stage.token(ci_claims::github_feature_branch()), "not-allowed", "No rule"),
        (stage.token(ci_claims::github_fork_push()), "not-allowed", "No rule"),
    ];
    for (token, expected, said) in cases {
        let answer = stage.exchange(&token).await;
        let body = answer.json();
        assert_eq!((answer.status, kind(&answer).as_str()), (StatusCode::BAD_REQUEST, expected), "{body}");
        assert!(body["error_description"].as_str().unwrap().to_lowercase().contains(&said.to_lowercase()), "{body}");
        assert_eq!(body["error"], "invalid_request", "RFC 8693 §2.2.2");
    }
    let late = stage.push();
    stage.issuer.clock.advance(SignedDuration::from_mins(10));
    let answer = stage.exchange(&late).await;
    assert!(answer.json()["error_description"].as_str().unwrap().contains("expired"), "{}", answer.json());
}

#[tokio::test]
async fn a_request_that_is_no_exchange_says_what_is_missing() {
    let stage = Stage::new().await;
    let token = stage.push();
    let whole = [("grant_type", EXCHANGE), ("subject_token_type", ID_TOKEN), ("subject_token", token.as_str())];
    let without = |name: &str| whole.iter().copied().filter(|(known, _)| *known != name).collect::<Vec<_>>();
    let with = |name, value| [&whole[..], &[(name, value)]].concat();
    for (form, said) in [
        (without("subject_token"), "`subject_token` is missing"),
        (without("subject_token_type"), "`subject_token_type` is missing"),
        (with("actor_token", "x"), "actor_token"),
        (with("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token"), "requested_token_type"),
        (with("client_secret", "x"), "subject token is the proof"),
    ] {
        let answer = stage.post(&form).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(answer.json()["error_description"].as_str().unwrap().contains(said), "{}", answer.json());
    }
    assert_eq!(stage.exchange(&token).await.status, StatusCode::OK, "none of that used the token");
}

#[tokio::test]
async fn a_token_is_exchanged_once() {
    let stage = Stage::new().await;
    let token = stage.push();
    assert_eq!(stage.exchange(&token).await.status, StatusCode::OK);
    let again = stage.exchange(&token).await;
    assert_eq!((again.status, kind(&again).as_str()), (StatusCode::BAD_REQUEST, "ci-token-spent"));
    let by_another_route = stage.issuer.mint(&token, json!({})).await;
    assert_eq!(by_another_route.status, StatusCode::UNAUTHORIZED);
    assert_eq!(kind(&by_another_route), "ci-token-spent");
    // Until it has expired, and after a restart.
    let Stage { github, gitlab, issuer } = stage;
    let trusted_issuers = vec![
        trusted_issuer("github", IssuerKind::GITHUB, &github),
        trusted_issuer("gitlab", IssuerKind::GITLAB, &gitlab),
    ];
    let setup = Setup { rules: RULES, trusted_issuers, ..Setup::default() };
    let second = TestIssuer::start_in(setup, Arc::clone(&issuer.dir), issuer.clock.clone()).await.unwrap();
    let stage = Stage { github, gitlab, issuer: second };
    assert_eq!(kind(&stage.exchange(&token).await), "ci-token-spent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_200_exchanges_of_one_token_on_two_nodes_one_succeeds() {
    let stage = Stage::new().await;
    let trusted_issuers = vec![
        trusted_issuer("github", IssuerKind::GITHUB, &stage.github),
        trusted_issuer("gitlab", IssuerKind::GITLAB, &stage.gitlab),
    ];
    let setup = Setup { rules: RULES, trusted_issuers, ..Setup::default() };
    let node = TestIssuer::start_in(setup, Arc::clone(&stage.issuer.dir), stage.issuer.clock.clone()).await.unwrap();
    let token = stage.push();
    let form = [("grant_type", EXCHANGE), ("subject_token_type", ID_TOKEN), ("subject_token", token.as_str())];
    let all = (0..200).map(|at| {
        let issuer = if at % 2 == 0 { &stage.issuer } else { &node };
        issuer.send(request(&form))
    });
    let answers = futures::future::join_all(all).await;
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(StatusCode::OK), count(StatusCode::BAD_REQUEST)), (1, 199));
    assert!(
        answers.iter().filter(|answer| answer.status != StatusCode::OK).all(|answer| kind(answer) == "ci-token-spent")
    );
}

#[tokio::test]
async fn a_client_that_retries_may_be_allowed_to_for_the_same_request() {
    let stage = Stage::with(|trusted_issuer| {
        trusted_issuer.reuse = Reuse::Times { uses: 2, within: SignedDuration::from_secs(10) };
    })
    .await;
    let token = stage.push();
    assert_eq!(stage.exchange(&token).await.status, StatusCode::OK);
    let other = [
        ("grant_type", EXCHANGE),
        ("subject_token_type", ID_TOKEN),
        ("subject_token", token.as_str()),
        ("audience", "second.example"),
    ];
    assert_eq!(kind(&stage.post(&other).await), "ci-token-spent", "another request");
    assert_eq!(stage.exchange(&token).await.status, StatusCode::OK, "the same within the time");
    assert_eq!(kind(&stage.exchange(&token).await), "ci-token-spent", "a third time");

    let late = stage.push();
    assert_eq!(stage.exchange(&late).await.status, StatusCode::OK);
    stage.issuer.clock.advance(SignedDuration::from_secs(11));
    assert_eq!(kind(&stage.exchange(&late).await), "ci-token-spent", "too late");
}

#[tokio::test]
async fn the_same_jti_of_two_trusted_issuers_is_two_tokens() {
    let stage = Stage::new().await;
    let same = |claims: Map<String, Value>| {
        let mut claims = fresh(claims);
        claims.insert("jti".to_owned(), json!("the-same"));
        claims
    };
    let github = stage.github.token(&same(ci_claims::github_push()));
    let gitlab = stage.gitlab.token(&same(ci_claims::gitlab_branch()));
    let other = stage.github.token(&same(ci_claims::github_push()));
    assert_eq!(stage.exchange(&github).await.status, StatusCode::OK);
    assert_eq!(stage.exchange(&gitlab).await.status, StatusCode::OK);
    assert_eq!(kind(&stage.exchange(&other).await), "ci-token-spent");
}

#[tokio::test]
async fn a_claim_is_taken_back_when_nothing_can_be_released() {
    let stage = Stage::new().await;
    let token = stage.push();
    // The platform's keys are fetched while the database still works.
    assert_eq!(kind(&stage.exchange(&stage.token(ci_claims::github_feature_branch())).await), "not-allowed");
    let keys = stage.issuer.keys();
    let kid = keys.list().await.unwrap()[0].state.kid.clone();
    keys.withdraw(&kid, true).await.unwrap();
    stage.issuer.app.tend_keys().await.unwrap();
    let refused = stage.exchange(&token).await;
    assert_eq!((refused.status, kind(&refused).as_str()), (StatusCode::SERVICE_UNAVAILABLE, "no-signing-key"));
    stage.issuer.clock.advance(SignedDuration::from_hours(25));
    stage.issuer.app.tend_keys().await.unwrap();
    // The same token as far as its use is counted, made anew because the first has expired meanwhile.
    let mut claims = fresh(ci_claims::github_push());
    claims.insert("jti".to_owned(), json!(jti(&token)));
    assert_eq!(stage.exchange(&stage.github.token(&claims)).await.status, StatusCode::OK);
}

fn jti(token: &str) -> String {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    let payload = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice::<Value>(&payload).unwrap()["jti"].as_str().unwrap().to_owned()
}

type Proof<'a> = Box<dyn Fn() -> String + 'a>;

#[tokio::test]
async fn what_strangers_jobs_are_refused_does_not_fill_the_ledger() {
    let clock = MockClock::default();
    let github = CiPlatform::start(Arc::new(clock.clone())).await;
    let free = Rate { per_second: 0, burst: 0 };
    let limits = Limits {
        per_credential: free,
        per_address: free,
        failed_per_address: Rate { per_second: 1, burst: 5 },
        ..Limits::default()
    };
    let trusted_issuers = vec![trusted_issuer("github", IssuerKind::GITHUB, &github)];
    let rules = r#"
[[rule]]
name = "main"
from = "github"
match.repository_id = "1"
subject = "ci:${repository_id}"
"#;
    let setup = Setup { limits, rules, trusted_issuers, ..Setup::default() };
    let issuer = TestIssuer::start_in(setup, Arc::new(tempfile::tempdir().unwrap()), clock).await.unwrap();
    let mut refused = 0;
    for _ in 0..50 {
        let token = github.token(&fresh(ci_claims::github_push()));
        let form = [("grant_type", EXCHANGE), ("subject_token_type", ID_TOKEN), ("subject_token", token.as_str())];
        match issuer.send(request(&form)).await.status {
            StatusCode::BAD_REQUEST => refused += 1,
            status => assert_eq!(status, StatusCode::TOO_MANY_REQUESTS),
        }
    }
    assert!((5..=10).contains(&refused), "{refused}");
    let rows = issuer.store.ledger().page(&LedgerQuery::default(), 100).await.unwrap();
    assert_eq!(rows.len(), refused);
}

/// Every way to get a token, with every kind of proof: the rules' verdict is the same on all that take the proof.
#[tokio::test]
async fn every_path_meets_the_same_rules() {
    let stage = Stage::new().await;
    let attributes = |branch: &str| Map::from_iter([("branch".to_owned(), json!(branch))]);
    let (_, on_main) = stage.issuer.make_bearer_with(|bearer| bearer.attributes = attributes("main")).await;
    let (_, elsewhere) = stage.issuer.make_bearer_with(|bearer| bearer.attributes = attributes("feature")).await;
    let session = stage.issuer.open_session().await;
    // Proofs, made anew for each path because CI tokens are used up; whether the rules admit them; and which paths take them.
    let proofs: [(&str, Proof<'_>, bool); 6] = [
        ("a job on main", Box::new(|| stage.push()), true),
        ("a job on a branch", Box::new(|| stage.token(ci_claims::github_feature_branch())), false),
        ("a fork's job", Box::new(|| stage.token(ci_claims::github_fork_push())), false),
        ("a bearer for main", Box::new(|| on_main.clone()), true),
        ("a bearer for a branch", Box::new(|| elsewhere.clone()), false),
        ("a session", Box::new(|| session.clone()), false),
    ];
    for (who, proof, admitted) in proofs {
        let mut asked = 0;
        for path in ["tokens", "id-token", "aws", "exchange", "client-credentials", "earlier"] {
            let proof = proof();
            let is_job = proof.contains('.');
            let takes = match path {
                "tokens" | "id-token" | "aws" => true,
                "exchange" => is_job,
                "client-credentials" => !is_job,
                _ => who == "a session",
            };
            let bearer = format!("Bearer {proof}");
            let answer = match path {
                "tokens" => stage.issuer.mint(&proof, json!({})).await,
                "id-token" => {
                    let request = Request::get("/v1/id-token").header("authorization", &bearer);
                    stage.issuer.send(request.body(Body::empty()).unwrap()).await
                }
                "aws" => {
                    let request = Request::get(format!("/v1/aws/credentials?role={ROLE}"));
                    stage.issuer.send(request.header("authorization", &bearer).body(Body::empty()).unwrap()).await
                }
                "exchange" => stage.exchange(&proof).await,
                "client-credentials" => {
                    stage.post(&[("grant_type", "client_credentials"), ("client_secret", &proof)]).await
                }
                _ => {
                    let request = Request::post("/v1/mint-oidc-jwt").header("authorization", &bearer);
                    stage.issuer.send(request.body(Body::empty()).unwrap()).await
                }
            };
            let granted = answer.status == StatusCode::OK;
            assert_eq!(granted, takes && admitted, "{who} by {path}: {}", answer.json());
            if takes {
                asked += 1;
                assert!(granted || kind(&answer) == "not-allowed", "{who} by {path}: {}", answer.json());
            }
        }
        assert!(asked >= 3, "{who}");
    }
}
