//! The HTTP session backend against the real mock and against backends that misbehave.

use std::time::Duration;

use axum::{Router, http::StatusCode, response::Redirect, routing::post};
use secrecy::SecretString;
use serde_json::{Map, json};
use tagmint_core::outbound::Outbound;
use tagmint_server::{
    backend::{BackendError, HttpSessionBackend, SessionBackend},
    mock_backend::{self, MockBackend},
};

async fn listen(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

fn backend(url: &str, refuse_mock: bool) -> HttpSessionBackend {
    tagmint_server::tls::install_provider();
    HttpSessionBackend::new(url, Duration::from_millis(500), None, refuse_mock, &Outbound::direct()).unwrap()
}

fn mock() -> MockBackend {
    MockBackend {
        auth_token: "federation-proof".into(),
        wallet: "0xa1".to_owned(),
        attributes: Map::from_iter([("chain".to_owned(), json!("litentry"))]),
        expires_in: 3600,
    }
}

#[tokio::test]
async fn the_mock_is_asked_as_the_real_one_would_be() {
    let url = listen(mock_backend::router(mock())).await;
    let backend = backend(&url, false);
    let session = backend.create(&SecretString::from("federation-proof")).await.unwrap();
    assert_eq!((session.subject.as_str(), session.expires_in), ("0xa1", 3600));
    assert_eq!(session.attributes["chain"], "litentry");
    assert_eq!(backend.create(&SecretString::from("wrong")).await, Err(BackendError::Refused));
    assert!(backend.is_mock().await.unwrap());
}

#[tokio::test]
async fn prod_takes_nothing_from_the_mock() {
    let url = listen(mock_backend::router(mock())).await;
    let refused = backend(&url, true).create(&SecretString::from("federation-proof")).await.unwrap_err();
    assert!(matches!(&refused, BackendError::Outage(why) if why.contains("mock-backend")), "{refused}");
}

#[tokio::test]
async fn anything_but_the_agreed_answers_is_an_outage() {
    let answers = |body: &'static str, status: StatusCode| {
        Router::new().route("/session/create", post(move || async move { (status, body) }))
    };
    let good = r#"{"session":"s","wallet":"0xa","expires_in":60}"#;
    let cases = [
        (answers(good, StatusCode::CREATED), "201"),
        (answers(good, StatusCode::FORBIDDEN), "403"),
        (answers("", StatusCode::INTERNAL_SERVER_ERROR), "500"),
        (answers("not json", StatusCode::OK), "not the agreed JSON"),
        (answers(r#"{"wallet":"0xa"}"#, StatusCode::OK), "missing field"),
        (answers(r#"["0xa", 60]"#, StatusCode::OK), "JSON object"),
        (answers(r#"{"wallet":"","expires_in":60}"#, StatusCode::OK), "empty wallet"),
        (answers(r#"{"wallet":"0xa","expires_in":0}"#, StatusCode::OK), "no time to live"),
        (answers(r#"{"wallet":"0xa","wallet":"0xb","expires_in":60}"#, StatusCode::OK), "stands twice"),
        (Router::new().route("/session/create", post(|| async { " ".repeat(100_000) })), "larger than"),
        (Router::new().route("/session/create", post(|| async { Redirect::temporary("/elsewhere") })), "307"),
        (
            Router::new().route("/session/create", post(|| async { tokio::time::sleep(Duration::from_secs(5)).await })),
            "in time",
        ),
    ];
    for (router, says) in cases {
        let url = listen(router).await;
        let error = backend(&url, false).create(&SecretString::from("planted-token")).await.unwrap_err();
        assert!(matches!(&error, BackendError::Outage(why) if why.contains(says)), "{says}: {error}");
        assert!(!error.to_string().contains("planted-token"));
    }
    let error = backend("http://127.0.0.1:1", false).create(&SecretString::from("x")).await.unwrap_err();
    assert!(matches!(&error, BackendError::Outage(why) if why.contains("no connection")), "{error}");
}
