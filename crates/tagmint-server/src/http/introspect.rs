//! `POST /oauth2/introspect` (RFC 7662): what a session, a bearer or a minted token is worth now.

use std::sync::Arc;

use axum::{Extension, extract::State, http::HeaderMap, response::Response};
use jiff::Timestamp;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    body::StrictForm,
    client,
    context::RequestContext,
    problem::{MALFORMED_BODY, Problem},
    tokens,
};
use crate::{
    app::App,
    flows::introspect::{IntrospectCommand, Introspection, introspect as ask},
};

/// Path of the introspection endpoint below the issuer.
pub const INTROSPECT_PATH: &str = "/oauth2/introspect";

/// A question about a token (RFC 7662 §2.1).
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "describes the form; its parameters are read one by one, because unknown ones are ignored"
)]
pub struct IntrospectionRequest {
    /// A session, a bearer, or a token that this issuer minted.
    token: String,
    /// Ignored: the token's form tells.
    token_type_hint: Option<String>,
    /// The caller's credential, where it is in no header.
    client_secret: Option<String>,
}

/// The answer (RFC 7662 §2.2). Of a token that is not active nothing else is told.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct IntrospectionAnswer {
    /// Whether it is good now.
    active: bool,
    /// `Bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    /// `session`, `bearer` or `token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<&'static str>,
    /// The issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    /// Whose session; the bearer's name; the token's subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    /// The token's audience.
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<String>,
    /// The id: `ses_…`, `brr_…`, `mnt_…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    /// When it was made, in seconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    /// When it ends, in seconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    /// The one rule that a bearer may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    /// The tags, and the prefixes of their values, that a bearer is confined to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    tag_scope: Option<Map<String, Value>>,
}

/// Tells what a session, a bearer or a minted token is worth now.
#[utoipa::path(post, path = INTROSPECT_PATH, tag = "oauth", security(("bearer" = [])),
    request_body(content = IntrospectionRequest, content_type = "application/x-www-form-urlencoded"), responses(
    (status = 200, body = IntrospectionAnswer),
    (status = 400, description = "RFC 6749 §5.2 error"),
    (status = 401, description = "the caller's own credential is not valid"),
))]
pub async fn introspect(
    State(app): State<Arc<App>>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    form: Result<StrictForm, Problem>,
) -> Result<Response, Problem> {
    answer(&app, context, &headers, form).await.map_err(Problem::oauth)
}

async fn answer(
    app: &App,
    context: RequestContext,
    headers: &HeaderMap,
    form: Result<StrictForm, Problem>,
) -> Result<Response, Problem> {
    let TokenForm { token, client_secret } = TokenForm::read(form?)?;
    let caller = client::credential(headers, client_secret)?;
    let found = ask(app, IntrospectCommand { remote: context.remote, caller, token }).await;
    let found = found.map_err(|error| app.client_problem(error))?;
    Ok(tokens::private(render(app, found)))
}

/// The parameters that introspection and revocation have in common.
pub(super) struct TokenForm {
    pub(super) token: SecretString,
    pub(super) client_secret: Option<SecretString>,
}

impl TokenForm {
    pub(super) fn read(StrictForm(parameters): StrictForm) -> Result<Self, Problem> {
        let (mut token, mut client_secret) = (None, None);
        for (name, value) in parameters {
            match name.as_str() {
                // A file that a leaked secret was kept in ends in a newline, which curl sends along.
                "token" => token = Some(SecretString::from(value.trim())),
                "client_secret" => client_secret = Some(SecretString::from(value)),
                // The token's form tells its type; `client_id` says nothing here; unrecognised parameters are ignored.
                _ => {}
            }
        }
        let missing = || Problem::new(&MALFORMED_BODY).detail("The parameter `token` is missing.");
        Ok(Self { token: token.ok_or_else(missing)?, client_secret })
    }
}

fn render(app: &App, found: Introspection) -> IntrospectionAnswer {
    let active = IntrospectionAnswer {
        active: true,
        token_type: Some("Bearer"),
        iss: Some(app.settings.stamp.issuer.to_string()),
        ..IntrospectionAnswer::default()
    };
    match found {
        Introspection::Inactive => IntrospectionAnswer::default(),
        Introspection::Session(session) => IntrospectionAnswer {
            credential: Some("session"),
            sub: Some(session.subject),
            jti: Some(session.id.to_string()),
            iat: Some(session.created_at.as_second()),
            exp: Some(session.expires_at.as_second()),
            ..active
        },
        Introspection::Bearer(bearer) => IntrospectionAnswer {
            credential: Some("bearer"),
            sub: Some(bearer.name),
            jti: Some(bearer.id.to_string()),
            iat: Some(bearer.created_at.as_second()),
            exp: bearer.expires_at.map(Timestamp::as_second),
            rule: bearer.rule.map(|rule| rule.to_string()),
            tag_scope: Some(bearer.scope.to_json()).filter(|scope| !scope.is_empty()),
            ..active
        },
        Introspection::Token(claims) => {
            let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
            let number = |name: &str| claims.get(name).and_then(Value::as_i64);
            IntrospectionAnswer {
                credential: Some("token"),
                sub: text("sub"),
                aud: text("aud"),
                jti: text("jti"),
                iat: number("iat"),
                exp: number("exp"),
                ..active
            }
        }
    }
}
