//! Who asks: an identity whose proof has been checked.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    id::{BearerId, SessionId},
    rules::RuleName,
};

/// How an identity proved itself. Rules see it as `identity.source`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdentitySource {
    /// A session from the issuer's session backend: `"session"`.
    Session,
    /// A bearer made by the operator: `"bearer"`.
    Bearer,
}

impl IdentitySource {
    /// The name in rules and the ledger.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Bearer => "bearer",
        }
    }
}

/// The stored credential behind an identity, without its secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CredentialId {
    /// A session.
    Session(SessionId),
    /// A bearer.
    Bearer(BearerId),
}

impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(id) => id.fmt(f),
            Self::Bearer(id) => id.fmt(f),
        }
    }
}

/// An identity that has been authenticated. Only authenticators make one; rules decide what it may have.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedIdentity {
    /// How it proved itself.
    pub source: IdentitySource,
    /// Its name within the source: a wallet address, a bearer's name.
    pub subject: String,
    /// What else the source vouches for. Rules see it as `identity.attributes`.
    pub attributes: Map<String, Value>,
    /// The credential that was presented.
    pub credential: CredentialId,
    /// The one rule that this credential may use, where it is bound to one.
    pub only_rule: Option<RuleName>,
}
