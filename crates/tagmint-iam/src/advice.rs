//! Why a token is refused, what to do about it, and what is unsafe where it is accepted.
//!
//! [`Question::explain`] asks [`web_identity::verdict`] and, where it is wanted, [`crate::evaluate::access`], and adds to their traces what helps a
//! person: each condition as a check of its own, the failing texts side by side, the nearest fix, and warnings.

mod access;
mod asker;
mod claims;
mod diff;
mod keys;
mod known_keys;
mod other_issuer;
mod pins;
mod placeholder;
mod provider;
mod request;
mod subject;
mod token;
mod token_kind;
mod trust;
mod version;
mod warnings;

use jiff::Timestamp;
use serde::Serialize;

pub use self::{
    access::AccessQuestion,
    asker::Asker,
    diff::{Comparison, Side},
    keys::{ContextError, check_context},
};
use self::{claims::Claims, provider::Registered};
use crate::{
    arn::{Arn, RoleArn},
    context::Context,
    partition,
    policy::{Policy, PrincipalElement, Principals},
    provider::OidcProvider,
    service::ASSUME_WITH_WEB_IDENTITY,
    web_identity::{self, Check, Fetched, Report, Role, Verdict, WebIdentityRequest, World},
};

/// The name of the role that is put in where nothing names one.
const ROLE_NAME: &str = "explained";
/// The session name that is put in.
const SESSION_NAME: &str = "tagmint-explain";
/// The account that is put in where nothing names one.
const ACCOUNT: &str = "000000000000";
/// Checks of what [`Question::explain`] puts in by itself: they say nothing about the question.
const PUT_IN: [&str; 4] = ["request-role-arn", "request-session-name", "role", "session-duration"];

/// Would STS open a session for this token?
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The token.
    pub token: &'a str,
    /// The role's trust policy.
    pub trust_policy: &'a Policy,
    /// The role's ARN. None: the first one that the token, or else the bucket policy, names.
    pub role_arn: Option<&'a str>,
    /// The URL that the account's OIDC provider is registered with. None: the one in the trust policy.
    pub provider_url: Option<&'a str>,
    /// Whether `localaws` is asked instead of AWS: an issuer on this machine may have a port there.
    pub local: bool,
    /// Whether IAM says that the role's account has no such provider.
    pub provider_missing: bool,
    /// The provider's client ids. Empty: not known, and the token's own audience passes.
    pub client_ids: &'a [String],
    /// The provider's discovery document.
    pub discovery: Fetched<'a>,
    /// The provider's key set.
    pub jwks: Fetched<'a>,
    /// Keys of the call to STS and of the role, as `aws:SourceIp` and `aws:ResourceTag/team`. `aws:SecureTransport` is true without them.
    pub context: &'a [(String, String)],
    /// The time.
    pub now: Timestamp,
    /// What the session is to do then, if that is asked, too.
    pub access: Option<AccessQuestion<'a>>,
}

/// The answer, in the shape that `explain --format json` has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Whether AWS says yes. What was not checked (see the warnings) is taken as right.
    pub accepted: bool,
    /// What AWS says when it says no.
    pub error: Option<Refusal>,
    /// The checks in AWS's order. Each failed check has its fix.
    pub checks: Vec<Check>,
    /// What was not checked, and what is unsafe although it passes.
    pub warnings: Vec<Warning>,
    /// The failing texts, side by side.
    #[serde(skip)]
    pub comparison: Option<Comparison>,
}

/// A refusal as AWS words it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// AWS's code.
    pub code: String,
    /// AWS's words.
    pub message: String,
}

/// Something to look at although nothing refuses it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// Its name, stable, as `subject-unscoped`.
    pub id: &'static str,
    /// What is wrong and what to do about it.
    pub text: String,
}

/// What to do about a failed check, and the texts that it failed on.
struct Advice {
    fix: String,
    comparison: Option<Comparison>,
}

