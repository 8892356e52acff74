//! Minting: authenticate, decide, build and check the claims, sign, record, release.
//!
//! The order is the product's promise. No token leaves without its row in the ledger, and a refusal leaves a row too. A row may exist for
//! a token that nobody got (the process ended in between); never the other way round.

use std::net::IpAddr;

use jiff::Timestamp;
use secrecy::SecretString;
use tagmint_core::{
    claims::Claims,
    id::{MintId, RefusalId, RequestId},
    identity::VerifiedIdentity,
    jws::{self, SignError, Token},
    ledger::{LedgerEntry, Minted as MintedEntry, Outcome, Refused},
    random::RandomUnavailable,
    rules::{Denial, Grant, MintRequest},
    tags::SessionTags,
};
use tagmint_store::{LedgerError, StoreError};

use super::authenticate::{AuthenticateError, authenticate};
use crate::{app::App, limits::TooMany};

/// A request for a token, by whatever route it came.
#[derive(Debug)]
pub struct MintCommand {
    /// The HTTP request.
    pub request_id: RequestId,
    /// Method and path by which it came.
    pub route: &'static str,
    /// The caller's address.
    pub remote: IpAddr,
    /// The presented credential.
    pub credential: Option<SecretString>,
    /// Whether only a session will do.
    pub session_only: bool,
    /// What is asked for.
    pub request: MintRequest,
}

/// A token, recorded in the ledger and ready to hand out.
#[derive(Debug)]
pub struct Minted {
    /// The signed token.
    pub token: Token,
    /// Its `jti`.
    pub mint_id: MintId,
    /// Its `sub`.
    pub subject: String,
    /// Its `aud`.
    pub audience: String,
    /// Its tags.
    pub tags: SessionTags,
    /// Its lifetime, in seconds.
    pub lifetime_seconds: u32,
    /// Its `exp`.
    pub expires_at: Timestamp,
    /// The identity that asked.
    pub identity: String,
}

/// Why no token came out.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// The caller is not who it would have to be.
    #[error(transparent)]
    Unauthenticated(AuthenticateError),
    /// Too many requests of this credential, or too many from this address whose credential proves nothing. Not recorded: the ledger must
    /// not be filled by strangers.
    #[error("too many requests by {}", .0.bucket)]
    TooMany(TooMany),
    /// The rules say no.
    #[error("{}", denial(.0))]
    Denied(Denial),
    /// The rule gave more than fits into a token.
    #[error("rule `{rule}`: {error}")]
    Unsignable {
        /// The rule.
        rule: String,
        /// What AWS would refuse.
        error: SignError,
    },
    /// No key may sign yet.
    #[error("no signing key is active; the next one signs from {0:?}")]
    NoSigningKey(Option<Timestamp>),
    /// The keys could not be read from the database for so long that another process may have rotated them.
    #[error("the signing keys have not been read from the database for {0} s")]
    StaleKeys(i64),
    /// The key failed.
    #[error(transparent)]
    Signing(SignError),
    /// The ledger cannot be written: nothing is released.
    #[error("the ledger cannot be written: {0}")]
    Ledger(#[from] LedgerError),
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No id could be made.
    #[error(transparent)]
    Random(#[from] RandomUnavailable),
}

fn denial(denial: &Denial) -> String {
    match &denial.rule {
        Some(rule) => format!("rule `{rule}`: {}", denial.reason),
        None => denial.reason.to_string(),
    }
}

impl MintError {
    /// The stable code for the ledger, metrics and problems.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unauthenticated(error) => error.code(),
            Self::TooMany(_) => "too_many_requests",
            Self::Denied(denial) => denial.reason.code(),
            Self::Unsignable { .. } => "token_not_acceptable_to_aws",
            Self::NoSigningKey(_) => "no_signing_key",
            Self::StaleKeys(_) => "stale_keys",
            Self::Signing(_) => "signing",
            Self::Ledger(_) => "ledger",
            Self::Store(_) => "database",
            Self::Random(_) => "randomness",
        }
    }

    /// Whether this is a verdict about the caller, to be recorded, and not a failure of ours.
    pub(crate) const fn is_refusal(&self) -> bool {
        matches!(self, Self::Unauthenticated(_) | Self::Denied(_) | Self::Unsignable { .. })
    }
}

/// What is known of the caller by the time a row is written.
struct Known {
    credential: Option<String>,
    source: Option<String>,
    identity: Option<String>,
    rule: Option<String>,
}

