//! Policies with something else in the place of the account id.

use serde_json::json;

use crate::{GITHUB, explain, explain_token, fix, github, policy, token, warnings};

const MAIN: &str = "repo:acme/ops@34:ref:refs/heads/main";

#[test]
fn a_placeholder_is_taken_as_the_roles_account() {
    let claims = github(MAIN, &json!({}));
    for account in ["XXXXXXXXXXXX", "<ACCOUNT_ID>", "${AWS::AccountId}", "************", "your-account"] {
        let trust = policy(&[json!({
            "Effect": "Allow", "Principal": {"Federated": format!("arn:aws:iam::{account}:oidc-provider/{GITHUB}")},
            "Action": "sts:AssumeRoleWithWebIdentity", "Condition": {"StringEquals": {format!("{GITHUB}:sub"): MAIN}},
        })]);
        let explanation = explain(&claims, &trust, &["sts.amazonaws.com"]);
        assert!(explanation.accepted, "{account}: {explanation:#?}");
        assert!(warnings(&explanation).contains(&"account-placeholder"), "{explanation:?}");
        let role = format!("arn:aws:iam::{account}:role/deploy");
        for role in ["arn:aws:iam::999900001111:role/deploy", &role] {
            let explanation = explain_token(&token(&claims), &trust, &["sts.amazonaws.com"], Some(role));
            assert!(explanation.accepted, "{role}: {explanation:#?}");
        }
        let wrong = explain(&github("repo:acme/ops:pull_request", &json!({})), &trust, &["sts.amazonaws.com"]);
        let failed: Vec<_> = wrong.checks.iter().filter(|check| !check.passed).map(|check| check.check).collect();
        assert_eq!(failed, ["trust-condition", "trust-assume-role"], "the account is not what is wrong");
    }
}

/// An OIDC provider's ARN under "AWS", which IAM refuses and which admits nobody.
#[test]
fn a_provider_under_another_kind_of_principal() {
    let arn = format!("arn:aws:iam::111122223333:oidc-provider/{GITHUB}");
    for kind in ["AWS", "Service"] {
        for principal in [json!({kind: arn}), json!({kind: [arn, "arn:aws:iam::111122223333:root"]})] {
            let trust = policy(&[json!({
                "Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {"StringEquals": {format!("{GITHUB}:sub"): MAIN}},
            })]);
            let explanation = explain(&github(MAIN, &json!({})), &trust, &["sts.amazonaws.com"]);
            let told = fix(&explanation);
            assert!(told.contains(&format!("under {kind:?}")), "{told}");
            assert!(told.contains(&format!("{{\"Federated\": \"{arn}\"}}")), "{told}");
        }
    }
}