impl Question<'_> {
    /// The issuer whose discovery document and keys STS would fetch; none where no provider can be registered or the token is none of its.
    pub fn issuer(&self) -> Option<String> {
        let provider = self.registered(&Claims::read(self.token)).provider.ok()?;
        web_identity::unverified_issuer(self.token).filter(|issuer| *issuer == provider.issuer())
    }

    /// Answers, for `tagmint explain`.
    pub fn explain(&self) -> Explanation {
        self.explain_to(Asker::Explain)
    }

    /// Answers, with advice for the command that asks.
    pub fn explain_to(&self, asker: Asker) -> Explanation {
        let account = self.account();
        let Some(filled) = placeholder::fill(self, &account) else { return self.answer(asker) };
        let access =
            self.access.map(|access| AccessQuestion { bucket_policy: filled.bucket_policy.as_ref(), ..access });
        let question =
            Question { trust_policy: &filled.trust_policy, role_arn: filled.role_arn.as_deref(), access, ..*self };
        let mut explanation = question.answer(asker);
        explanation.warnings.push(filled.warning(&account));
        explanation
    }

    fn answer(&self, asker: Asker) -> Explanation {
        let claims = Claims::read(self.token);
        let registered = self.registered(&claims);
        let provider = registered.provider.as_ref().ok().filter(|_| !self.provider_missing);
        let base = self.base();
        let role = Role {
            arn: self.role_arn_or_put_in(&claims),
            trust_policy: self.trust_policy.clone(),
            max_session_seconds: web_identity::DEFAULT_DURATION_SECONDS,
        };
        let request = WebIdentityRequest {
            token: self.token,
            role_arn: &role.arn,
            role_session_name: self.session_name(),
            duration_seconds: None,
            policy: None,
            provider_id: None,
        };
        let world = World {
            provider,
            discovery: Some(self.discovery),
            jwks: self.jwks,
            role: Some(&role),
            base: &base,
            now: self.now,
        };
        let report = web_identity::verdict(&request, &world);
        let mut explanation = Explanation {
            accepted: report.session().is_some(),
            error: report
                .refusal()
                .map(|error| Refusal { code: error.code.as_str().to_owned(), message: error.message.clone() }),
            checks: self.checks(&report, provider, &claims, asker),
            warnings: self.unchecked(&claims, provider),
            comparison: None,
        };
        self.advise(&mut explanation, &report, &registered, &claims, asker);
        explanation.warnings.extend(request::unknown(&report.trust, asker));
        if let Verdict::Accepted(session) = &report.verdict {
            let tagless = web_identity::opens_without_tags(&request, &world);
            explanation.warnings.extend(warnings::of(self.trust_policy, &report.trust, provider, &claims, tagless));
            if let Some((_, decision)) = report.trust.first() {
                explanation.warnings.extend(keys::in_vain(ASSUME_WITH_WEB_IDENTITY, decision));
            }
            explanation.warnings.extend(version::warning("the trust policy", self.trust_policy));
            explanation.warnings.extend(provider.iter().flat_map(|provider| pins::undone(&report.trust, provider)));
            if let Some(access) = &self.access {
                access::explain(access, session, &mut explanation, asker);
            }
        }
        explanation
    }

    /// The verdict's checks, with each condition of a trust decision before the decision.
    fn checks(&self, report: &Report, provider: Option<&OidcProvider>, claims: &Claims, asker: Asker) -> Vec<Check> {
        let mut decisions = report.trust.iter();
        let mut checks = Vec::new();
        for check in &report.checks {
            let given = check.check == "request-session-name" && self.session_name() != SESSION_NAME;
            let put_in = PUT_IN.contains(&check.check) && !given && (check.passed || self.role_arn.is_none());
            let built_in = provider.is_some_and(OidcProvider::is_built_in);
            let unknown = check.check == "claim-audience" && check.passed && self.client_ids.is_empty() && !built_in;
            if put_in || unknown {
                continue;
            }
            let mut check = check.clone();
            if check.check.starts_with("trust-")
                && let Some((action, decision)) = decisions.next()
            {
                checks.extend(trust::condition_checks(self.trust_policy, action, decision, provider, claims, asker));
                check.actual = trust::outcome(decision);
            }
            checks.push(check);
        }
        checks
    }

    /// Puts the advice to the check that failed.
    fn advise(
        &self,
        explanation: &mut Explanation,
        report: &Report,
        registered: &Registered,
        claims: &Claims,
        asker: Asker,
    ) {
        let Some(failed) = report.checks.last().filter(|check| !check.passed) else { return };
        let advice = match &registered.provider {
            Err(error) => {
                let check = registered.refused(error);
                let advice = registered.advice_on_url(claims, asker);
                explanation.checks.insert(0, check);
                explanation.comparison = advice.comparison;
                explanation.checks[0].fix = Some(advice.fix);
                return;
            }
            Ok(provider) => match failed.check {
                "claim-issuer" if self.provider_missing => Some(provider::advice_on_missing(provider)),
                name if name.starts_with("trust-") => report.trust.last().map(|(action, decision)| {
                    trust::advice(self.trust_policy, action, decision, provider, claims, asker)
                }),
                name => token::advice(name, self, provider, claims),
            },
        };
        let Some(advice) = advice else { return };
        explanation.comparison = advice.comparison;
        // The conditions and the principal before a failed trust decision have failed, too, and have fixes of their own.
        for check in explanation.checks.iter_mut().filter(|check| !check.passed) {
            if check.check == failed.check || check.fix.is_none() {
                check.fix = Some(advice.fix.clone());
            }
        }
    }

    /// What nobody told, and was taken as right.
    fn unchecked(&self, claims: &Claims, provider: Option<&OidcProvider>) -> Vec<Warning> {
        let mut warnings = Vec::new();
        if matches!(self.jwks, Fetched::Unchecked) {
            let text = "the signature was not checked: the answer holds if STS finds the issuer's key and the signature is valid under it";
            warnings.push(Warning { id: "signature-not-checked", text: text.to_owned() });
        }
        if self.client_ids.is_empty() && !provider.is_some_and(OidcProvider::is_built_in) {
            let audience = claims.audience().unwrap_or("its audience");
            let text = format!(
                "the audience was not checked: the answer holds if {audience:?} is a client id of the provider in IAM"
            );
            warnings.push(Warning { id: "audience-not-checked", text });
        }
        let named = federated(self.trust_policy).any(|arn| arn.contains(":oidc-provider/"));
        if self.provider_url.is_none() && named && !self.provider_missing {
            warnings.extend(other_issuer::warning(self.registered(claims).provider.as_ref().ok(), claims));
        }
        if self.role_arn.is_none()
            && let Some(roles) = claims.roles()
            && !roles.is_empty()
        {
            let text = format!(
                "the token is good for these roles alone: {}; whether yours is one was not checked, since it was not named",
                roles.join(", ")
            );
            warnings.push(Warning { id: "role-not-checked", text });
        }
        warnings
    }

    fn registered(&self, claims: &Claims) -> Registered {
        let principals: Vec<&str> = federated(self.trust_policy).collect();
        Registered::find(self, &principals, (&self.partition(claims), &self.account()), claims)
    }

    /// The keys that are not the token's. A key that the call to STS never has is absent, even if the question gives it.
    fn base(&self) -> Context {
        let base = Context::new().with("aws:SecureTransport", "true");
        let sent = self.context.iter().filter(|(key, _)| keys::is_sent_to_sts(key));
        sent.fold(base, |base, (key, value)| base.with(key, value))
    }

    /// The session's name: the one that is given as a key of the call, else one of ours.
    fn session_name(&self) -> &str {
        let given = self.context.iter().find(|(key, _)| key.eq_ignore_ascii_case("sts:RoleSessionName"));
        given.map_or(SESSION_NAME, |(_, name)| name)
    }

    /// The role's partition; without a role that of the provider in the trust policy, else of the roles in the token.
    fn partition(&self, claims: &Claims) -> String {
        let roles = claims.roles().unwrap_or_default();
        let arns = self.role_arn.into_iter().chain(federated(self.trust_policy)).chain(roles);
        let known = arns.filter_map(partition::of_arn).find(|name| partition::is_plausible(name));
        known.unwrap_or(partition::DEFAULT).to_owned()
    }

    /// The role's account, because a role trusts the providers of its own account alone; without a role, that of the provider in the trust
    /// policy.
    fn account(&self) -> String {
        let arns = self.role_arn.into_iter().chain(federated(self.trust_policy)).chain(misplaced(self.trust_policy));
        let mut accounts = arns.filter_map(Arn::split).filter(Arn::has_account).map(|arn| arn.account.to_owned());
        accounts.next().unwrap_or_else(|| ACCOUNT.to_owned())
    }

    fn role_arn_or_put_in(&self, claims: &Claims) -> String {
        let from_token = || claims.roles().and_then(|roles| roles.first().map(|role| (*role).to_owned()));
        let from_bucket = || self.access.as_ref().and_then(|access| bucket_role(access.bucket_policy?));
        let put_in = || format!("arn:{}:iam::{}:role/{ROLE_NAME}", self.partition(claims), self.account());
        self.role_arn.map(str::to_owned).or_else(from_token).or_else(from_bucket).unwrap_or_else(put_in)
    }
}

