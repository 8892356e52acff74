//! `AssumeRoleWithWebIdentity`: every check of STS in its order, and its answer.
//!
//! Sources: recorded answers of STS (they win), the service model of STS (limits), the IAM user guide ("OIDC federation", "Pass session tags
//! in AWS STS", "Available keys for AWS OIDC federation"). Where none of these tells the words of a refusal, the place says so.

mod checks;
mod claims;
mod error;
mod extensions;
mod keys;
pub(crate) mod provider_keys;
mod request;
mod token;
mod trust;
mod x5c;

use jiff::Timestamp;
use serde::Serialize;

pub use self::{
    checks::Check,
    error::{StsCode, StsError},
};
use self::{checks::Checks, token::Token};
use crate::{context::Context, evaluate::Decision, policy::Policy, provider::OidcProvider};

/// How far STS lets clocks differ, in seconds, for `exp`, `nbf` and `iat`.
pub const LEEWAY_SECONDS: i64 = 300;
/// The session's length when the request names none, in seconds.
pub const DEFAULT_DURATION_SECONDS: i64 = 3600;

/// The call's parameters.
#[derive(Debug, Clone, Copy)]
pub struct WebIdentityRequest<'a> {
    /// `WebIdentityToken`.
    pub token: &'a str,
    /// `RoleArn`.
    pub role_arn: &'a str,
    /// `RoleSessionName`.
    pub role_session_name: &'a str,
    /// `DurationSeconds`.
    pub duration_seconds: Option<i64>,
    /// `Policy`.
    pub policy: Option<&'a str>,
    /// `ProviderId`, which OIDC tokens go without.
    pub provider_id: Option<&'a str>,
}

/// What AWS knows when the call comes in.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    /// The provider that the role's account has for the token's issuer ([`unverified_issuer`] tells which one to look for).
    pub provider: Option<&'a OidcProvider>,
    /// The provider's discovery document; none to take it as fetched and right.
    pub discovery: Option<Fetched<'a>>,
    /// The provider's key set.
    pub jwks: Fetched<'a>,
    /// The role, when it exists.
    pub role: Option<&'a Role>,
    /// The keys that the trust policy sees of the call itself and of the role, as `aws:SourceIp` and `aws:ResourceTag/team`. The token's own
    /// keys, the principal's and the time stand before them.
    pub base: &'a Context,
    /// The time.
    pub now: Timestamp,
}

/// What came of fetching a document.
#[derive(Debug, Clone, Copy)]
pub enum Fetched<'a> {
    /// The document.
    Document(&'a [u8]),
    /// Unreachable, too slow (STS waits about five seconds), not 200, or another TLS than STS takes: why.
    Failed(&'a str),
    /// Not at hand: what depends on it isn't checked, and no such check is recorded. For explanations, never where a session is opened.
    Unchecked,
}

/// A role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its ARN.
    pub arn: String,
    /// Its trust policy.
    pub trust_policy: Policy,
    /// The longest session, in seconds: 3600 to 43,200.
    pub max_session_seconds: i64,
}

/// What STS answers, and how it came to that.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The answer.
    pub verdict: Verdict,
    /// The checks that were made, in order. The last one failed when the answer is a refusal.
    pub checks: Vec<Check>,
    /// The trust policy's decisions, by action, as far as it was asked.
    pub trust: Vec<(String, Decision)>,
}

/// STS's answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// A session.
    Accepted(Box<Session>),
    /// A refusal.
    Refused(StsError),
}

/// A session that STS opens.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Session {
    /// The role's ARN.
    pub role_arn: String,
    /// `AssumedRoleUser.Arn`.
    pub session_arn: String,
    /// The session's name.
    pub session_name: String,
    /// `Provider`: the provider's ARN.
    pub provider: String,
    /// `SubjectFromWebIdentityToken`.
    pub subject: String,
    /// `Audience`: `azp` where the token has it, otherwise `aud`.
    pub audience: String,
    /// `SourceIdentity`.
    pub source_identity: Option<String>,
    /// The session tags, sorted by key.
    pub tags: Vec<(String, String)>,
    /// The keys of the transitive ones.
    pub transitive_tag_keys: Vec<String>,
    /// Whether the token's roles claim names the role.
    pub role_authorized_by_idp: bool,
    /// How long the session lives, in seconds.
    pub duration_seconds: i64,
    /// When it ends.
    pub expires_at: Timestamp,
    /// The session policy's text.
    pub policy: Option<String>,
}

