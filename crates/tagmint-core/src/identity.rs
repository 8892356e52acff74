//! Who asks: an identity whose proof has been checked.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    id::{BearerId, SessionId},
    rules::{RuleName, TagScope},
    trusted_issuer::{TokenUseId, TrustedIssuerName},
};

/// How an identity proved itself. Rules see it as `identity.source`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdentitySource {
    /// A session from the issuer's session backend: `"session"`.
    Session,
    /// A bearer made by the operator: `"bearer"`.
    Bearer,
    /// A job of GitHub Actions, by its ID token: `"github-actions"`.
    GithubActions,
    /// A job of GitLab CI, by its ID token: `"gitlab"`.
    Gitlab,
    /// Whatever another OpenID Connect issuer vouches for: `"oidc"`.
    Oidc,
    /// Nothing at all, at a test issuer that mints openly: `"open"`. Only rules that name it take it.
    Open,
}

impl IdentitySource {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Session, Self::Bearer, Self::GithubActions, Self::Gitlab, Self::Oidc, Self::Open];

    /// The name in rules and the ledger.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Bearer => "bearer",
            Self::GithubActions => "github-actions",
            Self::Gitlab => "gitlab",
            Self::Oidc => "oidc",
            Self::Open => "open",
        }
    }
}

/// The credential behind an identity, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CredentialId {
    /// A session.
    Session(SessionId),
    /// A bearer.
    Bearer(BearerId),
    /// A token of another issuer, of which there is one use.
    Upstream(TokenUseId),
    /// None was presented.
    Absent,
}

impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(id) => id.fmt(f),
            Self::Bearer(id) => id.fmt(f),
            Self::Upstream(id) => id.fmt(f),
            Self::Absent => f.write_str("none"),
        }
    }
}

/// An identity that has been authenticated. Only authenticators make one; rules decide what it may have.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedIdentity {
    /// How it proved itself.
    pub source: IdentitySource,
    /// The provider that vouches for it. None for a session and a bearer. Rules see it as `identity.provider`, empty for none.
    pub provider: Option<TrustedIssuerName>,
    /// Its name within the source: a wallet address, a bearer's name, the `sub` of a CI job's token.
    pub subject: String,
    /// What else the source vouches for. Rules see it as `identity.attributes`.
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
            source: IdentitySource::Open,
            provider: None,
            subject: "anonymous".to_owned(),
            attributes: Map::new(),
            credential: CredentialId::Absent,
            only_rule: None,
            scope: TagScope::default(),
        }
    }
}
