//! What the alternatives of a condition say is true of every identity that the condition takes.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::rules::{
    MintRequest, RuleSet, TrustedIssuers,
    lint::{
        alternatives::{Test, alternatives},
        paths::Path,
    },
    tests::{identity_with, parse, rule_text},
};

/// Conditions on the attributes `a`, `b` and `flag`, any of which may be missing.
fn condition() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "@a == \"x\"",
        "\"y\" == @b",
        "@b != \"x\"",
        "@a in [\"x\", \"zz\"]",
        "@b in {\"y\": 1}",
        "@a in [@b, \"y\"]",
        "!(@a in [\"x\"])",
        "has(@a)",
        "\"b\" in identity.attributes",
        "identity.attributes[\"b\"] == \"x\"",
        "@flag",
        "@flag == false",
        "bool(@flag)",
        "@a.startsWith(\"z\")",
        "@a.endsWith(\"z\")",
        "@b.contains(\"y\")",
        "@a.matches(\"^(x|y)$\")",
        "matches(@b, \"z\")",
        "@a == @b",
        "@a.lowerAscii() == \"x\"",
        "@a.lowerAscii() != \"x\"",
        "[\"x\", \"zz\"].exists(v, @b == v)",
        "[\"x\", \"zz\"].all(v, @a != v)",
        "[\"x\", \"y\"].exists_one(v, @a == v)",
        "[@a].exists(v, v == \"x\")",
        "(has(@a) ? @a : \"zz\") == \"zz\"",
        "(@flag ? @a : @b) == \"y\"",
        "@a.size() > 1",
        "\"x\" == \"y\"",
        "true",
        "false",
    ])
    .prop_map(|text| format!("({})", text.replace('@', "identity.attributes.")));
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            inner.clone().prop_map(|a| format!("(!{a})")),
            inner.clone().prop_map(|a| format!("({a} == false)")),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
        ]
    })
}

/// Every identity that the conditions can tell apart.
fn identities() -> Vec<Map<String, Value>> {
    let texts = [None, Some("x"), Some("X"), Some("y"), Some("zz")];
    let mut all = Vec::new();
    for (a, b, flag) in texts
        .iter()
        .flat_map(|a| texts.iter().map(move |b| (a, b)))
        .flat_map(|(a, b)| [None, Some(true), Some(false)].map(|flag| (a, b, flag)))
    {
        let mut attributes = Map::new();
        attributes.extend(a.map(|a| ("a".to_owned(), json!(a))));
        attributes.extend(b.map(|b| ("b".to_owned(), json!(b))));
        attributes.extend(flag.map(|flag| ("flag".to_owned(), json!(flag))));
        all.push(attributes);
    }
    all
}

/// Whether what a test says is true of these attributes, letter case aside.
fn is_true(path: &Path, test: &Test<'_>, attributes: &Map<String, Value>) -> bool {
    let Path::Attribute(name) = path else { return false };
    match attributes.get(name) {
        None => matches!(test, Test::Absent | Test::Other),
        Some(value) => {
            let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            test.admits(&shown) || test.admits(&shown.to_lowercase())
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_identity_that_is_taken_is_in_an_alternative(when in condition()) {
        let Ok(set) = RuleSet::compile(&parse(&rule_text(&format!("when = '{when}'"))), &TrustedIssuers::none()) else {
            // Too deep for a rule.
            return Ok(());
        };
        let tree = set.rules[0].when.as_ref().unwrap().tree();
        let Some(ways) = alternatives(tree, true) else { return Ok(()) };
        for attributes in identities() {
            let identity = identity_with(Value::Object(attributes.clone()));
            let taken = set.decide(&identity, &MintRequest::default()).is_ok();
            let described = ways.iter().any(|way| way.all().all(|(path, test)| is_true(path, test, &attributes)));
            prop_assert!(described || !taken, "{when}\n{attributes:?}\n{ways:#?}");
        }
    }
}
