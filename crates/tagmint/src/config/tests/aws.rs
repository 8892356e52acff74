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