/// Mints a token, or refuses; either way the ledger knows before the caller does.
pub async fn mint(app: &App, command: MintCommand) -> Result<Minted, MintError> {
    let now = app.clock.now();
    let mut known = Known { credential: None, source: None, identity: None, rule: None };
    let outcome = attempt(app, &command, now, &mut known).await;
    let figures = &app.figures;
    match outcome {
        Ok((minted, entry)) => {
            app.ledger
                .append(row(&command, now, known, Outcome::Minted(entry)), app.ledger_deadline())
                .await
                .inspect_err(|_| {
                    figures.ledger_failures.increment(1);
                })?;
            figures.minted(command.route);
            Ok(minted)
        }
        Err(error) if error.is_refusal() => {
            let refused = Refused {
                refusal_id: RefusalId::generate(now, &*app.random)?,
                code: error.code().to_owned(),
                detail: error.to_string(),
            };
            tracing::info!(request_id = %command.request_id, route = command.route, code = error.code(), %error, "mint refused");
            app.ledger
                .append(row(&command, now, known, Outcome::Refused(refused)), app.ledger_deadline())
                .await
                .inspect_err(|_| {
                    figures.ledger_failures.increment(1);
                })?;
            figures.refused(error.code());
            Err(error)
        }
        Err(error) => Err(error),
    }
}

async fn attempt(
    app: &App,
    command: &MintCommand,
    now: Timestamp,
    known: &mut Known,
) -> Result<(Minted, MintedEntry), MintError> {
    if let Some(credential) = &command.credential {
        app.limits.check_credential(credential).map_err(MintError::TooMany)?;
    }
    let environment = app.settings.stamp.environment;
    let authenticated = match authenticate(&app.store, environment, now, command.credential.as_ref()).await {
        Ok(authenticated) => authenticated,
        Err(AuthenticateError::Store(error)) => return Err(MintError::Store(error)),
        Err(error) => {
            app.limits.check_failed(command.remote).map_err(MintError::TooMany)?;
            return Err(MintError::Unauthenticated(error));
        }
    };
    let identity = authenticated.into_identity();
    known.credential = Some(identity.credential.to_string());
    known.source = Some(identity.source.as_str().to_owned());
    known.identity = Some(identity.subject.clone());
    if command.session_only && !matches!(identity.credential, tagmint_core::identity::CredentialId::Session(_)) {
        return Err(MintError::Unauthenticated(AuthenticateError::NotASession));
    }
    let grant = app.rules.decide(&identity, &command.request).map_err(|denial| {
        known.rule = denial.rule.as_ref().map(ToString::to_string);
        MintError::Denied(denial)
    })?;
    known.rule = Some(grant.rule.to_string());
    sign(app, &identity, grant, now).await
}

async fn sign(
    app: &App,
    identity: &VerifiedIdentity,
    grant: Grant,
    now: Timestamp,
) -> Result<(Minted, MintedEntry), MintError> {
    let view = app.fresh_keys(now).await?;
    let signer = view.signing.as_deref().ok_or(MintError::NoSigningKey(view.signs_from))?;
    let claims = Claims {
        issuer: app.settings.stamp.issuer.clone(),
        subject: grant.subject,
        audience: grant.audience,
        mint_id: MintId::generate(now, &*app.random)?,
        issued_at: now,
        lifetime: grant.lifetime,
        tags: grant.tags,
        roles: grant.roles,
        optional: app.settings.optional_claims,
    };
    let token = jws::sign(&claims, signer).map_err(|error| match error {
        SignError::Claim(_) => MintError::Unsignable { rule: grant.rule.to_string(), error },
        SignError::Signing(_) => MintError::Signing(error),
    })?;
    let entry = MintedEntry {
        mint_id: claims.mint_id,
        kid: signer.kid().to_string(),
        subject: claims.subject.to_string(),
        audience: claims.audience.to_string(),
        tags: serde_json::to_value(&claims.tags).unwrap_or_default(),
        roles: claims.roles.iter().map(ToString::to_string).collect(),
        issued_at: now.as_second(),
        expires_at: claims.expires_at(),
    };
    let minted = Minted {
        token,
        mint_id: claims.mint_id,
        subject: entry.subject.clone(),
        audience: entry.audience.clone(),
        lifetime_seconds: claims.lifetime.seconds(),
        expires_at: Timestamp::from_second(claims.expires_at()).unwrap_or(now),
        tags: claims.tags,
        identity: identity.subject.clone(),
    };
    Ok((minted, entry))
}

fn row(command: &MintCommand, now: Timestamp, known: Known, outcome: Outcome) -> LedgerEntry {
    LedgerEntry {
        at_ms: now.as_millisecond(),
        request_id: command.request_id,
        route: command.route.to_owned(),
        remote: Some(command.remote.to_string()),
        credential: known.credential,
        source: known.source,
        identity: known.identity,
        rule: known.rule,
        outcome,
    }
}
