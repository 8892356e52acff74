//! Token exchange as clients of RFC 8693 ask for it, and what they are told when something went wrong on the way.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Method, Request},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tagmint_core::trusted_issuer::IssuerKind;
use tagmint_testkit::{ci_claims, ci_platform::CiPlatform, clock::MockClock};

use crate::{
    exchange::{fresh, trusted_issuer},
    issuer::{Answer, ROLE, Setup, TestIssuer},
};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const RULES: &str = r#"
[[rule]]
name = "jobs"
from = "github"
match.repository_id = "456789"
subject = "ci:${repository_id}"
audiences = ["sts.amazonaws.com", "second.example"]
role = "arn:aws:iam::123456789012:role/agentkeys-data-role-test"

[[rule]]
name = "bearers"
from = "bearer"
subject = "bearer:${sub}"
"#;

struct Stage {
    github: CiPlatform,
    issuer: TestIssuer,
}

impl Stage {
    async fn new() -> Self {
        let clock = MockClock::default();
        let github = CiPlatform::start(Arc::new(clock.clone())).await;
        let trusted_issuers = vec![trusted_issuer("github", IssuerKind::GITHUB, &github)];
        let setup = Setup { rules: RULES, trusted_issuers, ..Setup::default() };
        let issuer = TestIssuer::start_in(setup, Arc::new(tempfile::tempdir().unwrap()), clock).await.unwrap();
        Self { github, issuer }
    }

    fn token(&self) -> String {
        self.github.token(&fresh(ci_claims::github_push()))
    }

    /// An exchange of a fresh token, with these parameters changed or added; one without a value is left out.
    async fn exchange(&self, changes: &[(&str, &str)]) -> Answer {
        self.exchange_with(changes, None).await
    }

    async fn exchange_with(&self, changes: &[(&str, &str)], authorization: Option<&str>) -> Answer {
        let token = self.token();
        let whole = [
            ("grant_type", EXCHANGE),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
            ("subject_token", token.as_str()),
        ];
        let kept = whole.into_iter().filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
        let pairs: Vec<_> = kept.chain(changes.iter().copied()).collect();
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let mut request = Request::post("/oauth2/token").header("content-type", "application/x-www-form-urlencoded");
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        self.issuer.send(request.body(form.into()).unwrap()).await
    }

    /// A request as it stands.
    async fn post(&self, path: &str, content_type: &str, body: impl Into<Body>) -> Answer {
        let request = Request::post(path).header("content-type", content_type);
        self.issuer.send(request.body(body.into()).unwrap()).await
    }
}

fn refused(answer: &Answer, error: &str, said: &str) {
    let body = answer.json();
    assert_eq!((answer.status.as_u16(), &body["error"]), (400, &json!(error)), "{body}");
    let description = body["error_description"].as_str().unwrap();
    assert!(description.contains(said), "{said} in {description}");
}

fn urn(kind: &str) -> String {
    format!("urn:ietf:params:oauth:token-type:{kind}")
}

#[tokio::test]
async fn the_answer_has_the_type_that_was_asked_for() {
    let stage = Stage::new().await;
    for (requested, issued, token_type) in [
        ("", "jwt", "Bearer"),
        ("jwt", "jwt", "Bearer"),
        ("access_token", "access_token", "Bearer"),
        ("id_token", "id_token", "N_A"),
    ] {
        let requested = if requested.is_empty() { String::new() } else { urn(requested) };
        let answer = stage.exchange(&[("requested_token_type", &requested)]).await;
        let body = answer.json();
        assert_eq!(answer.status, 200, "{body}");
        assert_eq!((&body["issued_token_type"], &body["token_type"]), (&json!(urn(issued)), &json!(token_type)));
        stage.issuer.verify(body["access_token"].as_str().unwrap()).await.unwrap();
    }
    for kind in ["refresh_token", "saml1", "saml2", "access-token"] {
        let answer = stage.exchange(&[("requested_token_type", &urn(kind))]).await;
        refused(&answer, "invalid_request", &format!("`requested_token_type` is `{}`", urn(kind)));
    }
    refused(
        &stage.exchange(&[("requested_token_type", "jwt")]).await,
        "invalid_request",
        "`requested_token_type` is `jwt`",
    );
}

