//! The OAuth token endpoint: token exchange (RFC 8693), by which a CI job gives its platform's ID token for one of ours, and
//! `client_credentials` (RFC 6749 §4.4), with a bearer as the client secret.

use std::sync::Arc;

use axum::{Extension, extract::State, http::HeaderMap, response::Response};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use tagmint_core::{claims::RoleArn, rules::MintRequest, sanitize};
use utoipa::ToSchema;

use super::{
    body::StrictForm,
    client,
    context::RequestContext,
    misplaced,
    problem::{MALFORMED_BODY, Problem, UNSUPPORTED_GRANT_TYPE},
    subject_token::oddity,
    tokens,
};
use crate::{app::App, flows::identify::Accepts};

/// Path of the token endpoint below the issuer.
pub const TOKEN_PATH: &str = "/oauth2/token";

/// The grant type of token exchange.
pub const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// Token types (RFC 8693 §3). A minted token is each of these: a JWT, an ID token, and an access token to a service that takes it as a
/// bearer token. So is the token of a platform; some clients cannot call it anything but an access token.
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// The scope of every token, as the discovery document lists it.
const SCOPE: &str = "openid";

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
    /// Token exchange: `urn:ietf:params:oauth:token-type:id_token`, `…:jwt` or `…:access_token`.
    subject_token_type: Option<String>,
    /// Token exchange: `urn:ietf:params:oauth:token-type:jwt` (the default), `…:access_token` or `…:id_token`.
    requested_token_type: Option<String>,
    /// Client credentials: a bearer or session.
    client_secret: Option<String>,
    /// The token's `aud`. It may stand several times with the same value.
    audience: Option<String>,
    /// The ARN of the one role that the token is for. It may stand several times with the same value.
    resource: Option<String>,
    /// Taken and not looked at: rules decide. The answer says what scope the token has.
    scope: Option<String>,
}

/// A token answer (RFC 6749 §5.1, RFC 8693 §2.2.1).
#[derive(Serialize, ToSchema)]
pub struct OAuthToken {
    /// The minted JWT.
    access_token: String,
    /// The requested type; `urn:ietf:params:oauth:token-type:jwt` by default.
    issued_token_type: &'static str,
    /// `Bearer`; `N_A` where an ID token was requested (RFC 8693 §2.2.1).
    token_type: &'static str,
    /// Its lifetime, in seconds.
    expires_in: u32,
    /// `openid`, where another scope was requested (RFC 6749 §5.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'static str>,
    /// What its rule says of the role session that it opens: pass it to STS.
    #[serde(skip_serializing_if = "tokens::RoleSession::is_empty")]
    session: tokens::RoleSession,
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

/// The form's parameters. RFC 6749 §3.2: unrecognised ones are ignored; `client_id` says nothing here.
#[derive(Default)]
struct Form {
    grant_type: Option<String>,
    subject_token: Option<SecretString>,
    subject_token_type: Option<String>,
    requested_token_type: Option<String>,
    actor_token: bool,
    client_secret: Option<SecretString>,
    client_assertion: bool,
    audiences: Vec<String>,
    resources: Vec<String>,
    scope: Option<String>,
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
                "client_assertion" | "client_assertion_type" => form.client_assertion = true,
                "audience" if !form.audiences.contains(&value) => form.audiences.push(value),
                "resource" if !form.resources.contains(&value) => form.resources.push(value),
                "scope" => form.scope = Some(value),
                _ => {}
            }
        }
        form
    }

    /// The target of the token (RFC 8693 §2.1). Several targets in one token are refused: AWS takes one audience, and a token that is good
    /// at a second place can be replayed from there.
    fn request(&mut self) -> Result<MintRequest, Problem> {
        let audience = one("audience", "a token has one audience", std::mem::take(&mut self.audiences))?;
        let role =
            one("resource", "a request names one role or leaves it to the rule", std::mem::take(&mut self.resources))?;
        if let Some(role) = &role {
            misplaced::field("resource", role)?;
            if RoleArn::parse(role).is_err() {
                let shown = sanitize::shortened(role, 100);
                return Err(invalid_target(format!(
                    "`resource` is `{shown}`, which is not a role ARN such as `arn:aws:iam::123456789012:role/NAME`. Send what the token is for as `audience`, \
                     and leave `resource` out."
                )));
            }
        }
        Ok(MintRequest { audience, role, ..MintRequest::default() })
    }

    /// The type of the answer: `issued_token_type` and `token_type`.
    fn issued_type(&self) -> Result<(&'static str, &'static str), Problem> {
        match self.requested_token_type.as_deref() {
            None | Some(JWT) => Ok((JWT, "Bearer")),
            Some(ACCESS_TOKEN) => Ok((ACCESS_TOKEN, "Bearer")),
            Some(ID_TOKEN) => Ok((ID_TOKEN, "N_A")),
            Some(other) => Err(malformed(&format!(
                "`requested_token_type` is `{}`. Send `{JWT}`, `{ACCESS_TOKEN}` or `{ID_TOKEN}`, or leave it out.",
                sanitize::shortened(other, 100)
            ))),
        }
    }
}

