//! One condition against a request, with the reason for its outcome.
//!
//! Source: IAM user guide, "Condition operators", "Set operators for multivalued context keys", "Evaluation logic for multiple context keys
//! or values".

mod compare;
mod operator;

use serde::Serialize;

pub use self::operator::{Operator, Set, Test};
use crate::{context::Context, policy::Condition};

/// What came of one condition, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConditionTrace {
    /// The operator as a policy writes it.
    pub operator: String,
    /// The key as the policy writes it.
    pub key: String,
    /// The policy's values, variables filled in where the request has them.
    pub expected: Vec<String>,
    /// The request's values; none when it lacks the key.
    pub actual: Option<Vec<String>>,
    /// Whether the condition is true.
    pub passed: bool,
    /// Why.
    pub reason: String,
}

/// Evaluates one condition.
pub fn evaluate(condition: &Condition, context: &Context) -> ConditionTrace {
    let operator = condition.operator;
    let actual = context.get(&condition.key);
    let expected: Vec<compare::Expected> =
        condition.values.iter().map(|value| compare::Expected::new(operator.test, value, context)).collect();
    let (passed, reason) = if operator.test == Test::Null {
        null(condition, actual)
    } else {
        match actual {
            Some(values) if !values.is_empty() => present(operator, &expected, values),
            _ => absent(operator),
        }
    };
    ConditionTrace {
        operator: operator.to_string(),
        key: condition.key.clone(),
        expected: expected.iter().map(compare::Expected::shown).collect(),
        actual: actual.map(<[String]>::to_vec),
        passed,
        reason,
    }
}

/// `Null`: `"true"` asks that the key is absent, `"false"` that it is there with a value.
fn null(condition: &Condition, actual: Option<&[String]>) -> (bool, String) {
    let absent = actual.is_none_or(<[String]>::is_empty);
    let wanted = if absent { "true" } else { "false" };
    let passed = condition.values.iter().any(|value| value.source().eq_ignore_ascii_case(wanted));
    let reason = if absent { "the request lacks the key" } else { "the request has the key" };
    (passed, reason.to_owned())
}

/// The key isn't in the request, or has no values.
fn absent(operator: Operator) -> (bool, String) {
    let (passed, why) = match operator {
        Operator { if_exists: true, .. } => (true, "IfExists is true without it"),
        Operator { set: Some(Set::ForAllValues), .. } => (true, "ForAllValues is true over no values"),
        Operator { set: Some(Set::ForAnyValue), .. } => (false, "ForAnyValue is false over no values"),
        Operator { negated: true, .. } => (true, "a negated operator is true without it"),
        _ => (false, "the operator is false without it"),
    };
    (passed, format!("the request lacks the key; {why}"))
}

fn present(operator: Operator, expected: &[compare::Expected], values: &[String]) -> (bool, String) {
    // "… or if the context key value resolves to a null dataset, such as an empty string."
    if let Some(set) = operator.set
        && values.iter().all(String::is_empty)
    {
        let passed = set == Set::ForAllValues;
        return (passed, format!("the key's values are empty; {set} is {passed} over no values"));
    }
    let fits = |value: &String| expected.iter().any(|expected| expected.fits(value));
    // A value that decides the outcome, for the reason.
    let (passed, decisive) = match (operator.set, operator.negated) {
        (Some(Set::ForAllValues), negated) => {
            let against = values.iter().find(|value| fits(value) == negated);
            (against.is_none(), against)
        }
        (Some(Set::ForAnyValue), negated) => {
            let found = values.iter().find(|value| fits(value) != negated);
            (found.is_some(), found)
        }
        (None, negated) => {
            let found = values.iter().find(|value| fits(value));
            (found.is_some() != negated, found)
        }
    };
    let unresolved: Vec<&str> = expected.iter().filter_map(compare::Expected::unresolved).collect();
    let mut reason = match decisive {
        Some(value) if fits(value) => format!("`{value}` fits a value of the policy"),
        Some(value) => format!("`{value}` fits no value of the policy"),
        None if passed && !operator.negated => "every value of the request fits a value of the policy".to_owned(),
        None => "no value of the request fits a value of the policy".to_owned(),
    };
    if !unresolved.is_empty() {
        reason.push_str("; no single value in the request for the variable ");
        reason.push_str(&unresolved.join(", "));
        reason.push_str(", and a text with it fits nothing");
    }
    (passed, reason)
}

#[cfg(test)]
mod tests;
