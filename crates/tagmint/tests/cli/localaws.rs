//! `tagmint localaws` for an issuer's configuration.

use std::{fs, path::Path};

use super::process::{Running, failure};

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/test/tagmint.toml");

fn place(args: &[&str], dir: &Path) -> [String; 3] {
    let running = Running::start(["localaws"].iter().chain(args), dir);
    ["account", "region", "partition"].map(|name| running.field(name).to_owned())
}

#[test]
fn account_and_region_are_those_of_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(place(&[], dir.path()), ["000000000000", "us-east-1", "aws"]);
    assert_eq!(place(&["--config", SHIPPED], dir.path()), ["111122223333", "eu-central-1", "aws"]);
    let other = ["--config", SHIPPED, "--account", "444455556666", "--region", "us-gov-west-1"];
    assert_eq!(place(&other, dir.path()), ["444455556666", "us-gov-west-1", "aws-us-gov"]);
    assert_eq!(place(&["--region", "cn-north-1"], dir.path()), ["000000000000", "cn-north-1", "aws-cn"]);
}

#[test]
fn what_cannot_be_rehearsed_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let without = dir.path().join("tagmint.toml");
    let text = fs::read_to_string(SHIPPED).unwrap();
    let (before, rest) = text.split_once("[aws]\n").unwrap();
    let (_, after) = rest.split_once("[[trusted_issuer]]\n").unwrap();
    let after = after.replace("role = \"agentkeys", "role = \"arn:aws:iam::111122223333:role/agentkeys");
    fs::write(&without, format!("{before}[[trusted_issuer]]\n{after}")).unwrap();
    let told = failure(["localaws", "--config", without.to_str().unwrap()], 3);
    let message = told["message"].as_str().unwrap();
    assert!(message.contains("there is no [aws]") && message.contains("--region"), "{message}");
    failure(["localaws", "--account", "12"], 2);
    failure(["localaws", "--region", "Frankfurt"], 2);
}
