//! The promise: no token without its row, and a row for every refusal.

use std::sync::mpsc;

use axum::http::Method;
use jiff::Timestamp;
use serde_json::json;
use tagmint_core::{
    key_schedule::KeyState,
    ledger::{LedgerEntry, Outcome},
    random::SystemRandom,
};
use tagmint_store::{KeyCandidate, LedgerQuery};
use tagmint_testkit::keys::{fresh_signing_key, master_key};

use crate::issuer::{TestIssuer, WALLET};

async fn entries(issuer: &TestIssuer) -> Vec<LedgerEntry> {
    let rows = issuer.store.ledger().page(&LedgerQuery::default(), 10_000).await.unwrap();
    rows.iter().map(|row| serde_json::from_str(&row.body).unwrap()).collect()
}

#[tokio::test]
async fn every_mint_and_every_refusal_is_a_row() {
    let issuer = TestIssuer::start().await;
    let session = issuer.open_session().await;
    let minted = issuer.mint(&session, json!({})).await;
    let denied = issuer.mint(&session, json!({"audience": "nobody"})).await;
    let unknown = issuer.call(Method::GET, "/v1/id-token", "tms_test_x", "").await;
    let malformed = issuer.call(Method::POST, "/v1/tokens", &session, "{").await;
    assert_eq!([&minted, &denied, &unknown, &malformed].map(|a| a.status.as_u16()), [200, 403, 401, 400]);

    let entries = entries(&issuer).await;
    assert_eq!(entries.len(), 3, "a malformed request asked for nothing");
    assert_eq!(entries[0].request_id.to_string(), minted.header("x-request-id"));
    assert_eq!((entries[0].rule.as_deref(), entries[0].identity.as_deref()), (Some("wallet"), Some(WALLET)));
    assert!(entries[0].credential.as_deref().unwrap().starts_with("ses_"));
    let Outcome::Minted(row) = &entries[0].outcome else { panic!("{:?}", entries[0]) };
    assert_eq!(minted.json()["mint_id"], row.mint_id.to_string());
    let Outcome::Refused(row) = &entries[1].outcome else { panic!("{:?}", entries[1]) };
    assert_eq!((row.code.as_str(), entries[1].rule.as_deref()), ("audience_not_allowed", Some("wallet")));
    let Outcome::Refused(row) = &entries[2].outcome else { panic!("{:?}", entries[2]) };
    assert_eq!((row.code.as_str(), entries[2].route.as_str()), ("credential_malformed", "GET /v1/id-token"));
    assert_eq!((entries[2].identity.as_deref(), entries[2].rule.as_deref()), (None, None));

    let report = issuer.store.ledger().verify(&master_key(1)).await.unwrap();
    assert_eq!(report.rows, 3);
}

#[tokio::test]
async fn no_secret_and_no_signature_reaches_the_ledger() {
    let issuer = TestIssuer::start().await;
    let session = issuer.open_session().await;
    let token = issuer.mint(&session, json!({})).await.json()["token"].as_str().unwrap().to_owned();
    let signature = token.rsplit('.').next().unwrap();
    let files =
        ["tagmint.db", "tagmint.db-wal"].map(|name| std::fs::read(issuer.dir.path().join(name)).unwrap_or_default());
    for secret in [session.as_str(), signature, &token] {
        for file in &files {
            assert!(!file.windows(secret.len()).any(|window| window == secret.as_bytes()));
        }
    }
}

#[tokio::test]
async fn a_thousand_concurrent_mints_are_a_thousand_rows_in_few_commits() {
    let issuer = std::sync::Arc::new(TestIssuer::start().await);
    let session = issuer.open_session().await;
    let mints: Vec<_> = (0..1000)
        .map(|_| {
            let (issuer, session) = (std::sync::Arc::clone(&issuer), session.clone());
            tokio::spawn(async move { issuer.mint(&session, json!({})).await.status.as_u16() })
        })
        .collect();
    for mint in mints {
        assert_eq!(mint.await.unwrap(), 200);
    }
    let entries = entries(&issuer).await;
    assert_eq!(entries.len(), 1000);
    let ids: std::collections::BTreeSet<String> = entries.iter().map(LedgerEntry::id).collect();
    assert_eq!(ids.len(), 1000);
    assert_eq!(issuer.store.ledger().verify(&master_key(1)).await.unwrap().rows, 1000);
}

/// Holds the database's write lock until the sender is dropped, as a hanging process would. Blocks one worker of the runtime.
pub(crate) async fn hold_write_lock(issuer: &TestIssuer) -> (mpsc::Sender<()>, tokio::task::JoinHandle<()>) {
    let (release, released) = mpsc::channel::<()>();
    let (held, is_held) = tokio::sync::oneshot::channel();
    let store = issuer.store.clone();
    let task = tokio::spawn(async move {
        let key = fresh_signing_key();
        let candidate = KeyCandidate { key: &key, certificate_der: None };
        let plan = move |_: &[KeyState]| {
            let _ = held.send(());
            let _ = released.recv();
            Ok::<_, std::convert::Infallible>(vec![])
        };
        store.keys().change(Timestamp::UNIX_EPOCH, &candidate, &master_key(1), &SystemRandom, plan).await.unwrap();
    });
    is_held.await.unwrap();
    (release, task)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn nothing_is_minted_when_the_ledger_cannot_be_written() {
    let issuer = TestIssuer::start().await;
    let session = issuer.open_session().await;
    let (release, holder) = hold_write_lock(&issuer).await;
    let answer = issuer.mint(&session, json!({})).await;
    answer.problem(503, "ledger-unavailable");
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(!text.contains("eyJ"), "no token in the answer: {text}");
    assert!(!text.contains("tagmint.db"), "the file is named in the log alone: {text}");
    issuer.mint(&session, json!({"audience": "nobody"})).await.problem(503, "ledger-unavailable");
    let health = issuer.get("/readyz").await;
    assert_eq!(health.status, 503);
    assert!(health.json().to_string().contains("the database cannot be written"));
    assert_eq!(issuer.get("/.well-known/jwks.json").await.status, 200);
    drop(release);
    holder.await.unwrap();
    assert_eq!(issuer.mint(&session, json!({})).await.status, 200, "it recovers by itself");
    let report = issuer.store.ledger().verify(&master_key(1)).await.unwrap();
    assert_eq!(report.rows, 1);
}