/// The federated principals of a trust policy.
fn federated(policy: &Policy) -> impl Iterator<Item = &str> {
    let elements = policy.statements.iter().filter_map(|statement| statement.principal.as_ref());
    elements
        .filter_map(|element: &PrincipalElement| match &element.principals {
            Principals::Listed { federated, .. } => Some(federated.iter().map(String::as_str)),
            Principals::Everyone => None,
        })
        .flatten()
}

/// The identity providers that stand under another kind of principal.
fn misplaced(policy: &Policy) -> impl Iterator<Item = &str> {
    let elements = policy.statements.iter().filter_map(|statement| statement.principal.as_ref());
    let named = elements.flat_map(|element: &PrincipalElement| match &element.principals {
        Principals::Listed { aws, service, .. } => aws.iter().chain(service).map(String::as_str).collect(),
        Principals::Everyone => Vec::new(),
    });
    named.filter(|name| name.contains(":oidc-provider/"))
}

/// The first role that a bucket policy names.
fn bucket_role(policy: &Policy) -> Option<String> {
    let elements = policy.statements.iter().filter_map(|statement| statement.principal.as_ref());
    let mut named = elements.filter_map(|element| match &element.principals {
        Principals::Listed { aws, .. } => aws.iter().find(|arn| RoleArn::parse(arn).is_some()),
        Principals::Everyone => None,
    });
    named.next().cloned()
}
