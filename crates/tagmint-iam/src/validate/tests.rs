use super::*;

const PLACE: Place<'_> = Place::Identity { partition: "aws" };

fn bucket(rest: &str) -> Result<Policy, Refusal> {
    let text = format!(
        r#"{{"Version": "2012-10-17", "Statement": {{"Effect": "Allow", "Principal": {{"AWS": "111122223333"}}, {rest}}}}}"#
    );
    bucket_policy(&text, "aws", "b")
}

fn named(principal: &str) -> Result<Policy, Refusal> {
    let text = format!(
        r#"{{"Statement": {{"Effect": "Allow", "Principal": {principal}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}}}}"#
    );
    bucket_policy(&text, "aws", "b")
}

fn trust(principal: &str, rest: &str) -> Result<Policy, IamError> {
    let text = format!(
        r#"{{"Version": "2012-10-17", "Statement": {{"Effect": "Allow", "Principal": {principal}, "Action": "sts:AssumeRole"{rest}}}}}"#
    );
    crate::trust_policy::check_in("aws", &text)
}

fn identity(action: &str, resource: &str, condition: &str) -> Result<Policy, Refusal> {
    let text = format!(
        r#"{{"Version": "2012-10-17", "Statement": {{"Effect": "Allow", "Action": {action}, "Resource": {resource}, "Condition": {condition}}}}}"#
    );
    identity_policy(&text, "aws")
}

const BOTH: &str = r#"["arn:aws:s3:::b", "arn:aws:s3:::b/*"]"#;

