//! `[anonymous_minting]`, and rules with `from = "anonymous"`.

use std::fmt::Write;

use super::{GOOD, parse};

/// A test issuer that mints anonymously: what is added to the good configuration.
const ANONYMOUS: &str = r#"
[anonymous_minting]

[aws]
region = "eu-central-1"
account = "111122223333"
[aws.bucket]
name = "mail-test"
[[aws.role]]
name = "data-test"
access = [
    { tag = "shared", mode = "read" },
    { tag = "prefix", mode = "read-write" },
]
[[aws.role]]
name = "bare-test"

[[rule]]
name = "anyone"
from = "anonymous"
subject = "anonymous:anyone"
roles = ["arn:aws:iam::${aws.account}:role/data-test"]
lifetime = "2m"
[rule.tags]
shared = { one_of = ["fixtures", "docs"], default = "fixtures" }
"#;

fn with(changes: &[(&str, &str)]) -> String {
    let mut text = GOOD.to_owned() + ANONYMOUS;
    for (old, new) in changes {
        assert!(text.contains(old), "{old}");
        text = text.replacen(old, new, 1);
    }
    text
}

#[test]
fn a_rule_that_reads_alone_is_taken_and_warned_of() {
    let config = parse(&with(&[])).unwrap();
    let minting = config.settings.anonymous_minting.unwrap();
    assert_eq!((minting.per_address.per_second, minting.per_address.burst), (1, 10));
    assert_eq!((minting.total.per_second, minting.total.burst), (5, 50));
    let warned = config.warnings.iter().filter(|warning| warning.contains("anonymous_minting")).collect::<Vec<_>>();
    assert_eq!(
        warned,
        [
            "`[anonymous_minting]` is on: whoever reaches this issuer gets tokens without proof, to read what the rule `anyone` gives, 5 a second in the long run"
        ]
    );
    assert_eq!(parse(GOOD).unwrap().settings.anonymous_minting, None, "absent is off");
    // Everything that is allowed besides.
    for (old, new) in [
        (
            "[anonymous_minting]",
            "[anonymous_minting]\nmax_lifetime = \"15m\"\nper_address = { per_second = 2, burst = 2 }",
        ),
        ("lifetime = \"2m\"", "max_lifetime = \"5m\""),
        ("lifetime = \"2m\"", "when = 'sub == \"anonymous\"'"),
        ("shared = { one_of = [\"fixtures\", \"docs\"], default = \"fixtures\" }", "shared = \"fixtures\""),
        (
            "shared = { one_of = [\"fixtures\", \"docs\"], default = \"fixtures\" }",
            "shared = { matches = 'value.matches(\"^pr-[0-9]{1,9}$\")', required = true }",
        ),
    ] {
        parse(&with(&[(old, new)])).unwrap_or_else(|error| panic!("{new}: {error}"));
    }
    let without_rule =
        with(&[("[[rule]]\nname = \"anyone\"\nfrom = \"anonymous\"", "[[rule]]\nname = \"o\"\nfrom = \"bearer\"")]);
    let warnings = parse(&without_rule).unwrap().warnings;
    assert!(warnings.iter().any(|warning| warning.contains("no rule has `from = \"anonymous\"`")), "{warnings:?}");
}

