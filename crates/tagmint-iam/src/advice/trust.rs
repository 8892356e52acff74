//! What to do about a trust policy that doesn't allow.

mod azp;
mod condition;
mod nearest;
mod principal;

pub(super) use self::{azp::conditions as azp_conditions, nearest::names};
use super::{
    Advice, Asker,
    claims::Claims,
    diff::{Comparison, likeness},
    keys, known_keys, request, version,
};
use crate::{
    condition::ConditionTrace,
    evaluate::{Decision, Outcome, StatementRef, StatementTrace},
    policy::{ActionElement, Effect, Policy, Version},
    provider::OidcProvider,
    service::ASSUME_WITH_WEB_IDENTITY,
    web_identity::Check,
};

const TAG: &str = "sts:TagSession";
const SET_SOURCE_IDENTITY: &str = "sts:SetSourceIdentity";

/// A statement's place in words, counted from 1 as people do.
pub(super) fn place(at: &StatementRef) -> String {
    at.sid.as_ref().map_or_else(|| format!("statement {}", at.statement + 1), |sid| format!("statement {sid:?}"))
}

/// The statement that decided, or the one that is meant for the token.
fn telling<'a>(
    policy: &Policy,
    action: &str,
    decision: &'a Decision,
    provider: Option<&OidcProvider>,
) -> Option<&'a StatementTrace> {
    match (decision.decisive.first(), provider) {
        (Some(first), _) => decision.statements.iter().find(|statement| statement.at == *first),
        (None, Some(provider)) => nearest::meant(policy, action, decision, provider),
        (None, None) => None,
    }
}

/// The conditions behind a decision, and the principal when it is the obstacle, each as a check with its own fix.
pub(super) fn condition_checks(
    policy: &Policy,
    action: &str,
    decision: &Decision,
    provider: Option<&OidcProvider>,
    claims: &Claims,
    asker: Asker,
) -> Vec<Check> {
    let telling = telling(policy, action, decision, provider).filter(|statement| statement.action);
    let Some(statement) = telling else { return Vec::new() };
    let denies = decision.outcome == Outcome::ExplicitDeny;
    let place = place(&statement.at);
    let at = format!("{action}, {place}");
    let mut checks = Vec::new();
    if statement.principal == Some(false) {
        let named = principal::named(policy, statement).join(", ");
        checks.push(Check {
            check: "trust-principal",
            passed: false,
            expected: format!("{at}: the provider is a principal"),
            actual: if named.is_empty() { "no federated principal".to_owned() } else { named },
            fix: provider.map(|provider| principal::advice(policy, statement, &place, provider).fix),
        });
    }
    for condition in &statement.conditions {
        let wanted = format!("{} {} {}", condition.operator, condition.key, condition.expected.join(" | "));
        // A true condition of a denial is what refuses.
        let passed = condition.passed != denies;
        let fix = provider.filter(|_| !passed).map(|provider| {
            if denies {
                denied(policy, decision, statement, action, provider.url(), asker).fix
            } else {
                literal(policy, condition).unwrap_or_else(|| condition::fix(condition, provider, claims, asker))
            }
        });
        checks.push(Check {
            check: "trust-condition",
            passed,
            expected: if denies { format!("{at}, which denies: not {wanted}") } else { format!("{at}: {wanted}") },
            actual: condition.actual.as_ref().map_or_else(|| "no such key".to_owned(), |values| values.join(" | ")),
            fix,
        });
    }
    checks
}

/// What decided, in words.
pub(super) fn outcome(decision: &Decision) -> String {
    let verb = if decision.is_allowed() { "allows" } else { "denies" };
    decision.decisive.first().map_or_else(|| "no statement allows it".to_owned(), |at| format!("{} {verb}", place(at)))
}

/// The nearest fix of a refusal.
pub(super) fn advice(
    policy: &Policy,
    action: &str,
    decision: &Decision,
    provider: &OidcProvider,
    claims: &Claims,
    asker: Asker,
) -> Advice {
    let Some(statement) = telling(policy, action, decision, Some(provider)) else {
        return plain(format!("the trust policy has no Allow statement: add one for {action} with {}", provider.arn()));
    };
    let at = place(&statement.at);
    if decision.outcome == Outcome::ExplicitDeny {
        return denied(policy, decision, statement, action, provider.url(), asker);
    }
    if !statement.action {
        let element = policy.statements.get(statement.at.statement).map(|statement| &statement.action);
        return missing_action(action, &at, element, claims, provider);
    }
    let mut fixes = Vec::new();
    let mut comparison = None;
    if statement.principal == Some(false) {
        let advice = principal::advice(policy, statement, &at, provider);
        fixes.push(advice.fix);
        comparison = advice.comparison;
    }
    for failed in statement.conditions.iter().filter(|condition| !condition.passed) {
        let fix = literal(policy, failed).unwrap_or_else(|| condition::fix(failed, provider, claims, asker));
        if fixes.is_empty() {
            comparison = compared(failed, &at);
        }
        if !fixes.contains(&fix) {
            fixes.push(fix);
        }
    }
    if fixes.is_empty() {
        return plain(format!("{at} does not apply; allow {action} to {}", provider.arn()));
    }
    let pinned = nearest::with_pins_of_their_own(policy, decision, provider, statement);
    if let Some(other) = pinned.first() {
        let fix =
            format!("don't widen {at} instead: {} admits this subject on conditions of its own", place(&other.at));
        fixes.push(fix);
    }
    Advice { fix: fixes.join("; and "), comparison }
}

/// That a variable of a condition is plain text in the policy's version.
fn literal(policy: &Policy, condition: &ConditionTrace) -> Option<String> {
    let mut variables = condition.expected.iter().filter_map(|expected| version::variable(expected));
    let variable = variables.next().filter(|_| policy.version == Version::V2008)?;
    Some(version::fix("the trust policy", variable))
}

