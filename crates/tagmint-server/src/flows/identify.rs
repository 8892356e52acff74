//! Who asks for a token, by whatever proof: a session, a bearer, or the ID token of a CI job. Every route that mints comes through here, so
//! that a refusal on one of them is a refusal on all.

use std::{
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use tagmint_core::{
    environment::Environment,
    identity::{IdentitySource, VerifiedIdentity},
    rules::Grant,
    trusted_issuer::{Reuse, TokenError, TrustedIssuerName, VerifiedToken},
};
use tagmint_store::{Allowance, Claim, Exhausted, StoreError, TokenUse};

use super::authenticate::{AuthenticateError, authenticate};
use crate::{app::App, limits::TooMany, upstream::UpstreamError};

/// What a route takes as proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepts {
    /// A session, a bearer, or the ID token of a CI job.
    Any,
    /// The same, and nothing at all where the issuer mints anonymously: no credential was presented, not a wrong one.
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
    /// The CI token has been used, and may not be used again.
    #[error(transparent)]
    Spent(#[from] Spent),
}

/// A CI token that has been used, and may not be used again.
///
/// The error states only what is known: that the token was used, not by whom. A client that repeats a request, a second step of a job and a
/// thief look the same from here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the token was exchanged at {first_used_at}{}; {}", self.why(), self.what_to_do())]
pub struct Spent {
    /// Its provider.
    pub provider: TrustedIssuerName,
    /// How often the provider allows it.
    pub reuse: Reuse,
    /// When it was used first.
    pub first_used_at: Timestamp,
    /// Why not again.
    pub why: Exhausted,
}

impl Spent {
    fn why(&self) -> String {
        let provider = &self.provider;
        match (self.why, self.reuse) {
            (Exhausted::UsedUp, Reuse::Times { uses: 0 | 1, .. }) => " and is good for one exchange".to_owned(),
            (Exhausted::UsedUp, Reuse::Times { uses, .. }) => {
                format!(" and {uses} times in all, as often as the provider `{provider}` allows (`uses`)")
            }
            (Exhausted::TooLate, Reuse::Times { within, .. }) => {
                format!(
                    ", longer ago than the {within:#} in which the provider `{provider}` allows it again (`uses_within`)"
                )
            }
            (Exhausted::OtherRequest, Reuse::Times { .. }) => " for another audience or role".to_owned(),
            (Exhausted::OtherRequest, Reuse::UntilExpiry { .. }) => " for another audience".to_owned(),
            (Exhausted::OtherNetwork { .. }, _) => {
                format!(
                    " from another network, and the provider `{provider}` allows it again from that one alone (`reuse_from`)"
                )
            }
            (Exhausted::TooOften { .. }, Reuse::UntilExpiry { per_minute, .. }) => {
                format!(
                    ", and {per_minute} times in this minute, as often as the provider `{provider}` allows (`reuse_per_minute`)"
                )
            }
            // The configuration changed between two starts.
            (Exhausted::UsedUp | Exhausted::TooLate | Exhausted::TooOften { .. }, _) => {
                format!(" and may not be exchanged again by the configuration of the provider `{provider}`")
            }
        }
    }

    const fn what_to_do(&self) -> &'static str {
        match self.why {
            Exhausted::TooOften { .. } => "wait, or keep what it was exchanged for until that expires",
            Exhausted::OtherRequest => "ask the platform for a token of its own for each request",
            Exhausted::UsedUp | Exhausted::TooLate | Exhausted::OtherNetwork { .. } => {
                "ask the platform for another token"
            }
        }
    }
}

impl IdentifyError {
    /// The stable code for the ledger, metrics and problems.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Credential(error) => error.code(),
            Self::CiTokenNotTaken => "ci_token_not_taken",
            Self::CiTokenWanted => "ci_token_wanted",
            Self::CiToken(UpstreamError::UnknownIssuer(_)) => "ci_token_unknown_issuer",
            Self::CiToken(UpstreamError::Token(TokenError::Expired(_) | TokenError::TooOld(_))) => "ci_token_expired",
            Self::CiToken(UpstreamError::Token(TokenError::Audience(_) | TokenError::AudienceList(_))) => {
                "ci_token_audience"
            }
            Self::CiToken(_) => "ci_token_invalid",
            Self::UpstreamOutage(_) => "provider_keys",
            Self::Spent(_) => "ci_token_spent",
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
    provider: TrustedIssuerName,
    hash: String,
    keep_until: Timestamp,
    reuse: Reuse,
}

