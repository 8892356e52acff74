//! Conditions, and the request's keys that they ask for.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tagmint_iam::condition::{Operator, Test};

use crate::random::Dice;

/// A request's keys with their values.
pub type Keys = BTreeMap<String, Vec<String>>;

/// Keys that a request has once, for each kind of value. All of them are global: every action has them.
const TEXT_KEYS: &[&str] =
    &["aws:PrincipalTag/team", "aws:RequestTag/cost", "aws:SourceIdentity", "aws:userid", "aws:referer"];
const NUMBER_KEYS: &[&str] = &["aws:MultiFactorAuthAge"];
const TIME_KEYS: &[&str] = &["aws:CurrentTime", "aws:TokenIssueTime", "aws:EpochTime"];
const FLAG_KEYS: &[&str] = &["aws:SecureTransport", "aws:MultiFactorAuthPresent", "aws:ViaAWSService"];
const ADDRESS_KEYS: &[&str] = &["aws:SourceIp", "aws:VpcSourceIp"];
const ARN_KEYS: &[&str] = &["aws:SourceArn", "aws:PrincipalArn"];
/// Keys that a request may have several times.
pub const LISTS: &[&str] = &["aws:TagKeys", "aws:CalledVia", "aws:PrincipalOrgPaths"];

const TEXTS: &[&str] =
    &["red", "Red", "red/x", "red2", "blue", "", "a.c", "re*", "o-1/r-2/ou-3/", "athena.amazonaws.com"];
const TEXT_PATTERNS: &[&str] = &[
    "red",
    "RED",
    "red/*",
    "re?",
    "*",
    "?*",
    "",
    "a.c",
    "b*e",
    "o-1/*/ou-3/",
    "*.amazonaws.com",
    "${aws:PrincipalTag/team}",
    "${aws:PrincipalTag/TEAM}/*",
    "${aws:PrincipalTag/team, 'red'}",
    "${aws:RequestTag/none}",
    "${aws:RequestTag/none, 'red'}",
    "re${*}",
    "re${?}",
    "${$}",
    "${aws:TagKeys}",
    "${",
];
const NUMBERS: &[&str] = &["10", "10.0", "9.5", "0", "-1", "1000", "ten"];
const NUMBER_VALUES: &[&str] = &["10", "10.00", "9", "-1", "1000", "many"];
const TIMES: &[&str] = &[
    "2026-01-01T00:00:00Z",
    "2026-01-01T01:00:00+01:00",
    "2025-12-31",
    "2026-01-02T03:04:05.678Z",
    "1767225600",
    "2026-06",
    "soon",
];
const TIME_VALUES: &[&str] = &[
    "2026-01-01T00:00:00Z",
    "2026-01-01",
    "2026-01",
    "1767225600",
    "2030-01-01T00:00Z",
    "2020-02-29T12:00:00Z",
    "later",
];
const FLAGS: &[&str] = &["true", "false", "True", "FALSE", "yes"];
const FLAG_VALUES: &[&str] = &["true", "false", "TRUE", "no"];
const ADDRESSES: &[&str] =
    &["203.0.113.7", "203.0.114.7", "10.1.2.3", "2001:db8::1", "2001:0db8:0:0:0:0:0:1", "::1", "nowhere"];
const RANGES: &[&str] = &[
    "203.0.113.0/24",
    "203.0.113.7",
    "0.0.0.0/0",
    "10.0.0.0/8",
    "203.0.113.7/32",
    "2001:db8::/32",
    "2001:db8::1",
    "2001:DB8::1/128",
    "::/0",
    "here",
];
const ARNS: &[&str] = &[
    "arn:aws:sns:eu-west-1:123456789012:topic",
    "arn:aws:sns:eu-west-1:123456789012:topic:subscription",
    "arn:aws:s3:::bucket",
    "arn:aws:iam::123456789012:role/path/deploy",
    "arn:aws:sns:eu-west-1:123456789012:red",
    "no-arn",
];
const ARN_PATTERNS: &[&str] = &[
    "arn:aws:sns:eu-west-1:123456789012:topic",
    "arn:aws:sns:*:*:*",
    "arn:aws:sns:*:123456789012:t?pic*",
    "arn:aws:s3:::*",
    "arn:aws:iam::*:role/*/deploy",
    "arn:*:sns:eu-*:123456789012:topic",
    "arn:aws:sns:*:topic",
    "arn:aws:sns:eu-west-1:123456789012:${aws:PrincipalTag/team}",
    "arn:aws:sns:eu-west-1:123456789012:${aws:RequestTag/none}",
    "ARN:AWS:SNS:eu-west-1:123456789012:topic",
    "arn:aws:SNS:eu-west-1:123456789012:topic",
    "arn:aws:sns:eu-west-1:${aws:RequestTag/account}:topic",
];
const BYTES: &[&str] = &["QmluYXJ5", "QmluYXJ6", "YQ==", "not base64"];