#[test]
fn what_s3_does_not_store() {
    const ACTION: &str = "Policy has invalid action";
    const RESOURCE: &str = "Policy has invalid resource";
    const KEY: &str = "Policy has an invalid condition key";
    const APPLY: &str = "Action does not apply to any resource(s) in statement";
    const CONDITIONS: &str = "Conditions do not apply to combination of actions and resources in statement";
    let prefix = r#"{"StringLike": {"s3:prefix": "x/*"}}"#;
    let cases: [(&str, &str, &str, Option<&str>); 41] = [
        (r#""s3:GetObject""#, r#""arn:aws:s3:::b/*""#, "{}", None),
        (r#""S3:getobject""#, r#""arn:aws:s3:::b/*""#, "{}", None),
        (r#""s3:*""#, BOTH, "{}", None),
        (r#""*""#, BOTH, "{}", None),
        (r#""s3:Get*""#, r#""arn:aws:s3:::b/*""#, "{}", None),
        (r#""s3:GetObjects""#, r#""arn:aws:s3:::b/*""#, "{}", Some(ACTION)),
        (r#""s3:HeadObject""#, r#""arn:aws:s3:::b/*""#, "{}", Some(ACTION)),
        (r#""s3:ListObjectsV2""#, r#""arn:aws:s3:::b""#, "{}", Some(ACTION)),
        (r#""s3:Fetch*""#, BOTH, "{}", Some(ACTION)),
        (r#"["s3:GetObject", "s3:Nothing"]"#, BOTH, "{}", Some(ACTION)),
        (r#""sqs:SendMessage""#, BOTH, "{}", Some(ACTION)),
        (r#""GetObject""#, BOTH, "{}", Some(ACTION)),
        (r#""s3:GetObject""#, r#""b/*""#, "{}", Some(RESOURCE)),
        (r#""s3:GetObject""#, r#""*""#, "{}", Some(RESOURCE)),
        (r#""s3:GetObject""#, r#""arn:aws:s3:::other/*""#, "{}", Some(RESOURCE)),
        (r#""s3:GetObject""#, r#""arn:aws:s3:::b2/*""#, "{}", Some(RESOURCE)),
        (r#""s3:GetObject""#, r#""arn:aws-cn:s3:::b/*""#, "{}", Some(RESOURCE)),
        (r#""s3:GetObject""#, r#""arn:aws:s3:::b/${aws:PrincipalTag/team}/*""#, "{}", None),
        (r#""s3:GetObject""#, r#""arn:aws:s3:::b""#, "{}", Some(APPLY)),
        (r#""s3:ListBucket""#, r#""arn:aws:s3:::b/*""#, "{}", Some(APPLY)),
        (r#"["s3:GetObject", "s3:ListBucket"]"#, r#""arn:aws:s3:::b/*""#, "{}", Some(APPLY)),
        (r#"["s3:GetObject", "s3:ListBucket"]"#, BOTH, "{}", None),
        (r#""s3:PutObject*""#, r#""arn:aws:s3:::b""#, "{}", Some(APPLY)),
        (r#""s3:ListAllMyBuckets""#, BOTH, "{}", Some(APPLY)),
        (r#""s3:CreateJob""#, BOTH, "{}", Some(APPLY)),
        (r#""s3:ListBucket""#, r#""arn:aws:s3:::b""#, prefix, None),
        (r#""s3:ListBucket""#, BOTH, prefix, None),
        (r#""s3:*""#, BOTH, prefix, None),
        (r#""s3:*""#, r#""arn:aws:s3:::b/*""#, prefix, Some(CONDITIONS)),
        (r#""s3:GetObject""#, r#""arn:aws:s3:::b/*""#, prefix, Some(CONDITIONS)),
        (r#"["s3:GetObject", "s3:ListBucket"]"#, BOTH, prefix, Some(CONDITIONS)),
        (r#"["s3:ListBucket", "s3:GetBucketAcl"]"#, r#""arn:aws:s3:::b""#, prefix, Some(CONDITIONS)),
        (r#""s3:PutObject""#, BOTH, r#"{"StringEquals": {"s3:ExistingObjectTag/a": "b"}}"#, Some(CONDITIONS)),
        (r#""s3:PutObject""#, BOTH, r#"{"StringEquals": {"s3:RequestObjectTag/a": "b"}}"#, None),
        (r#""s3:GetObject""#, BOTH, r#"{"Null": {"s3:x-amz-server-side-encryption": "true"}}"#, Some(CONDITIONS)),
        (r#""s3:PutObject""#, BOTH, r#"{"Null": {"s3:if-none-match": "true"}}"#, None),
        (r#""s3:GetObject""#, BOTH, r#"{"StringEquals": {"sts:ExternalId": "x"}}"#, Some(CONDITIONS)),
        (r#""s3:GetObject""#, BOTH, r#"{"StringEquals": {"s3:perfix": "x"}}"#, Some(KEY)),
        (r#""s3:GetObject""#, BOTH, r#"{"StringEquals": {"aws:SourceAdress": "x"}}"#, Some(KEY)),
        (r#""s3:GetObject""#, BOTH, r#"{"StringEquals": {"prefix": "x"}}"#, Some(KEY)),
        (
            r#""s3:GetObject""#,
            BOTH,
            r#"{"StringEquals": {"aws:PrincipalTag/a": "b", "id.example.com:sub": "c"}}"#,
            None,
        ),
    ];
    for (action, resource, condition, expected) in cases {
        let rest = format!(r#""Action": {action}, "Resource": {resource}, "Condition": {condition}"#);
        let refused = bucket(&rest).err();
        assert_eq!(refused.as_ref().map(|refusal| refusal.message.as_str()), expected, "{rest}");
        assert!(refused.is_none_or(|refusal| refusal.code == "MalformedPolicy" && !refusal.detail.is_empty()));
    }
}

#[test]
fn negated_elements_are_checked_by_their_names_alone() {
    for (rest, fits) in [
        (r#""NotAction": "s3:GetObject", "Resource": "arn:aws:s3:::b""#, true),
        (r#""NotAction": "s3:GetObjects", "Resource": "arn:aws:s3:::b""#, false),
        (r#""Action": "s3:ListBucket", "NotResource": "arn:aws:s3:::b/*""#, true),
        (r#""Action": "s3:ListBucket", "NotResource": "arn:aws:s3:::c/*""#, false),
        (
            r#""NotAction": "s3:GetObject", "Resource": "arn:aws:s3:::b", "Condition": {"StringLike": {"s3:prefix": "x"}}"#,
            true,
        ),
        (
            r#""NotAction": "s3:List*", "Resource": "arn:aws:s3:::b", "Condition": {"StringLike": {"s3:prefix": "x"}}"#,
            false,
        ),
    ] {
        assert_eq!(bucket(rest).is_ok(), fits, "{rest}");
    }
}

#[test]
fn principals_that_cannot_be_named() {
    let cases = [
        (r#""*""#, true),
        (r#"{"AWS": "*"}"#, true),
        (r#"{"AWS": "111122223333"}"#, true),
        (r#"{"AWS": "arn:aws:iam::111122223333:root"}"#, true),
        (r#"{"AWS": "arn:aws:iam::111122223333:user/a/b"}"#, true),
        (r#"{"AWS": "arn:aws:iam::111122223333:role/a/b"}"#, true),
        (r#"{"AWS": "arn:aws:sts::111122223333:assumed-role/r/s"}"#, true),
        (r#"{"AWS": "arn:aws:sts::111122223333:federated-user/u"}"#, true),
        (r#"{"AWS": "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E1"}"#, true),
        (r#"{"AWS": "AROAEXAMPLEEXAMPLEEXA"}"#, true),
        (r#"{"AWS": "arn:aws:iam::111122223333:role/*"}"#, false),
        (r#"{"AWS": "arn:aws:iam::111122223333:role/a*"}"#, false),
        (r#"{"AWS": "arn:aws:iam::111122223333:user/*"}"#, false),
        (r#"{"AWS": "arn:aws:iam::*:root"}"#, false),
        (r#"{"AWS": "arn:aws:sts::111122223333:assumed-role/r/*"}"#, false),
        (r#"{"AWS": "arn:aws:sts::111122223333:assumed-role/r"}"#, false),
        (r#"{"AWS": "arn:aws:iam::111122223333:assumed-role/r/s"}"#, false),
        (r#"{"AWS": "arn:aws:iam::111122223333:group/g"}"#, false),
        (r#"{"AWS": "arn:aws:iam::111122223333:*"}"#, false),
        (r#"{"AWS": "arn:aws:iam::111122223333"}"#, false),
        (r#"{"AWS": "arn:aws::iam::111122223333:root"}"#, false),
        (r#"{"AWS": "arn:aws-cn:iam::111122223333:root"}"#, false),
        (r#"{"AWS": "11112222333"}"#, false),
        (r#"{"AWS": "me"}"#, false),
        (r#"{"AWS": "arn:aws:iam::111122223333:oidc-provider/id.example.com"}"#, false),
        (r#"{"AWS": ["111122223333", "me"]}"#, false),
        (r#"{"Service": "cloudtrail.amazonaws.com"}"#, true),
        (r#"{"Service": "cloudtrail"}"#, false),
        (r#"{"Service": "*.amazonaws.com"}"#, false),
        (r#"{"Federated": "arn:aws:iam::111122223333:oidc-provider/id.example.com/x"}"#, true),
        (r#"{"Federated": "accounts.google.com"}"#, true),
        (r#"{"Federated": "arn:aws:iam::111122223333:role/r"}"#, false),
        (r#"{"Federated": "arn:aws:iam::111122223333:oidc-provider/*"}"#, false),
        (r#"{"CanonicalUser": "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"}"#, true),
        (r#"{"CanonicalUser": "*"}"#, false),
    ];
    for (principal, fits) in cases {
        let refused = named(principal).err().map(|refusal| refusal.message);
        assert_eq!(refused.as_deref(), (!fits).then_some("Invalid principal in policy"), "{principal}");
    }
    let detail = named(r#"{"AWS": "arn:aws:iam::111122223333:role/*"}"#).unwrap_err().detail;
    assert!(detail.starts_with("$.Statement[0].Principal: ") && detail.contains("aws:PrincipalArn"), "{detail}");
}

#[test]
fn iams_words_for_principals() {
    let cases = [
        (r#"{"AWS": "arn:aws:iam::111122223333:role/r"}"#, None),
        (
            r#"{"AWS": "arn:aws:iam::111122223333:role/*"}"#,
            Some(r#"Invalid principal in policy: "AWS":"arn:aws:iam::111122223333:role/*""#),
        ),
        (
            r#"{"AWS": "arn:aws:iam::111122223333:oidc-provider/id.example.com"}"#,
            Some(r#"Invalid principal in policy: "AWS":"arn:aws:iam::111122223333:oidc-provider/id.example.com""#),
        ),
        (r#"{"Service": "lambda"}"#, Some(r#"Invalid principal in policy: "SERVICE":"lambda""#)),
        (r#"{"Federated": "id"}"#, Some("Federated principals must be valid domain names or SAML metadata ARNs")),
        (
            r#"{"Federated": "arn:aws:iam::111122223333:role/r"}"#,
            Some("Federated principals must be valid domain names or SAML metadata ARNs"),
        ),
    ];
    for (principal, expected) in cases {
        assert_eq!(trust(principal, "").err().map(|error| error.message).as_deref(), expected, "{principal}");
    }
    let condition = r#", "Condition": {"StringEquals": {"sub": "x"}}"#;
    let error = trust(r#"{"AWS": "111122223333"}"#, condition).unwrap_err();
    assert!(error.message.starts_with("Actions/Conditions must be prefaced by a vendor"), "{error}");
}

#[test]
fn what_iam_does_not_store_in_a_roles_own_policy() {
    let cases = [
        (r#""arn:aws:s3:::b/*""#, None),
        (r#""*""#, None),
        (r#""arn:*:s3:::b/*""#, None),
        (r#""arn:aws:s3""#, None),
        (r#""b""#, Some(r#"Resource b must be in ARN format or "*"."#)),
        (r#""s3://b/*""#, Some(r#"Resource s3://b/* must be in ARN format or "*"."#)),
        (r#""""#, Some(r#"Resource  must be in ARN format or "*"."#)),
        (r#"["*", "b"]"#, Some(r#"Resource b must be in ARN format or "*"."#)),
        (r#""arn:aws-cn:s3:::b""#, Some(r#"Partition "aws-cn" is not valid for resource "arn:aws-cn:s3:::b"."#)),
        (r#""arn::s3:::b""#, Some(r#"Partition "" is not valid for resource "arn::s3:::b"."#)),
        (r#""arn:aws:iam::111122223333:role/r""#, None),
        (
            r#""arn:aws:iam:eu-west-1:111122223333:role/r""#,
            Some("IAM resource arn:aws:iam:eu-west-1:111122223333:role/r cannot contain region information."),
        ),
    ];
    for (resource, expected) in cases {
        let refused = identity(r#""iam:GetRole""#, resource, "{}").err();
        assert_eq!(refused.as_ref().map(|refusal| refusal.message.as_str()), expected, "{resource}");
        assert!(refused.is_none_or(|refusal| refusal.code == "MalformedPolicyDocument"));
    }
    let path = identity(r#""iam:GetRole""#, r#""arn:aws:iam::111122223333:roles/r""#, "{}").unwrap_err();
    assert!(path.message.starts_with("IAM resource path must either be \"*\" or start with user/"), "{path}");
}

/// IAM stores actions and keys that do not exist: the statement is in vain.
#[test]
fn what_iam_stores_in_vain() {
    let found = |action: &str, resource: &str, condition: &str| {
        let policy = identity(action, resource, condition).unwrap();
        let found = findings(&policy, PLACE);
        assert!(found.iter().all(|finding| finding.refusal.is_none()));
        found.into_iter().map(|finding| format!("{}: {}", finding.path, finding.problem)).collect::<Vec<_>>()
    };
    assert_eq!(
        found(r#""s3:HeadObject""#, r#""*""#, "{}"),
        ["$.Statement[0].Action: `s3:HeadObject` is not an action; write s3:GetObject"]
    );
    assert_eq!(
        found(r#""s3:GetObject""#, r#""arn:aws:s3:::b""#, "{}"),
        [
            "$.Statement[0].Action: `s3:GetObject` does not apply to arn:aws:s3:::b; it applies to accesspointobject, object"
        ]
    );
    assert_eq!(
        found(r#"["s3:GetObject", "s3:ListBucket"]"#, BOTH, r#"{"StringLike": {"s3:prefix": "x/*"}}"#),
        [
            "$.Statement[0].Condition.StringLike[\"s3:prefix\"]: requests of s3:GetObject never have `s3:prefix` (s3:ListBucket, \
             s3:ListBucketVersions have it); give the condition a statement of its own for the actions that have the key"
        ]
    );
    assert_eq!(found(r#""sqs:Send""#, r#""*""#, r#"{"StringEquals": {"sqs:x": "y"}}"#), [""; 0]);
    assert_eq!(found(r#"["sts:*", "*"]"#, r#""*""#, "{}"), [""; 0]);
}

#[test]
fn every_principal_is_given_out() {
    let text = r#"{"Statement": [
        {"Effect": "Allow", "Principal": {"AWS": ["111122223333", "*"], "Service": "s3.amazonaws.com"}, "Action": "s3:*", "Resource": "*"},
        {"Effect": "Deny", "NotPrincipal": {"Federated": "accounts.google.com"}, "Action": "s3:*", "Resource": "*"},
        {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}]}"#;
    let policy = Policy::parse(text).unwrap();
    let all: Vec<_> =
        principals(&policy).map(|one| (one.statement, one.negated, one.kind.as_str(), one.name)).collect();
    assert_eq!(
        all,
        [
            (0, false, "AWS", "111122223333"),
            (0, false, "AWS", "*"),
            (0, false, "SERVICE", "s3.amazonaws.com"),
            (1, true, "FEDERATED", "accounts.google.com"),
            (2, false, "AWS", "*"),
        ]
    );
}

#[test]
fn s3s_words_for_what_is_no_policy() {
    let cases = [
        ("[", "Policies must be valid JSON and the first byte must be '{'"),
        (
            r#"{"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}"#,
            "Missing required field Principal",
        ),
        (r#"{"Statement": {"Principal": "*", "Action": "s3:*", "Resource": "*"}}"#, "Missing required field Effect"),
        (
            r#"{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resources": "*"}}"#,
            "Unknown field Resources",
        ),
        (
            r#"{"Statement": {"Effect": "Allow", "Principal": "x", "Action": "s3:*", "Resource": "*"}}"#,
            "Invalid principal in policy",
        ),
        (
            r#"{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*", "Condition": {"Like": {}}}}"#,
            "Invalid Condition type : Like",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(bucket_policy(text, "aws", "b").unwrap_err().message, expected, "{text}");
    }
}
