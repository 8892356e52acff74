//! The set-up that the documentation shows.

use serde_json::json;

use super::stage::{HOST, Options, Stage};

const PAGE: &str = include_str!("../../../../docs/localaws.md");
const ROLE: &str = "arn:aws:iam::000000000000:role/agentkeys-data-role-test";
const WALLET: &str = "0x00000000000000000000000000000000000000aa";

#[tokio::test]
async fn the_documented_seed_lets_a_wallet_below_its_prefix() {
    let (_, rest) = PAGE.split_once("```json\n").unwrap();
    let (seed, _) = rest.split_once("\n```").unwrap();
    // As it stands, and for the issuer of this test.
    let as_it_stands = Options { seed: Some(serde_json::from_str(seed).unwrap()), ..Options::default() };
    Stage::open(&as_it_stands).unwrap();
    let here = serde_json::from_str(&seed.replace("localhost:8443", HOST)).unwrap();
    let stage = Stage::new(Options { seed: Some(here), ..Options::default() }).await;
    let token = stage.token(json!({
        "sub": format!("wallet:{WALLET}"),
        "https://aws.amazon.com/tags": {
            "principal_tags": {"agentkeys_user_wallet": [WALLET]}, "transitive_tag_keys": ["agentkeys_user_wallet"],
        },
    }));
    let form = format!(
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn={ROLE}&RoleSessionName=test&WebIdentityToken={token}"
    );
    let session = stage.post(&form, None, "sts").await.keys();
    let put = async |prefix: &str| {
        let path = format!("/agentkeys-mail-test/{prefix}/mail.txt");
        stage.s3("PUT", &path, Some(&session), "mail").await.status
    };
    assert_eq!((put(WALLET).await, put("0xbb").await), (200, 403));
}
