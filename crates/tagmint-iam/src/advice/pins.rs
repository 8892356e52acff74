//! Conditions that one statement demands of a subject, and that another lets it pass without.

use super::{Warning, trust::place};
use crate::{
    advice::trust::names,
    condition::ConditionTrace,
    evaluate::{Decision, StatementTrace},
    policy::Effect,
    provider::OidcProvider,
};

const ASSUME: &str = "sts:AssumeRoleWithWebIdentity";

/// Statements allow one by one: where one admits a subject as it is, what another demands of the same subject counts for nothing.
pub(super) fn undone(decisions: &[(String, Decision)], provider: &OidcProvider) -> Vec<Warning> {
    let Some((_, decision)) = decisions.iter().find(|(action, _)| action == ASSUME) else { return Vec::new() };
    let of = |applies: bool| {
        decision.statements.iter().filter(move |trace| {
            trace.effect == Effect::Allow && trace.action && trace.principal != Some(false) && trace.applies == applies
        })
    };
    let mut warnings = Vec::new();
    for stricter in of(false).filter(|trace| names_subject(trace, provider)) {
        let Some(wider) = of(true).find(|wider| lacks(wider, stricter)) else { continue };
        let demanded: Vec<String> = false_ones(stricter)
            .map(|condition| format!("{} {:?}", condition.key, condition.expected.join(" | ")))
            .collect();
        let text = format!(
            "{} demands {} of this subject, and {wide} admits the subject without it: statements add up, so the demand counts for nothing. Take \
             the subject out of {wide}, or demand the same there",
            place(&stricter.at),
            demanded.join(" and "),
            wide = place(&wider.at),
        );
        warnings.push(Warning { id: "pin-undone", text });
    }
    warnings
}

/// Whether the statement has the token's subject among its values, as a text and not as part of a pattern.
fn names_subject(trace: &StatementTrace, provider: &OidcProvider) -> bool {
    let key = format!("{}:sub", provider.url());
    let subjects: Vec<&ConditionTrace> = trace
        .conditions
        .iter()
        .filter(|condition| names(condition) && condition.key.eq_ignore_ascii_case(&key))
        .collect();
    let exact = |condition: &&ConditionTrace| {
        condition.actual.as_ref().is_some_and(|actual| condition.expected.iter().any(|value| actual.contains(value)))
    };
    !subjects.is_empty() && subjects.iter().all(|condition| condition.passed && exact(condition))
}

fn false_ones(trace: &StatementTrace) -> impl Iterator<Item = &ConditionTrace> {
    trace.conditions.iter().filter(|condition| !condition.passed && condition.actual.is_some() && names(condition))
}

/// Whether a statement has no condition on any of the keys that another fails on. Audiences tell statements apart, and are no pins.
fn lacks(wider: &StatementTrace, stricter: &StatementTrace) -> bool {
    let asks = |key: &str| wider.conditions.iter().any(|condition| condition.key.eq_ignore_ascii_case(key));
    let is_audience = |key: &str| key.to_lowercase().ends_with(":aud") || key.to_lowercase().ends_with(":oaud");
    let mut pins = false_ones(stricter).filter(|condition| !is_audience(&condition.key)).peekable();
    pins.peek().is_some() && pins.all(|condition| !asks(&condition.key))
}
