//! `POST /oauth2/revoke` (RFC 7009): ends a session or a bearer for whoever shows it.

use std::sync::Arc;

use axum::{Extension, extract::State, http::HeaderMap, response::Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::{body::StrictForm, client, context::RequestContext, introspect::TokenForm, problem::Problem, tokens};
use crate::{
    app::App,
    flows::revoke::{RevokeCommand, RevokeError, Revoked, revoke as end},
};

/// Path of the revocation endpoint below the issuer.
pub const REVOKE_PATH: &str = "/oauth2/revoke";

/// A request to end a credential (RFC 7009 §2.1).
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "describes the form; its parameters are read one by one, because unknown ones are ignored"
)]
pub struct RevocationRequest {
    /// A session or a bearer. It is proof enough: nothing else need be presented.
    token: String,
    /// Ignored: the token's form tells.
    token_type_hint: Option<String>,
    /// The caller's own credential, where it has one and it is in no header.
    client_secret: Option<String>,
}

/// What was done, for people; programs go by the status (RFC 7009 §2.2).
#[derive(Debug, Serialize, ToSchema)]
pub struct RevocationAnswer {
    /// Whether the credential is of this issuer, and ended.
    revoked: bool,
    /// What was found.
    detail: String,
}

/// Ends a session or a bearer. The answer is 200 too where there was nothing to end.
#[utoipa::path(post, path = REVOKE_PATH, tag = "oauth",
    request_body(content = RevocationRequest, content_type = "application/x-www-form-urlencoded"), responses(
    (status = 200, body = RevocationAnswer),
    (status = 400, description = "RFC 6749 §5.2 error; `unsupported_token_type` for a minted token"),
    (status = 401, description = "the caller presents a credential of its own that is not valid"),
))]
pub async fn revoke(
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
    let client = client::credential(headers, client_secret)?;
    let command = RevokeCommand { request_id: context.id, remote: context.remote, client, token };
    let found = end(app, command).await.map_err(|error| match error {
        RevokeError::Client(error) => app.client_problem(error),
        refused @ RevokeError::UnsupportedTokenType => refused.into(),
    })?;
    let (revoked, detail) = match found {
        Revoked::Now(id) => (true, format!("{id} is revoked.")),
        Revoked::Before(id) => (true, format!("{id} had been revoked before.")),
        Revoked::Unknown => (false, "The credential is not known here.".to_owned()),
        // Who found a leaked one may be at the wrong issuer.
        Revoked::Foreign(why) => (false, format!("Nothing was revoked: {why}.")),
    };
    Ok(tokens::private(RevocationAnswer { revoked, detail }))
}
