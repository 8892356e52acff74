//! Problems have one form everywhere.

use axum::{
    body::Body,
    http::{Method, Request},
};

use crate::issuer::TestIssuer;

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_too() {
    let issuer = TestIssuer::start().await;
    issuer.get("/").await.problem(404, "not-found");
    issuer.get("/v1/tokens/").await.problem(404, "not-found");
    issuer.get("/.well-known/../metrics").await.problem(404, "not-found");
    let answer = issuer.get("/v1/tokens").await;
    answer.problem(405, "method-not-allowed");
    assert_eq!(answer.header("allow"), "POST");
    let answer = issuer.send(Request::delete("/.well-known/jwks.json").body(Body::empty()).unwrap()).await;
    answer.problem(405, "method-not-allowed");
}

#[tokio::test]
async fn a_problem_reads_well() {
    let issuer = TestIssuer::start().await;
    let session = issuer.open_session().await;
    let answer = issuer.call(Method::GET, "/v1/id-token?audience=nobody.example", &session, "").await;
    let mut problem = answer.problem(403, "not-allowed");
    problem["request_id"] = "[request id]".into();
    insta::assert_json_snapshot!(problem);
}

#[tokio::test]
async fn what_was_sent_to_another_host_gets_nothing() {
    let issuer = TestIssuer::start().await;
    let get = |host: &str, path: &str| Request::get(path).header("host", host).body(Body::empty()).unwrap();
    for path in ["/.well-known/jwks.json", "/.well-known/openid-configuration", "/v1/sessions/current"] {
        let answer = issuer.send(get("prod.example", path)).await;
        let problem = answer.problem(421, "misdirected");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("prod.example") && detail.contains("https://broker.example"), "{detail}");
    }
    // The target goes before the header (RFC 9112 §3.2.2; HTTP/2 has no other).
    issuer.send(get("localhost", "https://prod.example/.well-known/jwks.json")).await.problem(421, "misdirected");
    let two = Request::get("/.well-known/jwks.json").header("host", "localhost").header("host", "prod.example");
    issuer.send(two.body(Body::empty()).unwrap()).await.problem(421, "misdirected");

    for host in ["broker.example", "origin.example", "ORIGIN.example:8443", "127.0.0.1:8443", "[::1]", "localhost", ""]
    {
        let answer = issuer.send(get(host, "/.well-known/jwks.json")).await;
        assert_eq!(answer.status, 200, "{host}");
    }
    // Probes know the machine by a name of their own.
    assert_eq!(issuer.send(get("node-3.internal", "/livez")).await.status, 200);
}
