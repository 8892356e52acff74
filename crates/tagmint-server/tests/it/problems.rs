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
