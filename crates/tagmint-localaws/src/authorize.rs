//! Asking the engine, and AWS's words for its refusals (IAM user guide, "Troubleshoot access denied error messages").

use std::fmt::Write as _;

use tagmint_iam::{
    context::Context,
    evaluate::{self, Caller, Decision, Outcome, Policies, Request, Source, StatementTrace},
    policy::{Effect, Kind, Policy},
};

use crate::{account::Account, managed, sessions::Principal};

/// A refusal.
#[derive(Debug, Clone)]
pub struct Denied {
    /// The action.
    pub action: String,
    /// The resource's ARN.
    pub resource: String,
    /// Who asked.
    pub arn: String,
    /// How it came about.
    pub decision: Decision,
    /// Whether it is for `aws:SecureTransport` that the request is refused.
    pub by_tls: bool,
}

/// The hint behind AWS's words where a policy demands TLS, which this endpoint does not speak.
pub const TLS_HINT: &str =
    " (a policy demands TLS by aws:SecureTransport: start tagmint localaws with --secure-transport)";

impl Denied {
    /// Whether a statement denies it.
    pub fn is_explicit(&self) -> bool {
        self.decision.outcome == Outcome::ExplicitDeny
    }

    /// The advice that follows AWS's words.
    pub const fn hint(&self) -> &'static str {
        if self.by_tls { TLS_HINT } else { "" }
    }

    /// Why, in AWS's words, which follow after the resource.
    pub fn because(&self) -> String {
        format!("{}{}", self.words(), self.hint())
    }

    fn words(&self) -> String {
        let action = &self.action;
        if let Some(statement) = self.decision.decisive.first() {
            let kind = match statement.source {
                Source::Identity => "an identity-based policy",
                Source::Session => "a session policy",
                Source::Resource | Source::Trust => "a resource-based policy",
            };
            return format!("with an explicit deny in {kind}");
        }
        let allowed_by = |source: Source| {
            let fits =
                |trace: &StatementTrace| trace.at.source == source && trace.applies && trace.effect == Effect::Allow;
            self.decision.statements.iter().any(fits)
        };
        let has_session_policy = self.decision.statements.iter().any(|trace| trace.at.source == Source::Session);
        if has_session_policy && (allowed_by(Source::Identity) || allowed_by(Source::Resource)) {
            return format!("because no session policy allows the {action} action");
        }
        format!("because no identity-based policy allows the {action} action")
    }

    /// The trace of every statement, for people.
    pub fn trace(&self) -> String {
        let mut text =
            format!("{} asked for {} on {}: {}", self.arn, self.action, self.resource, outcome(self.decision.outcome));
        if self.decision.statements.is_empty() {
            text.push_str("\n  no policy has a statement");
        }
        for trace in &self.decision.statements {
            let (at, sid) = (&trace.at, trace.at.sid.as_deref().unwrap_or("-"));
            // Writing to a string cannot fail.
            let _ = write!(
                text,
                "\n  {:?} policy {} statement {} (Sid {sid}), {:?}: {}",
                at.source,
                at.policy,
                at.statement + 1,
                trace.effect,
                if trace.applies { "applies" } else { "does not apply" }
            );
            let part = |name: &str, fits: Option<bool>| match fits {
                Some(false) => format!("; {name} does not fit"),
                _ => String::new(),
            };
            text.push_str(&part("principal", trace.principal));
            text.push_str(&part("action", Some(trace.action)));
            text.push_str(&part("resource", trace.resource));
            for condition in trace.conditions.iter().filter(|condition| !condition.passed) {
                let actual =
                    condition.actual.as_ref().map_or_else(|| "absent".to_owned(), |values| format!("{values:?}"));
                let _ = write!(
                    text,
                    "\n    {} {}: wanted {:?}, request has {actual}: {}",
                    condition.operator, condition.key, condition.expected, condition.reason
                );
            }
        }
        text
    }
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Allowed => "allowed",
        Outcome::ExplicitDeny => "denied by a statement",
        Outcome::ImplicitDeny => "denied because nothing allows it",
    }
}

/// A request's question to the engine.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Who asks.
    pub principal: &'a Principal,
    /// As `s3:GetObject`.
    pub action: &'a str,
    /// The resource's ARN.
    pub resource: &'a str,
    /// All keys of the request, the caller's included.
    pub context: &'a Context,
    /// The resource's policy.
    pub resource_policy: Option<&'a Policy>,
}

/// Decides. What cannot be read anymore allows nothing.
pub fn decide(account: &Account, question: Question<'_>) -> Result<(), Box<Denied>> {
    let Question { principal, action, resource, context, resource_policy } = question;
    let (identity, session) = match principal {
        Principal::Administrator(_) => (administrator(), None),
        Principal::Anonymous => (Vec::new(), None),
        Principal::Session(session) => {
            let role = account.role_by_arn(&session.role_arn).filter(|role| role.id == session.role_id);
            let policies = role.and_then(|role| account.policies_of(role).ok()).unwrap_or_default();
            (policies, session.policies.as_deref())
        }
    };
    let caller = principal.caller();
    // Everything here belongs to the one account; an unsigned request to none, and only a resource's policy can let it in.
    let policies = Policies { identity: &identity, session, resource: resource_policy, same_account: true };
    let decision = evaluate::access(policies, Request { caller: &caller, action, resource, context });
    if decision.is_allowed() {
        return Ok(());
    }
    let arn = if caller == Caller::Anonymous { "an unsigned request".to_owned() } else { principal.arn() };
    Err(Box::new(Denied { action: action.to_owned(), resource: resource.to_owned(), arn, decision, by_tls: false }))
}

/// Decides over taking on a role: its trust policy has to admit the caller, whatever the caller's own policies say; where it admits the
/// caller's account alone, those have to allow it too (IAM user guide, "Cross account resource access": role trust policies).
pub fn decide_trust(account: &Account, trust: &Policy, question: Question<'_>) -> Result<(), Box<Denied>> {
    let Question { principal, action, resource, context, .. } = question;
    let caller = principal.caller();
    let decision = evaluate::trust(trust, Request { caller: &caller, action, resource, context });
    if !decision.is_allowed() {
        let (action, resource) = (action.to_owned(), resource.to_owned());
        return Err(Box::new(Denied { action, resource, arn: principal.arn(), decision, by_tls: false }));
    }
    decide(account, Question { resource_policy: Some(trust), ..question })
}

fn administrator() -> Vec<Policy> {
    let parsed = Policy::parse_as(Kind::Identity, managed::ALL[0].1);
    vec![parsed.expect("AdministratorAccess is a policy")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_counts_statements_from_one() {
        let policy = r#"{"Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}}"#;
        let policies = [Policy::parse_as(Kind::Identity, policy).unwrap()];
        let policies = Policies { identity: &policies, session: None, resource: None, same_account: true };
        let (context, resource) = (Context::default(), "arn:aws:s3:::other/k");
        let caller = Principal::Administrator(std::sync::Arc::default()).caller();
        let request = Request { caller: &caller, action: "s3:GetObject", resource, context: &context };
        let decision = evaluate::access(policies, request);
        let (action, resource, arn) = ("s3:GetObject".to_owned(), resource.to_owned(), "somebody".to_owned());
        let trace = Denied { action, resource, arn, decision, by_tls: false }.trace();
        assert!(trace.contains(" statement 1 (Sid -), Allow: does not apply; resource does not fit"), "{trace}");
    }
}
