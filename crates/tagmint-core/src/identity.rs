//! Who asks: an identity whose proof has been checked.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};

use crate::{
    id::{BearerId, SessionId},
    rules::{RuleName, TagScope},
    trusted_issuer::{IssuerKind, TokenUseId, TrustedIssuerName},
};

/// How an identity proved itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IdentitySource {
    /// A session from the issuer's session backend: `session`.
    Session,
    /// A bearer made by the operator: `bearer`.
    Bearer,
    /// A token of a trusted issuer: the name of the issuer's kind.
    TrustedIssuer(IssuerKind),
    /// Nothing at all, at a test issuer that mints anonymously: `anonymous`.
    Anonymous,
}

/// The text names no source of identities.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a source of identities")]
pub struct UnknownIdentitySource(pub String);

impl IdentitySource {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let issuers = IssuerKind::ALL.into_iter().map(Self::TrustedIssuer);
        [Self::Session, Self::Bearer, Self::Anonymous].into_iter().chain(issuers)
    }

    /// The name in the ledger and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Bearer => "bearer",
            Self::TrustedIssuer(kind) => kind.as_str(),
            Self::Anonymous => "anonymous",
        }
    }

    /// The source of this name. Ledgers of before kinds had names of their own have `github-actions` and `open`.
    pub fn parse(text: &str) -> Result<Self, UnknownIdentitySource> {
        match text {
            "github-actions" => Ok(Self::TrustedIssuer(IssuerKind::GITHUB)),
            "open" => Ok(Self::Anonymous),
            _ => Self::all()
                .find(|source| source.as_str() == text)
                .ok_or_else(|| UnknownIdentitySource(text.chars().take(40).collect())),
        }
    }
}

impl Serialize for IdentitySource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for IdentitySource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// The credential behind an identity, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CredentialId {
    /// A session.
    Session(SessionId),
    /// A bearer.
    Bearer(BearerId),
    /// A token of a trusted issuer, of which there is one use.
    Token(TokenUseId),
    /// None was presented.
    Absent,
}

impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(id) => id.fmt(f),
            Self::Bearer(id) => id.fmt(f),
            Self::Token(id) => id.fmt(f),
            Self::Absent => f.write_str("none"),
        }
    }
}

/// An identity that has been authenticated. Only authenticators make one; rules decide what it may have.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedIdentity {
    /// How it proved itself.
    pub source: IdentitySource,
    /// The trusted issuer that vouches for it. None for a session, a bearer and a caller without proof.
    pub trusted_issuer: Option<TrustedIssuerName>,
    /// Its name within the source: a wallet address, a bearer's name, the `sub` of a token. Rules see it as `sub`.
    pub subject: String,
    /// The claims that rules see, and the attributes that are derived from them.
    pub attributes: Map<String, Value>,
    /// The credential that was presented.
    pub credential: CredentialId,
    /// The one rule that this credential may use, where it is bound to one.
    pub only_rule: Option<RuleName>,
    /// What the credential is confined to, whatever the rules give.
    pub scope: TagScope,
}

impl VerifiedIdentity {
    /// Whoever asks without a credential, where that is allowed: all of them are one identity, `anonymous`, of which nothing is known.
    pub fn anonymous() -> Self {
        Self {
            source: IdentitySource::Anonymous,
            trusted_issuer: None,
            subject: "anonymous".to_owned(),
            attributes: Map::new(),
            credential: CredentialId::Absent,
            only_rule: None,
            scope: TagScope::default(),
        }
    }
}
