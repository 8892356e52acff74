//! AWS's own claims: session tags, source identity, roles.

use serde_json::{Value, json};

use crate::{
    SOURCE_IDENTITY, TAGS, accepted, all,
    case::{Case, ROLE_ARN, provider_arn},
    refused,
};

const ROLES: &str = "https://aws.amazon.com/roles";

/// Recorded for `principal_tags`.
fn wrong(name: &str) -> String {
    format!("InvalidIdentityToken: {name} passed in claim is not in correct format.")
}

#[test]
fn tags() {
    let nested = |tags: Value| Case::new().claim(TAGS, json!({"principal_tags": tags}));
    let invalid = "ValidationError: Unable to validate tags";
    let many = |count: usize| (0..count).map(|index| (format!("k{index}"), json!(["v"]))).collect::<Value>();
    all([
        ("guide: nested", nested(json!({"Team": ["a"]})), accepted()),
        ("recorded: plain texts", nested(json!({"Team": "a"})), wrong("principal_tags")),
        ("two values", nested(json!({"Team": ["a", "b"]})), wrong("principal_tags")),
        ("no value", nested(json!({"Team": []})), wrong("principal_tags")),
        ("a number", nested(json!({"Team": [1]})), wrong("principal_tags")),
        ("null", nested(json!({"Team": null})), wrong("principal_tags")),
        ("a list of pairs", nested(json!([{"Key": "Team", "Value": "a"}])), wrong("principal_tags")),
        ("no object", Case::new().claim(TAGS, json!("Team=a")), wrong(TAGS)),
        (
            "flat, a number",
            Case::new().claim(&format!("{TAGS}/principal_tags/Team"), json!(1)),
            wrong("principal_tags"),
        ),
        ("not a list", Case::new().claim(TAGS, json!({"transitive_tag_keys": {"a": 1}})), wrong("transitive_tag_keys")),
        ("not of texts", Case::new().claim(TAGS, json!({"transitive_tag_keys": [1]})), wrong("transitive_tag_keys")),
        (
            "flat, not a list",
            Case::new().claim(&format!("{TAGS}/transitive_tag_keys"), json!(1)),
            wrong("transitive_tag_keys"),
        ),
        ("guide: flat", Case::new().claim(&format!("{TAGS}/principal_tags/Team"), json!("a")), accepted()),
        ("guide: 50", nested(many(50)), accepted()),
        ("guide: 50", nested(many(51)), refused(invalid)),
        ("model: keys of 128", nested(json!({"k".repeat(129): ["v"]})), refused(invalid)),
        ("model: values of 256", nested(json!({"k": ["v".repeat(257)]})), refused(invalid)),
        ("model: characters", nested(json!({"k": ["*"]})), refused(invalid)),
        ("guide: aws:", nested(json!({"aws:x": ["v"]})), refused(invalid)),
        ("guide: keys are case-insensitive", nested(json!({"Team": ["a"], "team": ["b"]})), refused(invalid)),
        ("model: no control characters", nested(json!({"Team": ["a\tb"]})), refused(invalid)),
        ("model: no control characters", nested(json!({"Team": ["a\u{85}b"]})), refused(invalid)),
        ("model: letters of any script", nested(json!({"k": ["Zoë 日本語 ٣ ⅷ"]})), accepted()),
        ("model: marks are no letters", nested(json!({"k": ["\u{915}\u{93f}"]})), refused(invalid)),
        ("model: nor are circled ones", nested(json!({"k": ["\u{24b6}"]})), refused(invalid)),
        ("model: all separators", nested(json!({"Team": ["a b\u{2028}\u{a0}c"]})), accepted()),
        (
            "a transitive key without tag",
            Case::new().claim(TAGS, json!({"transitive_tag_keys": ["x"]})),
            refused(invalid),
        ),
    ]);
    let claim = json!({"principal_tags": {"b": ["2"], "a": ["1"]}, "transitive_tag_keys": ["b"]});
    let session = Case::new().claim(TAGS, claim).session();
    assert_eq!(session.tags, [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]);
    assert_eq!(session.transitive_tag_keys, ["b"]);
    let context = session.context("AROAEXAMPLE");
    assert_eq!(context.single("aws:PrincipalTag/A"), Some("1"));
    assert_eq!(context.single("aws:userid"), Some("AROAEXAMPLE:probe"));
    assert_eq!(context.single("aws:FederatedProvider"), Some(provider_arn().as_str()));
}

#[test]
fn source_identity() {
    assert_eq!(Case::new().claim(SOURCE_IDENTITY, json!("mnt_1")).session().source_identity.as_deref(), Some("mnt_1"));
    for bad in [json!("a"), json!("a b"), json!(1), json!("x".repeat(65))] {
        assert_eq!(
            Case::new().claim(SOURCE_IDENTITY, bad.clone()).answer(),
            wrong("source_identity"),
            "model, words not recorded: {bad}"
        );
    }
}

#[test]
fn roles() {
    let none = "InvalidIdentityToken: The roles claim contains no valid role ARNs";
    let absent = "InvalidIdentityToken: The target role ARN is not present in the roles claim of the identity token";
    let format = "InvalidIdentityToken: The roles claim is not in a supported format";
    let other = "arn:aws:iam::123456789012:role/other";
    let cases = [
        (json!([ROLE_ARN]), "", true),
        (json!(ROLE_ARN), "", true),
        (json!(format!(" ; {other} ;{ROLE_ARN};")), "", true),
        (json!([123, null, ROLE_ARN]), "", true),
        (json!(null), "", false),
        (json!([other]), absent, false),
        (json!(""), none, false),
        (json!([]), none, false),
        (json!([[ROLE_ARN]]), none, false),
        (json!("arn:aws:iam::123456789012:role/*"), none, false),
        (json!(format!("{other},{ROLE_ARN}")), none, false),
        (json!(ROLE_ARN.to_uppercase()), none, false),
        (json!(123), format, false),
        (json!(true), format, false),
        (json!({"role": ROLE_ARN}), format, false),
    ];
    for (claim, expected, authorized) in cases {
        let case = Case::new().claim(ROLES, claim.clone());
        assert_eq!(case.answer(), expected, "recorded: {claim}");
        if expected.is_empty() {
            assert_eq!(case.session().role_authorized_by_idp, authorized, "{claim}");
        }
    }
    let before = Case::new().claim(ROLES, json!([other])).trust(&json!({"StringEquals": {"x:y": "z"}}));
    assert_eq!(before.answer(), absent, "recorded: the roles claim comes before the trust policy");
}
