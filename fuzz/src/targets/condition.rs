//! One condition against a request: negation, `IfExists` and the set operators keep to their logic, whatever the values are.
//!
//! Parts: the operator, the key, the policy's values (one a line), the request's keys (`KEY=VALUE` a line, repeated for several values).

use crate::{lines, pairs, sections};
use tagmint_iam::{
    condition::{self, Operator, Set, Test},
    context::Context,
    policy::Condition,
    template::Template,
};

/// Runs one input.
pub fn run(data: &[u8]) {
    let Some([name, key, values, keys]) = sections(data) else { return };
    let Some(operator) = Operator::parse(name) else { return };
    assert_eq!(operator.to_string(), name);
    let mut context = Context::new();
    for (key, value) in pairs(keys) {
        let mut values: Vec<String> = context.get(&key).unwrap_or_default().to_vec();
        values.push(value);
        context.set(&key, values);
    }
    let values: Vec<Template> = lines(values).iter().map(|value| Template::parse(value, true)).collect();
    let passed = |operator: Operator| {
        let condition = Condition { operator, key: key.to_owned(), values: values.clone() };
        let trace = condition::evaluate(&condition, &context);
        assert_eq!(trace, condition::evaluate(&condition, &context), "the same condition, another outcome");
        assert!(!trace.reason.is_empty());
        trace.passed
    };
    if operator.test == Test::Null {
        passed(operator);
        return;
    }
    let present = context.get(key).is_some_and(|values| !values.is_empty());
    let of = |set, negated, if_exists| passed(Operator { set, negated, if_exists, ..operator });
    for set in [None, Some(Set::ForAllValues), Some(Set::ForAnyValue)] {
        for negated in [false, true] {
            let (plain, optional) = (of(set, negated, false), of(set, negated, true));
            assert_eq!(optional, !present || plain, "IfExists changes something else than a missing key");
        }
    }
    assert_ne!(of(None, false, false), of(None, true, false), "an operator and its negation agree");
    for negated in [false, true] {
        let (any, all) = (of(Some(Set::ForAnyValue), negated, false), of(Some(Set::ForAllValues), !negated, false));
        assert_ne!(any, all, "some value fits, and no value does");
    }
}
