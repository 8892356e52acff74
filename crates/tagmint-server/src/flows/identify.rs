//! Who asks for a token, by whatever proof: a session, a bearer, or the ID token of a CI job. Every route that mints comes through here, so
//! that a refusal on one of them is a refusal on all.

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use tagmint_core::{
    environment::Environment,
    federation::{FederationError, UpstreamToken},
    identity::{IdentitySource, VerifiedIdentity},
    rules::Grant,
};
use tagmint_store::{Allowance, Claim, StoreError, TokenUse};

use super::authenticate::{AuthenticateError, authenticate};
use crate::{app::App, upstream::UpstreamError};

/// What a route takes as proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepts {
    /// A session, a bearer, or the ID token of a CI job.
    Any,
    /// The same, and nothing at all where the issuer mints openly: no credential was presented, not a wrong one.
    AnyOrNone,
    /// A session or a bearer: what the issuer itself gave out.
    Issued,
    /// A session alone.
    Session,
    /// The ID token of a CI job.
    CiToken,
}

/// Why nobody was identified.
#[derive(Debug, thiserror::Error)]
pub enum IdentifyError {
    /// The session or bearer proves nothing, or there is no credential at all.
    #[error(transparent)]
    Credential(#[from] AuthenticateError),
    /// The route takes no CI tokens.
    #[error("this takes a session or a bearer; the ID token of a CI job was presented")]
    CiTokenNotTaken,
    /// The route takes CI tokens alone.
    #[error("this takes the ID token of a CI job; a credential of this issuer was presented")]
    CiTokenWanted,
    /// The CI token is not accepted.
    #[error(transparent)]
    CiToken(UpstreamError),
    /// The keys of the platform are not at hand: says nothing about the token.
    #[error(transparent)]
    UpstreamOutage(UpstreamError),
    /// The CI token has been used.
    #[error("the CI token was used already, first at {first_used_at}; ask the platform for another one")]
    Spent {
        /// When it was used first.
        first_used_at: Timestamp,
    },
}

impl IdentifyError {
    /// The stable code for the ledger, metrics and problems.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Credential(error) => error.code(),
            Self::CiTokenNotTaken => "ci_token_not_taken",
            Self::CiTokenWanted => "ci_token_wanted",
            Self::CiToken(UpstreamError::UnknownIssuer(_)) => "ci_token_unknown_issuer",
            Self::CiToken(UpstreamError::Token(FederationError::Expired(_) | FederationError::TooOld(_))) => {
                "ci_token_expired"
            }
            Self::CiToken(UpstreamError::Token(FederationError::Audience(_) | FederationError::AudienceList(_))) => {
                "ci_token_audience"
            }
            Self::CiToken(_) => "ci_token_invalid",
            Self::UpstreamOutage(_) => "provider_keys",
            Self::Spent { .. } => "ci_token_spent",
        }
    }

    /// Whether this is a verdict about the caller, and not a failure of ours or of others.
    pub const fn is_refusal(&self) -> bool {
        !matches!(self, Self::UpstreamOutage(_) | Self::Credential(AuthenticateError::Store(_)))
    }
}

/// Somebody who has proved who they are.
#[derive(Debug)]
pub struct Identified {
    /// Who it is.
    pub identity: VerifiedIdentity,
    /// The use of the CI token, still to be claimed; none for other credentials, which may be used again.
    pub ci_token: Option<CiTokenUse>,
}

/// A verified CI token before its use is claimed.
#[derive(Debug)]
pub struct CiTokenUse {
    provider: String,
    hash: String,
    keep_until: Timestamp,
    allowance: Allowance,
}

/// A claim that was made, in case it has to be taken back.
#[derive(Debug)]
pub struct Claimed {
    token: TokenUse,
    claim: Claim,
}

impl Accepts {
    /// Whether whoever asks is taken without proof. A prod issuer does not start with open minting; it is looked at all the same.
    pub fn is_open(self, app: &App, presented: Option<&SecretString>) -> bool {
        self == Self::AnyOrNone
            && presented.is_none()
            && app.settings.open_mint.is_some()
            && app.settings.stamp.environment == Environment::Test
    }