impl Report {
    /// The session, when there is one.
    pub fn session(&self) -> Option<&Session> {
        match &self.verdict {
            Verdict::Accepted(session) => Some(session),
            Verdict::Refused(_) => None,
        }
    }

    /// The refusal, when there is one.
    pub fn refusal(&self) -> Option<&StsError> {
        match &self.verdict {
            Verdict::Accepted(_) => None,
            Verdict::Refused(error) => Some(error),
        }
    }
}

/// The issuer that a token names, unverified: to look up its provider and fetch its documents.
pub fn unverified_issuer(token: &str) -> Option<String> {
    Token::parse(token).ok()?.claims.get("iss")?.as_str().map(str::to_owned)
}

/// STS's answer to a call.
pub fn verdict(request: &WebIdentityRequest<'_>, world: &World<'_>) -> Report {
    let mut checks = Checks::default();
    let mut trust = Vec::new();
    let verdict = match run(request, world, WithTags::Yes, &mut checks, &mut trust) {
        Ok(session) => Verdict::Accepted(Box::new(session)),
        Err(error) => Verdict::Refused(error),
    };
    Report { verdict, checks: checks.into_vec(), trust }
}

/// Whether the same token without its session tags would open a session, too. The signature is taken as right.
pub(crate) fn opens_without_tags(request: &WebIdentityRequest<'_>, world: &World<'_>) -> bool {
    let world = World { discovery: None, jwks: Fetched::Unchecked, ..*world };
    run(request, &world, WithTags::No, &mut Checks::default(), &mut Vec::new()).is_ok()
}

/// Whether a token's session tags count.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WithTags {
    Yes,
    No,
}

fn run(
    request: &WebIdentityRequest<'_>,
    world: &World<'_>,
    with_tags: WithTags,
    checks: &mut Checks,
    trust: &mut Vec<(String, Decision)>,
) -> Result<Session, StsError> {
    let role_arn = request::check(request, checks)?;
    let token = token::check(request.token, checks)?;
    claims::check_present(&token, checks)?;
    let provider = claims::check_issuer(&token, world.provider, checks)?;
    keys::check_discovery(world.discovery, provider, checks)?;
    keys::check_signature(&token, world.jwks, checks)?;
    claims::check_times(&token, world.now, checks)?;
    let audience = claims::check_audience(&token, provider, checks)?;
    let subject = claims::check_subject(&token, checks)?;
    let tags = match with_tags {
        WithTags::Yes => extensions::check_tags(&token, checks)?,
        WithTags::No => extensions::Tags::default(),
    };
    let source_identity = extensions::check_source_identity(&token, checks)?;
    let role_authorized_by_idp = extensions::check_roles(&token, request.role_arn, checks)?;
    let bearer = trust::Bearer {
        token: &token,
        provider,
        subject: &subject,
        audience: &audience,
        tags: &tags,
        source_identity: source_identity.as_deref(),
        role_authorized_by_idp,
        base: world.base,
        now: world.now,
    };
    let role = trust::check(request, world.role, &bearer, checks, trust)?;
    let duration_seconds = request::check_duration(request.duration_seconds, role, checks)?;
    let expires_at =
        Timestamp::from_second(world.now.as_second().saturating_add(duration_seconds)).unwrap_or(Timestamp::MAX);
    Ok(Session {
        role_arn: request.role_arn.to_owned(),
        session_arn: role_arn.session(request.role_session_name),
        session_name: request.role_session_name.to_owned(),
        provider: provider.arn().to_owned(),
        subject,
        audience,
        source_identity,
        tags: tags.tags,
        transitive_tag_keys: tags.transitive,
        role_authorized_by_idp,
        duration_seconds,
        expires_at,
        policy: request.policy.map(str::to_owned),
    })
}
