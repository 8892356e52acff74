//! `[[rule]]`, beyond what the rules' own compiler checks.

use tagmint_core::{
    identity::VerifiedIdentity,
    rules::{Grant, MintRequest},
};

use super::*;

/// The configuration for prod, with an account, and with these lines in its rule.
fn with(aws: &str, lines: &str) -> Result<Config, ConfigError> {
    let base = GOOD.replace("\"test\"", "\"prod\"").replace("[[rule]]", &format!("[aws]\n{aws}\n[[rule]]"));
    parse(&base.replace("[rule.tags]", &format!("{lines}\n[rule.tags]")))
}

const AWS: &str = "region = \"eu-central-1\"\naccount = \"111122223333\"";

/// What the only rule grants to a session.
fn granted(config: &Config) -> Grant {
    let identity =
        VerifiedIdentity { source: tagmint_core::identity::IdentitySource::Session, ..VerifiedIdentity::anonymous() };
    config.rules.decide(&identity, &MintRequest::default()).result.unwrap_or_else(|denial| panic!("{denial:?}"))
}

#[test]
fn a_roles_name_stands_for_the_role_in_the_account() {
    let roles = |aws: &str, lines: &str| {
        let config = with(aws, lines).unwrap_or_else(|error| panic!("{lines}: {error}"));
        granted(&config).roles.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    for (lines, expected) in [
        ("role = \"data\"", &["arn:aws:iam::111122223333:role/data"][..]),
        ("role = \"team/data\"", &["arn:aws:iam::111122223333:role/team/data"]),
        ("role = \"user-${sub}\"", &["arn:aws:iam::111122223333:role/user-anonymous"]),
        ("role = \"arn:aws:iam::444455556666:role/data\"", &["arn:aws:iam::444455556666:role/data"]),
        ("role = \"arn:aws:iam::${aws.account}:role/data\"", &["arn:aws:iam::111122223333:role/data"]),
        (
            "roles = [\"data\", \"arn:aws:iam::444455556666:role/other\"]",
            &["arn:aws:iam::111122223333:role/data", "arn:aws:iam::444455556666:role/other"],
        ),
    ] {
        assert_eq!(roles(AWS, lines), expected, "{lines}");
    }
    let china = AWS.replace("eu-central-1", "cn-north-1");
    assert_eq!(roles(&china, "role = \"data\""), ["arn:aws-cn:iam::111122223333:role/data"]);
    for (aws, lines, says) in [
        (
            "region = \"eu-central-1\"",
            "role = \"data\"",
            "`rule[0].role`: `data` is the name of a role, and there is no `aws.account`",
        ),
        ("region = \"eu-central-1\"", "roles = [\"data\"]", "`rule[0].roles[0]`: `data` is the name of a role"),
        (
            AWS,
            "role = \"data\"\nroles = [\"other\"]",
            "`rule[0].role`: (rule `wallet`) is given beside `roles`; keep one",
        ),
        (AWS, "role = \"a b\"", "`rule[0].role`"),
    ] {
        let error = with(aws, lines).unwrap_err().to_string();
        assert!(error.contains(says), "{lines}: {error}");
    }
}

#[test]
fn session_policies_are_read_as_aws_reads_them() {
    let policy = r#"session_policy = '{ "Version": "2012-10-17", "Statement": [ { "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*" } ] }'"#;
    let lines = format!(
        "role = \"data\"\n{policy}\nsession_policy_arns = [\"arn:aws:iam::aws:policy/ReadOnlyAccess\"]\nassume_then = \"arn:aws:iam::444455556666:role/data\""
    );
    let terms = granted(&with(AWS, &lines).unwrap()).session;
    assert_eq!(
        terms.policy.as_deref(),
        Some(r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}"#)
    );
    assert_eq!(terms.policy_arns, ["arn:aws:iam::aws:policy/ReadOnlyAccess"]);
    assert_eq!(terms.assume_then.as_deref(), Some("arn:aws:iam::444455556666:role/data"));
    for (lines, field) in [
        (policy.replace("Allow", "Permit"), "session_policy"),
        ("session_policy = '{'".to_owned(), "session_policy"),
        ("session_policy = '[]'".to_owned(), "session_policy"),
        ("session_policy_arns = [\"ReadOnlyAccess\"]".to_owned(), "session_policy_arns"),
        ("assume_then = \"data\"".to_owned(), "assume_then"),
    ] {
        let error = with(AWS, &format!("role = \"data\"\n{lines}")).unwrap_err().to_string();
        assert!(error.contains(&format!("`rule[0].{field}`: (rule `wallet`)")), "{lines}: {error}");
    }
}

#[test]
fn a_prod_issuer_explains_no_refusals() {
    assert!(!parse(GOOD).unwrap().settings.explain_refusals, "off without the key");
    let explains = format!("explain_refusals = true\n{GOOD}");
    assert!(parse(&explains).unwrap().settings.explain_refusals);
    let error = parse(&explains.replace("\"test\"", "\"prod\"")).unwrap_err().to_string();
    assert!(error.starts_with("1 problem") && error.contains("`explain_refusals`"), "{error}");
}

/// A rule that decides nothing yet may stand in a strict configuration.
#[test]
fn a_shadow_rule_is_taken() {
    let text = format!(
        "strict = true\n{GOOD}[[rule]]\nname = \"next\"\nfrom = \"bearer\"\nmode = \"shadow\"\nsubject = \"next:${{sub}}\"\n"
    );
    let config = parse(&text).unwrap();
    assert_eq!(config.rules.names().map(ToString::to_string).collect::<Vec<_>>(), ["wallet", "next"]);
    let error = parse(&text.replace("\"shadow\"", "\"off\"")).unwrap_err().to_string();
    assert!(error.contains("`rule[1].mode`") && error.contains("`enforce`"), "{error}");
}
