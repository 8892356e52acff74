//! AWS, as `tagmint-iam` knows it, with what a configuration's set-up makes of it.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tagmint_aws::render::{Names, SetUp};
use tagmint_core::{
    claims::Claims,
    identity::{CredentialId, IdentitySource, VerifiedIdentity},
    rules::{Grant, MintRequest, TagScope},
    trusted_issuer::{IssuerKind, TrustedIssuerName},
};
use tagmint_iam::{
    context::Context,
    evaluate::{Policies, Request, access},
    partition,
    policy::{Kind, Policy},
    provider::{OidcProvider, Registration},
    trust_policy, validate,
    web_identity::{Fetched, Role, Session, WebIdentityRequest, World, verdict},
};

use super::{Config, set_up, shipped};

/// An account in which a set-up stands.
pub(super) struct Aws {
    pub(super) config: Config,
    pub(super) plan: SetUp,
    provider: OidcProvider,
    role: Role,
    pub(super) role_policies: Vec<Policy>,
    pub(super) bucket_policy: Option<Policy>,
}

/// AWS stores what is rendered, and nothing of it is in vain.
fn check_stored(plan: &SetUp, partition: &str) {
    for guard in plan.roles.iter().filter_map(|role| role.guard_policy.as_ref()) {
        let policy = validate::identity_policy(&guard.to_string(), partition).unwrap();
        assert_eq!(validate::findings(&policy, validate::Place::Identity { partition }), []);
    }
    if let Some(bucket) = &plan.bucket {
        let place = validate::Place::Bucket { partition, bucket: &bucket.name };
        let policy = validate::bucket_policy(&bucket.policy.to_string(), partition, &bucket.name).unwrap();
        assert_eq!(validate::findings(&policy, place), []);
    }
}

pub(super) fn now() -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap()
}

impl Aws {
    pub(super) fn of(environment: &str) -> Self {
        Self::with_role(shipped(environment), 0)
    }

    /// The account of a configuration, with one of its roles.
    pub(super) fn with_role(config: Config, role: usize) -> Self {
        let plan = set_up(&config, Names::Literal);
        let account = config.aws.as_ref().and_then(|aws| aws.account.clone()).unwrap();
        let registration = Registration {
            url: plan.provider.url.clone(),
            client_ids: plan.provider.audiences.clone(),
            ..Registration::default()
        };
        let role = &plan.roles[role];
        let parsed = |kind, policy: &Value| Policy::parse_as(kind, &policy.to_string()).unwrap();
        let partition = partition::of_arn(&role.arn).unwrap();
        trust_policy::check_in(partition, &role.trust_policy.to_string()).unwrap();
        check_stored(&plan, partition);
        Self {
            provider: OidcProvider::register(&account, registration).unwrap().in_partition(partition),
            role: Role {
                arn: role.arn.clone(),
                trust_policy: parsed(Kind::Trust, &role.trust_policy),
                max_session_seconds: i64::from(role.max_session_seconds),
            },
            role_policies: role.guard_policy.iter().map(|policy| parsed(Kind::Identity, policy)).collect(),
            bucket_policy: plan.bucket.as_ref().map(|bucket| parsed(Kind::Resource, &bucket.policy)),
            config,
            plan,
        }
    }

    /// The same with a further policy of the role.
    pub(super) fn with_role_policy(mut self, policy: &Value) -> Self {
        self.role_policies.push(Policy::parse_as(Kind::Identity, &policy.to_string()).unwrap());
        self
    }

    /// The same without the bucket's policy.
    pub(super) fn without_bucket_policy(mut self) -> Self {
        self.bucket_policy = None;
        self
    }

    pub(super) fn bucket(&self) -> String {
        self.plan.bucket.as_ref().unwrap().arn.clone()
    }

    /// The claims that the issuer's own rules give an identity.
    pub(super) fn claims(&self, identity: &VerifiedIdentity, request: &MintRequest) -> Map<String, Value> {
        let grant = self.config.rules.decide(identity, request).result.unwrap_or_else(|denial| panic!("{denial:?}"));
        let Grant { subject, audience, roles, lifetime, tags, .. } = grant;
        let claims = Claims {
            issuer: self.config.settings.stamp.issuer.clone(),
            subject,
            audience,
            mint_id: "mnt_01K00000000000000000000000".parse().unwrap(),
            issued_at: now(),
            lifetime,
            tags,
            roles,
            optional: self.config.settings.optional_claims,
        };
        serde_json::from_str(&claims.to_json()).unwrap()
    }

    /// What STS says to a token with these claims, its signature being right.
    pub(super) fn assume(&self, claims: &Map<String, Value>) -> Result<Session, String> {
        self.assume_role(claims, &self.role.arn)
    }

