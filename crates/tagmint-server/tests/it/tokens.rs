//! Every way to get a token, and what each refuses.

use axum::{
    body::Body,
    http::{Method, Request},
};
use serde_json::{Value, json};
use tagmint_core::signing_key::Algorithm;

use crate::issuer::{AUDIENCE, ROLE, Setup, TestIssuer, WALLET};

#[tokio::test]
async fn a_token_carries_what_aws_reads() {
    for algorithm in [Algorithm::Es256, Algorithm::Rs256] {
        let issuer = TestIssuer::start_with(Setup { algorithm, ..Setup::default() }).await;
        let session = issuer.open_session().await;
        let answer = issuer.mint(&session, json!({})).await;
        assert_eq!(answer.status, 200, "{}", answer.json());
        assert_eq!(answer.header("cache-control"), "no-store");
        let body = answer.json();
        let verified = issuer.verify(body["token"].as_str().unwrap()).await.unwrap();
        assert_eq!(verified.algorithm, algorithm);
        assert_eq!(verified.header["typ"], "JWT");
        let claims = Value::Object(verified.claims);
        assert_eq!(
            claims,
            json!({
                "iss": "https://broker.example",
                "sub": format!("wallet:{WALLET}"),
                "aud": AUDIENCE,
                "iat": 1_790_000_000,
                "nbf": 1_790_000_000,
                "exp": 1_790_000_300,
                "jti": body["mint_id"],
                "https://aws.amazon.com/tags": {
                    "principal_tags": {"agentkeys_user_wallet": [WALLET]},
                    "transitive_tag_keys": ["agentkeys_user_wallet"],
                },
                "https://aws.amazon.com/source_identity": body["mint_id"],
                "https://aws.amazon.com/roles": [ROLE],
            })
        );
        assert_eq!(body["subject"], claims["sub"]);
        assert_eq!(body["audience"], AUDIENCE);
        assert_eq!(body["tags"], json!({"agentkeys_user_wallet": WALLET}));
        assert_eq!(body["expires_at"], "2026-09-21T14:18:20Z");
    }
}

#[tokio::test]
async fn an_empty_body_asks_for_the_rules_own_values() {
    let issuer = TestIssuer::start().await;
    let session = issuer.open_session().await;
    assert_eq!(issuer.call(Method::POST, "/v1/tokens", &session, "").await.status, 200);
}

#[tokio::test]
async fn a_request_narrows_within_the_rule() {
    let issuer = TestIssuer::start().await;
    let session = issuer.open_session().await;
    let request = json!({
        "audience": AUDIENCE, "role": ROLE, "lifetime_seconds": 600, "rule": "wallet",
        "tags": {"project": "mail", "agentkeys_user_wallet": WALLET},
    });
    let body = issuer.mint(&session, request).await.json();
    assert_eq!(body["tags"], json!({"agentkeys_user_wallet": WALLET, "project": "mail"}));
    let claims = issuer.verify(body["token"].as_str().unwrap()).await.unwrap().claims;
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 600);
}

#[tokio::test]
async fn what_the_rule_does_not_allow_is_refused_with_its_name() {
    let issuer = TestIssuer::start().await;
    let session = issuer.open_session().await;
    for request in [
        json!({"audience": "nobody.example"}),
        json!({"audience": ""}),
        json!({"audience": "STS.amazonaws.com"}),
        json!({"role": "arn:aws:iam::123456789012:role/admin"}),
        json!({"lifetime_seconds": 601}),
        json!({"lifetime_seconds": 59}),
        json!({"lifetime_seconds": -1}),
        json!({"tags": {"agentkeys_user_wallet": "0xb"}}),
        json!({"tags": {"Agentkeys_user_wallet": WALLET}}),
        json!({"tags": {"unknown": "x"}}),
        json!({"tags": {"project": "*"}}),
        json!({"tags": {"project": "v".repeat(257)}}),
    ] {
        let answer = issuer.mint(&session, request.clone()).await;
        let problem = answer.problem(403, "not-allowed");
        assert_eq!(problem["rule"], "wallet", "{request}: {problem}");
    }
    let broken = issuer.mint(&session, json!({"rule": "broken"})).await.problem(403, "not-allowed");
    assert_eq!(broken["rule"], "broken", "a rule that errors denies");
    let unknown = issuer.mint(&session, json!({"rule": "no-such"})).await.problem(403, "not-allowed");
    assert_eq!(unknown.get("rule"), None);
}

