//! Ceph's RADOS Gateway, set up to trust an issuer. What differs from AWS is told with [`CephGuard`].

use aws_sdk_s3::{
    config::{BehaviorVersion, Credentials, Region},
    primitives::ByteStream,
};
use serde_json::{Value, json};
use tagmint_e2e::{CephGuard, CephOptions};

use super::{BUCKET, Issuer, OTHER, ROLE, TAG, TestResult, WALLET};

/// Starts a cluster that trusts the issuer's CA, with provider, role, bucket and an object of each wallet.
pub async fn start(issuer: &Issuer) -> TestResult<CephGuard> {
    let options = CephOptions { ca_file: Some(issuer.field("ca_file")?.into()), verbose: true };
    let guard = tokio::task::spawn_blocking(move || CephGuard::start(&options)).await??;
    let keys = guard.admin();
    let admin = Credentials::new(keys.access_key_id.as_str(), keys.secret_access_key.as_str(), None, None, "ceph");
    let iam = aws_sdk_iam::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(guard.endpoint())
        .region(Region::new(guard.region()))
        .credentials_provider(admin.clone());
    let iam = aws_sdk_iam::Client::from_conf(iam.build());
    let url = issuer.field("issuer")?;
    let provider = iam.create_open_id_connect_provider().url(url).client_id_list("sts.amazonaws.com");
    provider.thumbprint_list("0".repeat(40)).send().await?;
    let trust = trust_policy(url.trim_start_matches("https://")).to_string();
    iam.create_role().role_name(ROLE).assume_role_policy_document(trust).send().await?;
    let policy = iam.put_role_policy().role_name(ROLE).policy_name("own-prefix");
    policy.policy_document(role_policy().to_string()).send().await?;

    let s3 = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(guard.endpoint())
        .region(Region::new(guard.region()))
        .credentials_provider(admin)
        .force_path_style(true)
        .request_checksum_calculation(aws_sdk_s3::config::RequestChecksumCalculation::WhenRequired);
    let s3 = aws_sdk_s3::Client::from_conf(s3.build());
    s3.create_bucket().bucket(BUCKET).send().await?;
    for wallet in [WALLET, OTHER] {
        let put = s3.put_object().bucket(BUCKET).key(format!("{wallet}/mail.txt"));
        put.body(ByteStream::from_static(b"mail")).send().await?;
    }
    Ok(guard)
}

/// Ceph ignores the value of `Null`: the tag is demanded with `StringLike`.
fn trust_policy(provider: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": {"Federated": [format!("arn:aws:iam:::oidc-provider/{provider}")]},
            "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"],
            "Condition": {
                "StringEquals": {format!("{provider}:aud"): "sts.amazonaws.com"},
                "StringLike": {format!("aws:RequestTag/{TAG}"): "?*"},
            },
        }],
    })
}

/// In Ceph 16 a variable works as a whole condition value alone, so the wallet's objects are named.
fn role_policy() -> Value {
    let (bucket, tag) = (format!("arn:aws:s3:::{BUCKET}"), format!("aws:PrincipalTag/{TAG}"));
    json!({"Version": "2012-10-17", "Statement": [
        {
            "Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": [bucket],
            "Condition": {"StringEquals": {"s3:prefix": format!("{WALLET}/"), &tag: WALLET}},
        },
        {
            "Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": [format!("{bucket}/{WALLET}/*")],
            "Condition": {"StringEquals": {&tag: WALLET}},
        },
    ]})
}
