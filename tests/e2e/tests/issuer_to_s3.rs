//! The main job against a real STS and S3: our issuer over TLS, JWT -> AssumeRoleWithWebIdentity -> S3, at Ceph's RADOS Gateway.
//!
//! Ceph fetches discovery and JWKS from the issuer over verified TLS at every call, checks signature, times, audience and trust policy,
//! and enforces the session tags. Two clients see it: the AWS SDK for Rust and boto3.

mod support;

use support::{Ceph, Issuer, Refused, Stage, TestResult};

/// The wallet that the mock backend answers: its prefix in the bucket.
const WALLET: &str = "0x00000000000000000000000000000000000000a1";
/// Somebody else's.
const OTHER: &str = "0x00000000000000000000000000000000000000b2";

#[tokio::test]
async fn a_minted_token_opens_its_own_prefix_and_nothing_else() -> TestResult {
    let stage = Stage::new()?;
    // An hour ago: its token is long expired now, and the key that signed it is still the issuer's.
    let expired = {
        let past = Issuer::start_an_hour_ago(&stage).await?;
        let token = past.mint("wallet", None).await?;
        past.stop()?;
        token
    };

    let issuer = Issuer::start(&stage).await?;
    let ceph = Ceph::start(&stage, &issuer).await?;
    ceph.set_up(&[WALLET, OTHER]).await?;

    let token = issuer.mint("wallet", None).await?;
    issuer.verified_by_a_relying_party(&token).await?;
    let session = ceph.assume(&token).await?;
    assert_eq!(session.list(&format!("{WALLET}/")).await?, [format!("{WALLET}/mail.txt")], "the own prefix is listed");
    assert_eq!(
        session.get(&format!("{WALLET}/mail.txt")).await?,
        format!("mail of {WALLET}"),
        "the own prefix is read"
    );
    session.get(&format!("{OTHER}/mail.txt")).await.expect_refused("a foreign object")?;
    session.list(&format!("{OTHER}/")).await.expect_refused("a foreign prefix")?;
    session.list("").await.expect_refused("the bare bucket")?;

    let wrong_audience = issuer.mint("wallet", Some("another-audience")).await?;
    ceph.assume(&wrong_audience).await.expect_refused("an audience that the provider does not list")?;
    ceph.assume(&issuer.mint("stranger", None).await?)
        .await
        .expect_refused("a subject that the trust policy does not name")?;
    ceph.assume(&issuer.mint("untagged", None).await?)
        .await
        .expect_refused("a token without the tag that the trust policy demands")?;
    ceph.assume(&expired).await.expect_refused("an expired token")?;

    // The same path with another client.
    let by_boto3 = ceph.prove_with_boto3(&issuer.mint("wallet", None).await?, WALLET, OTHER)?;
    assert_eq!(by_boto3["own"], format!("mail of {WALLET}"));
    assert_eq!(by_boto3["foreign"], "AccessDenied");

    // Last, because nothing is minted for a while then: a good token of a key that is withdrawn afterwards.
    let token = issuer.mint("wallet", None).await?;
    ceph.assume(&token).await?;
    issuer.withdraw_compromised_key(&token).await?;
    ceph.assume(&token).await.expect_refused("a token of a withdrawn key")?;

    issuer.verify_ledger()?;
    Ok(())
}
