//! The role's trust policy, and the keys that it sees.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Role, Session, StsError, WebIdentityRequest,
    checks::{Checks, shown},
    extensions::Tags,
    provider_keys,
    token::{ClaimText, Token},
};
use crate::{
    arn::{Arn, RoleArn},
    context::Context,
    evaluate::{self, Caller, Decision, Outcome, Request},
    provider::{AMAZON, FACEBOOK, OidcProvider},
};

const ASSUME: &str = "sts:AssumeRoleWithWebIdentity";
const TAG: &str = "sts:TagSession";
const SET_SOURCE_IDENTITY: &str = "sts:SetSourceIdentity";

/// Claims that are condition keys for every issuer (IAM user guide, "Available keys for AWS OIDC federation").
const COMMON_CLAIMS: [&str; 2] = ["amr", "email"];

/// Who the token says that its holder is.
pub(super) struct Bearer<'a> {
    pub(super) token: &'a Token<'a>,
    pub(super) provider: &'a OidcProvider,
    pub(super) subject: &'a str,
    pub(super) audience: &'a str,
    pub(super) tags: &'a Tags,
    pub(super) source_identity: Option<&'a str>,
    pub(super) role_authorized_by_idp: bool,
    /// The keys of the call itself and of the role.
    pub(super) base: &'a Context,
    /// The time of the call.
    pub(super) now: Timestamp,
}

impl Bearer<'_> {
    /// The keys of the call. Recorded: the principal is of the type `User`, its id is the provider's ARN, and it has no ARN of its own.
    fn context(&self, session_name: &str) -> Context {
        let provider = self.provider.arn();
        let url = self.provider.url();
        let mut context = self
            .base
            .clone()
            .with("aws:PrincipalType", "User")
            .with("aws:userid", provider)
            .with("sts:RoleSessionName", session_name)
            .with("sts:RoleAuthorizedByIdp", self.role_authorized_by_idp.to_string())
            // The guide: both keys are always there. In whole seconds.
            .with("aws:CurrentTime", self.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
            .with("aws:EpochTime", self.now.as_second().to_string())
            .with(&format!("{url}:sub"), self.subject)
            .with(&format!("{url}:aud"), self.audience);
        context = self.with_providers_keys(context);
        // The guide: the key is in every request's context.
        if let Some(arn) = Arn::split(provider) {
            context = context.with("aws:PrincipalAccount", arn.account);
        }
        // The guide: without `azp` it equals `aud`; with `azp`, which is `aud` then, it is what the token has as `aud`.
        if let Some(audience) = self.token.claims.get("aud") {
            context = with_claim(context, &format!("{url}:oaud"), audience);
        }
        let claims = COMMON_CLAIMS.iter().chain(provider_keys::of(url));
        for name in claims {
            if let Some(value) = self.token.claims.get(*name).filter(|value| !value.is_null()) {
                context = with_claim(context, &format!("{url}:{name}"), value);
            }
        }
        for (key, value) in &self.tags.tags {
            context = context.with(&format!("aws:RequestTag/{key}"), value);
        }
        if !self.tags.tags.is_empty() {
            context = context.with_many("aws:TagKeys", self.tags.tags.iter().map(|(key, _)| key));
        }
        if !self.tags.transitive.is_empty() {
            context = context.with_many("sts:TransitiveTagKeys", &self.tags.transitive);
        }
        if let Some(source_identity) = self.source_identity {
            context = context.with("sts:SourceIdentity", source_identity);
        }
        context
    }

    /// The keys of providers whose tokens are no OIDC tokens (guide): the application and the user.
    fn with_providers_keys(&self, context: Context) -> Context {
        let user = match self.provider.url() {
            AMAZON => "user_id",
            FACEBOOK => "id",
            _ => return context,
        };
        if !self.provider.is_built_in() {
            return context;
        }
        let url = self.provider.url();
        let claim = |name: &str| self.token.claims.get(name).map(|value| ClaimText(value).to_string());
        let application = claim("app_id").unwrap_or_else(|| self.audience.to_owned());
        let id = claim("user_id").unwrap_or_else(|| self.subject.to_owned());
        context.with(&format!("{url}:app_id"), application).with(&format!("{url}:{user}"), id)
    }
}

/// A claim as a key: a list is a multivalued one, even with a single item.
fn with_claim(context: Context, key: &str, value: &Value) -> Context {
    match value {
        Value::Array(list) => context.with_many(key, list.iter().map(|item| ClaimText(item).to_string())),
        other => context.with(key, ClaimText(other).to_string()),
    }
}

