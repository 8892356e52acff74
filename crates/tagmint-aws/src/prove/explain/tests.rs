//! What a person reads for each failure, over policies that were read.

use serde_json::{Value, json};
use tagmint_iam::policy::Kind;

use super::*;
use crate::prove::{Access, plan::tests::plan};

const ROLE: &str = "arn:aws:iam::111122223333:role/data";

fn policy(kind: Kind, document: &Value) -> Policy {
    Policy::parse_as(kind, &document.to_string()).unwrap()
}

fn own_prefix_only() -> Policy {
    policy(
        Kind::Resource,
        &json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": "s3:*Object", "Resource": "arn:aws:s3:::data/${aws:PrincipalTag/team}/*"},
        ]}),
    )
}

fn inline(name: &str, statement: Value) -> RolePolicy {
    let document = json!({"Version": "2012-10-17", "Statement": [statement]});
    RolePolicy { name: name.to_owned(), inline: true, policy: policy(Kind::Identity, &document) }
}

fn trust() -> Policy {
    policy(
        Kind::Trust,
        &json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/i"},
            "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"],
        }]}),
    )
}

/// An explainer that has read these policies.
async fn explained(
    role: Vec<RolePolicy>,
    bucket: Option<Policy>,
    unread: Vec<Unread>,
    ask: impl AsyncFnOnce(&mut Explainer<'_>) -> String,
) -> String {
    let connection = Connection::to_endpoint("http://127.0.0.1:1", "us-east-1", "key", "secret").unwrap();
    let plan = plan(Access::ReadWrite);
    let mut explainer = Explainer::new(&plan, &connection);
    explainer.opened(
        "arn:aws:sts::111122223333:assumed-role/data/tagmint-prove",
        "arn:aws:iam::111122223333:oidc-provider/i",
    );
    explainer.role = Some(Ok(Role {
        arn: ROLE.to_owned(),
        id: ROLE_ID.to_owned(),
        trust_policy: trust(),
        tags: Vec::new(),
        boundary: None,
        max_session_seconds: None,
    }));
    explainer.rest = Some(Rest { role, bucket, unread });
    ask(&mut explainer).await
}

#[tokio::test]
async fn a_role_policy_that_masks_the_bucket_policy_is_named() {
    let broad = inline("broad", json!({"Sid": "All", "Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}));
    let text = explained(vec![broad], Some(own_prefix_only()), Vec::new(), async |explainer: &mut Explainer<'_>| {
        explainer.allowed(Attempt::on(Operation::Get, "bluex/1")).await
    });
    assert_eq!(
        text.await,
        "statement 1 (\"All\") of the role's own policy `broad` allows s3:GetObject on arn:aws:s3:::data/bluex/1. Allows add up: it masks the \
         bucket policy, which cannot take it back. Take this grant out of the role's policy, or narrow it to the session's own prefix"
    );
}

#[tokio::test]
async fn a_bucket_policy_that_is_too_wide_is_named() {
    let wide = policy(
        Kind::Resource,
        &json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::data",
             "Condition": {"StringLike": {"s3:prefix": "${aws:PrincipalTag/team}*"}}},
        ]}),
    );
    let text = explained(Vec::new(), Some(wide), Vec::new(), async |explainer: &mut Explainer<'_>| {
        explainer.allowed(Attempt::list(Some("bluex/"))).await
    });
    assert_eq!(
        text.await,
        "statement 1 of the bucket policy allows s3:ListBucket on arn:aws:s3:::data with the prefix \"bluex/\": narrow it to \
         ${aws:PrincipalTag/team}/"
    );
}

#[tokio::test]
async fn what_no_policy_explains_is_said() {
    let ask = async |explainer: &mut Explainer<'_>| explainer.allowed(Attempt::on(Operation::Put, "bluex/1")).await;
    let text = explained(Vec::new(), Some(own_prefix_only()), Vec::new(), ask).await;
    assert!(text.contains("the endpoint does not enforce them as AWS does"), "{text}");
    let refused = Failure::Refused { status: 403, code: "AccessDenied".to_owned(), message: String::new() };
    let unread =
        Unread { what: "the policies of data".to_owned(), permission: "iam:ListRolePolicies", problem: refused.into() };
    let text = explained(Vec::new(), Some(own_prefix_only()), vec![unread], ask).await;
    assert!(text.contains("the policies of data could not be read: 403 AccessDenied"), "{text}");
    assert!(text.contains("it takes the permission iam:ListRolePolicies"), "{text}");
    let none = Failure::NoCredentials { cause: "none".to_owned() };
    let unread =
        Unread { what: "the policies of data".to_owned(), permission: "iam:ListRolePolicies", problem: none.into() };
    let text = explained(Vec::new(), None, vec![unread], ask).await;
    assert!(text.contains("; the policies could not be read: there are no AWS credentials"), "{text}");
}

#[tokio::test]
async fn a_refusal_below_the_own_prefix_has_its_fix() {
    let denied = || Failure::Refused { status: 403, code: "AccessDenied".to_owned(), message: "no".to_owned() };
    let ask =
        async |explainer: &mut Explainer<'_>| explainer.refused(Attempt::on(Operation::Put, "blue/1"), &denied()).await;
    let read = json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::data/${aws:PrincipalTag/team}/*"});
    let text = explained(vec![inline("own", read)], None, Vec::new(), ask).await;
    assert!(text.starts_with("403 AccessDenied: no. no statement names s3:PutObject"), "{text}");
    let deny = json!({"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"});
    let text = explained(vec![inline("never", deny)], Some(own_prefix_only()), Vec::new(), ask).await;
    assert!(text.contains("statement 1 of the role's own policy `never` denies it"), "{text}");
    let text = explained(Vec::new(), Some(own_prefix_only()), Vec::new(), ask).await;
    assert!(text.contains("The policies that could be read allow it: look at policies of the organisation"), "{text}");
}

/// The proof makes its requests itself: advice names no option for what they hold.
#[tokio::test]
async fn advice_names_no_option_that_the_command_lacks() {
    let denied = || Failure::Refused { status: 403, code: "AccessDenied".to_owned(), message: "no".to_owned() };
    let put =
        async |explainer: &mut Explainer<'_>| explainer.refused(Attempt::on(Operation::Put, "blue/1"), &denied()).await;
    let list = async |explainer: &mut Explainer<'_>| explainer.refused(Attempt::list(None), &denied()).await;
    let both = json!(["arn:aws:s3:::data", "arn:aws:s3:::data/*"]);
    let with = |conditions: Value| {
        inline("own", json!({"Effect": "Allow", "Action": "s3:*", "Resource": both, "Condition": conditions}))
    };
    let prefix = || with(json!({"StringLike": {"s3:prefix": "${aws:PrincipalTag/team}/*"}}));
    let text = explained(vec![prefix()], None, Vec::new(), put).await;
    assert!(text.contains("requests of s3:PutObject never have s3:prefix (s3:ListBucket"), "{text}");
    assert!(text.contains("Write two statements") && !text.contains("--"), "{text}");
    let text = explained(vec![prefix()], None, Vec::new(), list).await;
    assert!(text.contains("the request has no s3:prefix") && !text.contains("--"), "{text}");
    for key in ["aws:SourceIp", "aws:SourceVpce", "aws:PrincipalTag/other", "s3:ExistingObjectTag/x", "s3:x-amz-acl"] {
        let text = explained(vec![with(json!({"StringEquals": {key: "v"}}))], None, Vec::new(), put).await;
        assert!(text.contains("403 AccessDenied") && !text.contains("--"), "{key}: {text}");
    }
}

#[tokio::test]
async fn other_errors_than_refusals_are_told_apart() {
    for (code, part) in [
        ("NoSuchBucket", "there is no bucket data here"),
        ("PermanentRedirect", "another region"),
        ("SlowDown", "503 SlowDown: wait"),
    ] {
        let failure = Failure::Refused { status: 503, code: code.to_owned(), message: "wait".to_owned() };
        let text = explained(Vec::new(), None, Vec::new(), async |explainer: &mut Explainer<'_>| {
            explainer.refused(Attempt::list(None), &failure).await
        });
        let text = text.await;
        assert!(text.contains(part), "{text}");
    }
}
