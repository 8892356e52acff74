//! What to do about a trust policy that doesn't allow.

mod condition;

use super::{
    Advice, Asker,
    claims::Claims,
    diff::{Comparison, likeness},
    keys, known_keys, request, version,
};
use crate::{
    arn::Arn,
    condition::ConditionTrace,
    evaluate::{Decision, Outcome, StatementRef, StatementTrace},
    policy::{Effect, Policy, Principals, Version},
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

/// The statement that decided, or the one that came nearest to allowing: for what goes along with the assuming, one that lacks only its name.
fn telling<'a>(action: &str, decision: &'a Decision) -> Option<&'a StatementTrace> {
    if let Some(first) = decision.decisive.first() {
        return decision.statements.iter().find(|statement| statement.at == *first);
    }
    let allows = decision.statements.iter().filter(|statement| statement.effect == Effect::Allow);
    let lacks_only_the_name = |statement: &&StatementTrace| {
        !statement.action
            && statement.principal != Some(false)
            && statement.conditions.iter().all(|condition| condition.passed)
    };
    if [TAG, SET_SOURCE_IDENTITY].contains(&action)
        && let Some(statement) = allows.clone().find(lacks_only_the_name)
    {
        return Some(statement);
    }
    allows.min_by_key(|statement| {
        let failed = statement.conditions.iter().filter(|condition| !condition.passed).count();
        (!statement.action, statement.principal == Some(false), failed)
    })
}

