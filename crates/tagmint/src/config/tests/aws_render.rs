//! `[aws.bucket]` and `[[aws.role]]`.

use tagmint_aws::render::Mode;

use super::{GOOD, parse, problems};

const AWS: &str = r#"[aws]
region = "eu-central-1"
account = "111122223333"
[aws.bucket]
name = "mail-test-${aws.account}"
expire = [{ prefix = "pr-", after = "14d" }]
[[aws.role]]
name = "data-test"
max_session = "2h"
access = [{ tag = "wallet", mode = "read" }, { tag = "prefix", mode = "read-write" }]
[[rule]]"#;

#[test]
fn what_is_to_be_set_up_is_read() {
    let roles = "roles = [\"arn:aws:iam::${aws.account}:role/data-test\"]\n[rule.tags]";
    let text = GOOD.replace("[[rule]]", AWS).replace("[rule.tags]", roles);
    let config = parse(&text).unwrap();
    let aws = config.aws.as_ref().unwrap();
    let bucket = aws.bucket.as_ref().unwrap();
    assert_eq!((bucket.versioning, bucket.keep_old_versions_days, bucket.abort_uploads_days), (false, 90, 7));
    assert_eq!((bucket.expire[0].prefix.as_str(), bucket.expire[0].days), ("pr-", 14));
    assert_eq!(bucket.name_in("111122223333"), "mail-test-111122223333");
    assert_eq!((aws.roles[0].max_session_seconds, aws.roles[0].access[1].mode), (7200, Mode::ReadWrite));
    let role = |config: &super::Config| config.rules.outlines().next().unwrap().roles[0].literal().map(str::to_owned);
    assert_eq!(role(&config).as_deref(), Some("arn:aws:iam::111122223333:role/data-test"));
    let other = super::Config::parse_for(&text, std::path::Path::new("t.toml"), Some("444455556666")).unwrap();
    assert_eq!(role(&other).as_deref(), Some("arn:aws:iam::444455556666:role/data-test"));
}

#[test]
fn what_is_wrong_with_a_set_up_is_named() {
    let with = |old: &str, new: &str| {
        assert!(AWS.contains(old), "{old}");
        problems(&[("[[rule]]", &AWS.replace(old, new))])
    };
    insta::assert_snapshot!(
        [
            with("account = \"111122223333\"", "account = \"1111\""),
            with("account = \"111122223333\"\n", ""),
            with("account = \"111122223333\"", "account = \"111122223333\"\npartition = \"aws-eu\""),
            with("mail-test-${aws.account}", "Mail_test"),
            with("mail-test-${aws.account}", "mail-${aws.account}"),
            with("\"data-test\"", "\"data\""),
            with("\"data-test\"", "\"a/b:test\""),
            with("prefix = \"pr-\", after = \"14d\"", "prefix = \"\", after = \"36h\""),
            with("\"2h\"", "\"15m\""),
            with("tag = \"prefix\"", "tag = \"Wallet\""),
            with("mode = \"read\"", "mode = \"write\""),
        ]
        .join("\n")
    );
    let prod = GOOD.replace("\"test\"", "\"prod\"").replace("[[rule]]", AWS);
    let message = parse(&prod).unwrap_err().to_string();
    assert!(
        message.contains("`mail-test-${aws.account}` has the word `test` in it, and this is a prod issuer"),
        "{message}"
    );
    assert!(message.contains("`data-test` has the word `test` in it"), "{message}");
}
