//! Discovery, key set, OpenAPI, health, figures: what strangers and probes read.

use axum::{body::Body, http::Request};
use tagmint_core::signing_key::Algorithm;

use crate::issuer::{Setup, TestIssuer};

#[tokio::test]
async fn discovery_says_what_the_issuer_does() {
    let issuer = TestIssuer::start().await;
    let answer = issuer.get("/.well-known/openid-configuration").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/json");
    insta::assert_json_snapshot!(answer.json());
}

#[tokio::test]
async fn an_issuer_with_a_path_serves_its_documents_below_it() {
    let issuer =
        TestIssuer::start_with(Setup { issuer: "https://broker.example/tagmint/test", ..Setup::default() }).await;
    let document = issuer.get("/tagmint/test/.well-known/openid-configuration").await.json();
    assert_eq!(document["issuer"], "https://broker.example/tagmint/test");
    assert_eq!(document["jwks_uri"], "https://broker.example/tagmint/test/.well-known/jwks.json");
    assert_eq!(issuer.get("/tagmint/test/.well-known/jwks.json").await.status, 200);
    assert_eq!(issuer.get("/.well-known/openid-configuration").await.status, 404);
    assert_eq!(issuer.get("/livez").await.status, 200);
}

#[tokio::test]
async fn the_key_set_can_be_cached_and_holds_nothing_private() {
    for (algorithm, members) in [
        (Algorithm::Es256, ["alg", "crv", "kid", "kty", "use", "x", "y"].as_slice()),
        (Algorithm::Rs256, ["alg", "e", "kid", "kty", "n", "use"].as_slice()),
    ] {
        let issuer = TestIssuer::start_with(Setup { algorithm, ..Setup::default() }).await;
        let first = issuer.get("/.well-known/jwks.json").await;
        let jwks = first.json();
        let mut found: Vec<&str> = jwks["keys"][0].as_object().unwrap().keys().map(String::as_str).collect();
        found.sort_unstable();
        assert_eq!(found, members);
        assert_eq!(first.header("cache-control"), "public, max-age=3600");
        let etag = first.header("etag").to_owned();
        assert!(etag.len() > 10 && etag.starts_with('"') && etag.ends_with('"'), "{etag}");

        for tag in [etag.as_str(), &format!("W/{etag}"), &format!("\"other\", {etag}"), "*"] {
            let request =
                Request::get("/.well-known/jwks.json").header("if-none-match", tag).body(Body::empty()).unwrap();
            let again = issuer.send(request).await;
            assert_eq!((again.status.as_u16(), again.body.len(), again.header("etag")), (304, 0, etag.as_str()));
        }
        let request =
            Request::get("/.well-known/jwks.json").header("if-none-match", "\"other\"").body(Body::empty()).unwrap();
        assert_eq!(issuer.send(request).await.body, first.body);
        let head = issuer.send(Request::head("/.well-known/jwks.json").body(Body::empty()).unwrap()).await;
        assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    }
}

#[tokio::test]
async fn x5c_is_a_certificate_of_the_key_and_only_there_on_request() {
    use base64::Engine;
    let issuer = TestIssuer::start_with(Setup { x5c: true, algorithm: Algorithm::Rs256, ..Setup::default() }).await;
    let first = issuer.get("/.well-known/jwks.json").await;
    let der = base64::prelude::BASE64_STANDARD.decode(first.json()["keys"][0]["x5c"][0].as_str().unwrap()).unwrap();
    let modulus =
        base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(first.json()["keys"][0]["n"].as_str().unwrap()).unwrap();
    assert!(der.windows(modulus.len()).any(|window| window == modulus), "the certificate holds the key");
    assert_eq!(issuer.get("/.well-known/jwks.json").await.body, first.body, "the bytes stay the same");
}

#[tokio::test]
async fn openapi_lists_every_public_route() {
    let issuer = TestIssuer::start().await;
    let document = issuer.get("/openapi.json").await.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    let mut routes: Vec<String> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| item.as_object().unwrap().keys().map(move |method| format!("{method} {path}")))
        .collect();
    routes.sort();
    insta::assert_json_snapshot!(routes);
}

#[tokio::test]
async fn health_names_what_fails() {
    let issuer = TestIssuer::start().await;
    for path in ["/livez", "/readyz", "/healthz"] {
        assert_eq!(issuer.get(path).await.status, 200, "{path}");
    }
    let kid = issuer.published().await[0].parse().unwrap();
    issuer.keys().withdraw(&kid, true).await.unwrap();
    issuer.app.tend_keys().await.unwrap();
    let ready = issuer.get("/readyz").await;
    assert_eq!(ready.status, 503);
    let checks = ready.json();
    let failed: Vec<&str> = checks["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["ok"] == false)
        .map(|check| check["name"].as_str().unwrap())
        .collect();
    assert_eq!(failed, ["signing_key"]);
    assert_eq!(issuer.get("/livez").await.status, 200);
}

#[tokio::test]
async fn figures_answer_on_the_admin_listener_alone() {
    let issuer = TestIssuer::start().await;
    let session = issuer.open_session().await;
    issuer.mint(&session, serde_json::json!({})).await;
    issuer.mint(&session, serde_json::json!({"audience": "nobody.example"})).await;
    assert_eq!(issuer.get("/metrics").await.status, 404);
    let figures = String::from_utf8(issuer.send_admin("/metrics").await.body).unwrap();
    for line in [
        r#"tagmint_mints_total{route="POST /v1/tokens"} 1"#,
        "tagmint_sessions_opened_total 1",
        r#"tagmint_signing_keys{phase="active"} 1"#,
        r#"tagmint_http_requests_total{route="/v1/tokens",status="4xx"} 1"#,
        r#"tagmint_refusals_total{reason=""#,
    ] {
        assert!(figures.contains(line), "{line} is not in\n{figures}");
    }
    assert!(!figures.contains("tms_"));
}