/// The conditions behind a decision, and the principal when it is the obstacle, each as a check.
pub(super) fn condition_checks(policy: &Policy, action: &str, decision: &Decision) -> Vec<Check> {
    let Some(statement) = telling(action, decision).filter(|statement| statement.action) else { return Vec::new() };
    let denies = decision.outcome == Outcome::ExplicitDeny;
    let at = format!("{action}, {}", place(&statement.at));
    let mut checks = Vec::new();
    if statement.principal == Some(false) {
        let named = named_principals(policy, statement).join(", ");
        checks.push(Check {
            check: "trust-principal",
            passed: false,
            expected: format!("{at}: the provider is a principal"),
            actual: if named.is_empty() { "no federated principal".to_owned() } else { named },
            fix: None,
        });
    }
    for condition in &statement.conditions {
        let wanted = format!("{} {} {}", condition.operator, condition.key, condition.expected.join(" | "));
        checks.push(Check {
            check: "trust-condition",
            // A true condition of a denial is what refuses.
            passed: condition.passed != denies,
            expected: if denies { format!("{at}, which denies: not {wanted}") } else { format!("{at}: {wanted}") },
            actual: condition.actual.as_ref().map_or_else(|| "no such key".to_owned(), |values| values.join(" | ")),
            fix: None,
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
    let Some(statement) = telling(action, decision) else {
        return plain(format!("the trust policy has no Allow statement: add one for {action} with {}", provider.arn()));
    };
    let at = place(&statement.at);
    if decision.outcome == Outcome::ExplicitDeny {
        return denied(policy, statement, &at, action, provider.url(), asker);
    }
    if !statement.action {
        return missing_action(action, &at, claims, provider);
    }
    if statement.principal == Some(false) {
        return principal(policy, statement, &at, provider);
    }
    let Some(failed) = statement.conditions.iter().find(|condition| !condition.passed) else {
        return plain(format!("{at} does not apply; allow {action} to {}", provider.arn()));
    };
    let comparison = compared(failed, &at);
    let fix = literal(policy, failed).unwrap_or_else(|| condition::fix(failed, provider, claims, asker));
    Advice { fix, comparison }
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

fn missing_action(action: &str, at: &str, claims: &Claims, provider: &OidcProvider) -> Advice {
    plain(match action {
        TAG => format!(
            "the token carries session tags ({}), so the trust policy has to allow {TAG}, too: add it beside \
             sts:AssumeRoleWithWebIdentity in `Action` of {at}",
            claims.tag_keys().join(", ")
        ),
        SET_SOURCE_IDENTITY => format!(
            "the token carries a source identity, so the trust policy has to allow {SET_SOURCE_IDENTITY}, too: add it beside \
             sts:AssumeRoleWithWebIdentity in `Action` of {at}"
        ),
        other => format!("no statement names {other}: add an Allow statement for it with {}", provider.arn()),
    })
}

fn named_principals(policy: &Policy, trace: &StatementTrace) -> Vec<String> {
    let statement = policy.statements.get(trace.at.statement);
    match statement.and_then(|statement| statement.principal.as_ref()).map(|element| &element.principals) {
        Some(Principals::Listed { federated, aws, .. }) => federated.iter().chain(aws).cloned().collect(),
        Some(Principals::Everyone) => vec!["*".to_owned()],
        None => Vec::new(),
    }
}

fn principal(policy: &Policy, statement: &StatementTrace, at: &str, provider: &OidcProvider) -> Advice {
    let arn = provider.arn();
    let named = named_principals(policy, statement);
    let nearest = named.iter().filter(|name| name.starts_with("arn:")).max_by_key(|name| likeness(name, arn));
    let Some(nearest) = nearest else {
        return plain(format!(
            "the principal of {at} does not admit tokens of an identity provider (`*` and AWS principals never do): write \
             \"Principal\": {{\"Federated\": \"{arn}\"}}"
        ));
    };
    let fix = if nearest.trim_end_matches('/') == arn.trim_end_matches('/') {
        format!("the principal of {at} differs from the provider in a slash at the end: write {arn}")
    } else if nearest.eq_ignore_ascii_case(arn) {
        format!("the principal of {at} differs from the provider in letters' case, which counts: write {arn}")
    } else if let Some((named, own)) = other_partition(nearest, arn) {
        format!(
            "the principal of {at} is in the partition {named}, the role in {own}, and a role trusts the providers of its own account only: write {arn}"
        )
    } else if is_of_another_account(nearest, arn) {
        format!(
            "the principal of {at} is another account's provider, and a role trusts the providers of its own account alone: register the issuer \
             in the role's account and write {arn}"
        )
    } else {
        format!("the principal of {at} is not the token's provider: write {arn}")
    };
    let comparison = Comparison::new(format!("Principal, {at}"), ("policy", nearest), ("provider", Some(arn)));
    Advice { fix, comparison: Some(comparison) }
}

/// The partitions of two ARNs, where they differ in the partition alone.
fn other_partition<'a>(named: &'a str, arn: &'a str) -> Option<(&'a str, &'a str)> {
    let (named, arn) = (Arn::split(named)?, Arn::split(arn)?);
    let differs = named.partition != arn.partition && Arn { partition: arn.partition, ..named } == arn;
    differs.then_some((named.partition, arn.partition))
}

/// Whether two providers' ARNs differ in the account alone.
fn is_of_another_account(named: &str, arn: &str) -> bool {
    let (Some(named), Some(arn)) = (Arn::split(named), Arn::split(arn)) else { return false };
    named.account != arn.account && named.resource == arn.resource
}

/// A denial, and the trap that a negated operator is true for a missing key.
fn denied(policy: &Policy, statement: &StatementTrace, at: &str, action: &str, url: &str, asker: Asker) -> Advice {
    if let Some(fix) = statement.conditions.iter().find_map(|condition| literal(policy, condition)) {
        return plain(format!("{at} denies {action}: {fix}"));
    }
    let absent = |condition: &&ConditionTrace| condition.actual.is_none() && condition.operator.contains("Not");
    if let Some(trap) = statement.conditions.iter().find(absent) {
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
            "{at} denies {action}: its {} on {} is true for a request without the key, and this one has none. Where the key may be missing, \
             add \"Null\": {{\"{}\": \"false\"}} to the denial; otherwise have the issuer set it",
            trap.operator, trap.key, trap.key
        ));
    }
    let decisive = statement.conditions.first();
    let why = decisive.map_or_else(String::new, |condition| {
        let found = condition.actual.as_ref().map_or_else(|| "absent".to_owned(), |values| values.join(", "));
        format!(" because {} is {found}", condition.key)
    });
    plain(format!("{at} denies {action}{why}. A denial wins over every Allow: change its conditions, or the token"))
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