/// A claim that was made, in case it has to be taken back.
#[derive(Debug)]
pub struct Claimed {
    token: TokenUse,
    claim: Claim,
}

impl Accepts {
    /// Whether whoever asks is taken without proof. A prod issuer does not start with anonymous minting; it is looked at all the same.
    pub fn is_anonymous(self, app: &App, presented: Option<&SecretString>) -> bool {
        self == Self::AnyOrNone
            && presented.is_none()
            && app.settings.anonymous_minting.is_some()
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
    if accepts.is_anonymous(app, presented) {
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

fn token_use(app: &App, token: &VerifiedToken) -> CiTokenUse {
    CiTokenUse {
        provider: token.provider().clone(),
        hash: hex(token.use_id().hash()),
        keep_until: token.remember_until(),
        reuse: app.upstreams.provider(token.provider()).map_or(Reuse::ONCE, |provider| provider.reuse),
    }
}

fn allowance(reuse: Reuse) -> Allowance {
    match reuse {
        Reuse::Times { uses, within } => {
            Allowance::Times { uses, within_seconds: u32::try_from(within.as_secs()).unwrap_or(0) }
        }
        Reuse::UntilExpiry { per_minute, one_network } => Allowance::UntilExpiry { per_minute, one_network },
    }
}

/// The network that an address is in, as far as a caller may move within one: /24 with IPv4, /64 with IPv6.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{}/64", Ipv6Addr::from([a, b, c, d, 0, 0, 0, 0]))
        }
    }
}

impl CiTokenUse {
    /// Claims the use of the token for what was granted. After this no other request has it, in whatever process.
    pub async fn claim(self, app: &App, grant: &Grant, remote: IpAddr, now: Timestamp) -> Result<Claimed, ClaimError> {
        let token = TokenUse {
            provider: self.provider.to_string(),
            token_hash: self.hash,
            keep_until: self.keep_until,
            now,
            request_hash: request_hash(grant, self.reuse),
            network: network(remote),
            allowance: allowance(self.reuse),
        };
        let claim = app.store.used_tokens().claim(&token).await?;
        let (new, allowed) = match claim {
            Claim::AgainElsewhere(_) => (true, true),
            Claim::Spent { why: Exhausted::OtherNetwork { new }, .. } => (new, false),
            _ => (false, false),
        };
        if new {
            let (provider, token_id) = (&self.provider, token.token_hash.get(..16).unwrap_or_default());
            tracing::warn!(
                %provider, token = format!("{provider}/{token_id}"), network = token.network, allowed,
                "a CI token that may be reused came from another network than before"
            );
            app.reuse.note(provider, now);
            app.figures.token_elsewhere(provider, if allowed { "allowed" } else { "refused" });
        }
        match claim {
            Claim::Spent { why: Exhausted::TooOften { next_in_seconds }, .. } => Err(ClaimError::TooOften(TooMany {
                bucket: "ci_token_reuse",
                retry_after: Duration::from_secs(next_in_seconds.into()),
            })),
            Claim::Spent { first_used_at, why } => {
                Err(ClaimError::Spent(Spent { provider: self.provider, reuse: self.reuse, first_used_at, why }))
            }
            claim => Ok(Claimed { token, claim }),
        }
    }
}

/// Why a token's use could not be claimed.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// It has been used.
    #[error(transparent)]
    Spent(Spent),
    /// It has been used as often as it may be for now.
    #[error("too many exchanges of one token")]
    TooOften(TooMany),
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

/// Hashes the properties that a repetition must share with the first use: the audience, and for a
/// repetition of the very request the roles too.
fn request_hash(grant: &Grant, reuse: Reuse) -> String {
    let same_roles = matches!(reuse, Reuse::Times { .. });
    let roles = grant.roles.iter().filter(|_| same_roles).map(ToString::to_string);
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
