//! Anonymous minting, as deploy/test has it in comments: valid where the comments are taken away, and its tokens read and do nothing else.

use std::fmt::Write;

use tagmint_core::{identity::VerifiedIdentity, rules::MintRequest};

use super::{
    Config, folder,
    judge::{Aws, pull_request},
    shipped,
};

/// The test issuer's configuration with the comments before `[anonymous_minting]` and what follows taken away.
fn opened() -> Config {
    opened_with(str::to_owned)
}

/// The same after a change of its text.
fn opened_with(change: impl FnOnce(&str) -> String) -> Config {
    let file = folder("test").join("tagmint.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let (before, block) = text.split_once("\n# [anonymous_minting]\n").unwrap();
    let mut opened = format!("{before}\n[anonymous_minting]\n");
    for line in block.lines() {
        let line = if line.is_empty() { line } else { line.strip_prefix("# ").unwrap_or_else(|| panic!("{line}")) };
        let _ = writeln!(opened, "{line}");
    }
    Config::parse(&change(&opened), &file).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_block_in_comments_is_valid_and_the_only_warning_is_of_it() {
    assert_eq!(shipped("test").settings.anonymous_minting, None, "off");
    let config = opened();
    assert!(config.settings.anonymous_minting.is_some());
    assert!(
        matches!(config.warnings.as_slice(), [one] if one.contains("`[anonymous_minting]` is on")),
        "{:?}",
        config.warnings
    );
    let aws = Aws::with_role(config, 1);
    assert_eq!((aws.plan.roles.len(), aws.plan.roles[1].rules.as_slice()), (2, &["open".to_owned()][..]));
}

#[test]
fn a_token_without_proof_reads_the_fixtures_and_nothing_else() {
    let aws = Aws::with_role(opened(), 1);
    let claims = aws.claims(&VerifiedIdentity::anonymous(), &MintRequest::default());
    let session = aws.assume(&claims).unwrap();
    let bucket = aws.bucket();
    let own = format!("{bucket}/fixtures/mail.txt");
    assert!(aws.may(&session, "s3:GetObject", &own) && aws.may_list(&session, Some("fixtures/")));
    for action in
        ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:PutObjectAcl", "s3:GetObjectVersion"]
    {
        assert!(!aws.may(&session, action, &own), "{action}");
    }
    for other in ["pr-7/run-11/mail.txt", "fixtures2/mail.txt", "mail.txt"] {
        for action in ["s3:GetObject", "s3:PutObject"] {
            assert!(!aws.may(&session, action, &format!("{bucket}/{other}")), "{action} {other}");
        }
    }
    assert!(!aws.may_list(&session, None) && !aws.may_list(&session, Some("pr-7/")));
    // Neither does it open the role of CI, nor a job's token this one.
    let ci = Aws::with_role(opened(), 0);
    assert!(ci.assume(&claims).is_err());
    let job = aws.claims(&pull_request(7, "11"), &MintRequest::default());
    assert!(ci.assume(&job).is_ok() && aws.assume(&job).is_err());
}

/// What the check at the start lets pass: a role that writes by a tag which such a token cannot have.
#[test]
fn in_a_role_that_writes_by_another_tag_a_token_without_proof_reads_alone() {
    let shared = || {
        opened_with(|text| {
            let own = text.find("[[aws.role]]\nname = \"agentkeys-open-role-test\"").unwrap();
            let rule = own + text[own..].find("[[rule]]").unwrap();
            let text = format!("{}{}", &text[..own], &text[rule..]);
            let text = text.replace("role = \"agentkeys-open-role-test\"", "role = \"agentkeys-data-role-test\"");
            let writes = "    { tag = \"prefix\", mode = \"read-write\" },\n";
            assert!(text.contains(writes));
            text.replace(writes, &format!("{writes}    {{ tag = \"fixtures\", mode = \"read\" }},\n"))
        })
    };
    let broad = serde_json::json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}});
    for aws in [Aws::with_role(shared(), 0), Aws::with_role(shared(), 0).with_role_policy(&broad)] {
        let claims = aws.claims(&VerifiedIdentity::anonymous(), &MintRequest::default());
        let session = aws.assume(&claims).unwrap();
        let bucket = aws.bucket();
        assert!(aws.may(&session, "s3:GetObject", &format!("{bucket}/fixtures/mail.txt")));
        for key in [
            "fixtures/mail.txt",
            "pr-7/run-11/mail.txt",
            "/mail.txt",
            "*/mail.txt",
            "mail.txt",
            "${aws:PrincipalTag/prefix}/mail.txt",
        ] {
            for action in ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
            {
                assert!(!aws.may(&session, action, &format!("{bucket}/{key}")), "{action} {key}");
            }
        }
        // A job of the same role goes on writing.
        let job = aws.assume(&aws.claims(&pull_request(7, "11"), &MintRequest::default())).unwrap();
        assert!(aws.may(&job, "s3:PutObject", &format!("{bucket}/pr-7/run-11/mail.txt")));
        assert!(!aws.may(&job, "s3:GetObject", &format!("{bucket}/fixtures/mail.txt")));
    }
}
