//! `POST /v1/sessions`, and the session behind a credential.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    bearer::BearerCredential,
    body::StrictJson,
    context::RequestContext,
    problem::{Problem, ProblemDocument},
};
use crate::{
    app::App,
    flows::session::{self, OpenCommand, OpenSessionError},
    limits::TooMany,
};

/// Asks for a session.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenSession {
    /// What the session backend takes as proof.
    #[schema(value_type = String)]
    auth_token: SecretString,
}

/// A session that has been opened.
#[derive(Serialize, ToSchema)]
pub struct OpenedSession {
    /// The secret, shown this once: `tms_…`.
    session: String,
    /// Whose session it is.
    subject: String,
    /// When it ends (RFC 3339).
    expires_at: String,
}

/// A session, without its secret.
#[derive(Serialize, ToSchema)]
pub struct Session {
    /// The id: `ses_…`.
    id: String,
    /// Whose session it is.
    subject: String,
    /// What the backend vouches for.
    #[schema(value_type = Object)]
    attributes: Map<String, Value>,
    /// When it was opened (RFC 3339).
    created_at: String,
    /// When it ends (RFC 3339).
    expires_at: String,
}

/// Opens a session through the session backend.
#[utoipa::path(post, path = "/v1/sessions", tag = "sessions", request_body = OpenSession, responses(
    (status = 201, body = OpenedSession),
    (status = 401, description = "the backend refused the auth token", body = ProblemDocument, content_type = "application/problem+json"),
    (status = 429, description = "too many auth tokens from this address were refused, or the subject has, or opens, too many sessions", body = ProblemDocument, content_type = "application/problem+json"),
    (status = 503, description = "the backend is out of order", body = ProblemDocument, content_type = "application/problem+json"),
))]
pub async fn open(
    State(app): State<Arc<App>>,
    Extension(context): Extension<RequestContext>,
    StrictJson(body): StrictJson<OpenSession>,
) -> Result<Response, Problem> {
    let command = OpenCommand { request_id: context.id, remote: context.remote, auth_token: body.auth_token };
    let opened = session::open(&app, command).await.map_err(|error| match error {
        OpenSessionError::TooMany(too_many) => app.too_many(too_many),
        OpenSessionError::TooManySessions { retry_after, .. } => {
            app.too_many(TooMany { bucket: "sessions_per_subject", retry_after })
        }
        error => error.into(),
    })?;
    let answer = OpenedSession {
        session: opened.secret.expose().to_owned(),
        subject: opened.subject,
        expires_at: opened.expires_at.to_string(),
    };
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// Describes the session that is presented.
#[utoipa::path(get, path = "/v1/sessions/current", tag = "sessions", security(("bearer" = [])), responses((status = 200, body = Session)))]
pub async fn current(
    State(app): State<Arc<App>>,
    Extension(context): Extension<RequestContext>,
    BearerCredential(credential): BearerCredential,
) -> Result<Response, Problem> {
    let found = session::current(&app, context.remote, credential.as_ref()).await;
    let found = found.map_err(|error| app.client_problem(error))?;
    let answer = Session {
        id: found.id.to_string(),
        subject: found.subject,
        attributes: found.attributes,
        created_at: found.created_at.to_string(),
        expires_at: found.expires_at.to_string(),
    };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// Ends the session that is presented.
#[utoipa::path(delete, path = "/v1/sessions/current", tag = "sessions", security(("bearer" = [])), responses((status = 204)))]
pub async fn end(
    State(app): State<Arc<App>>,
    Extension(context): Extension<RequestContext>,
    BearerCredential(credential): BearerCredential,
) -> Result<StatusCode, Problem> {
    let ended = session::end(&app, context.remote, credential.as_ref()).await;
    ended.map_err(|error| app.client_problem(error))?;
    Ok(StatusCode::NO_CONTENT)
}