#[tokio::test]
async fn malformed_bodies_get_a_clear_400() {
    let issuer = TestIssuer::start().await;
    let session = issuer.open_session().await;
    for (body, says) in [
        ("{", "EOF"),
        ("[]", "JSON object"),
        (r#"["sts.amazonaws.com", null, null, "wallet", {}]"#, "JSON object"),
        ("null", "JSON object"),
        (r#"{"aud": "x"}"#, "unknown field `aud`"),
        (r#"{"audience": 1}"#, "expected a string"),
        (r#"{"lifetime_seconds": 1.5}"#, "expected i64"),
        (r#"{"lifetime_seconds": 1e400}"#, "number out of range"),
        (r#"{"audience": "a", "audience": "b"}"#, "stands twice"),
        (r#"{"tags": {"project": "a", "project": "b"}}"#, "stands twice"),
        (r#"{"tags": ["project"]}"#, "expected a map"),
        (r"{} {}", "trailing"),
    ] {
        let problem = issuer.call(Method::POST, "/v1/tokens", &session, body).await.problem(400, "malformed-body");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{body}: {problem}");
    }
    let invalid_utf8 = issuer.call(Method::POST, "/v1/tokens", &session, vec![b'"', 0xff, b'"']).await;
    invalid_utf8.problem(400, "malformed-body");
    issuer.call(Method::POST, "/v1/tokens", &session, vec![b' '; 65_537]).await.problem(413, "body-too-large");
}

#[tokio::test]
async fn the_github_protocol_gets_its_value() {
    let issuer = TestIssuer::start().await;
    let session = issuer.open_session().await;
    for query in
        ["", "?v=1&aud=x", "?v=1", "?v=1&audience=sts.amazonaws.com", "?api-version=2.0&audience=sts.amazonaws.com"]
    {
        let answer = issuer.call(Method::GET, &format!("/v1/id-token{query}"), &session, "").await;
        assert_eq!(answer.status, 200, "{query}");
        issuer.verify(answer.json()["value"].as_str().unwrap()).await.unwrap();
    }
    issuer.call(Method::GET, "/v1/id-token?audience=x", &session, "").await.problem(403, "not-allowed");
    for query in ["?audience=a&audience=b", "?audience=%ff"] {
        issuer.call(Method::GET, &format!("/v1/id-token{query}"), &session, "").await.problem(400, "malformed-request");
    }
}

#[tokio::test]
async fn the_earlier_brokers_clients_get_their_form() {
    let issuer = TestIssuer::start().await;
    let session = issuer.open_session().await;
    let answer = issuer.call(Method::POST, "/v1/mint-oidc-jwt", &session, "").await;
    let body = answer.json();
    assert_eq!((body["wallet"].as_str(), body["expiration"].as_i64()), (Some(WALLET), Some(1_790_000_300)));
    issuer.verify(body["jwt"].as_str().unwrap()).await.unwrap();
    let (_, bearer) = issuer.make_bearer(None).await;
    issuer.call(Method::POST, "/v1/mint-oidc-jwt", &bearer, "").await.problem(403, "session-required");
}

fn client_credentials(form: &str) -> Request<Body> {
    let request = Request::post("/oauth2/token").header("content-type", "application/x-www-form-urlencoded");
    request.body(Body::from(form.to_owned())).unwrap()
}

#[tokio::test]
async fn a_bearer_is_a_client_secret() {
    use base64::Engine;
    let issuer = TestIssuer::start().await;
    let session = issuer.open_session().await;
    let form = format!("grant_type=client_credentials&client_id=x&client_secret={session}&audience=sts.amazonaws.com");
    let answer = issuer.send(client_credentials(&form)).await;
    let body = answer.json();
    assert_eq!(
        (body["token_type"].as_str(), body["expires_in"].as_i64(), body["issued_token_type"].as_str()),
        (Some("Bearer"), Some(300), Some("urn:ietf:params:oauth:token-type:jwt"))
    );
    issuer.verify(body["access_token"].as_str().unwrap()).await.unwrap();

    let basic = base64::prelude::BASE64_STANDARD.encode(format!("x:{session}"));
    let mut request = client_credentials("grant_type=client_credentials");
    request.headers_mut().insert("authorization", format!("Basic {basic}").parse().unwrap());
    assert_eq!(issuer.send(request).await.status, 200);
}

#[tokio::test]
async fn oauth_errors_have_the_rfcs_form() {
    let issuer = TestIssuer::start().await;
    let session = issuer.open_session().await;
    let (_, bearer) = issuer.make_bearer(None).await;
    let secret = format!("client_secret={session}");
    for (form, status, error) in [
        (secret.clone(), 400, "invalid_request"),
        (format!("grant_type=password&{secret}"), 400, "unsupported_grant_type"),
        (format!("grant_type=client_credentials&grant_type=client_credentials&{secret}"), 400, "invalid_request"),
        ("grant_type=client_credentials".to_owned(), 401, "invalid_client"),
        ("grant_type=client_credentials&client_secret=x".to_owned(), 401, "invalid_client"),
        (format!("grant_type=client_credentials&audience=nobody&{secret}"), 400, "invalid_target"),
        (format!("grant_type=client_credentials&client_secret={bearer}"), 400, "invalid_request"),
    ] {
        let answer = issuer.send(client_credentials(&form)).await;
        let body = answer.json();
        assert_eq!((answer.status.as_u16(), body["error"].as_str()), (status, Some(error)), "{form}: {body}");
        assert!(!body["error_description"].as_str().unwrap().is_empty());
        assert_eq!(answer.header("www-authenticate").starts_with("Basic"), status == 401);
    }
}

#[tokio::test]
async fn a_refusal_on_one_path_is_a_refusal_on_all() {
    let issuer = TestIssuer::start().await;
    let (_, bearer) = issuer.make_bearer(None).await;
    let (_, bound) = issuer.make_bearer(Some("wallet")).await;
    // The rule `ci` demands a tag that these routes cannot carry; the second bearer is bound to a rule for sessions.
    for credential in [&bearer, &bound] {
        let tokens = issuer.mint(credential, json!({})).await;
        let id_token = issuer.call(Method::GET, "/v1/id-token", credential, "").await;
        let oauth =
            issuer.send(client_credentials(&format!("grant_type=client_credentials&client_secret={credential}"))).await;
        // OAuth has its own status for it (RFC 6749 §5.2).
        assert_eq!([tokens.status, id_token.status, oauth.status].map(|status| status.as_u16()), [403, 403, 400]);
        assert_eq!(tokens.json()["detail"], id_token.json()["detail"]);
        assert_eq!(tokens.json()["detail"], oauth.json()["error_description"]);
    }
    assert_eq!(issuer.mint(&bearer, json!({"tags": {"run": "run-7"}})).await.status, 200);
    issuer.mint(&bearer, json!({"tags": {"run": "run-x"}})).await.problem(403, "not-allowed");
}
