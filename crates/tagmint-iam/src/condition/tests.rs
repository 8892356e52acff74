use proptest::prelude::*;

use super::*;
use crate::template::Template;

fn condition(operator: &str, key: &str, values: &[&str]) -> Condition {
    let values = values.iter().map(|value| Template::parse(value, true)).collect();
    Condition { operator: Operator::parse(operator).unwrap(), key: key.to_owned(), values }
}

fn passes(operator: &str, policy: &[&str], request: Option<&[&str]>) -> bool {
    let mut context = Context::new().with("aws:PrincipalTag/team", "red");
    if let Some(values) = request {
        context = context.with_many("k", values.iter().copied());
    }
    evaluate(&condition(operator, "K", policy), &context).passed
}

/// IAM user guide, "Condition operators": one line for each statement there.
#[test]
fn operators_compare_as_the_guide_says() {
    let cases: &[(&str, &[&str], &str, bool)] = &[
        ("StringEquals", &["a", "b"], "b", true),
        ("StringEquals", &["a"], "A", false),
        ("StringEquals", &["*"], "a", false),
        ("StringEquals", &["${*}"], "*", true),
        ("StringEquals", &["${aws:PrincipalTag/team}"], "red", true),
        ("StringEquals", &["${none}"], "${none}", false),
        ("StringEquals", &[], "a", false),
        ("StringNotEquals", &["a", "b"], "b", false),
        ("StringNotEquals", &["a", "b"], "c", true),
        ("StringNotEquals", &["${none}"], "c", true),
        ("StringNotEquals", &[], "c", true),
        ("StringEqualsIgnoreCase", &["Éa"], "éA", true),
        ("StringNotEqualsIgnoreCase", &["a"], "A", false),
        ("StringLike", &["${aws:PrincipalTag/team}/*"], "red/x", true),
        ("StringLike", &["${aws:PrincipalTag/team}/*"], "red2/x", false),
        ("StringLike", &["r?d"], "RED", false),
        ("StringLike", &["${*}"], "x", false),
        ("StringNotLike", &["re*"], "red", false),
        ("NumericEquals", &["10"], "10.0", true),
        ("NumericEquals", &["ten"], "10", false),
        ("NumericNotEquals", &["10"], "11", true),
        ("NumericLessThan", &["10"], "9.5", true),
        ("NumericLessThan", &["10"], "inf", false),
        ("NumericLessThanEquals", &["10"], "10", true),
        ("NumericGreaterThan", &["10"], "10", false),
        ("NumericGreaterThanEquals", &["-10"], "-10", true),
        ("DateEquals", &["2026-01-01T00:00:00Z"], "1767225600", true),
        ("DateEquals", &["2026-01-01"], "2026-01-01T01:00:00+01:00", true),
        ("DateEquals", &["2026"], "2026-01", true),
        ("DateNotEquals", &["2026-01-01"], "2026-01-02", true),
        ("DateLessThan", &["2026-01-01T00:00:00Z"], "2025-12-31T23:59:59Z", true),
        ("DateLessThanEquals", &["soon"], "2026-01-01", false),
        ("DateGreaterThan", &["2026-01-01T00:00:00Z"], "2026-01-01T00:00:00Z", false),
        ("DateGreaterThanEquals", &["2026-01-01T00:00:00Z"], "2026-01-01T00:00:00Z", true),
        ("Bool", &["true"], "True", true),
        ("Bool", &["yes"], "yes", false),
        ("BinaryEquals", &["QmluYXJ5"], "QmluYXJ5", true),
        ("BinaryEquals", &["QmluYXJ5"], "QmluYXJ6", false),
        ("IpAddress", &["203.0.113.0/24"], "203.0.113.7", true),
        ("IpAddress", &["203.0.113.0/24"], "203.0.114.7", false),
        ("IpAddress", &["0.0.0.0/0"], "203.0.114.7", true),
        ("IpAddress", &["0.0.0.0/0"], "2001:db8::1", false),
        ("IpAddress", &["2001:db8::/32"], "2001:db8:1::1", true),
        ("IpAddress", &["203.0.113.7"], "203.0.113.7", true),
        ("IpAddress", &["203.0.113.0/33"], "203.0.113.7", false),
        ("NotIpAddress", &["203.0.113.0/24"], "203.0.113.7", false),
        ("ArnEquals", &["arn:aws:iam::*:role/x*"], "arn:aws:iam::123456789012:role/xy", true),
        ("ArnLike", &["arn:aws:iam::*"], "arn:aws:iam::123456789012:role/xy", false),
        ("ArnLike", &["arn:aws:*:*:*:*"], "arn:aws:sns:eu-west-1:123456789012:a:b", true),
        ("ArnLike", &["*"], "arn:aws:sns:eu-west-1:123456789012:a", true),
        ("ArnLike", &["*"], "no-arn", false),
        ("ArnNotEquals", &["arn:aws:s3:::a"], "arn:aws:s3:::b", true),
        ("ArnNotLike", &["arn:aws:s3:::*"], "arn:aws:s3:::b", false),
    ];
    for (operator, policy, request, expected) in cases {
        assert_eq!(passes(operator, policy, Some(&[request])), *expected, "{operator} {policy:?} {request}");
    }
}

