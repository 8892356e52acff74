//! Policies against one request (IAM user guide, "Policy evaluation logic").
//!
//! An explicit deny wins. Without a deny, a role's session may do what its own policies allow or, within one account, what the resource's
//! policy allows; across accounts both have to allow. A session policy cuts the role's policies down.

mod principal;
mod resource;

use std::borrow::Cow;

use serde::Serialize;

use self::principal::Admission;
pub use self::principal::Caller;
use crate::{
    condition::{self, ConditionTrace, Test},
    context::Context,
    pattern,
    policy::{ActionElement, Condition, Effect, Policy, Statement},
    service::{self, KeyKind},
};

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// The action, as `s3:GetObject`.
    pub action: &'a str,
    /// The resource's ARN.
    pub resource: &'a str,
    /// The request's keys.
    pub context: &'a Context,
}

/// The policies that decide over a session's request.
#[derive(Debug, Clone, Copy)]
pub struct Policies<'a> {
    /// The role's own policies.
    pub identity: &'a [Policy],
    /// The session policies; none where the session was made without.
    pub session: Option<&'a [Policy]>,
    /// The resource's policy.
    pub resource: Option<&'a Policy>,
    /// Whether the resource belongs to the caller's account.
    pub same_account: bool,
}

/// Whether a request is allowed, and how that came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// The outcome.
    pub outcome: Outcome,
    /// The statements that decided: the denials, or the allowances that counted. Empty for an implicit deny.
    pub decisive: Vec<StatementRef>,
    /// Every statement of every policy, with what was compared.
    pub statements: Vec<StatementTrace>,
}

/// A request's outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Allowed.
    Allowed,
    /// Denied by a statement.
    ExplicitDeny,
    /// Denied because not enough allows it.
    ImplicitDeny,
}

/// Where a policy comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A role's trust policy.
    Trust,
    /// A role's own policy.
    Identity,
    /// A session policy.
    Session,
    /// A resource's policy.
    Resource,
}

/// A statement's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatementRef {
    /// The kind of policy.
    pub source: Source,
    /// Which policy of this kind, from 0.
    pub policy: usize,
    /// Which statement of the policy, from 0.
    pub statement: usize,
    /// The statement's `Sid`.
    pub sid: Option<String>,
}

/// What came of one statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatementTrace {
    /// Which one.
    #[serde(flatten)]
    pub at: StatementRef,
    /// What it does where it applies.
    pub effect: Effect,
    /// Whether it names the caller; none where the policy has no principals.
    pub principal: Option<bool>,
    /// Whether it names the action.
    pub action: bool,
    /// Whether it names the resource; none where the statement has no resources.
    pub resource: Option<bool>,
    /// Its conditions.
    pub conditions: Vec<ConditionTrace>,
    /// Whether it applies: all of the above.
    pub applies: bool,
}

impl Decision {
    /// Whether the request is allowed.
    pub fn is_allowed(&self) -> bool {
        self.outcome == Outcome::Allowed
    }
}

/// A role's trust policy against a request to assume the role. Nothing but this policy decides.
pub fn trust(policy: &Policy, request: Request<'_>) -> Decision {
    let mut evaluation = Evaluation::new(request);
    let allows = evaluation.run(Source::Trust, 0, policy);
    let allowed = !allows.is_empty();
    evaluation.decide(allowed)
}

/// A session's (or user's) request against all policies that matter. A key that requests of the action never have is absent, whatever the
/// context holds.
pub fn access(policies: Policies<'_>, request: Request<'_>) -> Decision {
    let context = sent(request.action, request.context);
    let request = Request { context: &context, ..request };
    let mut evaluation = Evaluation::new(request);
    let mut any = |source: Source, list: &[Policy]| {
        let allows: Vec<Admission> =
            list.iter().enumerate().flat_map(|(index, policy)| evaluation.run(source, index, policy)).collect();
        allows
    };
    let identity = !any(Source::Identity, policies.identity).is_empty();
    let session = policies.session.is_none_or(|list| !any(Source::Session, list).is_empty());
    let resource = any(Source::Resource, policies.resource.map_or(&[], std::slice::from_ref));
    let allowed = if matches!(request.caller, Caller::Anonymous | Caller::Service { .. }) {
        // They have no policies of their own, and belong to no account that could have to allow them.
        !resource.is_empty()
    } else if policies.same_account {
        // What a resource's policy grants to the session's own ARN is the session's, whatever the session policy says, as is what it grants
        // to everyone by `aws:PrincipalArn`; what it grants to the role or to all of everyone is cut down by it; what it grants to the
        // account has to be passed on by the role's policies.
        let to_session = resource.contains(&Admission::Session);
        let to_role = resource.contains(&Admission::Direct);
        to_session || (session && (identity || to_role))
    } else {
        identity && session && !resource.is_empty()
    };
    evaluation.decide(allowed)
}

