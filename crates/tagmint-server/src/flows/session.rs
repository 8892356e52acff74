//! Sessions: opened on the session backend's word, described, ended.

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use tagmint_core::{
    id::SessionId,
    issued_secret::{IssuedSecret, SecretKind},
    random::RandomUnavailable,
};
use tagmint_store::{NewSession, SessionRecord, StoreError};

use super::authenticate::{AuthenticateError, Authenticated, authenticate};
use crate::{app::App, backend::BackendError};

/// The longest subject that is kept, in characters: a token's `sub` has at most 255.
const MAX_SUBJECT: usize = 255;
/// The largest set of attributes that is kept, in bytes of JSON.
const MAX_ATTRIBUTES: usize = 16 * 1024;

/// A session that has just been opened; its secret is shown this once.
#[derive(Debug)]
pub struct OpenedSession {
    /// The secret.
    pub secret: IssuedSecret,
    /// The id.
    pub id: SessionId,
    /// Whose session it is.
    pub subject: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Why no session was opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenSessionError {
    /// This issuer has no session backend.
    #[error("this issuer opens no sessions: it has no session backend")]
    NoBackend,
    /// The backend refused the auth token, or is out of order.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The database did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No secret could be made.
    #[error(transparent)]
    Random(#[from] RandomUnavailable),
}

/// Opens a session for whom the backend names.
pub async fn open(app: &App, auth_token: &SecretString) -> Result<OpenedSession, OpenSessionError> {
    let backend = app.backend.as_ref().ok_or(OpenSessionError::NoBackend)?;
    let answer = backend.create(auth_token).await?;
    let attributes_len = serde_json::to_string(&answer.attributes).map_or(usize::MAX, |json| json.len());
    if answer.subject.chars().count() > MAX_SUBJECT || attributes_len > MAX_ATTRIBUTES {
        let limits = format!(
            "its wallet or attributes are too large (at most {MAX_SUBJECT} characters, {MAX_ATTRIBUTES} bytes)"
        );
        return Err(BackendError::Outage(limits).into());
    }
    // Whole seconds, as they are stored and shown.
    let now = Timestamp::from_second(app.clock.now().as_second()).unwrap_or_default();
    let backend_says = i64::try_from(answer.expires_in).map_or(SignedDuration::MAX, SignedDuration::from_secs);
    let lifetime = app.settings.session_lifetime.min(backend_says);
    let environment = app.settings.stamp.environment;
    let secret = IssuedSecret::generate(SecretKind::Session, environment, &*app.random)?;
    let session = NewSession {
        id: SessionId::generate(now, &*app.random)?,
        secret_hash: secret.hash(),
        subject: answer.subject,
        attributes: answer.attributes,
        created_at: now,
        expires_at: now + lifetime,
    };
    app.store.sessions().create(&session).await?;
    app.figures.sessions_opened.increment(1);
    Ok(OpenedSession { secret, id: session.id, subject: session.subject, expires_at: session.expires_at })
}

/// The session behind a credential. A bearer is not one.
pub async fn current(app: &App, credential: Option<&SecretString>) -> Result<SessionRecord, AuthenticateError> {
    let environment = app.settings.stamp.environment;
    match authenticate(&app.store, environment, app.clock.now(), credential).await? {
        Authenticated::Session(session) => Ok(session),
        Authenticated::Bearer(_) => Err(AuthenticateError::NotASession),
    }
}

/// Ends the session behind a credential.
pub async fn end(app: &App, credential: Option<&SecretString>) -> Result<SessionId, AuthenticateError> {
    let session = current(app, credential).await?;
    app.store.sessions().revoke(session.id, app.clock.now()).await?;
    Ok(session.id)
}
