//! A token from another issuer than the trust policy names, when nobody looked at the account.

use serde_json::json;

use super::{Case, arn, has, on_subject};

/// A token of one issuer for a policy about another.
fn moved(policy: &str, token: &str) -> Case {
    let subject = "system:serviceaccount:karpenter:karpenter";
    let mut case = on_subject(policy, subject, "StringEquals", subject);
    case.claims["iss"] = json!(format!("https://{token}"));
    case
}

#[test]
fn a_cluster_that_was_created_again() {
    let old = "oidc.eks.sa-east-1.amazonaws.com/id/145438BD0123456789ABCDEF01234567";
    let new = "oidc.eks.sa-east-1.amazonaws.com/id/FEDCBA9876543210FEDCBA9876543210";
    let case = moved(old, new);
    let (check, fix) = case.refused();
    assert_eq!(check, "claim-issuer");
    has(
        &fix,
        &[
            &format!("the trust policy's principal is {}", arn(old)),
            "created again",
            &format!("the principal to {}", arn(new)),
            &format!("the condition keys from {old}:… to {new}:…"),
            "The account was not read",
            "Not authorized to perform sts:AssumeRoleWithWebIdentity",
        ],
    );
    let warnings = case.explain().warnings;
    assert!(
        warnings.iter().any(|warning| warning.id == "provider-not-checked" && warning.text.contains(new)),
        "{warnings:?}"
    );
}

#[test]
fn what_was_read_from_the_account_is_no_guess() {
    let old = "oidc.eks.sa-east-1.amazonaws.com/id/145438BD";
    let mut case = moved(old, "oidc.eks.sa-east-1.amazonaws.com/id/FEDCBA98");
    case.provider_url = Some("https://oidc.eks.sa-east-1.amazonaws.com/id/145438BD");
    let fix = case.fix();
    assert!(!fix.contains("not read"), "{fix}");
    assert!(!case.explain().warnings.iter().any(|warning| warning.id == "provider-not-checked"));
}

#[test]
fn issuers_that_hold_an_id() {
    let cases = [
        ("weu.oic.prod-aks.azure.com/t/1/", "weu.oic.prod-aks.azure.com/t/2/", "AKS cluster"),
        (
            "container.googleapis.com/v1/projects/a/locations/b/clusters/c",
            "container.googleapis.com/v1/projects/a/locations/b/clusters/d",
            "GKE cluster",
        ),
        ("oidc.circleci.com/org/1", "oidc.circleci.com/org/2", "CircleCI organization"),
        (
            "cognito-idp.us-east-1.amazonaws.com/us-east-1_A",
            "cognito-idp.us-east-1.amazonaws.com/us-east-1_B",
            "user pool",
        ),
        ("login.microsoftonline.com/1/v2.0", "sts.windows.net/1/", "two issuers for a tenant"),
        (
            "token.actions.githubusercontent.com",
            "token.actions.githubusercontent.com/acme-inc",
            "include_enterprise_slug",
        ),
        ("id.example.com", "id.example.org", "Otherwise get a token from https://id.example.com"),
    ];
    for (policy, token, expected) in cases {
        has(&moved(policy, token).fix(), &[expected, &arn(token)]);
    }
}
