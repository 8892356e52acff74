//! The OAuth token endpoint: `client_credentials` (RFC 6749 §4.4), with a bearer as the client secret.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, header::AUTHORIZATION},
    response::Response,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use secrecy::SecretString;
use serde::Serialize;
use tagmint_core::rules::MintRequest;
use utoipa::ToSchema;

use super::{
    body::StrictForm,
    context::RequestContext,
    problem::{MALFORMED_BODY, MALFORMED_REQUEST, Problem, UNSUPPORTED_GRANT_TYPE},
    tokens,
};
use crate::app::App;

/// Path of the token endpoint below the issuer.
pub const TOKEN_PATH: &str = "/oauth2/token";

/// A token request (RFC 6749 §4.4.2). The client may authenticate by HTTP Basic instead of `client_secret`.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "describes the form; its parameters are read one by one, because unknown ones are ignored"
)]
pub struct OAuthTokenRequest {
    /// `client_credentials`.
    grant_type: String,
    /// A bearer or session.
    client_secret: Option<String>,
    /// The token's `aud`.
    audience: Option<String>,
    /// The ARN of the one role that the token is for.
    resource: Option<String>,
}

/// A token answer (RFC 6749 §5.1, RFC 8693 §2.2.1).
#[derive(Serialize, ToSchema)]
pub struct OAuthToken {
    /// The minted JWT.
    access_token: String,
    /// `urn:ietf:params:oauth:token-type:jwt`.
    issued_token_type: &'static str,
    /// `Bearer`.
    token_type: &'static str,
    /// Its lifetime, in seconds.
    expires_in: u32,
}

/// Mints a token for a client that authenticates with a bearer as its client secret.
#[utoipa::path(post, path = TOKEN_PATH, tag = "oauth",
    request_body(content = OAuthTokenRequest, content_type = "application/x-www-form-urlencoded"), responses(
    (status = 200, body = OAuthToken),
    (status = 400, description = "RFC 6749 §5.2 error"),
    (status = 401, description = "the client secret is not valid"),
))]
pub async fn token(
    State(app): State<Arc<App>>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    form: Result<StrictForm, Problem>,
) -> Result<Response, Problem> {
    exchange(&app, context, &headers, form).await.map_err(Problem::oauth)
}

async fn exchange(
    app: &App,
    context: RequestContext,
    headers: &HeaderMap,
    form: Result<StrictForm, Problem>,
) -> Result<Response, Problem> {
    let StrictForm(parameters) = form?;
    let mut request = MintRequest::default();
    let (mut grant_type, mut secret) = (None, None);
    for (name, value) in parameters {
        match name.as_str() {
            "grant_type" => grant_type = Some(value),
            "client_secret" => secret = Some(SecretString::from(value)),
            "audience" => request.audience = Some(value),
            "resource" => request.role = Some(value),
            // RFC 6749 §3.2: unrecognised parameters are ignored; `client_id` and `scope` say nothing here.
            _ => {}
        }
    }
    match grant_type.as_deref() {
        Some("client_credentials") => {}
        Some(_) => return Err(Problem::new(&UNSUPPORTED_GRANT_TYPE)),
        None => return Err(Problem::new(&MALFORMED_BODY).detail("The parameter `grant_type` is missing.")),
    }
    let secret = match (basic(headers)?, secret) {
        (Some(_), Some(_)) => {
            let twice = "The client authenticates twice: in the Authorization header and in the body.";
            return Err(Problem::new(&MALFORMED_REQUEST).detail(twice));
        }
        (one, other) => one.or(other),
    };
    let minted = tokens::run(app, context, "POST /oauth2/token", secret, false, request).await?;
    Ok(tokens::private(OAuthToken {
        access_token: minted.token.expose().to_owned(),
        issued_token_type: "urn:ietf:params:oauth:token-type:jwt",
        token_type: "Bearer",
        expires_in: minted.lifetime_seconds,
    }))
}

/// The password of HTTP Basic (RFC 6749 §2.3.1, form-encoded), if the header is there.
fn basic(headers: &HeaderMap) -> Result<Option<SecretString>, Problem> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let malformed = || {
        Problem::new(&MALFORMED_REQUEST)
            .detail("The Authorization header is not `Basic` with `client_id:client_secret`.")
    };
    let (scheme, encoded) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(malformed());
    }
    let decoded = BASE64_STANDARD.decode(encoded.trim()).map_err(|_| malformed())?;
    let decoded = zeroize::Zeroizing::new(String::from_utf8(decoded).map_err(|_| malformed())?);
    let (_, password) = decoded.split_once(':').ok_or_else(malformed)?;
    // The secrets that Tagmint issues have no character that form encoding changes.
    Ok(Some(SecretString::from(password)))
}
