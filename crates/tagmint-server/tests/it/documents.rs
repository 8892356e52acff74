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
    let lacking = issuer.get("/.well-known/openid-configuration").await.problem(404, "not-found");
    let detail = lacking["detail"].as_str().unwrap();
    assert!(
        detail.contains("the address is https://broker.example/tagmint/test/.well-known/openid-configuration."),
        "{detail}"
    );
    assert!(detail.contains("lacks `/tagmint/test`. A proxy that removes it"), "{detail}");
    let post = issuer.send(Request::post("/v1/tokens").body(Body::empty()).unwrap()).await.problem(404, "not-found");
    assert!(post["detail"].as_str().unwrap().contains("https://broker.example/tagmint/test/v1/tokens"), "{post}");
    let nested = issuer.get("/tagmint/test/nothing").await.problem(404, "not-found");
    assert!(nested["detail"].as_str().unwrap().contains("its routes stand below `/tagmint/test`"), "{nested}");
    assert_eq!(issuer.get("/livez").await.status, 200);
    // RFC 8414 §3.1 puts the path behind the well-known one; §5 knows of clients that do so with discovery.
    for path in [
        "/.well-known/oauth-authorization-server/tagmint/test",
        "/.well-known/openid-configuration/tagmint/test",
        "/tagmint/test/.well-known/oauth-authorization-server",
    ] {
        assert_eq!(issuer.get(path).await.json(), document, "{path}");
    }
}

#[tokio::test]
async fn clients_of_oauth_find_the_same_document() {
    let issuer = TestIssuer::start().await;
    let metadata = issuer.get("/.well-known/oauth-authorization-server").await;
    assert_eq!(metadata.status, 200);
    assert_eq!(metadata.json(), issuer.get("/.well-known/openid-configuration").await.json());
    let required = ["issuer", "authorization_endpoint", "token_endpoint", "jwks_uri", "response_types_supported"];
    assert!(required.iter().all(|member| metadata.json().get(*member).is_some()), "{}", metadata.json());
    assert!(metadata.json()["id_token_signing_alg_values_supported"].as_array().unwrap().contains(&"RS256".into()));
}

#[tokio::test]
async fn web_pages_of_any_origin_read_the_documents() {
    let path_issuer = TestIssuer::start_with(Setup { issuer: "https://broker.example/a/b", ..Setup::default() }).await;
    let issuer = TestIssuer::start().await;
    let documents = ["openid-configuration", "oauth-authorization-server", "jwks.json"];
    let below = documents.map(|name| (&path_issuer, format!("/a/b/.well-known/{name}")));
    let at_root = documents.map(|name| (&issuer, format!("/.well-known/{name}")));
    let inserted = (&path_issuer, "/.well-known/oauth-authorization-server/a/b".to_owned());
    for (issuer, path) in below.into_iter().chain(at_root).chain([inserted, (&issuer, "/openapi.json".to_owned())]) {
        let ask = |method: &str| {
            let request = Request::builder().method(method).uri(&path).header("origin", "https://console.example");
            request.header("access-control-request-method", "GET").body(Body::empty()).unwrap()
        };
        for method in ["GET", "HEAD"] {
            let answer = issuer.send(ask(method)).await;
            assert_eq!(
                (answer.status.as_u16(), answer.header("access-control-allow-origin")),
                (200, "*"),
                "{method} {path}"
            );
            assert_eq!(answer.header("access-control-expose-headers"), "ETag");
        }
        let preflight = issuer.send(ask("OPTIONS")).await;
        assert_eq!((preflight.status.as_u16(), preflight.header("access-control-allow-origin")), (204, "*"), "{path}");
        assert_eq!(preflight.header("access-control-allow-methods"), "GET, HEAD, OPTIONS");
        assert_eq!(issuer.send(ask("POST")).await.status, 405, "{path}");
    }
    let etag = issuer.get("/.well-known/jwks.json").await.header("etag").to_owned();
    let request = Request::get("/.well-known/jwks.json").header("if-none-match", &etag).body(Body::empty()).unwrap();
    let known = issuer.send(request).await;
    assert_eq!((known.status.as_u16(), known.header("access-control-allow-origin")), (304, "*"));
    // What holds tokens is not for other pages.
    let foreign = Request::builder().method("OPTIONS").uri("/v1/tokens").header("origin", "https://console.example");
    let answer = issuer.send(foreign.body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.header("access-control-allow-origin")), (405, ""));
}

#[tokio::test]
async fn the_authorization_endpoint_says_that_nobody_signs_in() {
    let issuer = TestIssuer::start().await;
    let discovery = issuer.get("/.well-known/openid-configuration").await.json();
    assert_eq!(discovery["authorization_endpoint"], "https://broker.example/oauth2/authorize");
    let query = "/oauth2/authorize?client_id=x&redirect_uri=https%3A%2F%2Fevil.example&state=planted";
    issuer.get(query).await.problem(404, "no-sign-in");
    issuer.send(Request::post(query).body(Body::empty()).unwrap()).await.problem(404, "no-sign-in");
    let browser = Request::get(query).header("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
    let page = issuer.send(browser.body(Body::empty()).unwrap()).await;
    let text = String::from_utf8(page.body.clone()).unwrap();
    assert_eq!((page.status.as_u16(), page.header("content-type")), (404, "text/html; charset=utf-8"));
    assert!(text.contains("This issuer has no sign-in") && !text.contains("evil") && !text.contains("planted"));
    assert_eq!((page.header("location"), page.header("cache-control")), ("", "no-store"));
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
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
