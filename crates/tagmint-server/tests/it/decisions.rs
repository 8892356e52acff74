//! What is kept of a decision and told about it: the claims, request and rules in the ledger, shadow rules, the nearest rule of a refusal,
//! and rules that replace others.

use std::{sync::Arc, time::Duration};

use axum::{body::Body, http::Request};
use serde_json::{Value, json};
use tagmint_core::{
    ledger::{AddressClass, FORMAT, LedgerEntry, Outcome, Run, Shadow},
    rules::MintRequest,
};
use tagmint_server::client_address::Peer;
use tagmint_store::LedgerQuery;
use tagmint_testkit::{ci_claims, clock::MockClock, keys::master_key, ledger as ledger_entries};

use crate::{
    exchange::{Stage, fresh, trusted_issuer},
    issuer::{Answer, Setup, TestIssuer, compiled},
};

/// A credential of somebody else, in a place where none belongs.
const JWT: &str = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJlc2lnbmF0dXJlc2lnbmF0dXJl";

/// Shadow rules before, between and after the rules that decide.
const SHADOWS: &str = r#"
[[rule]]
name = "stricter"
from = "bearer"
match.team = "blue"
mode = "shadow"
subject = "strict:${sub}"
role = "arn:aws:iam::123456789012:role/admin"

[[rule]]
name = "demanding"
from = "bearer"
mode = "shadow"
subject = "demanding:${sub}"
tags.run = { matches = 'value.startsWith("run-")', required = true }

[[rule]]
name = "jobs"
from = "bearer"
match.branch = "main"
subject = "ci:${sub}"

[[rule]]
name = "too-late"
from = "bearer"
mode = "shadow"
subject = "late:${sub}"
"#;

async fn entries(issuer: &TestIssuer) -> Vec<LedgerEntry> {
    let rows = issuer.store.ledger().page(&LedgerQuery::default(), 10_000).await.unwrap();
    rows.iter().map(|row| serde_json::from_str(&row.body).unwrap()).collect()
}

async fn last_run(issuer: &TestIssuer) -> Run {
    *entries(issuer).await.pop().unwrap().run.expect("the identity is known")
}

/// A bearer token with these attributes.
async fn bearer(issuer: &TestIssuer, attributes: Value) -> String {
    let Value::Object(attributes) = attributes else { panic!("{attributes}") };
    issuer.make_bearer_with(|bearer| bearer.attributes = attributes).await.1
}

async fn metrics(issuer: &TestIssuer) -> String {
    String::from_utf8(issuer.send_admin("/metrics").await.body).unwrap()
}

async fn mint_from(issuer: &TestIssuer, address: &str, credential: &str, request: &Value) -> Answer {
    let address: std::net::IpAddr = address.parse().unwrap();
    let http = Request::post("/v1/tokens").header("authorization", format!("Bearer {credential}"));
    let mut http = http.body(Body::from(request.to_string())).unwrap();
    http.extensions_mut().insert(Peer::Tcp((address, 1).into()));
    issuer.send(http).await
}

#[tokio::test]
async fn a_row_has_what_the_rules_saw_of_a_job() {
    let stage = Stage::with(|_| {}).await;
    let issuer = &stage.issuer;
    let asked = [("audience", "second.example")];
    for (claims, extra, outcome) in
        [(ci_claims::github_push(), &asked[..], "minted"), (ci_claims::github_feature_branch(), &[], "refused")]
    {
        let branch = claims["ref"].as_str().unwrap().trim_start_matches("refs/heads/").to_owned();
        let token = stage.token(claims);
        stage.exchange_with(&token, extra).await;
        let entry = entries(issuer).await.pop().unwrap();
        assert_eq!((entry.format, entry.outcome_name()), (FORMAT, outcome));
        assert_eq!(entry.source.as_deref(), Some("github"));
        let run = *entry.run.unwrap();
        assert_eq!(run.trusted_issuer.as_deref(), Some("github"));
        assert_eq!(run.attributes["repository_id"], "456789");
        assert_eq!((&run.attributes["branch"], &run.attributes["run_id"]), (&json!(branch), &json!("9876543210")));
        assert_eq!(run.left_out, [""; 0]);
        assert_eq!(run.rules, issuer.app.rules().hash());
        let audience = extra.first().map(|(_, audience)| (*audience).to_owned());
        assert_eq!(run.request, Some(MintRequest { audience, ..MintRequest::default() }));
        assert_eq!(run.shadows, []);
    }
    let rows = issuer.store.ledger().page(&LedgerQuery::default(), 10).await.unwrap();
    assert!(rows.iter().all(|row| !row.body.contains("eyJ")), "the job's token is not kept");
    assert_eq!(issuer.store.ledger().verify(&master_key(1)).await.unwrap().rows, 2);
}

