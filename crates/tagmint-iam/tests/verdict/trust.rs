//! What the trust policy sees, and what it has to allow.

use serde_json::json;
use tagmint_iam::context::Context;

use crate::{
    DENIED, SOURCE_IDENTITY, TAGS, accepted, all,
    case::{Case, provider_arn},
    refused,
};

/// Each condition alone decides over the answer.
#[test]
fn the_keys_of_the_trust_policy() {
    let provider = provider_arn();
    let cases = [
        ("recorded", json!({"StringEquals": {"aws:PrincipalType": "User"}}), true),
        ("recorded", json!({"StringEquals": {"aws:PrincipalType": "AssumedRole"}}), false),
        ("recorded", json!({"StringEquals": {"aws:userid": provider}}), true),
        ("recorded", json!({"StringEquals": {"aws:userid": "subject"}}), false),
        ("recorded", json!({"Null": {"aws:PrincipalArn": "true"}}), true),
        ("recorded", json!({"StringEquals": {"aws:PrincipalAccount": "anonymous"}}), false),
        ("recorded", json!({"Bool": {"sts:RoleAuthorizedByIdp": "true"}}), false),
        ("recorded", json!({"Bool": {"sts:RoleAuthorizedByIdp": "false"}}), true),
        ("guide", json!({"StringEquals": {"issuer.example.test:SUB": "subject"}}), true),
        ("guide", json!({"StringLike": {"issuer.example.test:aud": "client-?"}}), true),
        ("guide: equals aud without azp", json!({"StringEquals": {"issuer.example.test:oaud": "client-a"}}), true),
        ("guide: equals aud without azp", json!({"Null": {"issuer.example.test:oaud": "true"}}), false),
        ("guide", json!({"StringEquals": {"issuer.example.test:email": "a@b"}}), true),
        ("guide: other claims are no keys", json!({"Null": {"issuer.example.test:repository": "true"}}), true),
        ("guide", json!({"StringEquals": {"sts:RoleSessionName": "probe"}}), true),
        ("guide", json!({"StringEquals": {"aws:requesttag/team": "red"}}), true),
        ("guide", json!({"ForAllValues:StringEquals": {"aws:TagKeys": ["Team", "Cost"]}}), true),
        ("guide", json!({"ForAllValues:StringEquals": {"aws:TagKeys": ["Cost"]}}), false),
        ("guide", json!({"ForAnyValue:StringEquals": {"sts:TransitiveTagKeys": "Team"}}), true),
        ("guide", json!({"Null": {"sts:SourceIdentity": "false"}}), true),
        ("guide", json!({"DateEquals": {"aws:CurrentTime": "2027-01-15T08:00:00Z"}}), true),
        ("guide", json!({"DateLessThan": {"aws:CurrentTime": "2027-01-15"}}), false),
        ("guide", json!({"NumericEquals": {"aws:EpochTime": "1800000000"}}), true),
        ("aws:FederatedProvider belongs to the session", json!({"Null": {"aws:FederatedProvider": "true"}}), true),
    ];
    for (source, condition, expected) in cases {
        let case = Case::new()
            .claim("email", json!("a@b"))
            .claim("repository", json!("o/r"))
            .claim(TAGS, json!({"principal_tags": {"Team": ["red"]}, "transitive_tag_keys": ["Team"]}))
            .claim(SOURCE_IDENTITY, json!("mnt_1"))
            .trust(&condition);
        assert_eq!(case.answer(), if expected { "" } else { DENIED }, "{source}: {condition}");
    }
}

/// The guide: with `azp` it is the key `aud`, and the token's own audience is `oaud`.
#[test]
fn the_keys_of_an_authorized_party() {
    let one = json!("account");
    let several = json!(["account", "other"]);
    for (aud, condition, expected) in [
        (
            &one,
            json!({"StringEquals": {"issuer.example.test:aud": "client-b", "issuer.example.test:oaud": "account"}}),
            true,
        ),
        (&one, json!({"StringEquals": {"issuer.example.test:aud": "account"}}), false),
        (&one, json!({"StringEquals": {"issuer.example.test:oaud": "client-b"}}), false),
        (&several, json!({"ForAnyValue:StringEquals": {"issuer.example.test:oaud": "other"}}), true),
        (&several, json!({"ForAllValues:StringEquals": {"issuer.example.test:oaud": ["account"]}}), false),
        (&several, json!({"StringEquals": {"issuer.example.test:aud": "client-b"}}), true),
    ] {
        let case = Case::new().claim("aud", aud.clone()).claim("azp", json!("client-b")).trust(&condition);
        assert_eq!(case.answer(), if expected { "" } else { DENIED }, "{aud} {condition}");
    }
}

#[test]
fn the_keys_of_the_call_stand_behind_the_tokens() {
    let base = || {
        Context::new().with("aws:SourceIp", "192.0.2.1").with("aws:RequestTag/team", "spoofed").with("aws:userid", "x")
    };
    for (condition, expected) in [
        (json!({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}), true),
        (json!({"IpAddress": {"aws:SourceIp": "198.51.100.0/24"}}), false),
        (json!({"StringEquals": {"aws:RequestTag/team": "red"}}), true),
        (json!({"StringEquals": {"aws:userid": "x"}}), false),
    ] {
        let case = Case::new().claim(TAGS, json!({"principal_tags": {"Team": ["red"]}})).trust(&condition).base(base());
        assert_eq!(case.answer(), if expected { "" } else { DENIED }, "{condition}");
    }
}

#[test]
fn tags_and_source_identity_need_their_actions() {
    let tagged = || Case::new().claim(TAGS, json!({"principal_tags": {"Team": ["red"]}}));
    let named = || Case::new().claim(SOURCE_IDENTITY, json!("mnt_1"));
    let assume = &["sts:AssumeRoleWithWebIdentity"][..];
    let tag = &["sts:AssumeRoleWithWebIdentity", "sts:TagSession"][..];
    all([
        ("guide", Case::new().actions(assume), accepted()),
        ("guide", tagged().actions(assume), refused(DENIED)),
        ("guide", tagged().actions(tag), accepted()),
        ("guide", named().actions(tag), refused(DENIED)),
        ("guide", named().actions(&["sts:*"]), accepted()),
    ]);
    let report = tagged().actions(assume).report();
    let last = report.checks.last().unwrap();
    assert_eq!((last.check, last.passed), ("trust-tag-session", false));
    assert_eq!(report.trust.len(), 2, "both decisions are in the trace");
}
