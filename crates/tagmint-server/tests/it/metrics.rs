//! What Prometheus reads, from the first scrape on.

use std::collections::BTreeSet;

use serde_json::json;
use tagmint_server::metrics::{ABSENT_UNTIL_KNOWN, CATALOGUE};

use crate::issuer::TestIssuer;

async fn scrape(issuer: &TestIssuer) -> String {
    let answer = issuer.send_admin("/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").starts_with("text/plain"));
    String::from_utf8(answer.body).unwrap()
}

/// The value of a series.
fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in\n{text}")).parse().unwrap()
}

#[tokio::test]
async fn every_series_that_can_be_told_beforehand_is_in_the_first_scrape() {
    let issuer = TestIssuer::start().await;
    let text = scrape(&issuer).await;
    let there: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    for (name, kind, _) in CATALOGUE {
        let has_series = text.lines().any(|line| line.starts_with(name) && !line.starts_with('#'));
        let absent = ABSENT_UNTIL_KNOWN.contains(name);
        assert!(there.contains(name) && has_series || absent, "no {name} ({kind}) in\n{text}");
        assert!(!(absent && has_series), "{name} is said to be absent at first");
    }
    for series in [
        r#"tagmint_mints_total{route="POST /v1/tokens"}"#,
        r#"tagmint_mints_total{route="GET /v1/aws/credentials"}"#,
        "tagmint_anonymous_mints_total",
        r#"tagmint_refusals_total{reason="no_rule"}"#,
        r#"tagmint_refusals_total{reason="ci_token_spent"}"#,
        r#"tagmint_mint_failures_total{reason="ledger"}"#,
        r#"tagmint_rate_limited_total{bucket="failed_authentication"}"#,
        r#"tagmint_refusals_unrecorded_total{limit="refusal_rows"}"#,
        r#"tagmint_session_refusals_total{reason="auth_token_refused"}"#,
        r#"tagmint_role_credentials_total{result="refused"}"#,
        r#"tagmint_http_requests_total{route="/v1/tokens",status="5xx"}"#,
        r#"tagmint_http_request_duration_seconds_count{route="/v1/tokens"}"#,
        r#"tagmint_http_request_duration_seconds_bucket{route="/.well-known/jwks.json",le="+Inf"}"#,
        r#"tagmint_alarms_firing{alarm="disk-nearly-full",severity="critical"}"#,
    ] {
        assert!(value(&text, series).abs() < f64::EPSILON, "{series}");
    }
    let build = format!(r#"tagmint_build_info{{version="{}",environment="test"}}"#, env!("CARGO_PKG_VERSION"));
    assert!((value(&text, &build) - 1.0).abs() < f64::EPSILON);
    for figure in ["process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds"] {
        assert!(value(&text, figure) > 0.0, "{figure}");
    }
}

#[tokio::test]
async fn a_scrape_is_in_order_and_counts_begin_at_nought() {
    let issuer = TestIssuer::start().await;
    let series = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect()
    };
    let first = scrape(&issuer).await;
    let names: Vec<&str> = first.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert!(names.is_sorted(), "{names:?}");
    let session = issuer.open_session().await;
    assert_eq!(issuer.mint(&session, json!({})).await.status, 200);
    assert_eq!(issuer.mint(&session, json!({"audience": "nobody"})).await.status, 403);
    let second = scrape(&issuer).await;
    assert_eq!(series(&first), series(&second), "the same series in the same order");
    for counted in [
        r#"tagmint_mints_total{route="POST /v1/tokens"}"#,
        r#"tagmint_refusals_total{reason="audience_not_allowed"}"#,
        "tagmint_sessions_opened_total",
    ] {
        assert!((value(&second, counted) - value(&first, counted) - 1.0).abs() < f64::EPSILON, "{counted}");
    }
}
