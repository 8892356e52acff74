//! Ending a session or a bearer by showing it (RFC 7009).
//!
//! The secret is the proof: whoever has it may end it, and who finds a leaked one has nothing else. Other processes refuse it from their next
//! look-up on.

use std::net::IpAddr;

use secrecy::{ExposeSecret, SecretString};
use tagmint_core::{
    id::RequestId,
    identity::CredentialId,
    issued_secret::{InvalidSecret, IssuedSecret, SecretKind},
};
use tagmint_store::{Revocation, StoreError};

use super::{
    authenticate::AuthenticateError,
    client::{ClientError, authenticate_client},
};
use crate::app::App;

/// A request to end a credential.
#[derive(Debug)]
pub struct RevokeCommand {
    /// The HTTP request.
    pub request_id: RequestId,
    /// The caller's address.
    pub remote: IpAddr,
    /// The caller's own credential, where it presents one.
    pub client: Option<SecretString>,
    /// What is to be ended.
    pub token: SecretString,
}

/// What a revocation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revoked {
    /// It is ended now.
    Now(CredentialId),
    /// It was ended before.
    Before(CredentialId),
    /// It was never issued, or has been deleted since.
    Unknown,
    /// It is no credential of this issuer.
    Foreign(InvalidSecret),
}

/// Why nothing was ended.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// A signed token cannot be taken back: whoever checks it asks nobody.
    #[error("a minted token cannot be revoked; it is good until it expires")]
    UnsupportedTokenType,
    /// The client is not who it says, asks too often, or the database did not answer.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl From<StoreError> for RevokeError {
    fn from(error: StoreError) -> Self {
        Self::Client(ClientError::Unauthenticated(AuthenticateError::Store(error)))
    }
}

/// Ends a credential.
pub async fn revoke(app: &App, command: RevokeCommand) -> Result<Revoked, RevokeError> {
    let now = app.clock.now();
    let token = command.token.expose_secret();
    // Who presents the same credential twice proves no more by it, and may have ended it before.
    if let Some(client) = command.client.as_ref().filter(|client| client.expose_secret() != token) {
        authenticate_client(app, command.remote, now, Some(client)).await?;
    }
    if is_signed(token) {
        return Err(RevokeError::UnsupportedTokenType);
    }
    let found = match IssuedSecret::parse(token, app.settings.stamp.environment) {
        Ok(secret) => end(app, &secret).await?,
        Err(invalid) => Revoked::Foreign(invalid),
    };
    match &found {
        Revoked::Now(id) => {
            tracing::info!(request_id = %command.request_id, remote = %command.remote, credential = %id, "revoked by who showed it");
        }
        Revoked::Before(_) => {}
        Revoked::Unknown | Revoked::Foreign(_) => {
            app.limits.check_failed(command.remote).map_err(ClientError::TooMany)?;
        }
    }
    Ok(found)
}

async fn end(app: &App, secret: &IssuedSecret) -> Result<Revoked, StoreError> {
    let now = app.clock.now();
    let (id, revocation) = match secret.kind() {
        SecretKind::Session => {
            let sessions = app.store.sessions();
            let Some(session) = sessions.get_by_secret(secret.hash()).await? else { return Ok(Revoked::Unknown) };
            (CredentialId::Session(session.id), sessions.revoke(session.id, now).await?)
        }
        SecretKind::Bearer => {
            let bearers = app.store.bearers();
            let Some(bearer) = bearers.get_by_secret(secret.hash()).await? else { return Ok(Revoked::Unknown) };
            (CredentialId::Bearer(bearer.id), bearers.revoke(bearer.id, now).await?)
        }
    };
    Ok(match revocation {
        Revocation::Done => Revoked::Now(id),
        Revocation::AlreadyRevoked => Revoked::Before(id),
    })
}

/// Whether this is a JWT, anybody's (RFC 7515 §3.1: three parts, the first a JSON object in base64url).
fn is_signed(token: &str) -> bool {
    token.starts_with("eyJ") && token.split('.').count() == 3
}
