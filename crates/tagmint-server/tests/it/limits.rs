//! Rate limits: who is limited, and what never is.

use serde_json::json;
use tagmint_server::settings::{Limits, Rate};

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
    let answer = issuer.mint(&session, json!({})).await;
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