#[tokio::test]
async fn a_row_has_the_kind_of_address_and_the_request() {
    let issuer = TestIssuer::start().await;
    let session = issuer.open_session().await;
    for (address, class) in [
        ("127.0.0.1", AddressClass::Loopback),
        ("10.1.2.3", AddressClass::Private),
        ("100.64.0.1", AddressClass::Shared),
        ("203.0.113.7", AddressClass::Public),
    ] {
        let request = json!({"rule": "wallet", "lifetime_seconds": 120, "tags": {"project": "atlas"}});
        assert_eq!(mint_from(&issuer, address, &session, &request).await.status, 200);
        let entry = entries(&issuer).await.pop().unwrap();
        assert_eq!(entry.remote.as_deref(), Some(address));
        let run = *entry.run.unwrap();
        assert_eq!((run.address, run.trusted_issuer.as_deref()), (Some(class), None));
        assert_eq!(serde_json::to_value(run.request.unwrap()).unwrap(), request);
    }
    // What was asked for and refused is kept, unless it is too large for a row.
    let refused = json!({"audience": "nobody.example"});
    mint_from(&issuer, "203.0.113.7", &session, &refused).await.problem(403, "not-allowed");
    assert_eq!(serde_json::to_value(last_run(&issuer).await.request).unwrap(), refused);
    mint_from(&issuer, "203.0.113.7", &session, &json!({"audience": "x".repeat(5000)}))
        .await
        .problem(403, "not-allowed");
    assert_eq!(last_run(&issuer).await.request, None);
    // Of an unknown credential nothing is known.
    mint_from(&issuer, "203.0.113.7", "tms_test_x", &json!({})).await.problem(401, "credential-invalid");
    assert_eq!(entries(&issuer).await.pop().unwrap().run, None);
    for row in issuer.store.ledger().page(&LedgerQuery::default(), 10).await.unwrap() {
        assert!(!row.body.contains(&session) && !row.body.contains(&"x".repeat(1000)), "{}", row.body);
    }
}

#[tokio::test]
async fn attributes_that_are_large_or_look_like_a_credential_are_left_out_of_the_row() {
    let rules = "[[rule]]\nname = 'all'\nfrom = 'bearer'\nsubject = 'ci:${sub}'\n";
    let issuer = TestIssuer::start_with(Setup { rules, ..Setup::default() }).await;
    let secret = bearer(&issuer, json!({"team": "blue", "leak": JWT, "level": 3, "long": "x".repeat(4096)})).await;
    assert_eq!(issuer.mint(&secret, json!({})).await.status, 200);
    let run = last_run(&issuer).await;
    assert_eq!(Value::from(run.attributes), json!({"team": "blue", "level": 3}));
    let mut left_out = run.left_out;
    left_out.sort();
    assert_eq!(left_out, ["leak", "long"]);
}

