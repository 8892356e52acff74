//! What is rendered for a partition is accepted by `tagmint explain`.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tagmint_core::rules::MintRequest;
use tagmint_iam::{
    advice::{AccessQuestion, Explanation, Question},
    partition::PARTITIONS,
    policy::{Kind, Policy},
    web_identity::Fetched,
};

use super::{
    Config, Path, Rendering, SetUp,
    judge::{Aws, WALLET, now, pull_request, wallet},
    *,
};

/// The test issuer's configuration for a partition and a region.
fn config(partition: &str, region: &str) -> Config {
    let text = std::fs::read_to_string(folder("test").join("tagmint.toml")).unwrap();
    let text = text
        .replace("arn:aws:", &format!("arn:{partition}:"))
        .replace("region = \"eu-central-1\"", &format!("region = \"{region}\""))
        .replace("partition = \"aws\"", &format!("partition = \"{partition}\""));
    Config::parse(&text, Path::new("tagmint.toml")).unwrap_or_else(|error| panic!("{partition}: {error}"))
}

/// What `tagmint explain` says to a token of the issuer, with the policies that are rendered.
fn explain(aws: &Aws, claims: &serde_json::Map<String, Value>, resource: &str, role: Option<&str>) -> Explanation {
    let SetUp { provider, roles, bucket, .. } = &aws.plan;
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let token = format!("{}.{}.AA", part(&json!({"alg": "ES256", "kid": "k"})), part(&json!(claims)));
    let read = |kind, policy: &Value| Policy::parse_as(kind, &policy.to_string()).unwrap();
    let trust_policy = read(Kind::Trust, &roles[0].trust_policy);
    let guard: Vec<Policy> = roles[0].guard_policy.iter().map(|policy| read(Kind::Identity, policy)).collect();
    let bucket_policy = bucket.as_ref().map(|bucket| read(Kind::Resource, &bucket.policy));
    let question = Question {
        token: &token,
        trust_policy: &trust_policy,
        role_arn: role,
        provider_url: None,
        local: false,
        provider_missing: false,
        client_ids: &provider.audiences,
        context: &[],
        discovery: Fetched::Unchecked,
        jwks: Fetched::Unchecked,
        now: now(),
        access: Some(AccessQuestion {
            action: "s3:GetObject",
            resource,
            role_policies: &guard,
            bucket_policy: bucket_policy.as_ref(),
            context: &[],
        }),
    };
    question.explain()
}

#[test]
fn every_partitions_policies_are_accepted() {
    let regions = [
        "eu-central-1",
        "cn-north-1",
        "us-gov-west-1",
        "us-iso-east-1",
        "us-isob-east-1",
        "eu-isoe-west-1",
        "us-isof-south-1",
        "eusc-de-east-1",
    ];
    for (partition, region) in PARTITIONS.iter().zip(regions) {
        let name = partition.name;
        let aws = Aws::with_role(config(name, region), 0);
        let bucket = aws.bucket();
        assert!(bucket.starts_with(&format!("arn:{name}:s3:::")), "{bucket}");
        for (identity, prefix) in [(wallet(WALLET), WALLET), (pull_request(7, "11"), "pr-7/run-11")] {
            let claims = aws.claims(&identity, &MintRequest::default());
            let own = format!("{bucket}/{prefix}/mail.txt");
            // With the role's ARN, and with the one that the token is pinned to.
            for role in [Some(aws.plan.roles[0].arn.as_str()), None] {
                let explanation = explain(&aws, &claims, &own, role);
                assert!(explanation.accepted, "{name}: {explanation:#?}");
                assert!(!explain(&aws, &claims, &format!("{bucket}/other/mail.txt"), role).accepted, "{name}");
            }
        }
        // Nothing of another partition is written.
        for rendering in [Rendering::Cloudformation, Rendering::Terraform, Rendering::Cli] {
            for file in render(&aws.plan, "111122223333", rendering, &Part::ALL) {
                let foreign = file.text.split("arn:").skip(1).find(|rest| {
                    rest.starts_with("aws") && !rest.starts_with(&format!("{name}:")) && !rest.starts_with("aws_")
                });
                assert_eq!(
                    foreign.map(|rest| rest.chars().take(60).collect::<String>()),
                    None,
                    "{name}: {}",
                    file.path
                );
            }
        }
    }
}

/// The region says which partition it is.
#[test]
fn the_partition_is_the_regions() {
    let text = std::fs::read_to_string(folder("test").join("tagmint.toml")).unwrap();
    for (region, partition) in [("us-gov-west-1", "aws-us-gov"), ("cn-north-1", "aws-cn"), ("eu-west-3", "aws")] {
        let text = text
            .replace("arn:aws:", &format!("arn:{partition}:"))
            .replace("eu-central-1", region)
            .replace("partition = \"aws\"\n", "");
        let config = Config::parse(&text, Path::new("tagmint.toml")).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(settings(&config).unwrap().partition, partition);
    }
}
