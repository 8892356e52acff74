//! AWS's side of a local issuer: what `tagmint localaws --seed` and the demo set up.

use serde_json::{Value, json};

use super::{AUDIENCE, BUCKET, ROLE_ARN, ROLE_NAME, WALLET_TAG};

/// The account of `tagmint localaws` where none is named.
const ACCOUNT: &str = "000000000000";

/// Provider, role and bucket: the trust policy wants the audience and the wallet's tag, the bucket's policy lets each wallet below its own
/// prefix. The role has no policy of its own, so that nothing masks the bucket's.
pub(super) fn set_up(issuer: &str) -> Value {
    let provider = issuer.trim_start_matches("https://");
    let bucket = format!("arn:aws:s3:::{BUCKET}");
    let wallet = format!("${{aws:PrincipalTag/{WALLET_TAG}}}");
    let principal = json!({"AWS": ROLE_ARN});
    json!({
        "providers": [{"url": issuer, "client_ids": [AUDIENCE]}],
        "roles": [{
            "name": ROLE_NAME,
            "trust_policy": {
                "Version": "2012-10-17",
                "Statement": [{
                    "Effect": "Allow",
                    "Principal": {"Federated": format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{provider}")},
                    "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"],
                    "Condition": {
                        "StringEquals": {format!("{provider}:aud"): AUDIENCE},
                        "StringLike": {format!("{provider}:sub"): "wallet:0x*"},
                        "Null": {format!("aws:RequestTag/{WALLET_TAG}"): "false"},
                    },
                }],
            },
        }],
        "buckets": [{
            "name": BUCKET,
            "policy": {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow", "Principal": principal, "Action": "s3:ListBucket", "Resource": bucket,
                        "Condition": {"StringLike": {"s3:prefix": format!("{wallet}/*")}},
                    },
                    {
                        "Effect": "Allow", "Principal": principal,
                        "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
                        "Resource": format!("{bucket}/{wallet}/*"),
                    },
                ],
            },
        }],
    })
}