/// The keys that a request of the action can have. A service's own keys are dropped where the reference does not give them to the action;
/// those of `aws:`, and keys and actions that it does not list, stay: the context's maker knows.
fn sent<'a>(action: &str, context: &'a Context) -> Cow<'a, Context> {
    let Some(action) = service::action(action) else { return Cow::Borrowed(context) };
    let is_aws = |key: &str| key.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:"));
    let never = |key: &str| !action.has_key(key) && !is_aws(key) && service::key_kind(key) == KeyKind::OfActions;
    if context.iter().any(|(key, _)| never(key)) {
        Cow::Owned(context.clone().only(|key| !never(key)))
    } else {
        Cow::Borrowed(context)
    }
}

struct Evaluation<'a> {
    request: Request<'a>,
    statements: Vec<StatementTrace>,
}

impl<'a> Evaluation<'a> {
    fn new(request: Request<'a>) -> Self {
        Self { request, statements: Vec::new() }
    }

    /// Evaluates a policy's statements; returns how its allowances admit the caller.
    fn run(&mut self, source: Source, policy_index: usize, policy: &Policy) -> Vec<Admission> {
        let mut allows = Vec::new();
        for (index, statement) in policy.statements.iter().enumerate() {
            let at = StatementRef { source, policy: policy_index, statement: index, sid: statement.sid.clone() };
            let (trace, admission) = self.statement(at, statement);
            if trace.applies && trace.effect == Effect::Allow {
                allows.push(admission);
            }
            self.statements.push(trace);
        }
        allows
    }

    fn statement(&self, at: StatementRef, statement: &Statement) -> (StatementTrace, Admission) {
        let Request { caller, action, resource, context } = self.request;
        let admission = match &statement.principal {
            // A policy of the caller's own names nobody: it is meant.
            None => Admission::Direct,
            Some(element) => match principal::admission(element, caller, statement.effect) {
                Admission::Direct if is_grant_by_principal_arn(statement) => Admission::Session,
                admission => admission,
            },
        };
        let principal = statement.principal.as_ref().map(|_| admission != Admission::None);
        let action = action_fits(&statement.action, action);
        let resource = statement.resource.as_ref().map(|element| resource::fits(element, resource, context, at.source));
        let conditions: Vec<ConditionTrace> =
            statement.conditions.iter().map(|condition| condition::evaluate(condition, context)).collect();
        let applies = principal != Some(false)
            && action
            && resource != Some(false)
            && conditions.iter().all(|condition| condition.passed);
        (StatementTrace { at, effect: statement.effect, principal, action, resource, conditions, applies }, admission)
    }

    fn decide(self, allowed: bool) -> Decision {
        let of = |effect: Effect| -> Vec<StatementRef> {
            let applying = self.statements.iter().filter(|trace| trace.applies && trace.effect == effect);
            applying.map(|trace| trace.at.clone()).collect()
        };
        let denied = self.statements.iter().any(|trace| trace.applies && trace.effect == Effect::Deny);
        let (outcome, decisive) = match (denied, allowed) {
            (true, _) => (Outcome::ExplicitDeny, of(Effect::Deny)),
            (false, true) => (Outcome::Allowed, of(Effect::Allow)),
            (false, false) => (Outcome::ImplicitDeny, Vec::new()),
        };
        Decision { outcome, decisive, statements: self.statements }
    }
}

fn action_fits(element: &ActionElement, action: &str) -> bool {
    element.names.iter().any(|name| pattern::matches_ignoring_case(name, action)) != element.negated
}

/// Whether a statement names everyone, and a condition picks by `aws:PrincipalArn`: "permissions boundaries or session policies, do not
/// limit permissions granted using the `aws:PrincipalArn` condition key with a wildcard(*) in the `Principal` element" (IAM user guide,
/// "AWS JSON policy elements: Principal", "IAM role principals"). Negated, optional and set conditions pick nobody, and don't count.
fn is_grant_by_principal_arn(statement: &Statement) -> bool {
    let asks_for_arn = |condition: &Condition| {
        let operator = condition.operator;
        condition.key.eq_ignore_ascii_case("aws:PrincipalArn")
            && !operator.negated
            && !operator.if_exists
            && operator.set.is_none()
            && matches!(
                operator.test,
                Test::ArnEquals | Test::ArnLike | Test::StringEquals | Test::StringEqualsIgnoreCase | Test::StringLike
            )
    };
    statement.principal.as_ref().is_some_and(principal::is_for_everyone)
        && statement.conditions.iter().any(asks_for_arn)
}

#[cfg(test)]
mod tests;