/// IAM user guide, "Set operators for multivalued context keys", and "If the key that you specify in a policy condition is not present…".
#[test]
fn sets_and_absence() {
    let cases: &[(&str, Option<&[&str]>, bool)] = &[
        ("StringEquals", None, false),
        ("StringNotEquals", None, true),
        ("StringEqualsIfExists", None, true),
        ("StringEqualsIfExists", Some(&["x"]), false),
        ("NotIpAddressIfExists", None, true),
        ("Bool", None, false),
        ("ForAllValues:StringEquals", None, true),
        ("ForAllValues:StringEquals", Some(&[]), true),
        ("ForAllValues:StringEquals", Some(&[""]), true),
        ("ForAllValues:StringEquals", Some(&["a", "b"]), true),
        ("ForAllValues:StringEquals", Some(&["a", "x"]), false),
        ("ForAllValues:StringNotEquals", Some(&["x", "a"]), false),
        ("ForAllValues:StringNotEquals", Some(&["x", "y"]), true),
        ("ForAnyValue:StringEquals", None, false),
        ("ForAnyValue:StringEqualsIfExists", None, true),
        ("ForAnyValue:StringEquals", Some(&[""]), false),
        ("ForAnyValue:StringEquals", Some(&["x", "a"]), true),
        ("ForAnyValue:StringNotEquals", None, false),
        ("ForAnyValue:StringNotEquals", Some(&["x", "a"]), true),
        ("ForAnyValue:StringNotEquals", Some(&["a", "b"]), false),
    ];
    for (operator, request, expected) in cases {
        assert_eq!(passes(operator, &["a", "b"], *request), *expected, "{operator} {request:?}");
    }
}

#[test]
fn null_asks_for_the_key_alone() {
    type Case<'a> = (&'a [&'a str], Option<&'a [&'a str]>, bool);
    let cases: &[Case<'_>] = &[
        (&["true"], None, true),
        (&["false"], None, false),
        (&["true"], Some(&["x"]), false),
        (&["False"], Some(&["x"]), true),
        (&["true"], Some(&[]), true),
        (&["true", "false"], Some(&["x"]), true),
        (&["maybe"], Some(&["x"]), false),
    ];
    for (policy, request, expected) in cases {
        assert_eq!(passes("Null", policy, *request), *expected, "{policy:?} {request:?}");
    }
}

#[test]
fn the_trace_says_what_was_compared() {
    let context = Context::new().with("aws:PrincipalTag/team", "red").with("s3:prefix", "blue/x");
    let trace = evaluate(&condition("StringLike", "S3:Prefix", &["${aws:PrincipalTag/team}/*", "${none}"]), &context);
    assert_eq!((trace.operator.as_str(), trace.key.as_str(), trace.passed), ("StringLike", "S3:Prefix", false));
    assert_eq!(trace.expected, ["red/*", "${none}"]);
    assert_eq!(trace.actual, Some(vec!["blue/x".to_owned()]));
    assert_eq!(
        trace.reason,
        "no value of the request fits a value of the policy; no single value in the request for the variable none, and a text \
         with it fits nothing"
    );
}

fn operators() -> impl Strategy<Value = Operator> {
    proptest::sample::select(Operator::all().collect::<Vec<_>>())
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec(
        "[ab*?]{0,3}|true|false|[0-9]{1,3}|10\\.0\\.0\\.[01]/?|arn:a:b:c:d:[e*]|\\$\\{t\\}|2026-01-0[12]",
        0..4,
    )
}

fn outcome(operator: Operator, key: &str, policy: &[String], request: Option<&[String]>) -> bool {
    let mut context = Context::new().with("t", "a");
    if let Some(values) = request {
        context = context.with_many("key", values.iter().map(String::as_str));
    }
    let values = policy.iter().map(|value| Template::parse(value, true)).collect();
    evaluate(&Condition { operator, key: key.to_owned(), values }, &context).passed
}

proptest! {
    #[test]
    fn if_exists_is_true_without_the_key_and_the_same_with_it(operator in operators(), policy in texts(), request in texts()) {
        prop_assume!(operator.test != Test::Null);
        let (with, without) = (Operator { if_exists: true, ..operator }, Operator { if_exists: false, ..operator });
        prop_assert!(outcome(with, "key", &policy, None));
        prop_assume!(!request.is_empty());
        prop_assert_eq!(outcome(with, "key", &policy, Some(&request)), outcome(without, "key", &policy, Some(&request)));
    }

    #[test]
    fn key_names_are_case_insensitive(operator in operators(), policy in texts(), request in texts()) {
        prop_assert_eq!(outcome(operator, "key", &policy, Some(&request)), outcome(operator, "KeY", &policy, Some(&request)));
    }

    #[test]
    fn a_negated_operator_is_the_opposite(operator in operators(), policy in texts(), request in proptest::option::of(texts())) {
        prop_assume!(operator.test != Test::Null);
        let plain = Operator { set: None, if_exists: false, negated: false, ..operator };
        let negated = Operator { negated: true, ..plain };
        prop_assert_ne!(outcome(plain, "key", &policy, request.as_deref()), outcome(negated, "key", &policy, request.as_deref()));
    }

    #[test]
    fn one_more_policy_value_never_turns_a_positive_operator_off(operator in operators(), policy in texts(), more in texts(), request in texts()) {
        prop_assume!(!operator.negated);
        let longer: Vec<String> = policy.iter().chain(&more).cloned().collect();
        prop_assert!(!outcome(operator, "key", &policy, Some(&request)) || outcome(operator, "key", &longer, Some(&request)));
    }

    #[test]
    fn null_true_and_null_false_exclude_each_other(request in proptest::option::of(texts())) {
        let null = Operator::parse("Null").unwrap();
        let of = |value: &str| outcome(null, "key", &[value.to_owned()], request.as_deref());
        prop_assert_ne!(of("true"), of("false"));
    }

    #[test]
    fn no_value_panics(operator in operators(), policy in any::<Vec<String>>(), request in any::<Vec<String>>()) {
        outcome(operator, "key", &policy, Some(&request));
    }
}
