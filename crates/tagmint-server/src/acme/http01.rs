//! Port 80: answers to HTTP-01 challenges (RFC 8555 §8.3), and a redirect to the issuer for everything else.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    extract::State,
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use tagmint_core::issuer::IssuerUrl;

use super::CertificateManager;
use crate::{app::App, client_address::Peer};

/// Where challenges stand.
const CHALLENGES: &str = "/.well-known/acme-challenge/";
/// The longest token that is looked up. Let's Encrypt's have 43 characters.
const LONGEST_TOKEN: usize = 128;
/// How long the store may take.
const LOOKUP: Duration = Duration::from_secs(5);

#[derive(Clone)]
struct Port80 {
    app: Arc<App>,
    manager: Arc<CertificateManager>,
}

/// What is served on port 80.
pub fn router(app: &Arc<App>, manager: &Arc<CertificateManager>) -> Router {
    Router::new().fallback(answer).with_state(Port80 { app: Arc::clone(app), manager: Arc::clone(manager) })
}

async fn answer(
    State(Port80 { app, manager }): State<Port80>,
    peer: Option<Extension<Peer>>,
    method: Method,
    uri: Uri,
) -> Response {
    let Some(token) = uri.path().strip_prefix(CHALLENGES) else {
        return redirect(&app.settings().stamp.issuer, &uri);
    };
    if method != Method::GET && method != Method::HEAD {
        return text(StatusCode::METHOD_NOT_ALLOWED, "a challenge is asked for with GET\n".to_owned());
    }
    let unknown = || text(StatusCode::NOT_FOUND, "there is no such challenge\n".to_owned());
    let plausible = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
    if token.is_empty() || token.len() > LONGEST_TOKEN || !token.bytes().all(plausible) {
        return unknown();
    }
    let peer = peer.and_then(|Extension(peer)| peer.address()).unwrap_or(Ipv4Addr::LOCALHOST.into());
    if app.limits.check_address(peer.to_canonical()).is_err() {
        return text(StatusCode::TOO_MANY_REQUESTS, "too many requests\n".to_owned());
    }
    match tokio::time::timeout(LOOKUP, manager.challenge(token)).await {
        Ok(Ok(Some(answer))) => {
            tracing::info!(%peer, "a challenge was answered");
            text(StatusCode::OK, answer)
        }
        Ok(Ok(None)) => unknown(),
        Ok(Err(error)) => {
            tracing::error!(%error, "a challenge could not be looked up");
            text(StatusCode::SERVICE_UNAVAILABLE, "try again\n".to_owned())
        }
        Err(_) => text(StatusCode::SERVICE_UNAVAILABLE, "try again\n".to_owned()),
    }
}

fn text(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")], body)
        .into_response()
}

/// To the issuer's own host, whatever host the caller named.
fn redirect(issuer: &IssuerUrl, uri: &Uri) -> Response {
    let authority = issuer.as_str().strip_suffix(issuer.path()).unwrap_or(issuer.as_str());
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let path = if path.starts_with('/') { path } else { "/" };
    match HeaderValue::try_from(format!("{authority}{path}")) {
        Ok(location) => (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, location)]).into_response(),
        Err(_) => text(StatusCode::BAD_REQUEST, "use https\n".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_redirect_leads_to_the_configured_host_alone() {
        let issuer = IssuerUrl::parse("https://broker.example/tenant").unwrap();
        for (uri, location) in [
            ("/", "https://broker.example/"),
            ("/tenant/.well-known/jwks.json?a=b", "https://broker.example/tenant/.well-known/jwks.json?a=b"),
            ("http://evil.example/x", "https://broker.example/x"),
            ("//evil.example/x", "https://broker.example//evil.example/x"),
            ("*", "https://broker.example/"),
        ] {
            let answer = redirect(&issuer, &uri.parse().unwrap());
            assert_eq!(answer.status(), StatusCode::PERMANENT_REDIRECT);
            assert_eq!(answer.headers()[header::LOCATION], location, "{uri}");
        }
    }
}