    /// Refuses an identity whose proof the route does not take, once it is known and can be told in the ledger.
    pub fn check(self, identity: &VerifiedIdentity) -> Result<(), IdentifyError> {
        if self == Self::Session && identity.source != IdentitySource::Session {
            return Err(AuthenticateError::NotASession.into());
        }
        Ok(())
    }
}

/// Checks what was presented.
pub async fn identify(
    app: &App,
    accepts: Accepts,
    now: Timestamp,
    presented: Option<&SecretString>,
) -> Result<Identified, IdentifyError> {
    if accepts.is_open(app, presented) {
        return Ok(Identified { identity: VerifiedIdentity::anonymous(), ci_token: None });
    }
    let is_jwt = presented.is_some_and(|presented| looks_like_jwt(presented.expose_secret()));
    match (accepts, is_jwt, presented) {
        (Accepts::Issued | Accepts::Session, true, _) => Err(IdentifyError::CiTokenNotTaken),
        (Accepts::CiToken, false, Some(_)) => Err(IdentifyError::CiTokenWanted),
        (Accepts::Any | Accepts::AnyOrNone | Accepts::CiToken, true, Some(token)) => ci_token(app, token).await,
        _ => {
            let authenticated = authenticate(&app.store, app.settings.stamp.environment, now, presented).await?;
            Ok(Identified { identity: authenticated.into_identity(), ci_token: None })
        }
    }
}

/// What this issuer gives out has no dots.
fn looks_like_jwt(presented: &str) -> bool {
    presented.contains('.')
}

async fn ci_token(app: &App, token: &SecretString) -> Result<Identified, IdentifyError> {
    let verified = app.upstreams.authenticate(token.expose_secret()).await.map_err(|error| {
        if error.is_outage() { IdentifyError::UpstreamOutage(error) } else { IdentifyError::CiToken(error) }
    })?;
    Ok(Identified { ci_token: Some(token_use(app, &verified)), identity: verified.into_identity() })
}

fn token_use(app: &App, token: &UpstreamToken) -> CiTokenUse {
    let allowance = app.upstreams.provider(token.provider()).map_or(Allowance::ONCE, |provider| Allowance {
        uses: provider.reuse.uses,
        within_seconds: u32::try_from(provider.reuse.within.as_secs()).unwrap_or(0),
    });
    CiTokenUse {
        provider: token.provider().to_string(),
        hash: hex(token.use_id().hash()),
        keep_until: token.remember_until(),
        allowance,
    }
}

impl CiTokenUse {
    /// Claims the use of the token for what was granted. After this no other request has it, in whatever process.
    pub async fn claim(self, app: &App, grant: &Grant, now: Timestamp) -> Result<Claimed, ClaimError> {
        let token = TokenUse {
            provider: self.provider,
            token_hash: self.hash,
            keep_until: self.keep_until,
            now,
            request_hash: request_hash(grant),
            allowance: self.allowance,
        };
        match app.store.used_tokens().claim(&token).await? {
            Claim::Spent { first_used_at } => Err(ClaimError::Spent(IdentifyError::Spent { first_used_at })),
            claim => Ok(Claimed { token, claim }),
        }
    }
}

/// Why a token's use could not be claimed.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// It has been used.
    #[error(transparent)]
    Spent(IdentifyError),
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Claimed {
    /// Takes the claim back, because nothing was given out for it. Where the database fails the token stays used, which is safe.
    pub async fn release(self, app: &App) {
        if let Err(error) = app.store.used_tokens().release(&self.token, self.claim).await {
            tracing::warn!(provider = self.token.provider, %error, "a CI token stays used although nothing was minted for it");
        }
    }
}

/// What a repetition has to have in common with the first use: audience and roles.
fn request_hash(grant: &Grant) -> String {
    let roles = grant.roles.iter().map(ToString::to_string);
    let parts: Vec<String> = std::iter::once(grant.audience.to_string()).chain(roles).collect();
    // Neither an audience nor an ARN has a line break.
    let hash = digest(&SHA256, parts.join("\n").as_bytes());
    hex(hash.as_ref())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
