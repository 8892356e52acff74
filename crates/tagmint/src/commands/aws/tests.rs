//! `tagmint aws` with the configurations that are shipped.

mod anonymous_minting;
mod judge;
mod partitions;
mod reach;
mod readings;
mod refusals;

use std::path::{Path, PathBuf};

use tagmint_aws::render::{Names, Part, Rendering, SetUp, render};

use super::*;
use crate::output::Format;

/// deploy/prod and deploy/test.
const SHIPPED: [&str; 2] = ["prod", "test"];

fn folder(environment: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy")).join(environment)
}

fn shipped(environment: &str) -> Config {
    Config::load(&folder(environment).join("tagmint.toml")).unwrap_or_else(|error| panic!("{error}"))
}

fn set_up(config: &Config, names: Names) -> SetUp {
    let settings = settings(config).unwrap_or_else(|error| panic!("{error}"));
    plan(config, &settings, names, Output::new(Format::Text)).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_shipped_configurations_are_strict_and_without_warnings() {
    for environment in SHIPPED {
        let config = shipped(environment);
        let text = std::fs::read_to_string(&config.file).unwrap();
        assert!(text.contains("\nstrict = true"), "{environment} is strict");
        assert_eq!(config.warnings, Vec::<String>::new(), "{environment}");
        assert_eq!(set_up(&config, Names::Literal).warnings, Vec::<String>::new(), "{environment}");
    }
}

#[test]
fn the_two_worlds_share_no_name() {
    let [prod, test] = SHIPPED.map(|environment| set_up(&shipped(environment), Names::Literal));
    assert_ne!(prod.provider.arn, test.provider.arn);
    assert_ne!(prod.bucket.as_ref().map(|bucket| &bucket.name), test.bucket.as_ref().map(|bucket| &bucket.name));
    for role in &prod.roles {
        assert!(test.roles.iter().all(|other| other.name != role.name), "{}", role.name);
        assert!(!test.roles[0].trust_policy.to_string().contains(&format!("\"{}\"", prod.provider.arn)));
    }
}

/// `tagmint aws render --config deploy/ENV/tagmint.toml --format … --out …` writes them.
#[test]
fn the_rendered_files_are_what_the_configurations_say() {
    for environment in SHIPPED {
        let config = shipped(environment);
        let plan = set_up(&config, Names::Placeholder);
        let account = settings(&config).unwrap().account;
        for (rendering, name, below) in [
            (Rendering::Cloudformation, "cloudformation", ""),
            (Rendering::Terraform, "terraform", "terraform"),
            (Rendering::Cli, "cli", ""),
        ] {
            for file in render(&plan, &account, rendering, &Part::ALL) {
                let path = folder(environment).join(below).join(file.path);
                let there = std::fs::read_to_string(&path).unwrap_or_default();
                assert!(
                    there == file.text,
                    "{} is stale: run `tagmint aws render --config deploy/{environment}/tagmint.toml --format {name} --out deploy/{environment}/{below}`",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn parts_can_be_rendered_by_themselves() {
    let plan = set_up(&shipped("test"), Names::Placeholder);
    let text = |rendering, part| render(&plan, "111122223333", rendering, &[part]).remove(0).text;
    for rendering in [Rendering::Cloudformation, Rendering::Terraform, Rendering::Cli] {
        let [provider, role, bucket] = Part::ALL.map(|part| text(rendering, part).to_lowercase());
        let has = |text: &str, words: &[&str]| words.iter().any(|word| text.contains(word));
        let of_provider = ["oidcprovider", "aws_iam_openid_connect_provider\"", "create-open-id-connect-provider"];
        let of_role = ["aws::iam::role", "resource \"aws_iam_role\"", "create-role"];
        let of_bucket = ["aws::s3::bucket", "resource \"aws_s3_bucket\"", "create-bucket"];
        assert!(has(&provider, &of_provider) && !has(&provider, &of_role) && !has(&provider, &of_bucket));
        assert!(!has(&role, &of_provider) && has(&role, &of_role) && !has(&role, &of_bucket));
        assert!(!has(&bucket, &of_provider) && !has(&bucket, &of_role) && has(&bucket, &of_bucket));
    }
}

/// What cannot be set up safely is refused, with what to do.
#[test]
fn what_cannot_be_set_up_is_named() {
    let text = std::fs::read_to_string(folder("test").join("tagmint.toml")).unwrap();
    let refused = |old: &str, new: &str| {
        assert!(text.contains(old), "{old}");
        let config = Config::parse(&text.replace(old, new), Path::new("tagmint.toml"));
        let config = config.unwrap_or_else(|error| panic!("{error}"));
        let result =
            settings(&config).and_then(|settings| plan(&config, &settings, Names::Literal, Output::new(Format::Text)));
        result.map(|plan| plan.warnings).expect_err("a refusal was expected").to_string()
    };
    let wallet = "agentkeys_user_wallet = \"${sub}\"";
    insta::assert_snapshot!(
        [
            refused("subject = \"wallet:${sub}\"", "subject = \"${sub}\""),
            refused(wallet, "agentkeys_user_wallet = { open = true, required = true }"),
            refused(wallet, "agentkeys_user_wallet = { one_of = [\"0xa\"] }"),
            refused("transitive = [\"agentkeys_user_wallet\"]\ntags = { agentkeys_user_wallet", "tags = { wallet"),
            refused("name = \"agentkeys-data-role-test\"", "name = \"other-test\""),
            refused("subject = \"wallet:${sub}\"", "subject = \"wallet:${sub}\"\naudiences = [\"${sub}\"]"),
        ]
        .join("\n")
    );
}
