//! Sessions: opened on the session backend's word, described, ended.

use std::{net::IpAddr, time::Duration};

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use tagmint_core::{
    id::{RequestId, SessionId},
    identity::IdentitySource,
    issued_secret::{IssuedSecret, SecretKind},
    random::RandomUnavailable,
};
use tagmint_store::{LedgerError, NewSession, SessionRecord, StoreError};

use super::{
    authenticate::{AuthenticateError, Authenticated},
    client::{ClientError, authenticate_client},
    refusals::{self, Caller, Refusal, Unrecorded},
};
use crate::{app::App, backend::BackendError, limits::TooMany};

/// The route by which sessions are opened, in the ledger.
const ROUTE: &str = "POST /v1/sessions";

/// The longest subject that is kept, in characters: a token's `sub` has at most 255.
const MAX_SUBJECT: usize = 255;
/// The largest set of attributes that is kept, in bytes of JSON.
const MAX_ATTRIBUTES: usize = 16 * 1024;

/// A request for a session.
#[derive(Debug)]
pub struct OpenCommand {
    /// The HTTP request.
    pub request_id: RequestId,
    /// The caller's address.
    pub remote: IpAddr,
    /// The proof for the session backend.
    pub auth_token: SecretString,
}

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
    /// Too many auth tokens from this address proved nothing, or sessions of this subject are opened too fast. Not recorded.
    #[error("too many requests by {}", .0.bucket)]
    TooMany(TooMany),
    /// The subject has as many sessions as it may have.
    #[error("the subject has {most} sessions, the most that `limits.sessions_per_subject` allows")]
    TooManySessions {
        /// The most.
        most: u32,
        /// How long until the first of them ends.
        retry_after: Duration,
    },
    /// The database did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The refusal could not be recorded.
    #[error("the ledger cannot be written: {0}")]
    Ledger(#[from] LedgerError),
    /// No secret could be made.
    #[error(transparent)]
    Random(#[from] RandomUnavailable),
}

impl OpenSessionError {
    /// The stable code of a refusal; none where nothing was refused.
    const fn refusal_code(&self) -> Option<&'static str> {
        match self {
            Self::Backend(BackendError::Refused) => Some("auth_token_refused"),
            Self::TooManySessions { .. } => Some("sessions_per_subject"),
            _ => None,
        }
    }
}

impl From<Unrecorded> for OpenSessionError {
    fn from(error: Unrecorded) -> Self {
        match error {
            Unrecorded::Ledger(error) => error.into(),
            Unrecorded::Random(error) => error.into(),
        }
    }
}

/// Opens a session for whom the backend names. A refusal is recorded.
pub async fn open(app: &App, command: OpenCommand) -> Result<OpenedSession, OpenSessionError> {
    let OpenCommand { request_id, remote, auth_token } = command;
    let now = app.clock.now();
    let mut subject = None;
    let error = match try_open(app, remote, &auth_token, now, &mut subject).await {
        Ok(opened) => return Ok(opened),
        Err(error) => error,
    };
    let Some(code) = error.refusal_code() else { return Err(error) };
    let source = subject.is_some().then(|| IdentitySource::Session.as_str().to_owned());
    let refusal = Refusal {
        what: "session",
        request_id,
        route: ROUTE,
        remote,
        at: now,
        caller: Caller { source, identity: subject, ..Caller::default() },
        // Of one good auth token, too, there are refusals without end.
        anybody: true,
        about: None,
        code,
        detail: error.to_string(),
    };
    refusals::record(app, refusal).await?;
    app.figures.session_refused(code);
    Err(error)
}

async fn try_open(
    app: &App,
    remote: IpAddr,
    auth_token: &SecretString,
    now: Timestamp,
    subject: &mut Option<String>,
) -> Result<OpenedSession, OpenSessionError> {
    let backend = app.backend.as_ref().ok_or(OpenSessionError::NoBackend)?;
    // Before the backend is asked, so that a guess beyond the limit is not even tried, and guesses that run at once count each.
    refusals::check_failed(app, remote, now).map_err(OpenSessionError::TooMany)?;
    let answer = backend.create(auth_token).await;
    if !matches!(answer, Err(BackendError::Refused)) {
        app.limits.give_back_failed(remote);
    }
    let answer = answer?;
    let attributes_len = serde_json::to_string(&answer.attributes).map_or(usize::MAX, |json| json.len());
    if answer.subject.chars().count() > MAX_SUBJECT || attributes_len > MAX_ATTRIBUTES {
        let limits = format!(
            "its wallet or attributes are too large (at most {MAX_SUBJECT} characters, {MAX_ATTRIBUTES} bytes)"
        );
        return Err(BackendError::Outage(limits).into());
    }
    let subject = subject.insert(answer.subject).clone();
    app.limits.check_session_open(&subject).map_err(OpenSessionError::TooMany)?;
    // Whole seconds, as they are stored and shown.
    let now = Timestamp::from_second(app.clock.now().as_second()).unwrap_or_default();
    let backend_says = i64::try_from(answer.expires_in).map_or(SignedDuration::MAX, SignedDuration::from_secs);
    let lifetime = app.settings.session_lifetime.min(backend_says);
    let environment = app.settings.stamp.environment;
    let secret = IssuedSecret::generate(SecretKind::Session, environment, &*app.random)?;
    let session = NewSession {
        id: SessionId::generate(now, &*app.random)?,
        secret_hash: secret.hash(),
        subject,
        attributes: answer.attributes,
        created_at: now,
        expires_at: now + lifetime,
    };
    match app.settings.limits.sessions_per_subject {
        0 => app.store.sessions().create(&session).await?,
        most => {
            if let Err(first_end) = app.store.sessions().create_within(&session, most).await? {
                let retry_after = Duration::try_from(first_end.duration_since(now)).unwrap_or(Duration::from_secs(1));
                return Err(OpenSessionError::TooManySessions { most, retry_after });
            }
        }
    }
    app.figures.sessions_opened.increment(1);
    Ok(OpenedSession { secret, id: session.id, subject: session.subject, expires_at: session.expires_at })
}

/// The session behind a credential. A bearer token is not one. A credential that proves nothing counts against its address.
pub async fn current(
    app: &App,
    remote: IpAddr,
    credential: Option<&SecretString>,
) -> Result<SessionRecord, ClientError> {
    match authenticate_client(app, remote, app.clock.now(), credential).await? {
        Authenticated::Session(session) => Ok(session),
        Authenticated::Bearer(_) => Err(ClientError::Unauthenticated(AuthenticateError::NotASession)),
    }
}

/// Ends the session behind a credential.
pub async fn end(app: &App, remote: IpAddr, credential: Option<&SecretString>) -> Result<SessionId, ClientError> {
    let session = current(app, remote, credential).await?;
    let revoked = app.store.sessions().revoke(session.id, app.clock.now()).await;
    revoked.map_err(|error| ClientError::Unauthenticated(AuthenticateError::Store(error)))?;
    Ok(session.id)
}