#[test]
fn what_is_too_much_without_proof_is_named() {
    let tag = "shared = { one_of = [\"fixtures\", \"docs\"], default = \"fixtures\" }";
    let roles = "roles = [\"arn:aws:iam::${aws.account}:role/data-test\"]";
    let prod: &[(&str, &str)] = &[
        ("\"test\"", "\"prod\""),
        ("mail-test", "mail"),
        ("data-test", "data"),
        ("bare-test", "bare"),
        ("data-test", "data"),
    ];
    let prod_without_section: Vec<_> = prod.iter().copied().chain([("[anonymous_minting]", "")]).collect();
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("prod", prod),
        ("prod, the rule alone", &prod_without_section),
        ("the rule without the section", &[("[anonymous_minting]", "")]),
        ("a tag that writes", &[(tag, "prefix = \"fixtures\"")]),
        ("a tag that writes, in other letters", &[(tag, "PREFIX = \"fixtures\"")]),
        ("a tag that writes, if it is asked for", &[(tag, "shared = \"a\"\nprefix = { one_of = [\"a\", \"b\"] }")]),
        ("a tag that no access names", &[(tag, "shared = \"a\"\nteam = \"b\"")]),
        ("an open tag", &[(tag, "shared = { open = true }")]),
        ("a tag by a condition that is always true", &[(tag, "shared = { matches = 'true' }")]),
        ("a tag by a condition that forbids little", &[(tag, "shared = { matches = 'value != \"prod\"' }")]),
        ("no tag", &[(&format!("[rule.tags]\n{tag}"), "")]),
        ("a role without access", &[(roles, "roles = [\"arn:aws:iam::${aws.account}:role/bare-test\"]")]),
        ("no role", &[(roles, "")]),
        ("a role of another account", &[(roles, "roles = [\"arn:aws:iam::444455556666:role/data-test\"]")]),
        ("another role, by its name", &[(roles, "role = \"other-test\"")]),
        ("a role with a path", &[(roles, "roles = [\"arn:aws:iam::111122223333:role/x/data-test\"]")]),
        (
            "another role besides",
            &[(
                roles,
                "roles = [\"arn:aws:iam::111122223333:role/data-test\", \"arn:aws:iam::111122223333:role/admin-test\"]",
            )],
        ),
        ("a role by expression", &[(roles, "roles = [\"arn:aws:iam::111122223333:role/${sub}-test\"]")]),
        (
            "no account",
            &[("account = \"111122223333\"\n", ""), (roles, "roles = [\"arn:aws:iam::111122223333:role/data-test\"]")],
        ),
        ("unpinned", &[("[anonymous_minting]", "[token]\nroles = false\n[anonymous_minting]")]),
        ("a subject of others", &[("subject = \"anonymous:anyone\"", "subject = \"wallet:${sub}\"")]),
        ("a subject by expression", &[("subject = \"anonymous:anyone\"", "subject = \"${sub}:anonymous\"")]),
        (
            "another audience",
            &[("lifetime = \"2m\"", "audiences = [\"sts.amazonaws.com\", \"api.example\"]\nlifetime = \"2m\"")],
        ),
        ("too long", &[("lifetime = \"2m\"", "lifetime = \"2m\"\nmax_lifetime = \"6m\"")]),
        ("a lifetime by expression", &[("lifetime = \"2m\"", "lifetime = \"${sub}\"")]),
        ("transitive", &[("lifetime = \"2m\"", "transitive = [\"shared\"]")]),
        (
            "no limit",
            &[(
                "[anonymous_minting]",
                "[anonymous_minting]\nper_address = { per_second = 0, burst = 0 }\ntotal = { per_second = 1, burst = 0 }",
            )],
        ),
        ("a longest lifetime out of bounds", &[("[anonymous_minting]", "[anonymous_minting]\nmax_lifetime = \"1h\"")]),
        ("an unknown key", &[("[anonymous_minting]", "[anonymous_minting]\nenabled = true")]),
    ];
    let mut told = String::new();
    for (name, changes) in cases {
        let error = parse(&with(changes)).expect_err(name);
        let _ = writeln!(told, "--- {name}\n{error}");
    }
    insta::assert_snapshot!(told);
    // Without [aws] at all.
    let (without_aws, rule) =
        ANONYMOUS.split_once("[aws]").map(|(before, after)| (before, after.split_once("[[rule]]").unwrap().1)).unwrap();
    let text = format!("{GOOD}{without_aws}[[rule]]{rule}").replace("${aws.account}", "111122223333");
    let error = parse(&text).unwrap_err().to_string();
    assert!(
        error.contains("`rule[1].roles[0]`") && error.contains("there is no `[aws]` that says what it grants"),
        "{error}"
    );
}