    pub(super) fn assume_role(&self, claims: &Map<String, Value>, role_arn: &str) -> Result<Session, String> {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": "k"});
        let token = format!("{}.{}.{}", part(&header), part(&json!(claims)), URL_SAFE_NO_PAD.encode("signature"));
        let base = Context::new().with("aws:SecureTransport", "true");
        let issuer = claims.get("iss").and_then(Value::as_str);
        let world = World {
            provider: Some(&self.provider).filter(|provider| Some(provider.issuer().as_str()) == issuer),
            discovery: None,
            jwks: Fetched::Unchecked,
            role: Some(&self.role),
            base: &base,
            now: now(),
        };
        let request = WebIdentityRequest {
            token: &token,
            role_arn,
            role_session_name: "judged",
            duration_seconds: None,
            policy: None,
            provider_id: None,
        };
        let report = verdict(&request, &world);
        report.session().cloned().ok_or_else(|| report.refusal().map(ToString::to_string).unwrap_or_default())
    }

    /// Whether a session may do something over TLS.
    pub(super) fn may(&self, session: &Session, action: &str, resource: &str) -> bool {
        self.may_with(session, action, resource, &[("aws:SecureTransport", "true")])
    }

    /// Whether a session may list a prefix; none: the bare bucket.
    pub(super) fn may_list(&self, session: &Session, prefix: Option<&str>) -> bool {
        let mut keys = vec![("aws:SecureTransport", "true")];
        keys.extend(prefix.map(|prefix| ("s3:prefix", prefix)));
        self.may_with(session, "s3:ListBucket", &self.bucket(), &keys)
    }

    pub(super) fn may_with(&self, session: &Session, action: &str, resource: &str, keys: &[(&str, &str)]) -> bool {
        let context = session.context("AROAEXAMPLE");
        let context = keys.iter().fold(context, |context, (key, value)| context.with(key, *value));
        let in_bucket = resource == self.bucket() || resource.starts_with(&format!("{}/", self.bucket()));
        let policies = Policies {
            identity: &self.role_policies,
            session: None,
            resource: self.bucket_policy.as_ref().filter(|_| in_bucket),
            same_account: true,
        };
        let caller = session.caller();
        access(policies, Request { caller: &caller, action, resource, context: &context }).is_allowed()
    }
}

fn identity(
    source: IdentitySource,
    trusted_issuer: Option<&str>,
    subject: &str,
    attributes: Value,
) -> VerifiedIdentity {
    VerifiedIdentity {
        source,
        trusted_issuer: trusted_issuer.map(|name| TrustedIssuerName::parse(name).unwrap()),
        subject: subject.to_owned(),
        attributes: attributes.as_object().cloned().unwrap_or_default(),
        credential: CredentialId::Session("ses_01K00000000000000000000000".parse().unwrap()),
        only_rule: None,
        scope: TagScope::default(),
    }
}

pub(super) const WALLET: &str = "0x7a6ed1c0ffee5eed00000000000000000000d00d";

pub(super) fn wallet(address: &str) -> VerifiedIdentity {
    identity(IdentitySource::Session, None, address, json!({}))
}

/// A run of a pull request of the repository that the rules bind.
pub(super) fn pull_request(number: u32, run: &str) -> VerifiedIdentity {
    let attributes = json!({
        "repository_id": "456789", "repository_owner_id": "123456", "event_name": "pull_request",
        "ref": format!("refs/pull/{number}/merge"), "pull_request": number, "run_id": run,
    });
    identity(
        IdentitySource::TrustedIssuer(IssuerKind::GITHUB),
        Some("github"),
        "repo:octo-org/octo-repo:pull_request",
        attributes,
    )
}

pub(super) fn github_branch(branch: &str, run: &str) -> VerifiedIdentity {
    let attributes = json!({
        "repository_id": "456789", "repository_owner_id": "123456", "event_name": "push", "environment": "production",
        "ref": format!("refs/heads/{branch}"), "branch": branch, "run_id": run,
    });
    identity(
        IdentitySource::TrustedIssuer(IssuerKind::GITHUB),
        Some("github"),
        "repo:octo-org/octo-repo:ref",
        attributes,
    )
}

pub(super) fn gitlab(source: &str, branch: &str, run: &str) -> VerifiedIdentity {
    let attributes = json!({
        "project_id": "20", "namespace_id": "72", "pipeline_source": source, "ref": branch, "branch": branch,
        "pipeline_id": run, "environment": "production", "environment_protected": true,
    });
    identity(
        IdentitySource::TrustedIssuer(IssuerKind::GITLAB),
        Some("gitlab"),
        "project_path:my-group/my-project",
        attributes,
    )
}

pub(super) fn bearer(name: &str) -> VerifiedIdentity {
    identity(IdentitySource::Bearer, None, name, json!({}))
}
