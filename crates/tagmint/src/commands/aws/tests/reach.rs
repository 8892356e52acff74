//! The tokens of a configuration's own rules open a session, which reaches its own prefix and nothing else.

use serde_json::json;
use tagmint_core::rules::MintRequest;
use tagmint_iam::web_identity::Session;

use super::judge::{Aws, WALLET, bearer, github_branch, gitlab, pull_request, wallet};

pub(super) const READS: [&str; 1] = ["s3:GetObject"];
pub(super) const WRITES: [&str; 4] =
    ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"];
/// What no session of the role does, not even below its own prefix.
const NEVER: [&str; 12] = [
    "s3:GetObjectVersion",
    "s3:DeleteObjectVersion",
    "s3:PutObjectAcl",
    "s3:GetBucketPolicy",
    "s3:PutBucketPolicy",
    "s3:DeleteBucketPolicy",
    "s3:PutLifecycleConfiguration",
    "s3:PutBucketPublicAccessBlock",
    "s3:ListBucketVersions",
    "s3:ListBucketMultipartUploads",
    "s3:DeleteBucket",
    "s3:PutBucketVersioning",
];

/// Every session of both worlds, with its prefix and whether it writes.
fn sessions(aws: &Aws, prod: bool) -> Vec<(Session, String, bool)> {
    let run = |run: &str| MintRequest { tags: [("run".to_owned(), run.to_owned())].into(), ..MintRequest::default() };
    let plain = MintRequest::default;
    let mut minted = vec![(wallet(WALLET), plain(), WALLET.to_owned(), false)];
    if prod {
        minted.push((github_branch("main", "11"), plain(), "branch-production/run-11".to_owned(), true));
        minted.push((gitlab("push", "main", "12"), plain(), "ref-production/run-12".to_owned(), true));
    } else {
        minted.push((pull_request(7, "11"), plain(), "pr-7/run-11".to_owned(), true));
        minted.push((github_branch("main", "12"), plain(), "branch-main/run-12".to_owned(), true));
        minted.push((gitlab("merge_request_event", "fix", "13"), plain(), "mr-fix/run-13".to_owned(), true));
        minted.push((gitlab("push", "main", "14"), plain(), "ref-main/run-14".to_owned(), true));
        minted.push((bearer("jenkins"), run("15"), "bearer-jenkins".to_owned(), true));
    }
    let opened = minted.into_iter().map(|(identity, request, prefix, writes)| {
        let claims = aws.claims(&identity, &request);
        let session = aws.assume(&claims).unwrap_or_else(|error| panic!("{prefix}: {error}\n{claims:#?}"));
        (session, prefix, writes)
    });
    opened.collect()
}

/// What a session reaches, whatever stands beside the set-up.
fn check(aws: &Aws, prod: bool) {
    let bucket = aws.bucket();
    let all = sessions(aws, prod);
    for (session, prefix, writes) in &all {
        let own = format!("{bucket}/{prefix}/mail.txt");
        assert!(aws.may_list(session, Some(&format!("{prefix}/"))), "{prefix} is listed");
        assert!(aws.may_list(session, Some(&format!("{prefix}/deeper/"))), "{prefix} is listed");
        for action in READS {
            assert!(aws.may(session, action, &own), "{prefix}: {action}");
        }
        for action in WRITES {
            assert_eq!(aws.may(session, action, &own), *writes, "{prefix}: {action}");
        }
        for action in NEVER {
            for resource in [&own, &bucket, &format!("{bucket}/{prefix}/")] {
                assert!(!aws.may(session, action, resource), "{prefix}: {action} on {resource}");
            }
        }
        // Prefixes of others: the parent, the root, one that begins as the own one does, another session's.
        let parent = prefix.split('/').next().unwrap_or_default();
        let mut foreign = vec![
            String::new(),
            "/".to_owned(),
            prefix[..prefix.len() - 1].to_owned(),
            format!("{prefix}x/"),
            "0xb2/".to_owned(),
            "pr-8/run-11/".to_owned(),
            "*".to_owned(),
            "?".repeat(prefix.len()),
            "${aws:PrincipalTag/prefix}/".to_owned(),
            prefix.to_uppercase() + "/",
        ];
        if parent != prefix {
            foreign.push(format!("{parent}/"));
            foreign.push(format!("{parent}/run-1/"));
        }
        foreign.extend(all.iter().filter(|(_, other, _)| other != prefix).map(|(_, other, _)| format!("{other}/")));
        assert!(!aws.may_list(session, None), "{prefix}: the bare bucket is listed");
        assert!(!aws.may_list(session, Some(prefix)), "{prefix}: listed without the slash, with {prefix}x");
        for other in foreign {
            assert!(!aws.may_list(session, Some(&other)), "{prefix} lists {other:?}");
            for action in READS.into_iter().chain(WRITES).chain(NEVER) {
                let resource = format!("{bucket}/{other}mail.txt");
                assert!(!aws.may(session, action, &resource), "{prefix}: {action} on {resource}");
            }
        }
        // Another bucket, which begins as this one does; other services; the role itself.
        for resource in [format!("{bucket}-2/{prefix}/mail.txt"), "arn:aws:s3:::other/mail.txt".to_owned()] {
            assert!(!aws.may(session, "s3:GetObject", &resource), "{prefix}: {resource}");
        }
        assert!(!aws.may(session, "sts:AssumeRole", "arn:aws:iam::111122223333:role/admin"));
        assert!(!aws.may(session, "iam:PutRolePolicy", &session.role_arn));
        // In clear.
        assert!(!aws.may_with(session, "s3:GetObject", &own, &[("aws:SecureTransport", "false")]));
    }
}

#[test]
fn the_rules_own_tokens_reach_their_prefix_alone() {
    check(&Aws::of("prod"), true);
    check(&Aws::of("test"), false);
}

/// A broad policy that is attached to the role does not undo the bucket policy.
#[test]
fn broad_policies_of_the_role_change_nothing() {
    for action in ["*", "s3:*"] {
        let broad =
            json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": action, "Resource": "*"}});
        check(&Aws::of("prod").with_role_policy(&broad), true);
        check(&Aws::of("test").with_role_policy(&broad), false);
    }
}

/// The role's own policy grants nothing.
#[test]
fn without_the_bucket_policy_nothing_is_reached() {
    for (environment, prod) in [("prod", true), ("test", false)] {
        let opened = sessions(&Aws::of(environment), prod);
        let aws = Aws::of(environment).without_bucket_policy();
        for (session, prefix, _) in opened {
            assert!(!aws.may_list(&session, Some(&format!("{prefix}/"))));
            for action in READS.into_iter().chain(WRITES) {
                assert!(!aws.may(&session, action, &format!("{}/{prefix}/mail.txt", aws.bucket())));
            }
        }
    }
}

/// A session without tags, as another provider's token or `sts:AssumeRole` could make one if the trust policy were loosened.
#[test]
fn a_session_without_tags_reaches_nothing() {
    for (environment, prod) in [("prod", true), ("test", false)] {
        let aws = Aws::of(environment);
        let (mut session, prefix, _) = sessions(&aws, prod).swap_remove(1);
        session.tags.clear();
        let broad = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}});
        let aws = aws.with_role_policy(&broad);
        for prefix in [prefix.as_str(), "", "/"] {
            assert!(!aws.may_list(&session, Some(prefix)));
            assert!(!aws.may(&session, "s3:GetObject", &format!("{}/{prefix}/mail.txt", aws.bucket())));
        }
        assert!(!aws.may_list(&session, None));
    }
}
