//! `/oauth2/authorize`, which OpenID Connect Discovery 1.0 §3 requires every issuer to name. This issuer has no sign-in.

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::problem::{NO_SIGN_IN, Problem, ProblemDocument};

/// Path of the authorization endpoint below the issuer.
pub const AUTHORIZE_PATH: &str = "/oauth2/authorize";

/// For people. Nothing of the request is repeated, and its `redirect_uri` is not followed: it was not checked.
const PAGE: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<meta name=\"robots\" content=\"noindex\">
<meta name=\"viewport\" content=\"width=device-width\">
<title>This issuer has no sign-in</title>
<h1>This issuer has no sign-in</h1>
<p>The program that sent you here asked this OpenID Connect issuer to sign you in. The issuer signs in nobody with a browser: it gives tokens for a
session, a bearer token or the ID token of a CI job.</p>
<p>Close this page. If you expected to sign in here, tell whoever set up that program that the issuer answered <code>no-sign-in</code>.</p>
</html>
";

/// Says that nobody signs in here: a page for browsers, a problem for programs.
#[utoipa::path(get, path = AUTHORIZE_PATH, tag = "oauth", responses(
    (status = 404, description = "nobody signs in at this issuer", body = ProblemDocument, content_type = "application/problem+json"),
))]
pub async fn authorize(headers: HeaderMap) -> Response {
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    if !accepts.into_iter().any(|value| value.to_ascii_lowercase().contains("text/html")) {
        return Problem::new(&NO_SIGN_IN).into_response();
    }
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
    (StatusCode::NOT_FOUND, headers, PAGE).into_response()
}
