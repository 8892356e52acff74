//! `GET /openapi.json`: OpenAPI 3.1 of the public surface, made from the handlers themselves.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{Http, HttpAuthScheme, SecurityScheme},
};

use super::problem::ProblemDocument;

/// The document's frame; the router adds the paths.
#[derive(OpenApi)]
#[openapi(
    paths(openapi),
    components(schemas(ProblemDocument)),
    info(title = "Tagmint", description = "A self-hosted OIDC issuer and credential broker for AWS session tags."),
    modifiers(&BearerScheme)
)]
pub struct ApiDoc;

struct BearerScheme;

impl Modify for BearerScheme {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        openapi.components.get_or_insert_default().add_security_scheme("bearer", scheme);
    }
}

/// The rendered document.
#[derive(Debug, Clone)]
pub struct Document(pub Bytes);

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "documents", responses((status = 200, body = Object)))]
pub async fn openapi(State(document): State<Arc<Document>>) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], document.0.clone()).into_response()
}
