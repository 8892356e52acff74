//! `[aws]`.

use super::{GOOD, parse, problems};

#[test]
fn aws_is_read() {
    assert_eq!(parse(GOOD).unwrap().aws, None);
    let text = format!("{GOOD}\n[aws]\nregion = \"eu-central-1\"\nca_file = \"sts.pem\"\n");
    let aws = parse(&text).unwrap().aws.unwrap();
    assert_eq!((aws.region.as_str(), aws.sts_endpoint), ("eu-central-1", None));
    assert_eq!(aws.ca_file, Some("/etc/tagmint/sts.pem".into()));
    let stand_in = text.replace("ca_file = \"sts.pem\"", "sts_endpoint = \"http://127.0.0.1:9000\"");
    let aws = parse(&stand_in).unwrap().aws.unwrap();
    assert_eq!(aws.sts_endpoint.as_deref(), Some("http://127.0.0.1:9000"));
}

#[test]
fn what_is_wrong_with_aws_is_named() {
    let with = |table: &str| problems(&[("[[rule]]", &format!("[aws]\n{table}\n[[rule]]"))]);
    insta::assert_snapshot!(
        [
            with("region = \"Europe\""),
            with("region = \"\""),
            with("region = \"eu-central-1\"\nsts_endpoint = \"sts.example\""),
            with("region = \"eu-central-1\"\nsts_endpoint = \"http://sts.example\""),
            with("region = \"eu-central-1\"\nsts_endpoint = \"https://user:secret@sts.example\""),
            with("sts_endpoint = \"https://sts.example\""),
        ]
        .join("\n")
    );
    let text = GOOD.replace("\"test\"", "\"prod\"");
    let plain = format!("{text}\n[aws]\nregion = \"eu-central-1\"\nsts_endpoint = \"http://127.0.0.1:9000\"\n");
    assert!(parse(&plain).unwrap_err().to_string().contains("`aws.sts_endpoint`"));
}

#[test]
fn a_rules_roles_are_of_its_own_world() {
    let with = |environment: &str, aws: &str, role: &str| {
        let roles = format!("roles = [\"arn:aws:iam::111122223333:role/{role}\"]\n[rule.tags]");
        parse(
            &GOOD
                .replace("\"test\"", environment)
                .replace("[rule.tags]", &roles)
                .replace("[[rule]]", &format!("{aws}\n[[rule]]")),
        )
    };
    let aws = "[aws]\nregion = \"eu-central-1\"\naccount = \"111122223333\"";
    for role in ["path/data-test", "data-test", "test", "${sub}"] {
        assert!(with("\"test\"", aws, role).unwrap().warnings.is_empty(), "{role}");
    }
    for (environment, aws, role) in [
        ("\"test\"", aws, "data"),
        ("\"test\"", aws, "test/data"),
        ("\"test\"", aws, "latest"),
        ("\"prod\"", aws, "data-test"),
        ("\"prod\"", "", "data-test"),
    ] {
        let error = with(environment, aws, role).unwrap_err().to_string();
        assert!(
            error.contains("`rule[0].roles[0]`") && error.contains("the word `test`")
                || error.contains("no word `test`"),
            "{error}"
        );
    }
    let warned = with("\"test\"", "", "data").unwrap().warnings;
    assert!(
        warned.len() == 1 && warned[0].starts_with("rule[0].roles[0] (rule `wallet`): `data` has no word `test`"),
        "{warned:?}"
    );
}
