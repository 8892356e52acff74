//! What `explain` advises, case by case.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on ends here")]

mod authorized_party;
mod built_in;
mod placeholders;
mod statements;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::{Value, json};
use tagmint_iam::{
    advice::{Explanation, Question},
    policy::{Kind, Policy},
    web_identity::Fetched,
};

const NOW: i64 = 1_795_900_000;
const GITHUB: &str = "token.actions.githubusercontent.com";

fn arn(url: &str) -> String {
    format!("arn:aws:iam::111122223333:oidc-provider/{url}")
}

/// A token that nobody signed: its signature is not checked here.
fn token(claims: &Value) -> String {
    let mut whole = json!({"iat": NOW - 10, "exp": NOW + 600});
    whole.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2ln", encode(&json!({"alg": "RS256", "kid": "k"})), encode(&whole))
}

/// A workflow's token.
fn github(subject: &str, more: &Value) -> Value {
    let mut claims = json!({
        "iss": format!("https://{GITHUB}"), "aud": "sts.amazonaws.com", "sub": subject, "repository": "acme/ops",
        "repository_owner": "acme", "repository_id": "34", "repository_owner_id": "12",
    });
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    claims
}

/// Statements of a trust policy.
fn policy(statements: &[Value]) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// An Allow statement for the provider at this URL.
fn allow(url: &str, condition: &Value) -> Value {
    json!({
        "Effect": "Allow", "Principal": {"Federated": arn(url)}, "Action": "sts:AssumeRoleWithWebIdentity", "Condition": condition,
    })
}

fn explain(claims: &Value, trust: &Value, client_ids: &[&str]) -> Explanation {
    explain_token(&token(claims), trust, client_ids, None)
}

fn explain_token(token: &str, trust: &Value, client_ids: &[&str], role_arn: Option<&str>) -> Explanation {
    let trust_policy = Policy::parse_as(Kind::Trust, &trust.to_string()).unwrap();
    let client_ids: Vec<String> = client_ids.iter().map(|id| (*id).to_owned()).collect();
    Question {
        token,
        trust_policy: &trust_policy,
        role_arn,
        provider_url: None,
        local: false,
        provider_missing: false,
        client_ids: &client_ids,
        discovery: Fetched::Unchecked,
        jwks: Fetched::Unchecked,
        context: &[],
        now: Timestamp::from_second(NOW).unwrap(),
        access: None,
    }
    .explain()
}

/// The first failed check's fix.
fn fix(explanation: &Explanation) -> &str {
    let failed = explanation.checks.iter().find(|check| !check.passed);
    let failed = failed.unwrap_or_else(|| panic!("nothing failed: {explanation:#?}"));
    failed.fix.as_deref().unwrap_or_else(|| panic!("no fix: {failed:?}"))
}

fn warnings(explanation: &Explanation) -> Vec<&'static str> {
    let told = explanation.warnings.iter().map(|warning| warning.id);
    told.filter(|id| !["signature-not-checked", "audience-not-checked"].contains(id)).collect()
}

/// All orders of some statements.
fn orders(statements: &[Value]) -> Vec<Vec<Value>> {
    let Some((first, rest)) = statements.split_first() else { return vec![Vec::new()] };
    let mut all = Vec::new();
    for order in orders(rest) {
        for place in 0..=order.len() {
            let mut order = order.clone();
            order.insert(place, first.clone());
            all.push(order);
        }
    }
    all
}
