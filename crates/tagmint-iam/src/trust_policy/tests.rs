use super::*;

const ACCOUNT: &str = "arn:aws:iam::111122223333:oidc-provider";

fn statement(principal: &str, rest: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Principal":{{"Federated":"{principal}"}},
            "Action":"sts:AssumeRoleWithWebIdentity"{rest}}}}}"#
    )
}

fn scoped(issuer: &str, operator: &str, key: &str, values: &str) -> Result<Policy, IamError> {
    let condition = format!(r#","Condition":{{"{operator}":{{"{key}":{values}}}}}"#);
    check(&statement(&format!("{ACCOUNT}/{issuer}"), &condition))
}

/// Recorded answers: the two guards draw the line in different places.
#[test]
fn the_values_that_scope() {
    let cases = [
        (r#""owned""#, true, true),
        (r#""owned*""#, true, true),
        (r#""?""#, true, true),
        (r#""*""#, false, false),
        (r#"["owned","*"]"#, false, false),
        (r#""**""#, false, true),
        (r#""*owned""#, false, true),
        (r#""""#, false, true),
        (r#""  ""#, false, true),
        ("[]", true, true),
    ];
    for (values, github, gitlab) in cases {
        assert_eq!(scoped(GITHUB, "StringLike", &format!("{GITHUB}:sub"), values).is_ok(), github, "{values}");
        assert_eq!(scoped("gitlab.com", "StringLike", "GitLab.com:SUB", values).is_ok(), gitlab, "{values}");
    }
}

#[test]
fn the_operators_that_scope() {
    let good =
        ["StringEquals", "StringLike", "StringEqualsIgnoreCase", "ForAnyValue:StringLike", "ForAllValues:StringEquals"];
    let bad = ["StringNotEquals", "StringEqualsIfExists", "Null", "Bool", "NumericEquals", "ArnLike"];
    for (operators, expected) in [(&good[..], true), (&bad[..], false)] {
        for operator in operators {
            assert_eq!(scoped("gitlab.com", operator, "gitlab.com:sub", r#""owned""#).is_ok(), expected, "{operator}");
        }
    }
}

#[test]
fn the_words() {
    let github = check(&statement(&format!("{ACCOUNT}/{GITHUB}/acme"), "")).unwrap_err();
    assert_eq!(
        github.to_string(),
        format!(
            "MalformedPolicyDocument: Trust policy with trusted principal {ACCOUNT}/{GITHUB}/acme must evaluate, using StringEquals, \
             StringLike or StringEqualsIgnoreCase, {GITHUB}/acme:sub or {GITHUB}/acme:job_workflow_ref which is not scoped to all."
        )
    );
    let azure = check(&statement(&format!("{ACCOUNT}/{}", AZURE_SENTINEL.0), "")).unwrap_err();
    assert!(azure.message.contains("StringEqualsIgnoreCase, sts:RoleSessionName which"), "{azure}");
    let google = check(&statement("accounts.google.com", "")).unwrap_err();
    assert_eq!(
        google.message,
        "Policy trusting accounts.google.com requires a StringEquals condition on an application id"
    );
    let google = r#","Condition":{"StringEquals":{"accounts.google.com:aud":"app"}}"#;
    assert!(check(&statement("accounts.google.com", google)).is_ok());
}

#[test]
fn where_the_guard_does_not_look() {
    let gitlab = format!("{ACCOUNT}/gitlab.com");
    let unscoped = statement(&gitlab, "");
    assert!(check(&unscoped).is_err());
    assert!(check(&unscoped.replace("Allow", "Deny")).is_ok());
    assert!(check(&unscoped.replace("sts:AssumeRoleWithWebIdentity", "sts:TagSession")).is_ok());
    assert!(check(&statement(&format!("{gitlab}/private"), "")).is_ok());
    assert!(check(&statement(&format!("{ACCOUNT}/id.example.test"), "")).is_ok());
}

/// Each of a block's keys counts, but not what another operator says (recorded answers).
#[test]
fn blocks_count_one_by_one() {
    let github = |condition: &str| {
        let condition = condition.replace('@', GITHUB);
        check(&statement(&format!("{ACCOUNT}/{GITHUB}"), &format!(r#","Condition":{condition}"#))).is_ok()
    };
    assert!(github(r#"{"StringEquals":{"@:sub":"owned"},"StringLike":{"@:sub":"*"}}"#));
    assert!(!github(r#"{"StringEquals":{"@:sub":"*","@:job_workflow_ref":"owned"}}"#));
    assert!(github(r#"{"StringEquals":{"@:job_workflow_ref":"owned"}}"#));
}

#[test]
fn what_belongs_into_a_trust_policy() {
    let only = "AssumeRole policy may only specify STS AssumeRole actions.";
    let good = statement(&format!("{ACCOUNT}/h"), "");
    assert!(check(&good).is_ok());
    let cases = [
        (good.replace("sts:AssumeRoleWithWebIdentity", "sts:*"), only),
        (good.replace("sts:AssumeRoleWithWebIdentity", "STS:assumerolewithwebidentity"), only),
        (good.replace("sts:AssumeRoleWithWebIdentity", "s3:GetObject"), only),
        (good.replace("\"Action\"", "\"NotAction\""), only),
        (
            good.replace("sts:AssumeRoleWithWebIdentity", "AssumeRole"),
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
        ),
        (good.replace("\"Principal\"", "\"NotPrincipal\""), "Has prohibited field NotPrincipal"),
        (good.replace("\"Action\"", "\"Resource\":\"*\",\"Action\""), "Has prohibited field Resource"),
        (
            r#"{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole"}}"#.to_owned(),
            "Missing required field Principal",
        ),
        ("{".to_owned(), "This policy contains invalid Json"),
        ("[]".to_owned(), "Syntax errors in policy."),
    ];
    for (text, expected) in cases {
        assert_eq!(check(&text).unwrap_err().message, expected, "{text}");
    }
}
