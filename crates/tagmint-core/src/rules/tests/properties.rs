use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Text that looks like CEL more often than chance would.
fn celish() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "sub",
        "claims",
        ".team",
        "team",
        "claims[",
        "value",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "${",
        "$${",
        "\"",
        "'",
        "\"x\"",
        "r'",
        "b'",
        "'''",
        "\\",
        "+",
        "-",
        "!",
        "&&",
        "||",
        "==",
        "in",
        "?",
        ":",
        ",",
        ".",
        "1",
        "1u",
        "2.5",
        "0x",
        "null",
        "true",
        ".all(x, x)",
        ".map(x, ",
        ".matches('",
        "has(",
        "size(",
        "slug(",
        "segment(",
        "pull_request_number(",
        "string(",
        "//",
        "\n",
        "`",
        "é",
        "\u{0}",
        "m",
        "s",
        "9223372036854775808",
        " ",
    ]);
    prop_oneof![
        1 => any::<String>(),
        4 => prop::collection::vec(word, 0..30).prop_map(|words| words.concat()),
    ]
}

fn rule() -> RuleConfig {
    parse(&rule_text("")).remove(0)
}

fn tag(tag: TagConfig) -> RuleConfig {
    RuleConfig { tags: BTreeMap::from([("t".to_owned(), tag)]), ..rule() }
}

/// The same text in every field that takes an expression or a template.
fn rules_with(text: &str) -> Vec<RuleConfig> {
    let text = || text.to_owned();
    let chosen = |chosen: ChosenTag| tag(TagConfig::Chosen(chosen));
    vec![
        RuleConfig { when: Some(text()), ..rule() },
        RuleConfig { subject: text(), ..rule() },
        RuleConfig { audiences: vec![text()], ..rule() },
        RuleConfig { roles: vec![text()], ..rule() },
        RuleConfig { lifetime: Some(LifetimeConfig::Text(text())), ..rule() },
        RuleConfig { max_lifetime: Some(LifetimeConfig::Text(text())), ..rule() },
        RuleConfig { transitive: vec![text()], ..rule() },
        RuleConfig { from: text(), ..rule() },
        RuleConfig { role: Some(text()), ..rule() },
        RuleConfig {
            matches: BTreeMap::from([(text(), MatchConfig::Values(vec![MatchValue::Text("x".into())]))]),
            ..rule()
        },
        RuleConfig {
            matches: BTreeMap::from([("team".into(), MatchConfig::Values(vec![MatchValue::Text(text())]))]),
            ..rule()
        },
        RuleConfig { name: text(), ..rule() },
        tag(TagConfig::Fixed(text())),
        chosen(ChosenTag { one_of: Some(vec![text()]), ..ChosenTag::default() }),
        chosen(ChosenTag { matches: Some(text()), ..ChosenTag::default() }),
        chosen(ChosenTag { open: Some(true), default: Some(text()), ..ChosenTag::default() }),
        RuleConfig { tags: BTreeMap::from([(text(), TagConfig::Fixed("x".into()))]), ..rule() },
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is written where, compiling gives rules or errors that name the field, and deciding by
    /// the rules gives a grant or a refusal.
    #[test]
    fn any_text_anywhere_is_decided_or_refused(text in celish()) {
        for config in rules_with(&text) {
            match RuleSet::compile(std::slice::from_ref(&config), &TrustedIssuers::none()) {
                Ok(set) => {
                    let request = request_with_tags(&[("t", "x")]);
                    for request in [&request, &MintRequest::default()] {
                        if let Err(denial) = set.decide(&identity(), request).result {
                            prop_assert_ne!(denial.code(), "unknown_rule");
                        }
                    }
                }
                Err(errors) => {
                    prop_assert!(!errors.is_empty());
                    for error in errors {
                        prop_assert!(error.path.starts_with("rule[0]."), "{}", error);
                    }
                }
            }
        }
    }
}

const RULES: &str = r#"
[[rule]]
name = "narrow"
from = "session"
match.a = "x"
subject = "narrow:${sub}"
audiences = ["one", "two"]
roles = ["arn:aws:iam::123456789012:role/narrow"]
max_lifetime = "10m"
transitive = ["fixed"]
[rule.tags]
fixed = "${sub}"
among = { one_of = ["x", "${a}"] }
run = { matches = 'value.matches("^run-[0-9]+$")' }

[[rule]]
name = "broad"
from = "session"
subject = "broad:anyone"
audiences = ["three"]
[rule.tags]
note = { open = true }
"#;

fn word() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "x",
        "y",
        "one",
        "two",
        "three",
        "four",
        "narrow",
        "broad",
        "fixed",
        "among",
        "run",
        "note",
        "run-1",
        "0xabc",
        "arn:aws:iam::123456789012:role/narrow",
    ]);
    prop_oneof![6 => known.prop_map(str::to_owned), 1 => any::<String>(), 1 => "[a-z]{0,4}"]
}

