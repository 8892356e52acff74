//! Condition keys that requests of an action never have.

use serde_json::{Value, json};
use tagmint_iam::advice::{Asker, check_context};

use super::{Case, HOST};

const OBJECT: &str = "arn:aws:s3:::data/blue/x";
const BUCKET: &str = "arn:aws:s3:::data";

fn allow(conditions: Value) -> Value {
    json!([{"Effect": "Allow", "Action": ["s3:*"], "Resource": [BUCKET, "arn:aws:s3:::data/*"], "Condition": conditions}])
}

fn refused(action: Option<&str>, key: &str) -> Option<String> {
    check_context(action, &[(key.to_owned(), "v".to_owned())]).err().map(|error| error.to_string())
}

/// A policy in the field: one statement with `s3:prefix` for listing and for objects.
#[test]
fn a_prefix_on_objects_is_told_apart_from_listing() {
    let statement = json!([
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject", "s3:ListBucket"],
         "Resource": [BUCKET, "arn:aws:s3:::data/*"],
         "Condition": {"StringLike": {"s3:prefix": "${aws:PrincipalTag/team}/*"}}},
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": BUCKET,
         "Condition": {"StringLike": {"s3:prefix": "${aws:PrincipalTag/team}"}}},
    ]);
    let get = Case::access("s3:GetObject", OBJECT, statement.clone());
    assert_eq!(
        get.fix(),
        "requests of s3:GetObject never have s3:prefix (s3:ListBucket, s3:ListBucketVersions have it), so statement 1 of the role policy never \
         allows s3:GetObject. Write two statements: s3:ListBucket on arn:aws:s3:::data with the condition StringLike s3:prefix, and \
         s3:GetObject, s3:PutObject on arn:aws:s3:::data/${aws:PrincipalTag/team}/* without it"
    );
    // Whoever gives the key: the request does not have it, for an own object or a foreign one.
    assert!(!get.with("s3:prefix", "blue/").accepted());
    assert!(
        !Case::access("s3:PutObject", "arn:aws:s3:::data/red/x", statement.clone())
            .with("S3:Prefix", "blue/")
            .accepted()
    );
    assert!(Case::access("s3:ListBucket", BUCKET, statement.clone()).with("s3:prefix", "blue/").accepted());
    assert!(!Case::access("s3:ListBucket", BUCKET, statement).with("s3:prefix", "red/").accepted());
    let fixed = json!([
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": BUCKET,
         "Condition": {"StringLike": {"s3:prefix": "${aws:PrincipalTag/team}/*"}}},
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:aws:s3:::data/${aws:PrincipalTag/team}/*"},
    ]);
    assert!(Case::access("s3:GetObject", OBJECT, fixed.clone()).accepted());
    assert!(!Case::access("s3:GetObject", "arn:aws:s3:::data/red/x", fixed).accepted());
}

#[test]
fn each_key_names_what_has_it_and_what_is_meant() {
    let cases = [
        ("s3:GetObject", OBJECT, "s3:delimiter", "s3:ListBucket", "Write two statements"),
        ("s3:PutObject", OBJECT, "s3:max-keys", "s3:ListBucket", "Write two statements"),
        ("s3:DeleteObject", OBJECT, "s3:prefix", "s3:ListBucket", "Write two statements"),
        (
            "s3:GetObject",
            OBJECT,
            "s3:x-amz-server-side-encryption",
            "s3:PutObject",
            "a statement of its own for s3:PutObject",
        ),
        ("s3:GetObject", OBJECT, "s3:x-amz-server-side-encryption-aws-kms-key-id", "s3:PutObject", "s3:PutObject"),
        ("s3:PutObject", OBJECT, "s3:ExistingObjectTag/team", "s3:GetObject", "s3:RequestObjectTag/team"),
        ("s3:DeleteObject", OBJECT, "s3:ExistingObjectTag/team", "s3:GetObject", "s3:RequestObjectTag/team"),
        ("s3:GetObject", OBJECT, "s3:RequestObjectTag/team", "s3:PutObject", "s3:ExistingObjectTag/team"),
        ("s3:GetObject", OBJECT, "s3:x-amz-acl", "s3:PutObject", "a statement of its own"),
        ("s3:ListBucket", BUCKET, "s3:x-amz-acl", "s3:PutObject", "a statement of its own"),
        ("s3:GetObject", OBJECT, "s3:VersionId", "s3:GetObjectVersion", "s3:GetObjectVersion"),
        ("s3:GetObject", OBJECT, "s3:object-lock-mode", "s3:PutObject", "a statement of its own"),
        ("s3:GetObject", OBJECT, "s3:if-none-match", "s3:PutObject", "a statement of its own"),
        ("s3:GetObject", OBJECT, "s3:x-amz-storage-class", "s3:PutObject", "a statement of its own"),
        ("s3:GetObject", OBJECT, "aws:RequestTag/team", "", "aws:PrincipalTag/team"),
        ("s3:GetObject", OBJECT, "sts:SourceIdentity", "sts:AssumeRole", "aws:SourceIdentity"),
        ("s3:GetObject", OBJECT, "sts:ExternalId", "sts:AssumeRole", "a statement of its own"),
    ];
    for (action, resource, key, with, meant) in cases {
        let case = Case::access(action, resource, allow(json!({"StringEquals": {key: "v"}})));
        let fix = case.fix();
        assert!(fix.starts_with(&format!("requests of {action} never have {key}")), "{fix}");
        assert!(fix.contains(with) && fix.contains(meant) && !fix.contains("--"), "{key}: {fix}");
        let told = refused(Some(action), key).unwrap();
        assert!(told.starts_with(&format!("`{key}=v`: requests of {action} never have {key}")), "{told}");
        assert!(told.contains(with) && told.contains("Leave it out"), "{told}");
        assert!(!case.with(key, "v").accepted(), "{key}");
    }
}

#[test]
fn keys_that_the_action_has_are_taken() {
    let cases = [
        ("s3:ListBucket", BUCKET, "s3:prefix"),
        ("s3:ListBucketVersions", BUCKET, "s3:delimiter"),
        ("s3:GetObject", OBJECT, "s3:ExistingObjectTag/team"),
        ("s3:PutObject", OBJECT, "s3:RequestObjectTag/team"),
        ("s3:PutObject", OBJECT, "s3:x-amz-server-side-encryption"),
        ("s3:GetObjectVersion", OBJECT, "s3:VersionId"),
        ("s3:GetObject", OBJECT, "aws:SourceVpce"),
        ("s3:GetObject", OBJECT, "aws:PrincipalTag/other"),
        ("s3:GetObject", OBJECT, "s3:TlsVersion"),
    ];
    for (action, resource, key) in cases {
        let case = Case::access(action, resource, allow(json!({"StringEquals": {key: "v"}})));
        assert_eq!(refused(Some(action), key), None);
        let fix = case.fix();
        assert!(fix.contains(&format!("--context {key}=")) != key.starts_with("aws:PrincipalTag/"), "{fix}");
        assert!(case.with(key, "v").accepted(), "{action} {key}");
    }
}

#[test]
fn what_cannot_be_given_is_refused() {
    let cases = [
        (
            None,
            "s3:prefix",
            "requests of sts:AssumeRoleWithWebIdentity never have s3:prefix (s3:ListBucket, s3:ListBucketVersions",
        ),
        (None, "aws:PrincipalTag/team", "aws:RequestTag/team"),
        (None, "sts:ExternalId", "(sts:AssumeRole has it)"),
        (None, "aws:RequestTag/team", "the key comes from the token"),
        (None, "sts:SourceIdentity", "the key comes from the token"),
        (None, "id.example.com:sub", "the key comes from the token"),
        (None, "s3:perfix", "there is no such condition key"),
        (None, "aws:SourceIP4", "there is no such condition key"),
        (None, "prefix", "there is no such condition key"),
        (Some("s3:GetObject"), "s3:perfix", "there is no such condition key"),
        (Some("s3:HeadObject"), "aws:SourceIp", "there is no action `s3:HeadObject`: the operation needs s3:GetObject"),
        (Some("s3:ListObjectsV2"), "aws:SourceIp", "the operation needs s3:ListBucket"),
        (Some("s3:GetObjects"), "aws:SourceIp", "there is no action `s3:GetObjects`"),
    ];
    for (action, key, part) in cases {
        let told = refused(action, key).unwrap_or_default();
        assert!(told.contains(part), "{action:?} {key}: {told}");
    }
    for (action, key) in [
        (None, "aws:SourceIp"),
        (None, "aws:ResourceTag/team"),
        (None, "iam:ResourceTag/team"),
        (None, "sts:RoleSessionName"),
        (Some("s3:GetObject"), "aws:ResourceTag/team"),
        (Some("sqs:SendMessage"), "sqs:Anything"),
        (Some("s3:GetObject"), "kms:ViaService"),
    ] {
        assert_eq!(refused(action, key), None, "{key}");
    }
    assert!(check_context(Some("s3:HeadObject"), &[]).is_err());
}

/// The token's tags are those that it carries, whatever is given.
#[test]
fn a_given_key_does_not_stand_in_for_the_tokens() {
    let demanded = json!({"StringEquals": {"aws:RequestTag/project": "x"}});
    assert!(!Case::new(&demanded).with("aws:RequestTag/project", "x").accepted());
    let external = json!({"StringEquals": {"sts:ExternalId": "x"}});
    assert!(!Case::new(&external).with("sts:ExternalId", "x").accepted());
    let named = json!({"StringEquals": {"sts:RoleSessionName": "alice"}});
    assert!(!Case::new(&named).accepted());
    assert!(Case::new(&named).with("sts:RoleSessionName", "alice").accepted());
}

/// In a trust policy the session is not there yet.
#[test]
fn keys_of_the_session_in_a_trust_policy() {
    let cases = [
        (
            "aws:PrincipalTag/team",
            "In a trust policy the token's tag is aws:RequestTag/team: write that (the token carries the tags team)",
        ),
        (
            "aws:principaltag/project",
            "aws:RequestTag/project: write that (the token carries the tags team, and has no such tag)",
        ),
        ("aws:SourceIdentity", "sts:SourceIdentity: write that"),
        ("aws:FederatedProvider", "\"Principal\": {\"Federated\": PROVIDER_ARN}"),
        ("aws:PrincipalArn", "HOST:sub"),
        ("aws:username", "HOST:sub"),
        ("sts:ExternalId", "(sts:AssumeRole has it)"),
        ("s3:prefix", "write the condition in the role's or the bucket's policy"),
        ("saml:sub", "requests of sts:AssumeRoleWithWebIdentity never have saml:sub"),
        (
            "aws:MultiFactorAuthPresent",
            "requests of sts:AssumeRoleWithWebIdentity never have aws:MultiFactorAuthPresent",
        ),
    ];
    for (key, part) in cases {
        let fix = Case::new(&json!({"StringEquals": {key: "blue"}})).fix();
        assert!(fix.contains(part) && !fix.contains("--context"), "{key}: {fix}");
    }
    // The fix is right.
    assert!(Case::new(&json!({"StringEquals": {"aws:RequestTag/team": "blue"}})).accepted());
    // As a variable, in a denial, and where a negated operator lets it pass.
    let variable = json!({"StringEquals": {format!("{HOST}:sub"): "${aws:PrincipalTag/team}"}});
    let fix = Case::new(&variable).fix();
    assert!(fix.contains("aws:RequestTag/team: write that"), "{fix}");
    let mut denied = Case::new(&json!({}));
    denied.trust["Statement"].as_array_mut().unwrap().push(json!({
        "Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringNotEquals": {"aws:PrincipalTag/team": "blue"}},
    }));
    denied.trust["Statement"][1]["Principal"] = denied.trust["Statement"][0]["Principal"].clone();
    let fix = denied.fix();
    assert!(fix.contains("is true for a request without the key") && fix.contains("aws:RequestTag/team"), "{fix}");
    let passes = Case::new(&json!({"StringNotEquals": {"aws:PrincipalTag/team": "red"}}));
    let warned = passes.warnings("key-never-sent");
    assert!(matches!(warned.as_slice(), [one] if one.contains("aws:RequestTag/team")), "{warned:?}");
}

#[test]
fn conditions_that_demand_nothing_are_warned_of() {
    let open = [
        json!({"StringLikeIfExists": {"s3:prefix": "blue/*"}}),
        json!({"StringNotLike": {"s3:prefix": "red/*"}}),
        json!({"ForAllValues:StringLike": {"s3:prefix": "blue/*"}}),
    ];
    for conditions in open {
        let warned = Case::access("s3:GetObject", OBJECT, allow(conditions)).warnings("key-never-sent");
        assert!(
            matches!(warned.as_slice(), [one] if one.contains("demands nothing: requests of s3:GetObject")),
            "{warned:?}"
        );
    }
    let meant = Case::access("s3:GetObject", OBJECT, allow(json!({"Null": {"s3:prefix": "true"}})));
    assert_eq!(meant.warnings("key-never-sent"), [""; 0]);
}

#[test]
fn denials_by_a_key_that_is_never_there_are_told() {
    let statement = json!([
        {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
        {"Sid": "Encrypted", "Effect": "Deny", "Action": "s3:*", "Resource": "*",
         "Condition": {"StringNotEquals": {"s3:x-amz-server-side-encryption": "AES256"}}},
    ]);
    let fix = Case::access("s3:GetObject", OBJECT, statement.clone()).fix();
    assert!(fix.starts_with("statement \"Encrypted\" of the role policy denies it"), "{fix}");
    assert!(fix.contains("never have s3:x-amz-server-side-encryption") && fix.contains("for s3:PutObject"), "{fix}");
    let put = Case::access("s3:PutObject", OBJECT, statement);
    assert!(put.fix().contains("--context s3:x-amz-server-side-encryption="), "{}", put.fix());
    assert!(put.with("s3:x-amz-server-side-encryption", "AES256").accepted());
}

/// No request lists an object, or reads a bucket: what a policy says about that does not matter.
#[test]
fn an_action_is_asked_on_resources_of_its_kind() {
    let all = || json!([{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]);
    let fix = Case::access("s3:ListBucket", OBJECT, all()).fix();
    assert_eq!(fix, "s3:ListBucket is asked on the bucket, without a key; the prefix is --context s3:prefix=…");
    let fix = Case::access("s3:GetBucketPolicy", OBJECT, all()).fix();
    assert_eq!(fix, "s3:GetBucketPolicy is asked on the bucket, without a key");
    let fix = Case::access("s3:AbortMultipartUpload", BUCKET, all()).fix();
    assert_eq!(fix, "s3:AbortMultipartUpload is asked on objects: ask for arn:aws:s3:::data/KEY");
    assert!(Case::access("s3:ListBucket", BUCKET, all()).accepted());
    assert!(Case::access("s3:ListAllMyBuckets", "*", all()).accepted());
}

/// What makes the request itself can be told nothing.
#[test]
fn a_maker_of_requests_is_told_no_option() {
    let mut cases = vec![
        Case::new(&json!({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}})),
        Case::new(&json!({"StringEquals": {"aws:ResourceTag/team": "blue"}})),
        Case::new(&json!({"StringEquals": {"aws:PrincipalTag/team": "blue"}})),
        Case::new(&json!({"StringEquals": {"aws:RequestTag/x": "${aws:SourceIp}"}})),
        Case::access("s3:ListBucket", "arn:aws:s3:::data/x", allow(json!({}))),
    ];
    for key in
        ["aws:SourceIp", "s3:prefix", "s3:ExistingObjectTag/x", "aws:PrincipalTag/x", "s3:x-amz-acl", "s3:nothing"]
    {
        for (action, resource) in [("s3:GetObject", OBJECT), ("s3:ListBucket", BUCKET)] {
            for operator in ["StringEquals", "Null"] {
                let value = if operator == "Null" { "false" } else { "v" };
                cases.push(Case::access(action, resource, allow(json!({operator: {key: value}}))));
            }
            let denial = json!([
                {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
                {"Effect": "Deny", "Action": "s3:*", "Resource": "*", "Condition": {"StringNotEquals": {key: "v"}}},
            ]);
            cases.push(Case::access(action, resource, denial));
            let unfilled =
                json!({"Effect": "Allow", "Action": action, "Resource": format!("arn:aws:s3:::data/${{{key}}}/*")});
            cases.push(Case::access(
                "s3:GetObject",
                OBJECT,
                json!([{"Effect": "Allow", "Action": "s3:GetObject", "Resource": unfilled["Resource"]}]),
            ));
        }
    }
    for mut case in cases {
        case.asker = Asker::Maker;
        let explanation = case.explain();
        let shown = serde_json::to_string(&explanation).unwrap();
        assert!(!explanation.accepted && !shown.contains("--"), "{shown}");
        case.asker = Asker::Explain;
        assert!(!case.fix().is_empty());
    }
}
