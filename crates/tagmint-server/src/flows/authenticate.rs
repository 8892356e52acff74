//! From a presented credential to a verified identity.

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use tagmint_core::{
    environment::Environment,
    identity::{CredentialId, IdentitySource, VerifiedIdentity},
    issued_secret::{InvalidSecret, IssuedSecret, SecretKind},
    rules::TagScope,
};
use tagmint_store::{BearerRecord, CredentialLookup, SessionRecord, Store, StoreError};

/// Why a credential proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticateError {
    /// None was presented.
    #[error("no credential was presented")]
    Missing,
    /// It is no credential of this issuer; told without a look-up.
    #[error(transparent)]
    Invalid(#[from] InvalidSecret),
    /// Well-formed, but never issued or deleted.
    #[error("the credential is not known")]
    Unknown,
    /// It was good until this moment.
    #[error("the credential expired at {0}")]
    Expired(Timestamp),
    /// It was revoked at this moment.
    #[error("the credential was revoked at {0}")]
    Revoked(Timestamp),
    /// A session was needed and a bearer came.
    #[error("this needs a session; a bearer was presented")]
    NotASession,
    /// The database did not answer. Says nothing about the credential.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AuthenticateError {
    /// The stable code for the ledger, metrics and problems.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing => "credential_missing",
            Self::Invalid(InvalidSecret::OtherEnvironment { .. }) => "credential_of_other_environment",
            Self::Invalid(_) => "credential_malformed",
            Self::Unknown => "credential_unknown",
            Self::Expired(_) => "credential_expired",
            Self::Revoked(_) => "credential_revoked",
            Self::NotASession => "session_required",
            Self::Store(_) => "database",
        }
    }
}

/// A credential whose secret, environment, expiry and revocation have been checked.
#[derive(Debug)]
pub enum Authenticated {
    /// A session.
    Session(SessionRecord),
    /// A bearer.
    Bearer(BearerRecord),
}

impl Authenticated {
    /// The identity that rules decide about.
    pub fn into_identity(self) -> VerifiedIdentity {
        match self {
            Self::Session(session) => VerifiedIdentity {
                source: IdentitySource::Session,
                trusted_issuer: None,
                subject: session.subject,
                attributes: session.attributes,
                credential: CredentialId::Session(session.id),
                only_rule: None,
                scope: TagScope::default(),
            },
            Self::Bearer(bearer) => VerifiedIdentity {
                source: IdentitySource::Bearer,
                trusted_issuer: None,
                subject: bearer.name,
                attributes: bearer.attributes,
                credential: CredentialId::Bearer(bearer.id),
                only_rule: bearer.rule,
                scope: bearer.scope,
            },
        }
    }
}

/// Checks a presented credential. Everything that can be told without the database is told first.
pub async fn authenticate(
    store: &Store,
    environment: Environment,
    now: Timestamp,
    presented: Option<&SecretString>,
) -> Result<Authenticated, AuthenticateError> {
    let presented = presented.ok_or(AuthenticateError::Missing)?;
    let secret = IssuedSecret::parse(presented.expose_secret(), environment)?;
    match secret.kind() {
        SecretKind::Session => {
            valid(store.sessions().find_by_secret(secret.hash(), now).await?).map(Authenticated::Session)
        }
        SecretKind::Bearer => {
            valid(store.bearers().find_by_secret(secret.hash(), now).await?).map(Authenticated::Bearer)
        }
    }
}

fn valid<T>(found: CredentialLookup<T>) -> Result<T, AuthenticateError> {
    match found {
        CredentialLookup::Valid(record) => Ok(record),
        CredentialLookup::NotFound => Err(AuthenticateError::Unknown),
        CredentialLookup::Expired(at) => Err(AuthenticateError::Expired(at)),
        CredentialLookup::Revoked(at) => Err(AuthenticateError::Revoked(at)),
    }
}
