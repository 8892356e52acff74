//! The stand-in for the session backend of a test issuer: one auth token, one wallet.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tagmint_core::json as strict;

use crate::backend::MOCK_HEADER;

/// What the mock accepts and answers.
#[derive(Debug, Clone)]
pub struct MockBackend {
    /// The one auth token that it accepts.
    pub auth_token: SecretString,
    /// The wallet that it answers.
    pub wallet: String,
    /// The attributes that it answers; empty for none.
    pub attributes: Map<String, Value>,
    /// How long it says that the session lives, in seconds.
    pub expires_in: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    auth_token: String,
}

/// The mock's routes: `POST /session/create` and `GET /healthz`. Every answer carries [`MOCK_HEADER`].
pub fn router(mock: MockBackend) -> Router {
    Router::new()
        .route("/session/create", post(create))
        .route("/healthz", get(|| async { "the mock session backend is up\n" }))
        .with_state(Arc::new(mock))
        .layer(axum::middleware::map_response(|mut response: Response| async {
            response.headers_mut().insert(HeaderName::from_static(MOCK_HEADER), HeaderValue::from_static("true"));
            response
        }))
}

async fn create(State(mock): State<Arc<MockBackend>>, body: Bytes) -> Response {
    let Ok(question) = strict::parse_as::<Question>(&body) else {
        let message = json!({"error": "the body must be {\"auth_token\": \"…\"}"});
        return (StatusCode::BAD_REQUEST, Json(message)).into_response();
    };
    if question.auth_token != mock.auth_token.expose_secret() {
        let message = json!({"error": "the auth token is not the one that this mock accepts"});
        return (StatusCode::UNAUTHORIZED, Json(message)).into_response();
    }
    let mut answer = json!({"session": "mock", "wallet": mock.wallet, "expires_in": mock.expires_in});
    if !mock.attributes.is_empty() {
        answer["attributes"] = Value::Object(mock.attributes.clone());
    }
    Json(answer).into_response()
}
