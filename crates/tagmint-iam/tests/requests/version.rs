//! Version 2008-10-17, and none: variables are plain text.

use serde_json::{Value, json};

use super::{Case, HOST};

const OBJECT: &str = "arn:aws:s3:::data/blue/x";
const OLD: [Option<&str>; 2] = [Some("2008-10-17"), None];

fn set(policy: &mut Value, version: Option<&str>) {
    match version {
        Some(version) => policy["Version"] = json!(version),
        None => {
            policy.as_object_mut().unwrap().remove("Version");
        }
    }
}

/// The fix names the version, and with it the request passes.
fn is_the_cause(mut case: Case, old: impl Fn(&mut Case) -> &mut Value, owner: &str, variable: &str) {
    assert!(case.accepted(), "{:#?}", case.explain());
    for version in OLD {
        set(old(&mut case), version);
        let fix = case.fix();
        assert!(fix.contains(&format!("{owner} has no \"Version\": \"2012-10-17\"")), "{fix}");
        assert!(fix.contains(&format!("2008-10-17, also where there is none) {variable} is plain text")), "{fix}");
    }
}

#[test]
fn of_a_roles_policy() {
    let variable = "${aws:PrincipalTag/team}";
    let allow =
        json!([{"Effect": "Allow", "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::data/{variable}/*")}]);
    is_the_cause(Case::access("s3:GetObject", OBJECT, allow), |case| &mut case.role[0], "the role policy", variable);
    let list = json!([{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::data",
        "Condition": {"StringLike": {"s3:prefix": format!("{variable}/*")}}}]);
    let case = Case::access("s3:ListBucket", "arn:aws:s3:::data", list).with("s3:prefix", "blue/");
    is_the_cause(case, |case| &mut case.role[0], "the role policy", variable);
    let deny = json!([
        {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "s3:*", "NotResource": format!("arn:aws:s3:::data/{variable}/*")},
    ]);
    is_the_cause(Case::access("s3:GetObject", OBJECT, deny), |case| &mut case.role[0], "the role policy", variable);
}

#[test]
fn of_a_bucket_policy() {
    let variable = "${aws:PrincipalTag/team}";
    let mut case =
        Case::access("s3:GetObject", OBJECT, json!([{"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}]));
    case.bucket = Some(json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/data"}, "Action": "s3:GetObject",
        "Resource": format!("arn:aws:s3:::data/{variable}/*"),
    }]}));
    is_the_cause(case, |case| case.bucket.as_mut().unwrap(), "the bucket policy", variable);
}

#[test]
fn of_a_trust_policy() {
    let variable = "${aws:RequestTag/team}";
    let conditions = json!({"StringEquals": {"aws:RequestTag/team": variable, format!("{HOST}:sub"): "alice"}});
    is_the_cause(Case::new(&conditions), |case| &mut case.trust, "the trust policy", variable);
    let mut denied = Case::new(&json!({"StringEquals": {format!("{HOST}:sub"): "alice"}}));
    let principal = denied.trust["Statement"][0]["Principal"].clone();
    denied.trust["Statement"].as_array_mut().unwrap().push(json!({
        "Effect": "Deny", "Principal": principal, "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringNotEquals": {"aws:RequestTag/team": variable}},
    }));
    is_the_cause(denied, |case| &mut case.trust, "the trust policy", variable);
}

/// A policy that passes although its variables are plain text denies or allows something else than it says.
#[test]
fn what_passes_is_warned_of() {
    let statement = json!([
        {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::data/${aws:PrincipalTag/team}/secret"},
    ]);
    let mut case = Case::access("s3:GetObject", "arn:aws:s3:::data/blue/open", statement);
    assert_eq!(case.warnings("variables-not-filled-in"), [""; 0]);
    set(&mut case.role[0], None);
    assert!(matches!(case.warnings("variables-not-filled-in").as_slice(), [one] if one.contains("the role policy")));
    let mut trust = Case::new(&json!({"StringNotEquals": {"aws:RequestTag/team": "${aws:RequestTag/x}"}}));
    set(&mut trust.trust, Some("2008-10-17"));
    assert!(matches!(trust.warnings("variables-not-filled-in").as_slice(), [one] if one.contains("the trust policy")));
    // Without variables the older version is as good.
    let mut plain =
        Case::access("s3:GetObject", OBJECT, json!([{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]));
    set(&mut plain.role[0], None);
    assert_eq!(plain.warnings("variables-not-filled-in"), [""; 0]);
}

/// In the newer version a variable without a value has another cause.
#[test]
fn a_missing_tag_is_not_the_version() {
    let allow = json!([{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::data/${aws:PrincipalTag/project}/*"}]);
    let fix = Case::access("s3:GetObject", OBJECT, allow).fix();
    assert!(fix.contains("the session has no value for aws:PrincipalTag/project") && !fix.contains("2008"), "{fix}");
    let fix = Case::new(&json!({"StringEquals": {format!("{HOST}:sub"): "${aws:RequestTag/project}"}})).fix();
    assert!(
        fix.contains("the request has no single value for aws:RequestTag/project") && !fix.contains("2008"),
        "{fix}"
    );
}
