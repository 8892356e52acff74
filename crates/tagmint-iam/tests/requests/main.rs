//! What is advised about the keys, versions, partitions and principals of a request that is refused.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod keys;
mod not_principal;
mod partition;
mod version;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::{Value, json};
use tagmint_iam::{
    advice::{AccessQuestion, Asker, Explanation, Question},
    policy::{Kind, Policy},
    web_identity::Fetched,
};

const NOW: i64 = 1_795_900_000;
const HOST: &str = "id.example.com/realms/acme";
const BOTH: [&str; 2] = ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"];
const TAGS: &str = "https://aws.amazon.com/tags";

/// A question that passes, to be spoilt.
struct Case {
    claims: Value,
    trust: Value,
    role_arn: Option<String>,
    access: Option<(&'static str, String)>,
    role: Vec<Value>,
    bucket: Option<Value>,
    context: Vec<(String, String)>,
    asker: Asker,
}

impl Case {
    /// A token with the tag `team` = `blue`, and a trust policy with these conditions.
    fn new(conditions: &Value) -> Self {
        let claims = json!({
            "iss": format!("https://{HOST}"), "sub": "alice", "aud": "storage", "iat": NOW - 10, "exp": NOW + 600,
            TAGS: {"principal_tags": {"team": ["blue"]}, "transitive_tag_keys": []},
        });
        let trust = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Federated": format!("arn:aws:iam::111122223333:oidc-provider/{HOST}")},
            "Action": BOTH, "Condition": conditions,
        }]});
        Self {
            claims,
            trust,
            role_arn: Some("arn:aws:iam::111122223333:role/data".to_owned()),
            access: None,
            role: Vec::new(),
            bucket: None,
            context: Vec::new(),
            asker: Asker::Explain,
        }
    }

    /// The session asks for something, and the role has one policy with this statement.
    fn access(action: &'static str, resource: &str, statement: Value) -> Self {
        let mut case = Self::new(&json!({"StringEquals": {format!("{HOST}:sub"): "alice"}}));
        case.access = Some((action, resource.to_owned()));
        case.role = vec![json!({"Version": "2012-10-17", "Statement": statement})];
        case
    }

    fn with(mut self, key: &str, value: &str) -> Self {
        self.context.push((key.to_owned(), value.to_owned()));
        self
    }

    fn explain(&self) -> Explanation {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let token = format!("{}.{}.AA", part(&json!({"alg": "ES256", "kid": "k"})), part(&self.claims));
        let read = |kind, policy: &Value| Policy::parse_as(kind, &policy.to_string()).unwrap();
        let trust_policy = read(Kind::Trust, &self.trust);
        let role: Vec<Policy> = self.role.iter().map(|policy| read(Kind::Identity, policy)).collect();
        let bucket = self.bucket.as_ref().map(|policy| read(Kind::Resource, policy));
        let client_ids = ["storage".to_owned()];
        let question = Question {
            token: &token,
            trust_policy: &trust_policy,
            role_arn: self.role_arn.as_deref(),
            provider_url: None,
            local: false,
            provider_missing: false,
            client_ids: &client_ids,
            context: &self.context,
            discovery: Fetched::Unchecked,
            jwks: Fetched::Unchecked,
            now: Timestamp::from_second(NOW).unwrap(),
            access: self.access.as_ref().map(|(action, resource)| AccessQuestion {
                action,
                resource,
                role_policies: &role,
                bucket_policy: bucket.as_ref(),
                context: &self.context,
            }),
        };
        let explanation = question.explain_to(self.asker);
        assert_eq!(explanation.accepted, explanation.checks.iter().all(|check| check.passed), "{explanation:#?}");
        explanation
    }

    fn accepted(&self) -> bool {
        self.explain().accepted
    }

    /// The fix of a refusal.
    fn fix(&self) -> String {
        let explanation = self.explain();
        assert!(!explanation.accepted, "{explanation:#?}");
        explanation.checks.into_iter().find(|check| !check.passed).and_then(|check| check.fix).unwrap()
    }

    /// The texts of the warnings with this id.
    fn warnings(&self, id: &str) -> Vec<String> {
        let explanation = self.explain();
        assert!(explanation.accepted, "{explanation:#?}");
        explanation.warnings.into_iter().filter(|warning| warning.id == id).map(|warning| warning.text).collect()
    }
}
