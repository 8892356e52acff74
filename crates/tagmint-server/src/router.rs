//! Which path leads to which handler.

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::{from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{any, get, options, post},
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
        cors,
        discovery::{self, DISCOVERY_PATH, JWKS_PATH, METADATA_PATH},
        health, introspect,
        not_found::{Routes, not_found},
        oauth,
        openapi::{ApiDoc, Document, openapi},
        problem::{INTERNAL, METHOD_NOT_ALLOWED, NOT_FOUND, Problem},
        revoke, sessions,
        sign_in::{self, AUTHORIZE_PATH},
        tokens,
    },
};

/// The public surface, below the issuer URL's path; health checks answer at the root too.
pub fn public(app: &Arc<App>) -> Router {
    let documents = OpenApiRouter::new()
        .routes(routes!(discovery::discovery))
        .routes(routes!(discovery::metadata))
        .routes(routes!(discovery::jwks));
    let documents = [DISCOVERY_PATH, METADATA_PATH, JWKS_PATH]
        .into_iter()
        .fold(documents, |documents, path| documents.route(path, options(cors::preflight)))
        .layer(from_fn(cors::public));
    let documented = OpenApiRouter::with_openapi(ApiDoc::openapi())
        .merge(documents)
        .routes(routes!(sessions::open))
        .routes(routes!(sessions::current, sessions::end))
        .routes(routes!(tokens::create))
        .routes(routes!(tokens::id_token))
        .routes(routes!(tokens::mint_oidc_jwt))
        .routes(routes!(aws_credentials::aws_credentials))
        .routes(routes!(oauth::token))
        .routes(routes!(sign_in::authorize))
        // OpenID Connect Core 1.0 §3.1.2.1: by GET and by POST.
        .route(AUTHORIZE_PATH, post(sign_in::authorize))
        .routes(routes!(introspect::introspect))
        .routes(routes!(revoke::revoke))
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(health::healthz));
    let (routes, mut document) = documented.split_for_parts();
    let issuer = &app.settings().stamp.issuer;
    document.servers = Some(vec![utoipa::openapi::Server::new(issuer.as_str())]);
    env!("CARGO_PKG_VERSION").clone_into(&mut document.info.version);
    let mut paths: Vec<String> = document.paths.paths.keys().cloned().collect();
    paths.push("/openapi.json".to_owned());
    let known = Arc::new(Routes { issuer: issuer.clone(), paths });
    let document = Arc::new(Document(serde_json::to_vec(&document).unwrap_or_default().into()));
    let routes = routes.with_state(Arc::clone(app)).merge(openapi_route(document));
    let routes = match issuer.path() {
        "" => routes,
        path => Router::new().nest(path, routes).merge(health_routes(app)).merge(inserted(path, app)),
    };
    let routes = routes.layer(from_fn_with_state(Arc::clone(app), meant_for_us));
    finish(routes.fallback_service(any(not_found).with_state(known)), app)
}

fn openapi_route(document: Arc<Document>) -> Router {
    let route = get(openapi).options(cors::preflight);
    Router::new().route("/openapi.json", route).with_state(document).layer(from_fn(cors::public))
}

/// The metadata of an issuer with a path where RFC 8414 §3.1 has it, before that path; and discovery too, where some clients look for it (§5).
fn inserted(path: &str, app: &Arc<App>) -> Router {
    let route = || get(discovery::metadata).options(cors::preflight);
    let routes = [METADATA_PATH, DISCOVERY_PATH]
        .into_iter()
        .fold(Router::new(), |routes, known| routes.route(&format!("{known}{path}"), route()));
    routes.with_state(Arc::clone(app)).layer(from_fn(cors::public))
}

/// The admin surface: figures and health. It listens on loopback.
pub fn admin(app: &Arc<App>) -> Router {
    let routes =
        Router::new().route("/metrics", get(health::metrics)).with_state(Arc::clone(app)).merge(health_routes(app));
    finish(routes.fallback(|| async { Problem::new(&NOT_FOUND) }), app)
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
        .method_not_allowed_fallback(|| async { Problem::new(&METHOD_NOT_ALLOWED) })
        .layer(DefaultBodyLimit::max(app.settings().limits.body_bytes))
        .layer(CatchPanicLayer::custom(|_| -> Response { Problem::new(&INTERNAL).into_response() }))
        .layer(from_fn_with_state(Arc::clone(app), observe))
}
