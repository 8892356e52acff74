//! One CI token, exchanged more than once: what is allowed, what is told, and what is said of a token that was used.

use std::net::IpAddr;

use axum::http::StatusCode;
use jiff::SignedDuration;
use tagmint_core::trusted_issuer::Reuse;
use tagmint_server::client_address::Peer;

use crate::{
    exchange::{EXCHANGE, ID_TOKEN, Stage, kind, request},
    issuer::Answer,
};

/// The same exchange by a caller at this address.
async fn exchange_from(stage: &Stage, token: &str, address: IpAddr) -> Answer {
    let form = [("grant_type", EXCHANGE), ("subject_token_type", ID_TOKEN), ("subject_token", token)];
    let mut request = request(&form);
    request.extensions_mut().insert(Peer::Tcp((address, 1).into()));
    stage.issuer.send(request).await
}

async fn metrics(stage: &Stage) -> String {
    String::from_utf8(stage.issuer.send_admin("/metrics").await.body).unwrap()
}

/// What is said of a token that was used is what is known.
#[tokio::test]
async fn a_used_token_is_explained_and_nobody_is_accused() {
    let says = async |reuse: Reuse, clock: i64, audience: Option<&str>| {
        let stage = Stage::with(|trusted_issuer| trusted_issuer.reuse = reuse).await;
        let token = stage.push();
        let form = |audience: Option<&'static str>| {
            let mut form = vec![("grant_type", EXCHANGE), ("subject_token_type", ID_TOKEN)];
            form.extend(audience.map(|audience| ("audience", audience)));
            form
        };
        let ask = async |audience: Option<&str>| {
            let audience = audience.map(|_| "second.example");
            let mut fields = form(audience);
            fields.push(("subject_token", token.as_str()));
            stage.post(&fields).await
        };
        let mut last = ask(None).await;
        assert_eq!(last.status, StatusCode::OK);
        stage.issuer.clock.advance(SignedDuration::from_secs(clock));
        for _ in 0..5 {
            last = ask(audience).await;
        }
        assert_eq!(kind(&last), "ci-token-spent");
        let text = last.json()["error_description"].as_str().unwrap().to_owned();
        assert!(!text.contains("somebody") && !text.contains("someone"), "{text}");
        text
    };
    let times = |uses| Reuse::Times { uses, within: SignedDuration::from_secs(10) };
    let once = says(Reuse::ONCE, 0, None).await;
    assert!(once.contains("is good for one exchange; ask the platform for another token"), "{once}");
    let used_up = says(times(3), 0, None).await;
    assert!(used_up.contains("3 times in all, as often as the provider `github` allows (`uses`)"), "{used_up}");
    assert!(!used_up.contains("one exchange"), "{used_up}");
    let late = says(times(9), 11, None).await;
    assert!(late.contains("longer ago than the 10s in which the provider `github` allows it again"), "{late}");
    let other = says(times(9), 0, Some("second.example")).await;
    assert!(other.contains("for another audience or role; ask the platform for a token of its own"), "{other}");
}

/// A platform that hands out one token for an hour.
#[tokio::test]
async fn a_token_may_be_reused_until_it_expires() {
    let reuse = Reuse::UntilExpiry { per_minute: 4, one_network: true };
    let stage = Stage::with(|trusted_issuer| trusted_issuer.reuse = reuse).await;
    let token = stage.push();
    for _ in 0..4 {
        assert_eq!(stage.exchange(&token).await.status, StatusCode::OK);
    }
    let too_often = stage.exchange(&token).await;
    assert_eq!((too_often.status, kind(&too_often).as_str()), (StatusCode::TOO_MANY_REQUESTS, "too-many-requests"));
    assert!(too_often.headers.contains_key("retry-after"));
    stage.issuer.clock.advance(SignedDuration::from_secs(60));
    assert_eq!(stage.exchange(&token).await.status, StatusCode::OK, "the next minute");
    let other = [
        ("grant_type", EXCHANGE),
        ("subject_token_type", ID_TOKEN),
        ("subject_token", token.as_str()),
        ("audience", "second.example"),
    ];
    let refused = stage.post(&other).await;
    assert_eq!(kind(&refused), "ci-token-spent");
    assert!(refused.json()["error_description"].as_str().unwrap().contains("for another audience;"), "{refused:?}");

    // From another network it is refused, and that is told.
    let away = "203.0.113.9".parse().unwrap();
    let elsewhere = exchange_from(&stage, &token, away).await;
    assert_eq!(kind(&elsewhere), "ci-token-spent");
    let text = elsewhere.json()["error_description"].as_str().unwrap().to_owned();
    assert!(text.contains("from another network") && text.contains("`reuse_from`"), "{text}");
    exchange_from(&stage, &token, away).await;
    let figures = metrics(&stage).await;
    let line = r#"tagmint_ci_token_networks_total{provider="github",result="refused"} 1"#;
    assert!(figures.contains(line), "once for each network: {figures}");
    stage.issuer.clock.advance(SignedDuration::from_mins(10));
    assert_eq!(kind(&stage.exchange(&token).await), "ci-token-invalid", "it has expired");
}

#[tokio::test]
async fn a_token_that_may_be_reused_anywhere_is_told_of() {
    let reuse = Reuse::UntilExpiry { per_minute: 100, one_network: false };
    let stage = Stage::with(|trusted_issuer| trusted_issuer.reuse = reuse).await;
    let line = |count| format!(r#"tagmint_ci_token_networks_total{{provider="github",result="allowed"}} {count}"#);
    assert!(metrics(&stage).await.contains(&line(0)), "known from the start");
    let token = stage.push();
    // The last two are in one network with one before them.
    for address in ["127.0.0.1", "203.0.113.9", "2001:db8::1", "203.0.113.77", "2001:db8::ffff"] {
        assert_eq!(exchange_from(&stage, &token, address.parse().unwrap()).await.status, StatusCode::OK, "{address}");
    }
    assert!(metrics(&stage).await.contains(&line(2)), "{}", metrics(&stage).await);
}