#[tokio::test]
async fn the_subject_token_may_go_by_each_of_its_types() {
    let stage = Stage::new().await;
    for kind in ["id_token", "jwt", "access_token"] {
        let answer = stage.exchange(&[("subject_token_type", &urn(kind))]).await;
        assert_eq!(answer.status, 200, "{}", answer.json());
    }
    for kind in ["urn:ietf:params:oauth:token-type:saml2", "urn:ietf:params:aws:token-type:aws4_request", "id_token"] {
        let answer = stage.exchange(&[("subject_token_type", kind)]).await;
        refused(&answer, "invalid_request", &format!("`subject_token_type` is `{kind}`"));
    }
}

#[tokio::test]
async fn audience_and_resource_may_repeat_and_name_one_target() {
    let stage = Stage::new().await;
    let twice =
        [("audience", "sts.amazonaws.com"), ("audience", "sts.amazonaws.com"), ("resource", ROLE), ("resource", ROLE)];
    assert_eq!(stage.exchange(&twice).await.status, 200);
    // RFC 6749 §3.2: without a value it was not sent.
    let empty = [
        ("audience", ""),
        ("resource", ""),
        ("requested_token_type", ""),
        ("actor_token", ""),
        ("scope", ""),
        ("client_secret", ""),
    ];
    assert_eq!(stage.exchange(&empty).await.status, 200);
    let two = stage.exchange(&[("audience", "sts.amazonaws.com"), ("audience", "second.example")]).await;
    refused(&two, "invalid_target", "The request has 2 values of `audience` (`sts.amazonaws.com`, `second.example`)");
    let two = stage.exchange(&[("resource", ROLE), ("resource", "arn:aws:iam::123456789012:role/other")]).await;
    refused(&two, "invalid_target", "The request has 2 values of `resource`");
    let url = stage.exchange(&[("resource", "https://sts.amazonaws.com")]).await;
    refused(&url, "invalid_target", "`resource` is `https://sts.amazonaws.com`, which is not a role ARN");
    refused(&stage.exchange(&[("audience", "other.example")]).await, "invalid_target", "`audience` \"other.example\"");
}

#[tokio::test]
async fn a_scope_is_taken_and_answered() {
    let stage = Stage::new().await;
    for (scope, answered) in
        [("openid", Value::Null), ("https://www.googleapis.com/auth/cloud-platform", json!("openid"))]
    {
        let answer = stage.exchange(&[("scope", scope)]).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["scope"]), (200, &answered), "{}", answer.json());
    }
}

#[tokio::test]
async fn a_client_without_a_secret_may_name_itself() {
    let stage = Stage::new().await;
    let basic = |pair: &str| format!("Basic {}", BASE64_STANDARD.encode(pair));
    for authorization in [basic("client:"), basic(":"), String::new()] {
        let answer = stage.exchange_with(&[("client_id", "client")], Some(&authorization)).await;
        assert_eq!(answer.status, 200, "{authorization}: {}", answer.json());
    }
    for authorization in [basic("client:secret"), "Bearer secret".to_owned()] {
        let answer = stage.exchange_with(&[], Some(&authorization)).await;
        refused(&answer, "invalid_request", "the subject token is the proof");
    }
    let assertion = [
        ("client_assertion", "eyJ"),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
    ];
    refused(&stage.exchange(&assertion).await, "invalid_request", "no client assertion");
    let alone = [&[("grant_type", "client_credentials")], &assertion[..]].concat();
    refused(&stage.exchange(&alone).await, "invalid_request", "`client_assertion` is not supported");
    refused(
        &stage.exchange(&[("actor_token", "x"), ("actor_token_type", &urn("jwt"))]).await,
        "invalid_request",
        "`actor_token` is not supported",
    );
}