/// The role exists and its trust policy allows what the token needs: the role, its tags, its source identity.
pub(super) fn check<'a>(
    request: &WebIdentityRequest<'_>,
    role: Option<&'a Role>,
    bearer: &Bearer<'_>,
    checks: &mut Checks,
    decisions: &mut Vec<(String, Decision)>,
) -> Result<&'a Role, StsError> {
    let Some(role) = role.filter(|role| role.arn == request.role_arn) else {
        let fix = "create the role, or correct its ARN";
        let actual = "no such role";
        return Err(checks.fail("role", shown(request.role_arn), actual, fix, StsError::denied()));
    };
    checks.pass("role", &role.arn, &role.arn);
    let context = bearer.context(request.role_session_name);
    let caller = Caller::WebIdentity { provider: bearer.provider.arn().to_owned() };
    let asked = [
        ("trust-assume-role", ASSUME, true),
        ("trust-tag-session", TAG, !bearer.tags.tags.is_empty()),
        ("trust-source-identity", SET_SOURCE_IDENTITY, bearer.source_identity.is_some()),
    ];
    for (check, action, _) in asked.into_iter().filter(|(.., needed)| *needed) {
        let asked = Request { caller: &caller, action, resource: &role.arn, context: &context };
        let decision = evaluate::trust(&role.trust_policy, asked);
        let expected = format!("the trust policy allows {action}");
        let actual = described(&decision);
        let outcome = decision.outcome;
        decisions.push((action.to_owned(), decision));
        if outcome != Outcome::Allowed {
            let fix = if outcome == Outcome::ExplicitDeny {
                format!("the trust policy denies {action}; see its statements")
            } else {
                format!(
                    "allow {action} to {} in the trust policy, with conditions that the token fulfils",
                    bearer.provider.arn()
                )
            };
            return Err(checks.fail(check, expected, actual, fix, StsError::denied()));
        }
        checks.pass(check, expected, actual);
    }
    Ok(role)
}

/// A decision in a line: what decided, or what each statement missed.
fn described(decision: &Decision) -> String {
    let place = |index: usize, sid: Option<&str>| {
        sid.map_or_else(|| format!("statement {index}"), |sid| format!("statement {sid:?}"))
    };
    if let Some(first) = decision.decisive.first() {
        let verb = if decision.is_allowed() { "allows" } else { "denies" };
        return format!("{} {verb}", place(first.statement, first.sid.as_deref()));
    }
    let missed = decision.statements.iter().map(|statement| {
        let at = place(statement.at.statement, statement.at.sid.as_deref());
        if statement.principal == Some(false) {
            return format!("{at} names another principal");
        }
        if !statement.action {
            return format!("{at} names another action");
        }
        match statement.conditions.iter().find(|condition| !condition.passed) {
            Some(condition) => {
                let wanted = shown(&condition.expected.join(", "));
                let found = condition
                    .actual
                    .as_ref()
                    .map_or_else(|| "no such key".to_owned(), |values| shown(&values.join(", ")));
                format!("{at}: {} {} wants {wanted:?}, the request has {found:?}", condition.operator, condition.key)
            }
            None => format!("{at} does not apply"),
        }
    });
    missed.collect::<Vec<_>>().join("; ")
}

impl Session {
    /// Who the session is in later requests.
    pub fn caller(&self) -> Caller {
        Caller::RoleSession { role_arn: self.role_arn.clone(), session_arn: self.session_arn.clone() }
    }

    /// The keys that later requests of the session have (IAM user guide, "AWS global condition context keys"). `role_id` is the role's unique
    /// id (`AROA…`). What belongs to a single request, as `s3:prefix`, comes on top.
    pub fn context(&self, role_id: &str) -> Context {
        let mut context = Context::new()
            .with("aws:PrincipalType", "AssumedRole")
            .with("aws:PrincipalArn", &self.role_arn)
            .with("aws:userid", format!("{role_id}:{}", self.session_name))
            .with("aws:FederatedProvider", &self.provider);
        if let Some(role) = RoleArn::parse(&self.role_arn) {
            context = context.with("aws:PrincipalAccount", role.account);
        }
        if let Some(source_identity) = &self.source_identity {
            context = context.with("aws:SourceIdentity", source_identity);
        }
        for (key, value) in &self.tags {
            context = context.with(&format!("aws:PrincipalTag/{key}"), value);
        }
        context
    }
}
