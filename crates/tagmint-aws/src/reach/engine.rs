//! STS, the role's policy and the bucket's policy, as they are rendered: what a token's session may do.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::{Value, json};
use tagmint_core::{
    claims::{Claims, OptionalClaims},
    id::MintId,
    issuer::IssuerUrl,
    rules::Grant,
};
use tagmint_iam::{
    context::Context,
    evaluate::{Policies, Request, access},
    policy::{Kind, Policy},
    provider::{OidcProvider, Registration},
    web_identity::{Fetched, Role, Session, WebIdentityRequest, World, verdict},
};

use super::ReachError;
use crate::render::{SetUp, Settings};

/// When the samples are minted. Nothing in the rendered policies goes by the time.
const NOW: i64 = 1_790_000_000;
/// The samples' mint id.
const MINT_ID: &str = "mnt_01K00000000000000000000000";
/// The name of the object that is asked for.
const OBJECT: &str = "tagmint-reach";

/// An account with the set-up in it.
pub(super) struct Engine {
    issuer: IssuerUrl,
    optional: OptionalClaims,
    provider: OidcProvider,
    roles: Vec<PlannedRole>,
    bucket_arn: String,
    bucket_policy: Policy,
}

struct PlannedRole {
    role: Role,
    policies: Vec<Policy>,
    tags: Vec<String>,
}

/// What a session reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(clippy::struct_excessive_bools)] // independent of each other
pub(super) struct Reached {
    pub(super) list: bool,
    pub(super) read: bool,
    pub(super) write: bool,
    pub(super) delete: bool,
}

impl Engine {
    pub(super) fn new(settings: &Settings, set_up: &SetUp) -> Result<Self, ReachError> {
        let failed = |what: &str, problem: String| ReachError::Document { what: what.to_owned(), problem };
        let bucket = set_up.bucket.as_ref().ok_or(ReachError::NoBucket)?;
        let issuer =
            IssuerUrl::parse(&settings.issuer).map_err(|error| failed("the OIDC provider", error.to_string()))?;
        let registration = Registration {
            url: set_up.provider.url.clone(),
            client_ids: set_up.provider.audiences.clone(),
            ..Registration::default()
        };
        // AWS registers no loopback issuer; `tagmint localaws` does, with the same policies.
        let register = if issuer.is_loopback() { OidcProvider::register_local } else { OidcProvider::register };
        let provider = register(&settings.account, registration)
            .map_err(|error| failed("the OIDC provider", error.to_string()))?
            .in_partition(&settings.partition);
        let parsed = |kind: Kind, policy: &Value, what: &str| {
            Policy::parse_as(kind, &policy.to_string()).map_err(|error| failed(what, error.to_string()))
        };
        let mut roles = Vec::new();
        for plan in &set_up.roles {
            roles.push(PlannedRole {
                role: Role {
                    arn: plan.arn.clone(),
                    trust_policy: parsed(Kind::Trust, &plan.trust_policy, "a trust policy")?,
                    max_session_seconds: i64::from(plan.max_session_seconds),
                },
                policies: plan
                    .guard_policy
                    .iter()
                    .map(|policy| parsed(Kind::Identity, policy, "a role's policy"))
                    .collect::<Result<_, _>>()?,
                tags: plan.access.iter().map(|access| access.tag.clone()).collect(),
            });
        }
        Ok(Self {
            issuer,
            optional: OptionalClaims { source_identity: settings.source_identity, roles: settings.roles_claim },
            provider,
            roles,
            bucket_arn: bucket.arn.clone(),
            bucket_policy: parsed(Kind::Resource, &bucket.policy, "the bucket policy")?,
        })
    }

    /// The ARNs of the roles.
    pub(super) fn roles(&self) -> impl Iterator<Item = &str> {
        self.roles.iter().map(|planned| planned.role.arn.as_str())
    }

    /// Whether a tag opens something to the role's sessions.
    pub(super) fn opens(&self, role: &str, tag: &str) -> bool {
        let planned = self.roles.iter().find(|planned| planned.role.arn == role);
        planned.is_some_and(|planned| planned.tags.iter().any(|key| key.eq_ignore_ascii_case(tag)))
    }

    /// What the session of a token reaches below a place of the bucket. None: STS opens none, or nothing is reached.
    pub(super) fn reached(&self, grant: &Grant, role: &str, place: &str) -> Option<Reached> {
        let planned = self.roles.iter().find(|planned| planned.role.arn == role)?;
        let session = self.session(grant, planned)?;
        let object = format!("{}/{place}{OBJECT}", self.bucket_arn);
        let on_object = |action: &str| self.may(&session, planned, action, &object, None);
        let reached = Reached {
            list: self.may(&session, planned, "s3:ListBucket", &self.bucket_arn, Some(place)),
            read: on_object("s3:GetObject"),
            write: on_object("s3:PutObject"),
            delete: on_object("s3:DeleteObject"),
        };
        (reached.list || reached.read || reached.write || reached.delete).then_some(reached)
    }

    /// The session that STS opens for a token, whose signature is taken as right.
    fn session(&self, grant: &Grant, planned: &PlannedRole) -> Option<Session> {
        let claims = Claims {
            issuer: self.issuer.clone(),
            subject: grant.subject.clone(),
            audience: grant.audience.clone(),
            mint_id: MINT_ID.parse::<MintId>().ok()?,
            issued_at: Timestamp::from_second(NOW).ok()?,
            lifetime: grant.lifetime,
            tags: grant.tags.clone(),
            roles: grant.roles.clone(),
            optional: self.optional,
        };
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": "reach"}).to_string();
        let parts = [header, claims.to_json(), "unsigned".to_owned()].map(|part| URL_SAFE_NO_PAD.encode(part));
        let base = Context::new().with("aws:SecureTransport", "true");
        let world = World {
            provider: Some(&self.provider),
            discovery: None,
            jwks: Fetched::Unchecked,
            role: Some(&planned.role),
            base: &base,
            now: Timestamp::from_second(NOW).ok()?,
        };
        let request = WebIdentityRequest {
            token: &parts.join("."),
            role_arn: &planned.role.arn,
            role_session_name: "tagmint-reach",
            duration_seconds: None,
            policy: None,
            provider_id: None,
        };
        verdict(&request, &world).session().cloned()
    }

    fn may(
        &self,
        session: &Session,
        planned: &PlannedRole,
        action: &str,
        resource: &str,
        prefix: Option<&str>,
    ) -> bool {
        let mut context = session.context("AROAEXAMPLE").with("aws:SecureTransport", "true");
        if let Some(prefix) = prefix {
            context = context.with("s3:prefix", prefix);
        }
        let policies = Policies {
            identity: &planned.policies,
            session: None,
            resource: Some(&self.bucket_policy),
            same_account: true,
        };
        let caller = session.caller();
        access(policies, Request { caller: &caller, action, resource, context: &context }).is_allowed()
    }
}
