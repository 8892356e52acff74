//! Who calls an endpoint for clients, where that is not the one that a token is minted for.

use std::net::IpAddr;

use jiff::Timestamp;
use secrecy::SecretString;

use super::authenticate::{AuthenticateError, Authenticated, authenticate};
use crate::{app::App, limits::TooMany};

/// Why a client is not served.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// It is not who it would have to be, or the database did not answer.
    #[error(transparent)]
    Unauthenticated(AuthenticateError),
    /// Too many requests of this credential, or too many from this address that prove nothing.
    #[error("too many requests by {}", .0.bucket)]
    TooMany(TooMany),
}

/// Checks the credential that a client presents. One that proves nothing costs its address something.
pub async fn authenticate_client(
    app: &App,
    remote: IpAddr,
    now: Timestamp,
    presented: Option<&SecretString>,
) -> Result<Authenticated, ClientError> {
    if let Some(presented) = presented {
        app.limits.check_credential(presented).map_err(ClientError::TooMany)?;
    }
    match authenticate(&app.store, app.settings.stamp.environment, now, presented).await {
        Ok(client) => Ok(client),
        Err(error @ AuthenticateError::Store(_)) => Err(ClientError::Unauthenticated(error)),
        Err(error) => {
            app.limits.check_failed(remote).map_err(ClientError::TooMany)?;
            Err(ClientError::Unauthenticated(error))
        }
    }
}
