//! Which path leads to which handler.

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::get,
};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    http::{
        authority::meant_for_us,
        aws_credentials,
        context::observe,
        discovery, health, introspect, oauth,
        openapi::{ApiDoc, Document, openapi},
        problem::{INTERNAL, METHOD_NOT_ALLOWED, NOT_FOUND, Problem},
        revoke, sessions, tokens,
    },
};

/// The public surface, below the issuer URL's path; health checks answer at the root too.
pub fn public(app: &Arc<App>) -> Router {
    let documented = OpenApiRouter::with_openapi(ApiDoc::openapi())
        .routes(routes!(discovery::discovery))
        .routes(routes!(discovery::jwks))
        .routes(routes!(sessions::open))
        .routes(routes!(sessions::current, sessions::end))
        .routes(routes!(tokens::create))
        .routes(routes!(tokens::id_token))
        .routes(routes!(tokens::mint_oidc_jwt))
        .routes(routes!(aws_credentials::aws_credentials))
        .routes(routes!(oauth::token))
        .routes(routes!(introspect::introspect))
        .routes(routes!(revoke::revoke))
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(health::healthz));
    let (routes, mut document) = documented.split_for_parts();
    let issuer = &app.settings().stamp.issuer;
    document.servers = Some(vec![utoipa::openapi::Server::new(issuer.as_str())]);
    env!("CARGO_PKG_VERSION").clone_into(&mut document.info.version);
    let document = Arc::new(Document(serde_json::to_vec(&document).unwrap_or_default().into()));
    let routes = routes
        .with_state(Arc::clone(app))
        .merge(Router::new().route("/openapi.json", get(openapi)).with_state(document));
    let routes = match issuer.path() {
        "" => routes,
        path => Router::new().nest(path, routes).merge(health_routes(app)),
    };
    finish(routes.layer(from_fn_with_state(Arc::clone(app), meant_for_us)), app)
}

/// The admin surface: figures and health. It listens on loopback.
pub fn admin(app: &Arc<App>) -> Router {
    let routes =
        Router::new().route("/metrics", get(health::metrics)).with_state(Arc::clone(app)).merge(health_routes(app));
    finish(routes, app)
}

fn health_routes(app: &Arc<App>) -> Router {
    Router::new()
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/healthz", get(health::healthz))
        .with_state(Arc::clone(app))
}

fn finish(routes: Router, app: &Arc<App>) -> Router {
    routes
        .fallback(|| async { Problem::new(&NOT_FOUND) })
        .method_not_allowed_fallback(|| async { Problem::new(&METHOD_NOT_ALLOWED) })
        .layer(DefaultBodyLimit::max(app.settings().limits.body_bytes))
        .layer(CatchPanicLayer::custom(|_| -> Response { Problem::new(&INTERNAL).into_response() }))
        .layer(from_fn_with_state(Arc::clone(app), observe))
}