#[tokio::test]
async fn another_grant_type_is_named_with_what_is_taken() {
    let stage = Stage::new().await;
    for (grant, said) in [
        ("urn:ietf:params:oauth:grant-type:jwt-bearer", "Send the assertion as `subject_token`"),
        ("token-exchange", "Check its spelling"),
        ("urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange", "Check its spelling"),
        (
            "password",
            "`grant_type` is `password`, and this endpoint takes `urn:ietf:params:oauth:grant-type:token-exchange` and `client_credentials`",
        ),
        ("authorization_code", "`grant_type` is `authorization_code`"),
    ] {
        refused(&stage.exchange(&[("grant_type", grant)]).await, "unsupported_grant_type", said);
    }
}

#[tokio::test]
async fn a_body_that_is_no_form_is_told_what_to_be() {
    let stage = Stage::new().await;
    let form = format!("grant_type={}", EXCHANGE.replace(':', "%3A"));
    let json = json!({"grant_type": EXCHANGE}).to_string();
    let multipart = "--x\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\r\ny\r\n--x--\r\n";
    for path in ["/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"] {
        for (content_type, body, said) in [
            ("application/json", json.as_str(), "The body is JSON. Send the parameters as form data"),
            ("application/x-www-form-urlencoded", &json, "The body is JSON."),
            ("multipart/form-data; boundary=x", multipart, "The body is multipart form data."),
            ("text/xml", "<grant_type/>", "The body is XML."),
        ] {
            refused(&stage.post(path, content_type, body.to_owned()).await, "invalid_request", said);
        }
        let in_query = stage.post(&format!("{path}?{form}"), "application/x-www-form-urlencoded", "").await;
        refused(
            &in_query,
            "invalid_request",
            "The parameter `grant_type` stands in the query. Send all parameters in the body",
        );
    }
    let compressed =
        Request::post("/oauth2/token").header("content-encoding", "gzip").body(Body::from("\x1f")).unwrap();
    refused(
        &stage.issuer.send(compressed).await,
        "invalid_request",
        "The body is compressed (`Content-Encoding: gzip`)",
    );
    let session = stage.issuer.open_session().await;
    let form = stage.issuer.call(Method::POST, "/v1/tokens", &session, "audience=x").await;
    let told = form.problem(400, "malformed-body");
    assert_eq!(told["detail"], "The body is form data. Send JSON to this route.");
}

#[tokio::test]
async fn what_happened_to_a_token_on_its_way_is_told_and_costs_nothing() {
    let stage = Stage::new().await;
    let token = stage.token();
    for (sent, said) in [
        (format!("{token}\n"), "The `subject_token` ends with a line break"),
        (format!("\"{token}\""), "stands in double quotes"),
        (format!("Bearer {token}"), "begins with the name of an authentication scheme (`bearer`)"),
        (token.replace('.', "%2E"), "is URL-encoded twice"),
        (json!({"count": 1, "value": token}).to_string(), "send the value of its member `value`"),
        ("${ID_TOKEN}".to_owned(), "is the name of a variable that was not expanded"),
        ("/var/run/secrets/token".to_owned(), "is the path of a file"),
    ] {
        refused(&stage.exchange(&[("subject_token", &sent)]).await, "invalid_request", said);
    }
    refused(&stage.exchange(&[("subject_token", "")]).await, "invalid_request", "`subject_token` is missing");
    assert_eq!(stage.exchange(&[("subject_token", &token)]).await.status, 200, "none of that used the token");

    // In a header it is a refusal like any other, and told besides.
    let (_, bearer) = stage.issuer.make_bearer(None).await;
    for (sent, said) in [
        (format!("\"{bearer}\""), "The credential stands in double quotes: remove them."),
        (format!("Bearer {bearer}"), "The credential begins with the name of an authentication scheme"),
        ("null".to_owned(), "The credential is the text `null`"),
    ] {
        let answer = stage.issuer.mint(&sent, json!({})).await;
        let told = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(answer.status == 401 && told.contains(said), "{told}");
    }
}
