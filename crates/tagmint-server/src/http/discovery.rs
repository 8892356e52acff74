//! The documents that AWS STS fetches: discovery (OpenID Connect Discovery 1.0 §3) and the key set (RFC 7517). Answered from memory, 200
//! directly, never a redirect.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tagmint_core::{
    signing_key::{Algorithm, KeyId},
    witness::{Document, UserAgent},
};
use utoipa::ToSchema;

use super::{context::RequestContext, sign_in::AUTHORIZE_PATH};
use crate::{app::App, witness::Fetch};

/// Path of the discovery document below the issuer.
pub const DISCOVERY_PATH: &str = "/.well-known/openid-configuration";
/// Path of the same document for clients of OAuth 2.0 (RFC 8414 §3). Below an issuer with a path, and before that path.
pub const METADATA_PATH: &str = "/.well-known/oauth-authorization-server";
/// Path of the key set below the issuer.
pub const JWKS_PATH: &str = "/.well-known/jwks.json";

/// The discovery document.
#[derive(Debug, Serialize, ToSchema)]
pub struct Discovery {
    /// The issuer URL, byte for byte what tokens carry in `iss`.
    issuer: String,
    /// Where the key set is.
    jwks_uri: String,
    /// Required (OpenID Connect Discovery 1.0 §3). Nobody signs in at this issuer: the address says so.
    authorization_endpoint: String,
    /// Where tokens are exchanged.
    token_endpoint: String,
    /// Where sessions, bearers and tokens are asked about (RFC 8414 §2).
    introspection_endpoint: String,
    /// Where sessions and bearers are ended (RFC 8414 §2).
    revocation_endpoint: String,
    /// Always `id_token`.
    response_types_supported: [&'static str; 1],
    /// Always `public`.
    subject_types_supported: [&'static str; 1],
    /// The algorithms of the published keys, and `RS256`, which the list must have (OpenID Connect Discovery 1.0 §3). The key set decides: a token is
    /// never signed with an algorithm that no key in it has.
    id_token_signing_alg_values_supported: Vec<&'static str>,
    /// The claims that tokens may carry.
    claims_supported: [&'static str; 10],
    /// Always `openid`.
    scopes_supported: [&'static str; 1],
    /// The grant types of the token endpoint.
    grant_types_supported: Vec<&'static str>,
    /// How the token endpoint's clients authenticate; a token exchange wants none.
    token_endpoint_auth_methods_supported: [&'static str; 3],
    /// How the introspection endpoint's clients authenticate.
    introspection_endpoint_auth_methods_supported: [&'static str; 2],
    /// How the revocation endpoint's clients authenticate: they need not.
    revocation_endpoint_auth_methods_supported: [&'static str; 3],
}

/// The discovery document.
#[utoipa::path(get, path = DISCOVERY_PATH, tag = "documents", responses((status = 200, body = Discovery)))]
pub async fn discovery(
    State(app): State<Arc<App>>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
) -> Response {
    note(&app, &context, &headers, Document::Discovery, StatusCode::OK, None);
    document(&app)
}

/// The discovery document, for clients of OAuth 2.0 (RFC 8414).
#[utoipa::path(get, path = METADATA_PATH, tag = "documents", responses((status = 200, body = Discovery)))]
pub async fn metadata(State(app): State<Arc<App>>) -> Response {
    document(&app)
}

fn document(app: &App) -> Response {
    let exchange = (!app.upstreams.is_empty()).then_some(super::oauth::TOKEN_EXCHANGE);
    let issuer = &app.settings.stamp.issuer;
    let mut algorithms = app.keys.current(&*app.clock).algorithms.clone();
    let required = Algorithm::Rs256.as_str();
    if !algorithms.contains(&required) {
        algorithms.push(required);
    }
    let document = Discovery {
        issuer: issuer.to_string(),
        jwks_uri: issuer.join(JWKS_PATH),
        authorization_endpoint: issuer.join(AUTHORIZE_PATH),
        token_endpoint: issuer.join(super::oauth::TOKEN_PATH),
        introspection_endpoint: issuer.join(super::introspect::INTROSPECT_PATH),
        revocation_endpoint: issuer.join(super::revoke::REVOKE_PATH),
        response_types_supported: ["id_token"],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: algorithms,
        claims_supported: [
            "iss",
            "sub",
            "aud",
            "iat",
            "nbf",
            "exp",
            "jti",
            "https://aws.amazon.com/tags",
            "https://aws.amazon.com/source_identity",
            "https://aws.amazon.com/roles",
        ],
        scopes_supported: ["openid"],
        grant_types_supported: std::iter::once("client_credentials").chain(exchange).collect(),
        token_endpoint_auth_methods_supported: ["none", "client_secret_basic", "client_secret_post"],
        introspection_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post"],
        revocation_endpoint_auth_methods_supported: ["none", "client_secret_basic", "client_secret_post"],
    };
    ([(header::CACHE_CONTROL, app.jwks_cache_control.clone())], Json(document)).into_response()
}

/// The key set: the signing key first, then the next and the retiring ones.
#[utoipa::path(get, path = JWKS_PATH, tag = "documents", responses(
    (status = 200, description = "RFC 7517 key set", body = Object),
    (status = 304, description = "the caller's copy is current"),
))]
pub async fn jwks(
    State(app): State<Arc<App>>,
    Extension(context): Extension<RequestContext>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let view = app.keys.current(&*app.clock);
    let etag = HeaderValue::from_str(&view.etag).unwrap_or(HeaderValue::from_static("\"\""));
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = known.flat_map(|value| value.split(',')).map(|tag| tag.trim().trim_start_matches("W/"));
    let matched = tags.find(|tag| *tag == view.etag || *tag == "*");
    let current = matched.is_some();
    // Who has no set, or only says that it has one, was not shown the keys.
    let shown = (method == Method::GET && matched != Some("*")).then(|| Arc::clone(&view.kids));
    let status = if current { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    note(&app, &context, &headers, Document::Jwks, status, shown);
    let common = [(header::CACHE_CONTROL, app.jwks_cache_control.clone()), (header::ETAG, etag)];
    if current {
        return (status, common).into_response();
    }
    (common, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], view.jwks.clone()).into_response()
}

/// Leaves word of a fetch for the recorder.
fn note(
    app: &App,
    context: &RequestContext,
    headers: &HeaderMap,
    document: Document,
    status: StatusCode,
    shown: Option<Arc<[KeyId]>>,
) {
    app.recorder.saw(Fetch {
        at: app.clock.now(),
        remote: context.remote,
        agent: UserAgent::new(headers.get(header::USER_AGENT).map(HeaderValue::as_bytes)),
        document,
        status: status.as_u16(),
        took: context.started.elapsed(),
        shown,
    });
}
