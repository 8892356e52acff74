//! What the issuer stands on goes away, or changes.

use std::{
    fs,
    time::{Duration, Instant},
};

use super::{TestResult, issuer::Issuer};

const JWKS: &str = "/.well-known/jwks.json";
/// The files of a certificate are looked at every ten seconds, and once more before they are taken up.
const TAKEN_UP: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(200);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewed_certificate_is_taken_up_and_open_connections_go_on() -> TestResult {
    let mut issuer = Issuer::start(400)?;
    let before = issuer.victim()?;
    // It has no second connection from here on: of a new certificate it knows nothing.
    let kept = issuer.client()?;
    assert!(kept.get(issuer.url(JWKS)).send().await?.status().is_success());
    issuer.renew()?;
    let after = issuer.victim()?;
    let began = Instant::now();
    while after.fetch(JWKS).await.is_err() {
        assert!(began.elapsed() < TAKEN_UP, "not taken up: {}", issuer.process.stderr());
        assert!(kept.get(issuer.url(JWKS)).send().await?.status().is_success());
        tokio::time::sleep(LOOK).await;
    }
    assert!(before.fetch(JWKS).await.is_err(), "new connections get the new one");
    assert!(kept.get(issuer.url(JWKS)).send().await?.status().is_success(), "the open one goes on");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_database_destroyed_the_keys_are_still_there() -> TestResult {
    let issuer = Issuer::start(400)?;
    let client = issuer.client()?;
    let keys = client.get(issuer.url(JWKS)).send().await?.text().await?;
    assert!(client.get(issuer.url("/readyz")).send().await?.status().is_success());
    // In place, so that the issuer's open files see it, and then the names.
    for name in ["tagmint.db-wal", "tagmint.db"] {
        let file = issuer.file(name);
        fs::write(&file, vec![0xa5; 64 << 10])?;
        fs::remove_file(&file)?;
    }
    let began = Instant::now();
    while client.get(issuer.url("/readyz")).send().await?.status().is_success() {
        assert!(began.elapsed() < TAKEN_UP, "it does not notice");
        tokio::time::sleep(LOOK).await;
    }
    for _ in 0..20 {
        let answer = client.get(issuer.url(JWKS)).send().await?;
        assert!(answer.status().is_success());
        assert_eq!(answer.text().await?, keys);
        issuer.victim()?.fetch(JWKS).await?;
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