fn requests() -> impl Strategy<Value = MintRequest> {
    let rarely = |strategy| prop::option::weighted(0.3, strategy);
    (
        rarely(word().boxed()),
        rarely(word().boxed()),
        prop::option::weighted(0.3, prop_oneof![0_i64..1000, any::<i64>()]),
        rarely(word().boxed()),
        prop::collection::btree_map(word(), word(), 0..3),
    )
        .prop_map(|(audience, role, lifetime_seconds, rule, tags)| MintRequest {
            audience,
            role,
            lifetime_seconds,
            rule,
            tags,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// No request and no identity gets anything that the rule does not name.
    #[test]
    fn a_grant_is_within_its_rule(
        request in requests(),
        subject in word(),
        a in prop::option::weighted(0.9, word()),
        bearer in any::<bool>(),
    ) {
        let attributes = a.as_ref().map_or_else(|| json!({}), |a| json!({"a": a}));
        let source = if bearer { IdentitySource::Bearer } else { IdentitySource::Session };
        let identity = VerifiedIdentity { source, subject, ..identity_with(attributes) };
        let Ok(grant) = compiled(RULES).decide(&identity, &request).result else { return Ok(()) };

        let value = |key: &str| grant.tags.get(key);
        let keys: Vec<&str> = grant.tags.iter().map(|(key, _)| key.as_str()).collect();
        for (key, asked) in &request.tags {
            prop_assert_eq!(value(key), Some(asked.as_str()));
        }
        if let Some(audience) = &request.audience {
            prop_assert_eq!(grant.audience.as_str(), audience);
        }
        if let Some(seconds) = request.lifetime_seconds {
            prop_assert_eq!(i64::from(grant.lifetime.seconds()), seconds);
        }
        match grant.rule.as_str() {
            "narrow" => {
                prop_assert!(!bearer);
                prop_assert_eq!(a.as_deref(), Some("x"));
                prop_assert!(["one", "two"].contains(&grant.audience.as_str()));
                prop_assert_eq!(grant.roles.len(), 1);
                prop_assert!(grant.lifetime.seconds() <= 600);
                prop_assert!(keys.iter().all(|key| ["fixed", "among", "run"].contains(key)));
                prop_assert_eq!(value("fixed"), Some(identity.subject.as_str()));
                prop_assert!(value("among").is_none_or(|value| value == "x"));
                prop_assert!(value("run").is_none_or(|value| value.starts_with("run-")));
            }
            "broad" => {
                prop_assert!(!bearer);
                prop_assert!(request.rule.is_some() || a.is_none_or(|a| a != "x"));
                prop_assert_eq!(grant.audience.as_str(), "three");
                prop_assert!(grant.roles.is_empty());
                prop_assert!(grant.lifetime.seconds() <= 300);
                prop_assert!(keys.iter().all(|key| *key == "note"));
            }
            other => prop_assert!(false, "{}", other),
        }
    }
}
