//! Rate limits: who is limited, and what never is.

use serde_json::json;
use tagmint_server::settings::{Limits, Rate};
use tagmint_testkit::keys::master_key;

use crate::issuer::{Setup, TestIssuer};

#[tokio::test]
async fn a_credential_that_asks_too_much_waits_and_the_key_set_goes_on() {
    let limits = Limits {
        per_credential: Rate { per_second: 1, burst: 3 },
        per_address: Rate { per_second: 1, burst: 5 },
        ..Limits::default()
    };
    let issuer = TestIssuer::start_with(Setup { limits, ..Setup::default() }).await;
    let session = issuer.open_session().await;
    for _ in 0..3 {
        assert_eq!(issuer.mint(&session, json!({})).await.status, 200);
    }
    let another_spelling = format!(" {session}");
    let answer = issuer.mint(&another_spelling, json!({})).await;
    let problem = answer.problem(429, "too-many-requests");
    assert!(problem["detail"].as_str().unwrap().contains("credential"), "{problem}");
    assert_eq!(answer.header("retry-after"), "1");
    let answer = issuer.mint("tms_test_other", json!({})).await;
    assert!(answer.problem(429, "too-many-requests")["detail"].as_str().unwrap().contains("address"));
    for _ in 0..50 {
        assert_eq!(issuer.get("/.well-known/jwks.json").await.status, 200);
        assert_eq!(issuer.get("/readyz").await.status, 200);
    }
}

#[tokio::test]
async fn a_stranger_cannot_fill_the_ledger() {
    let free = Rate { per_second: 0, burst: 0 };
    let limits = Limits {
        per_credential: free,
        per_address: free,
        failed_per_address: Rate { per_second: 1, burst: 3 },
        ..Limits::default()
    };
    let issuer = TestIssuer::start_with(Setup { limits, ..Setup::default() }).await;
    let session = issuer.open_session().await;
    for _ in 0..3 {
        assert_eq!(issuer.mint("tms_test_x", json!({})).await.status, 401);
    }
    issuer.mint("tms_test_x", json!({})).await.problem(429, "too-many-requests");
    assert_eq!(issuer.mint(&session, json!({})).await.status, 200, "who proves something goes on");
    assert_eq!(issuer.store.ledger().verify(&master_key(1)).await.unwrap().rows, 4);
}
