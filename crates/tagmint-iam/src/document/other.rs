//! JSON that is no policy and has none: what it is, and what to give instead.

use serde_json::Value;

use crate::policy::Kind;

/// Describes the document, if its kind is known.
pub(super) fn named(value: &Value, kind: Kind) -> Option<String> {
    let has = |name: &str| value.get(name).is_some();
    let role = |name: &str| value.get("RoleName").and_then(Value::as_str).unwrap_or(name).to_owned();
    let known = if has("ClientIDList") {
        "it is the output of `aws iam get-open-id-connect-provider`, which has no policy: give it as --provider FILE"
            .to_owned()
    } else if has("OpenIDConnectProviderList") {
        "it is the output of `aws iam list-open-id-connect-providers`, which has ARNs alone: `aws iam get-open-id-connect-provider \
         --open-id-connect-provider-arn ARN` describes one, for --provider FILE"
            .to_owned()
    } else if let Some(names) = value.get("PolicyNames").and_then(Value::as_array) {
        let name = names.first().and_then(Value::as_str).unwrap_or("NAME");
        let (what, get) = if kind == Kind::Trust {
            ("no trust policy", format!("aws iam get-role --role-name {}", role("NAME")))
        } else {
            ("names alone", format!("aws iam get-role-policy --role-name {} --policy-name {name}", role("ROLE")))
        };
        format!("it is the output of `aws iam list-role-policies`, which has {what}: give the output of `{get}`")
    } else if let Some(attached) = value.get("AttachedPolicies") {
        let arn = attached.pointer("/0/PolicyArn").and_then(Value::as_str).unwrap_or("ARN");
        format!(
            "it is the output of `aws iam list-attached-role-policies`, which has ARNs alone: give the output of `aws iam get-policy-version \
             --policy-arn {arn} --version-id VERSION`; `aws iam get-policy --policy-arn {arn}` tells the version"
        )
    } else if let Some(version) = value.pointer("/Policy/DefaultVersionId").and_then(Value::as_str) {
        let arn = value.pointer("/Policy/Arn").and_then(Value::as_str).unwrap_or("ARN");
        format!(
            "it is the output of `aws iam get-policy`, which does not have the document: give the output of `aws iam get-policy-version \
             --policy-arn {arn} --version-id {version}`"
        )
    } else if has("Versions") {
        "it is the output of `aws iam list-policy-versions`, which does not have the documents: give the output of `aws iam get-policy-version \
         --policy-arn ARN --version-id VERSION`"
            .to_owned()
    } else if has("keys") {
        "it is a key set and no policy: give it as --jwks FILE".to_owned()
    } else if has("jwks_uri") {
        "it is a discovery document and no policy: --fetch gets it by itself".to_owned()
    } else if has("Credentials") {
        "it is the output of `aws sts`, with credentials in it, and no policy".to_owned()
    } else if has("iss") && has("sub") {
        "these are a token's claims and no policy: give the token as --token FILE".to_owned()
    } else {
        return None;
    };
    Some(known)
}