fn plain(fix: String) -> Advice {
    Advice { fix, comparison: None }
}

fn missing_action(
    action: &str,
    at: &str,
    element: Option<&ActionElement>,
    claims: &Claims,
    provider: &OidcProvider,
) -> Advice {
    if element.is_some_and(|element| element.negated) {
        return plain(format!(
            "{at} has NotAction, which leaves {action} out and which IAM does not take in a trust policy: write \"Action\": {action:?}"
        ));
    }
    let other = element
        .into_iter()
        .flat_map(|element| &element.names)
        .find(|name| name.to_lowercase().starts_with("sts:assumerole"));
    plain(match (action, other) {
        (TAG, _) => format!(
            "the token carries session tags ({}), so the trust policy has to allow {TAG}, too: add it beside \
             sts:AssumeRoleWithWebIdentity in `Action` of {at}",
            claims.tag_keys().join(", ")
        ),
        (SET_SOURCE_IDENTITY, _) => format!(
            "the token carries a source identity, so the trust policy has to allow {SET_SOURCE_IDENTITY}, too: add it beside \
             sts:AssumeRoleWithWebIdentity in `Action` of {at}"
        ),
        (action, Some(other)) => format!(
            "no statement names {action}: the nearest, {at}, names {other}, which is another call. Add an Allow statement for {action} with {}",
            provider.arn()
        ),
        (other, _) => format!("no statement names {other}: add an Allow statement for it with {}", provider.arn()),
    })
}

/// A denial, and the trap that a negated operator is true for a missing key.
fn denied(
    policy: &Policy,
    decision: &Decision,
    statement: &StatementTrace,
    action: &str,
    url: &str,
    asker: Asker,
) -> Advice {
    let at = place(&statement.at);
    if let Some(fix) = statement.conditions.iter().find_map(|condition| literal(policy, condition)) {
        return plain(format!("{at} denies {action}: {fix}"));
    }
    let absent = |condition: &&ConditionTrace| condition.actual.is_none() && condition.operator.contains("Not");
    let trap = statement.conditions.iter().find(absent);
    if let Some(trap) = trap {
        if let Some(never) = keys::never(ASSUME_WITH_WEB_IDENTITY, &trap.key) {
            let instead = keys::instead(ASSUME_WITH_WEB_IDENTITY, &trap.key);
            return plain(format!(
                "{at} denies {action}: its {} on {} is true for a request without the key, and {never}. {instead}",
                trap.operator, trap.key
            ));
        }
        if !known_keys::exists(&trap.key, url) {
            return plain(format!(
                "{at} denies {action} to every token: its {} on {} is true for a request without the key, and {}",
                trap.operator,
                trap.key,
                known_keys::reason(&trap.key, url)
            ));
        }
        if let Some(advice) = request::advice(&trap.key, asker) {
            return plain(format!("{at} denies {action} to a request without {}; {advice}", trap.key));
        }
        return plain(format!(
            "{at} denies {action}: its {} on {} is true for a request without the key, and this one has none. Have the issuer set it; only where \
             requests without it are meant to pass, add \"Null\": {{\"{}\": \"false\"}} to the denial",
            trap.operator, trap.key, trap.key
        ));
    }
    let found = |condition: &ConditionTrace| {
        let found = condition.actual.as_ref().map_or_else(|| "absent".to_owned(), |values| values.join(", "));
        let spared = if condition.operator.contains("Not") && condition.operator != "Null" {
            format!(" and not {}", condition.expected.join(" or "))
        } else {
            String::new()
        };
        format!("{} is {found}{spared}", condition.key)
    };
    let reasons: Vec<String> = statement.conditions.iter().map(found).collect();
    let mut why = if reasons.is_empty() { String::new() } else { format!(" because {}", reasons.join(" and ")) };
    let written = policy.statements.get(statement.at.statement);
    if written.is_some_and(|statement| statement.action.negated) {
        why.push_str(" (its NotAction does not list the action)");
    }
    if written.and_then(|statement| statement.principal.as_ref()).is_some_and(|element| element.negated) {
        why.push_str(" (its NotPrincipal does not list the provider)");
    }
    let others: Vec<String> = decision.decisive.iter().skip(1).map(place).collect();
    let others = if others.is_empty() { String::new() } else { format!("; so does {}", others.join(" and ")) };
    let allowed = decision.statements.iter().any(|trace| trace.effect == Effect::Allow && trace.applies);
    let besides = if allowed { "" } else { " No statement allows it, either" };
    plain(format!(
        "{at} denies {action}{why}{others}. A denial wins over every Allow: change its conditions, or the token.{besides}"
    ).trim_end_matches('.').to_owned())
}

/// The policy's value that is most like the request's, beside it.
fn compared(condition: &ConditionTrace, at: &str) -> Option<Comparison> {
    let what = format!("{} {}, {at}", condition.operator, condition.key);
    let side = if request::is_outside(&condition.key) { "request" } else { "token" };
    let Some(actual) = condition.actual.as_ref().and_then(|values| values.first()) else {
        let wanted = condition.expected.join(" | ");
        return Some(Comparison::new(what, ("policy", &wanted), (side, None)));
    };
    if condition.operator == "Null" {
        return None;
    }
    Some(Comparison::new(what, ("policy", nearest(condition, actual)?), (side, Some(actual))))
}

/// The value of the policy that is most like a value of the request; the first of equally alike ones.
pub(super) fn nearest<'a>(condition: &'a ConditionTrace, actual: &str) -> Option<&'a str> {
    condition.expected.iter().map(String::as_str).rev().max_by_key(|expected| likeness(expected, actual))
}
