//! `NotPrincipal` with Deny, as in the IAM guide's example.

use serde_json::json;

use super::Case;

#[test]
fn the_guides_example_denies_a_roles_session() {
    let mut case = Case::access(
        "s3:GetObject",
        "arn:aws:s3:::data/x",
        json!([{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]),
    );
    let spared = |names: &[&str]| {
        json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Deny", "NotPrincipal": {"AWS": names}, "Action": "s3:*", "Resource": ["arn:aws:s3:::data", "arn:aws:s3:::data/*"],
        }]})
    };
    let root = "arn:aws:iam::111122223333:root";
    case.bucket = Some(spared(&["arn:aws:iam::111122223333:user/Bob", root]));
    let fix = case.fix();
    assert!(fix.contains("NotPrincipal") && fix.contains("aws:PrincipalArn"), "{fix}");
    let role = "arn:aws:iam::111122223333:role/data";
    let session = "arn:aws:sts::111122223333:assumed-role/data/tagmint-explain";
    for (names, accepted) in [
        (&[root][..], false),
        (&[role], false),
        (&[role, root], false),
        (&[session, role], false),
        (&[session, root], false),
        (&[session, role, root], true),
        (&[session, role, "111122223333"], true),
        (&["*"], true),
    ] {
        case.bucket = Some(spared(names));
        assert_eq!(case.accepted(), accepted, "{names:?}");
    }
}