#[tokio::test]
async fn rows_of_the_first_format_stay_readable_and_verify() {
    let issuer = TestIssuer::start().await;
    let session = issuer.open_session().await;
    let old = issuer.store.ledger_writer(master_key(1)).await.unwrap();
    for number in 1..=3 {
        let entry = if number == 2 { ledger_entries::refusal(number) } else { ledger_entries::mint(number) };
        let entry = LedgerEntry { format: 1, ..entry };
        assert!(!entry.to_body().contains("format") && !entry.to_body().contains("run"), "{}", entry.to_body());
        old.append(entry, Duration::from_secs(5)).await.unwrap();
    }
    old.close().await;
    assert_eq!(issuer.mint(&session, json!({})).await.status, 200);
    let entries = entries(&issuer).await;
    let formats: Vec<(u8, bool)> = entries.iter().map(|entry| (entry.format, entry.run.is_some())).collect();
    assert_eq!(formats, [(1, false), (1, false), (1, false), (FORMAT, true)]);
    assert!(matches!(entries[1].outcome, Outcome::Refused(_)));
    assert_eq!(issuer.store.ledger().verify(&master_key(1)).await.unwrap().rows, 4);
}

#[tokio::test]
async fn a_shadow_rule_grants_nothing_and_is_recorded() {
    let issuer = TestIssuer::start_with(Setup { rules: SHADOWS, ..Setup::default() }).await;
    let decision = |rule: &str, outcome: &str| Shadow { rule: rule.to_owned(), outcome: outcome.to_owned() };
    let both = bearer(&issuer, json!({"team": "blue", "branch": "main"})).await;
    let answer = issuer.mint(&both, json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    let body = answer.json();
    assert!(body["subject"].as_str().unwrap().starts_with("ci:"), "{body}");
    let claims = issuer.verify(body["token"].as_str().unwrap()).await.unwrap().claims;
    assert_eq!(claims.get("https://aws.amazon.com/roles"), None, "the shadow rule's role is not given");
    let first = entries(&issuer).await.pop().unwrap();
    assert_eq!(first.rule.as_deref(), Some("jobs"));
    assert_eq!(first.run.unwrap().shadows, [decision("stricter", "granted"), decision("demanding", "tag_required")]);

    // Nothing that a shadow rule alone would take is granted.
    let blue = bearer(&issuer, json!({"team": "blue"})).await;
    let problem = issuer.mint(&blue, json!({})).await.problem(403, "not-allowed");
    assert_eq!(problem.get("rule"), None, "{problem}");
    let refused = entries(&issuer).await.pop().unwrap();
    let Outcome::Refused(row) = &refused.outcome else { panic!("{refused:?}") };
    assert_eq!((row.code.as_str(), refused.rule.as_deref()), ("no_rule", None));
    let shadows = refused.run.unwrap().shadows;
    assert_eq!(
        shadows,
        [("stricter", "granted"), ("demanding", "tag_required"), ("too-late", "granted")].map(|(a, b)| decision(a, b))
    );

    // A request cannot name one, as if it were not there.
    for rule in ["stricter", "no-such-rule"] {
        issuer.mint(&both, json!({"rule": rule})).await.problem(403, "not-allowed");
        let Outcome::Refused(row) = entries(&issuer).await.pop().unwrap().outcome else { panic!("{rule}") };
        assert_eq!(row.code, "unknown_rule", "{rule}");
    }
    let metrics = metrics(&issuer).await;
    for (rule, outcome, count) in [("stricter", "granted", 2), ("demanding", "refused", 2), ("too-late", "granted", 1)]
    {
        let line = format!("tagmint_shadow_decisions_total{{rule=\"{rule}\",outcome=\"{outcome}\"}} {count}\n");
        assert!(metrics.contains(&line), "{line}\n{metrics}");
    }
}

#[tokio::test]
async fn a_refusal_names_the_nearest_rule_where_the_operator_wants_it() {
    let rules = r#"
[[rule]]
name = "main"
from = "github"
match = { repository_id = "456789", branch = "main", event_name = "push" }
subject = "ci:${repository_id}"

[[rule]]
name = "deploy"
from = "github"
match = { repository_id = "456789", environment = "production" }
when = 'run_attempt == "1"'
subject = "ci:${repository_id}"
"#;
    for explain_refusals in [false, true] {
        let clock = MockClock::default();
        let github = tagmint_testkit::ci_platform::CiPlatform::start(Arc::new(clock.clone())).await;
        let trusted_issuers = vec![trusted_issuer("github", tagmint_core::trusted_issuer::IssuerKind::GITHUB, &github)];
        let setup = Setup { explain_refusals, rules, trusted_issuers, ..Setup::default() };
        let issuer = TestIssuer::start_in(setup, Arc::new(tempfile::tempdir().unwrap()), clock).await.unwrap();
        let token = |claims| github.token(&fresh(claims));
        let branch = token(ci_claims::github_feature_branch());
        let detail = async |token: &str| {
            let problem = issuer.mint(token, json!({})).await.problem(403, "not-allowed");
            problem["detail"].as_str().unwrap().to_owned()
        };
        let told = detail(&branch).await;
        let plain = "No rule lets this identity have such a token; ask the operator, and check `rule` if you gave one.";
        if !explain_refusals {
            assert_eq!(told, plain);
            continue;
        }
        assert_eq!(
            told,
            format!("{plain} The nearest rule is `main`: `branch` is \"feature/login\", and must be \"main\".")
        );
        let changes = json!({"run_attempt": "2", "event_name": "workflow_dispatch", "ref": "refs/heads/topic"});
        let environment = ci_claims::with(ci_claims::github_environment(), changes);
        let told = detail(&token(environment)).await;
        assert_eq!(told, format!("{plain} The nearest rule is `deploy`: `when` is false."));
        // What a rule that takes the caller refuses has its own words.
        let refused = issuer.mint(&token(ci_claims::github_push()), json!({"audience": "nobody"})).await;
        let problem = refused.problem(403, "not-allowed");
        assert!(!problem["detail"].as_str().unwrap().contains("nearest"), "{problem}");
        // The ledger has the reason alone: what the rules saw stands beside it.
        let rows = entries(&issuer).await;
        let Outcome::Refused(row) = &rows[0].outcome else { panic!("{:?}", rows[0]) };
        assert!(!row.detail.contains("nearest"), "{}", row.detail);
    }
}

#[tokio::test]
async fn other_rules_decide_from_the_next_request_on() {
    let issuer = TestIssuer::start().await;
    let (_, secret) = issuer.make_bearer(None).await;
    let subject = async || {
        let answer = issuer.mint(&secret, json!({"tags": {"run": "run-1"}})).await;
        assert_eq!(answer.status, 200, "{}", answer.json());
        answer.json()["subject"].as_str().unwrap().split_once(':').unwrap().0.to_owned()
    };
    let hash = || issuer.app.rules().hash().to_owned();
    let first = hash();
    assert_eq!(subject().await, "ci");
    assert_eq!(last_run(&issuer).await.rules, first);
    let other = "[[rule]]\nname = 'other'\nfrom = 'bearer'\nsubject = 'other:${sub}'\ntags.run = { open = true }\n";
    assert!(issuer.app.replace_rules(compiled(other, &[])));
    assert_eq!(subject().await, "other");
    let second = hash();
    assert_eq!(last_run(&issuer).await.rules, second);
    assert_ne!(first, second);
    assert!(!issuer.app.replace_rules(compiled(other, &[])), "the same rules");
    issuer.app.keep_rules();
    assert_eq!((hash(), subject().await), (second.clone(), "other".to_owned()));
    let metrics = metrics(&issuer).await;
    for line in [
        format!("tagmint_rule_set_info{{hash=\"{first}\"}} 0\n"),
        format!("tagmint_rule_set_info{{hash=\"{second}\"}} 1\n"),
        "tagmint_rule_reloads_total{result=\"replaced\"} 1\n".to_owned(),
        "tagmint_rule_reloads_total{result=\"unchanged\"} 1\n".to_owned(),
        "tagmint_rule_reloads_total{result=\"failed\"} 1\n".to_owned(),
    ] {
        assert!(metrics.contains(&line), "{line}\n{metrics}");
    }
}
