//! The OAuth token endpoint: token exchange (RFC 8693), by which a CI job gives its platform's ID token for one of ours, and
//! `client_credentials` (RFC 6749 §4.4), with a bearer as the client secret.

use std::sync::Arc;

use axum::{Extension, extract::State, http::HeaderMap, response::Response};
use secrecy::SecretString;
use serde::Serialize;
use tagmint_core::rules::MintRequest;
use utoipa::ToSchema;

use super::{
    body::StrictForm,
    client,
    context::RequestContext,
    problem::{MALFORMED_BODY, Problem, UNSUPPORTED_GRANT_TYPE},
    tokens,
};
use crate::{app::App, flows::identify::Accepts};

/// Path of the token endpoint below the issuer.
pub const TOKEN_PATH: &str = "/oauth2/token";

/// The grant type of token exchange.
pub const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// What is issued.
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
/// What CI platforms issue, beside [`JWT`].
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

/// A token request: RFC 8693 §2.1, or RFC 6749 §4.4.2 (where the client may authenticate by HTTP Basic instead of `client_secret`).
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "describes the form; its parameters are read one by one, because unknown ones are ignored"
)]
pub struct OAuthTokenRequest {
    /// `urn:ietf:params:oauth:grant-type:token-exchange` or `client_credentials`.
    grant_type: String,
    /// Token exchange: the ID token of the CI job.
    subject_token: Option<String>,
    /// Token exchange: `urn:ietf:params:oauth:token-type:id_token` or `…:jwt`.
    subject_token_type: Option<String>,
    /// Token exchange: `urn:ietf:params:oauth:token-type:jwt`, which it is by default.
    requested_token_type: Option<String>,
    /// Client credentials: a bearer or session.
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

/// Mints a token: for a CI job in exchange for its platform's ID token, or for a client that authenticates with a bearer as its secret.
#[utoipa::path(post, path = TOKEN_PATH, tag = "oauth",
    request_body(content = OAuthTokenRequest, content_type = "application/x-www-form-urlencoded"), responses(
    (status = 200, body = OAuthToken),
    (status = 400, description = "RFC 6749 §5.2 error; `type` says more precisely what"),
    (status = 401, description = "the client secret is not valid"),
    (status = 503, description = "the platform's keys are not at hand, or nothing can be released now"),
))]
pub async fn token(
    State(app): State<Arc<App>>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    form: Result<StrictForm, Problem>,
) -> Result<Response, Problem> {
    grant(&app, context, &headers, form).await.map_err(Problem::oauth)
}

/// The form's parameters. RFC 6749 §3.2: unrecognised ones are ignored; `client_id` and `scope` say nothing here.
#[derive(Default)]
struct Form {
    grant_type: Option<String>,
    subject_token: Option<SecretString>,
    subject_token_type: Option<String>,
    requested_token_type: Option<String>,
    actor_token: bool,
    client_secret: Option<SecretString>,
    request: MintRequest,
}

impl Form {
    fn read(parameters: Vec<(String, String)>) -> Self {
        let mut form = Self::default();
        for (name, value) in parameters {
            match name.as_str() {
                "grant_type" => form.grant_type = Some(value),
                "subject_token" => form.subject_token = Some(SecretString::from(value)),
                "subject_token_type" => form.subject_token_type = Some(value),
                "requested_token_type" => form.requested_token_type = Some(value),
                "actor_token" | "actor_token_type" => form.actor_token = true,
                "client_secret" => form.client_secret = Some(SecretString::from(value)),
                "audience" => form.request.audience = Some(value),
                "resource" => form.request.role = Some(value),
                _ => {}
            }
        }
        form
    }
}

async fn grant(
    app: &App,
    context: RequestContext,
    headers: &HeaderMap,
    form: Result<StrictForm, Problem>,
) -> Result<Response, Problem> {
    let StrictForm(parameters) = form?;
    let mut form = Form::read(parameters);
    let secret = client::credential(headers, form.client_secret.take())?;
    let (accepts, credential) = match form.grant_type.as_deref() {
        Some("client_credentials") => (Accepts::Issued, secret),
        Some(TOKEN_EXCHANGE) => (Accepts::CiToken, Some(subject_token(&mut form, secret.is_some())?)),
        Some(_) => return Err(Problem::new(&UNSUPPORTED_GRANT_TYPE)),
        None => return Err(malformed("The parameter `grant_type` is missing.")),
    };
    let minted = tokens::run(app, context, "POST /oauth2/token", credential, accepts, form.request).await?;
    Ok(tokens::private(OAuthToken {
        access_token: minted.token.expose().to_owned(),
        issued_token_type: JWT,
        token_type: "Bearer",
        expires_in: minted.lifetime_seconds,
    }))
}

/// What is exchanged, where the request is one that this endpoint can serve (RFC 8693 §2.1).
fn subject_token(form: &mut Form, client_authenticates: bool) -> Result<SecretString, Problem> {
    if client_authenticates {
        // Two proofs of two identities: whichever were taken, the caller may have meant the other.
        return Err(malformed(
            "In a token exchange the subject token is the proof: send no client secret and no Authorization header.",
        ));
    }
    if form.actor_token {
        return Err(malformed("There is no delegation here: leave `actor_token` out."));
    }
    match form.requested_token_type.as_deref() {
        None | Some(JWT) => {}
        Some(_) => {
            return Err(malformed(
                "The parameter `requested_token_type` may be `urn:ietf:params:oauth:token-type:jwt` alone.",
            ));
        }
    }
    match form.subject_token_type.as_deref() {
        Some(ID_TOKEN | JWT) => {}
        Some(_) => {
            return Err(malformed(
                "The parameter `subject_token_type` must be `urn:ietf:params:oauth:token-type:id_token` or `…:jwt`.",
            ));
        }
        None => return Err(malformed("The parameter `subject_token_type` is missing.")),
    }
    form.subject_token.take().ok_or_else(|| malformed("The parameter `subject_token` is missing."))
}

fn malformed(detail: &str) -> Problem {
    Problem::new(&MALFORMED_BODY).detail(detail)
}
