//! What `explain` says about tokens of well-known issuers and the trust policies that people write for them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on ends here")]

mod accounts;
mod kinds;
mod patterns;
mod scopes;

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
const CIRCLE: &str = "oidc.circleci.com/org/6b376885-8f20-45b2-ba2f-c27c0919bc6d";

/// A token, unsigned, a trust policy, and what is known of the provider.
struct Case {
    header: Value,
    claims: Value,
    trust: Value,
    client_ids: Vec<String>,
    provider_url: Option<&'static str>,
}

fn arn(url: &str) -> String {
    format!("arn:aws:iam::111122223333:oidc-provider/{url}")
}

/// A token of an issuer with a subject, against one statement with these conditions.
fn case(url: &str, subject: &str, conditions: &Value) -> Case {
    let mut claims = json!({
        "iss": format!("https://{url}"), "sub": subject, "aud": "sts.amazonaws.com", "iat": NOW - 10, "exp": NOW + 600,
    });
    if url == GITHUB {
        let more = json!({
            "repository": "acme/app", "repository_owner": "acme", "repository_id": "34", "repository_owner_id": "12",
            "ref": "refs/heads/main", "actor": "dev", "workflow": "deploy",
        });
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    }
    let trust = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Federated": arn(url)}, "Action": "sts:AssumeRoleWithWebIdentity", "Condition": conditions,
    }]});
    let header = json!({"alg": "RS256", "kid": "k1", "typ": "JWT"});
    Case { header, claims, trust, client_ids: vec!["sts.amazonaws.com".to_owned()], provider_url: None }
}

/// The same with one condition on the subject.
fn on_subject(url: &str, subject: &str, operator: &str, value: impl Into<Value>) -> Case {
    case(url, subject, &json!({operator: {format!("{url}:sub"): value.into()}}))
}

impl Case {
    fn with(mut self, claim: &str, value: impl Into<Value>) -> Self {
        self.claims[claim] = value.into();
        self
    }

    fn without(mut self, claim: &str) -> Self {
        self.claims.as_object_mut().unwrap().remove(claim);
        self
    }

    fn explain(&self) -> Explanation {
        let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        explain(&format!("{}.{}.c2ln", encode(&self.header), encode(&self.claims)), self)
    }

    /// The first failed check with its fix.
    fn refused(&self) -> (&'static str, String) {
        let explanation = self.explain();
        let failed = explanation.checks.iter().find(|check| !check.passed);
        let failed = failed.unwrap_or_else(|| panic!("nothing failed: {explanation:#?}"));
        (failed.check, failed.fix.clone().unwrap())
    }

    fn fix(&self) -> String {
        self.refused().1
    }

    /// The warnings about the policy.
    fn warnings(&self) -> Vec<(&'static str, String)> {
        let explanation = self.explain();
        assert!(explanation.accepted, "{:#?}", explanation.checks);
        let about = explanation
            .warnings
            .into_iter()
            .filter(|warning| !["signature-not-checked", "names-not-ids"].contains(&warning.id));
        about.map(|warning| (warning.id, warning.text)).collect()
    }

    fn ids(&self) -> Vec<&'static str> {
        self.warnings().into_iter().map(|(id, _)| id).collect()
    }
}

fn explain(token: &str, case: &Case) -> Explanation {
    let trust_policy = Policy::parse_as(Kind::Trust, &case.trust.to_string()).unwrap();
    let question = Question {
        token,
        trust_policy: &trust_policy,
        role_arn: None,
        provider_url: case.provider_url,
        local: false,
        provider_missing: false,
        client_ids: &case.client_ids,
        discovery: Fetched::Unchecked,
        jwks: Fetched::Unchecked,
        context: &[],
        now: Timestamp::from_second(NOW).unwrap(),
        access: None,
    };
    question.explain()
}

/// That a text has all of these parts.
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
}
