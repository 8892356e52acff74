//! The trusted issuers that rules may name.

use serde::Serialize;

use crate::trusted_issuer::{IssuerKind, TrustedIssuer, TrustedIssuerName};

/// The configured trusted issuers as far as rules are concerned with them, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct TrustedIssuers {
    known: Vec<Known>,
}

/// A configured trusted issuer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Known {
    pub(super) name: TrustedIssuerName,
    pub(super) kind: IssuerKind,
    issuer: Option<String>,
    audiences: Vec<String>,
    /// The claims that the configuration lists for it.
    pub(super) claims: Option<Vec<String>>,
}

impl TrustedIssuers {
    /// No trusted issuers: only sessions and bearer tokens.
    pub const fn none() -> Self {
        Self { known: Vec::new() }
    }

    /// The trusted issuer of this name.
    pub(super) fn find(&self, name: &str) -> Option<&Known> {
        self.known.iter().find(|known| known.name.as_str() == name)
    }

    /// Their names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.known.iter().map(|known| known.name.as_str())
    }
}

impl FromIterator<(TrustedIssuerName, IssuerKind)> for TrustedIssuers {
    fn from_iter<T: IntoIterator<Item = (TrustedIssuerName, IssuerKind)>>(issuers: T) -> Self {
        let known = |(name, kind)| Known { name, kind, issuer: None, audiences: Vec::new(), claims: None };
        Self { known: issuers.into_iter().map(known).collect() }
    }
}

impl<'a> FromIterator<&'a TrustedIssuer> for TrustedIssuers {
    fn from_iter<T: IntoIterator<Item = &'a TrustedIssuer>>(issuers: T) -> Self {
        let known = |issuer: &TrustedIssuer| Known {
            name: issuer.name.clone(),
            kind: issuer.kind,
            issuer: Some(issuer.issuer.as_str().to_owned()),
            audiences: issuer.audiences.clone(),
            claims: issuer.claims.clone(),
        };
        Self { known: issuers.into_iter().map(known).collect() }
    }
}