/// The one value of a parameter that may stand several times.
fn one(name: &str, why: &str, values: Vec<String>) -> Result<Option<String>, Problem> {
    if values.len() < 2 {
        return Ok(values.into_iter().next());
    }
    values.iter().try_for_each(|value| misplaced::field(name, value))?;
    let shown: Vec<String> =
        values.iter().take(5).map(|value| format!("`{}`", sanitize::shortened(value, 100))).collect();
    Err(invalid_target(format!(
        "The request has {} values of `{name}` ({}), and {why}. Send one.",
        values.len(),
        shown.join(", ")
    )))
}

/// RFC 8693 §2.2.2: the target is what cannot be served.
fn invalid_target(detail: String) -> Problem {
    Problem::new(&MALFORMED_BODY).detail(detail).oauth_error("invalid_target")
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
        Some("client_credentials") if secret.is_none() && form.client_assertion => {
            return Err(malformed(
                "`client_assertion` is not supported: send a bearer token as `client_secret`, or exchange the token of a CI job.",
            ));
        }
        Some("client_credentials") => (Accepts::Issued, secret),
        Some(TOKEN_EXCHANGE) => (Accepts::CiToken, Some(subject_token(&mut form, secret.is_some())?)),
        Some(other) => return Err(unsupported_grant(app, other)),
        None => return Err(malformed("The parameter `grant_type` is missing.")),
    };
    let (issued_token_type, token_type) = form.issued_type()?;
    let request = form.request()?;
    let minted = tokens::run(app, context, "POST /oauth2/token", credential, accepts, request).await?;
    Ok(tokens::private(OAuthToken {
        access_token: minted.token.expose().to_owned(),
        issued_token_type,
        token_type,
        expires_in: minted.lifetime_seconds,
        scope: form.scope.filter(|scope| scope != SCOPE).map(|_| SCOPE),
        session: minted.session.into(),
    }))
}

fn unsupported_grant(app: &App, asked: &str) -> Problem {
    let takes = if app.upstreams.is_empty() {
        "`client_credentials`".to_owned()
    } else {
        format!("`{TOKEN_EXCHANGE}` and `client_credentials`")
    };
    let hint = if asked.ends_with(":jwt-bearer") {
        " Send the assertion as `subject_token` of a token exchange."
    } else if asked.contains("token-exchange") || asked.contains("token_exchange") || asked.contains('%') {
        " Check its spelling."
    } else {
        ""
    };
    let asked = sanitize::shortened(asked, 100);
    Problem::new(&UNSUPPORTED_GRANT_TYPE)
        .detail(format!("`grant_type` is `{asked}`, and this endpoint takes {takes}.{hint}"))
}

/// What is exchanged, where the request is one that this endpoint can serve (RFC 8693 §2.1).
fn subject_token(form: &mut Form, client_authenticates: bool) -> Result<SecretString, Problem> {
    if client_authenticates || form.client_assertion {
        // Two proofs of two identities: whichever were taken, the caller may have meant the other.
        return Err(malformed(
            "In a token exchange the subject token is the proof: send no client secret, no client assertion and no Authorization header.",
        ));
    }
    if form.actor_token {
        return Err(malformed(
            "`actor_token` is not supported: a token is minted for the subject alone, without delegation. Leave `actor_token` and `actor_token_type` out.",
        ));
    }
    match form.subject_token_type.as_deref() {
        Some(ID_TOKEN | JWT | ACCESS_TOKEN) => {}
        Some(other) => {
            return Err(malformed(&format!(
                "`subject_token_type` is `{}`. Send `{ID_TOKEN}`, `{JWT}` or `{ACCESS_TOKEN}`.",
                sanitize::shortened(other, 100)
            )));
        }
        None => return Err(malformed("The parameter `subject_token_type` is missing.")),
    }
    let token = form.subject_token.take().ok_or_else(|| malformed("The parameter `subject_token` is missing."))?;
    match oddity(token.expose_secret()) {
        Some(oddity) => Err(malformed(&format!("The `subject_token` {oddity}."))),
        None => Ok(token),
    }
}

fn malformed(detail: &str) -> Problem {
    Problem::new(&MALFORMED_BODY).detail(detail)
}
