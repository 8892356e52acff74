//! Open minting, as deploy/test has it in comments: valid where the comments are taken away, and its tokens read and do nothing else.

use std::fmt::Write;

use tagmint_core::{identity::VerifiedIdentity, rules::MintRequest};

use super::{
    Config, folder,
    judge::{Aws, pull_request},
    shipped,
};

/// The test issuer's configuration with the comments before `[open_mint]` and what follows taken away.
fn opened() -> Config {
    let file = folder("test").join("tagmint.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let (before, block) = text.split_once("\n# [open_mint]\n").unwrap();
    let mut opened = format!("{before}\n[open_mint]\n");
    for line in block.lines() {
        let line = if line.is_empty() { line } else { line.strip_prefix("# ").unwrap_or_else(|| panic!("{line}")) };
        let _ = writeln!(opened, "{line}");
    }
    Config::parse(&opened, &file).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_block_in_comments_is_valid_and_the_only_warning_is_of_it() {
    assert_eq!(shipped("test").settings.open_mint, None, "off");
    let config = opened();
    assert!(config.settings.open_mint.is_some());
    assert!(
        matches!(config.warnings.as_slice(), [one] if one.contains("`[open_mint]` is on")),
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