/// The kind of value that an operator compares: keys, what a request may hold, what a policy may say.
fn kind(test: Test) -> (&'static [&'static str], &'static [&'static str], &'static [&'static str]) {
    match test {
        Test::StringEquals | Test::StringEqualsIgnoreCase | Test::StringLike => (TEXT_KEYS, TEXTS, TEXT_PATTERNS),
        Test::NumericEquals
        | Test::NumericLessThan
        | Test::NumericLessThanEquals
        | Test::NumericGreaterThan
        | Test::NumericGreaterThanEquals => (NUMBER_KEYS, NUMBERS, NUMBER_VALUES),
        Test::DateEquals
        | Test::DateLessThan
        | Test::DateLessThanEquals
        | Test::DateGreaterThan
        | Test::DateGreaterThanEquals => (TIME_KEYS, TIMES, TIME_VALUES),
        Test::Bool => (FLAG_KEYS, FLAGS, FLAG_VALUES),
        Test::BinaryEquals => (&["aws:RequestTag/blob"], BYTES, BYTES),
        Test::IpAddress => (ADDRESS_KEYS, ADDRESSES, RANGES),
        Test::ArnEquals | Test::ArnLike => (ARN_KEYS, ARNS, ARN_PATTERNS),
        Test::Null => (TEXT_KEYS, TEXTS, &["true", "false", "True", "FALSE", "perhaps"]),
    }
}

/// A condition with this operator; what it asks for is put into `keys`, or left out of them.
pub fn condition(dice: &mut Dice, operator: Operator, keys: &mut Keys) -> (String, String, Value) {
    let (singles, held, said) = kind(operator.test);
    // Set operators are for lists, but some policies use them otherwise, and the other way round.
    let list = dice.percent(if operator.set.is_some() { 75 } else { 8 });
    let key = if list { dice.of(LISTS) } else { dice.of(singles) };
    if !dice.percent(20) {
        let count = if list { dice.of(&[0, 1, 1, 2, 2, 3]) } else { 1 };
        keys.insert(key.to_owned(), dice.some(count, held).into_iter().map(str::to_owned).collect());
    }
    (operator.to_string(), in_some_case(dice, key), values(dice, operator.test, said))
}

/// A condition with any operator.
pub fn any_condition(dice: &mut Dice, operators: &[Operator], keys: &mut Keys) -> (String, String, Value) {
    let operator = dice.of(operators);
    condition(dice, operator, keys)
}

/// Conditions as a policy's `Condition` element. Of two with the same operator and key, the later one stays.
pub fn element(conditions: Vec<(String, String, Value)>) -> Value {
    let mut element = Map::new();
    for (operator, key, values) in conditions {
        let of_operator = element.entry(operator).or_insert_with(|| json!({}));
        of_operator.as_object_mut().unwrap().insert(key, values);
    }
    Value::Object(element)
}

/// The keys that policy variables name, there or not.
pub fn variables(dice: &mut Dice, keys: &mut Keys) {
    for (key, values) in [
        ("aws:PrincipalTag/team", &["red", "red", "Red", "", "*", "r?d", "a:b"][..]),
        ("aws:RequestTag/account", &["123456789012"][..]),
    ] {
        if dice.percent(60) {
            keys.entry(key.to_owned()).or_insert_with(|| vec![dice.of(values).to_owned()]);
        }
    }
}

fn values(dice: &mut Dice, test: Test, said: &[&str]) -> Value {
    let count = dice.of(&[1, 1, 1, 1, 1, 1, 2, 2, 3, 0]);
    let mut values: Vec<Value> = dice.some(count, said).into_iter().map(|text| json!(text)).collect();
    for value in &mut values {
        // A policy may write these as JSON numbers and booleans.
        let written = value.as_str().unwrap();
        let bare = match test {
            Test::Bool | Test::Null => written.parse().ok().map(Value::Bool),
            Test::NumericEquals | Test::NumericLessThan => written.parse::<i64>().ok().map(|number| json!(number)),
            _ => None,
        };
        if let Some(bare) = bare
            && dice.percent(30)
        {
            *value = bare;
        }
    }
    if values.len() == 1 && dice.percent(80) { values.remove(0) } else { Value::Array(values) }
}

/// A key's name as some people write it.
fn in_some_case(dice: &mut Dice, key: &str) -> String {
    match dice.below(10) {
        0 => key.to_uppercase(),
        1 => key.to_lowercase(),
        _ => key.to_owned(),
    }
}
