//! The providers that rules may name.

use crate::trusted_issuer::{IssuerKind, TrustedIssuer, TrustedIssuerName, TrustedIssuerUrl};

/// The configured providers as far as rules are concerned with them, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedIssuers {
    known: Vec<Known>,
}

/// A configured provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) name: TrustedIssuerName,
    pub(super) kind: IssuerKind,
    issuer: Option<TrustedIssuerUrl>,
    /// The claims that the configuration lists for it.
    claims: Option<Vec<String>>,
}

impl Known {
    /// The text that distinguishes its issuer from others': the URL, or its name where no URL is known.
    pub(super) fn issuer(&self) -> &str {
        self.issuer.as_ref().map_or(self.name.as_str(), TrustedIssuerUrl::as_str)
    }

    /// Whether its identities may have this attribute.
    pub(super) fn may_have(&self, name: &str) -> bool {
        let listed = self.claims.as_ref().map(|claims| claims.iter().any(|claim| claim == name));
        match self.kind {
            IssuerKind::Oidc => listed.unwrap_or(true),
            IssuerKind::GithubActions | IssuerKind::Gitlab => {
                self.kind.attributes().any(|known| known == name)
                    || (self.kind == IssuerKind::GithubActions && name.starts_with("repo_property_"))
                    || listed.unwrap_or(false)
            }
        }
    }
}

impl TrustedIssuers {
    /// No provider: identities come from sessions and bearers alone.
    pub const fn none() -> Self {
        Self { known: Vec::new() }
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Known> {
        self.known.iter()
    }

    /// The provider of this name.
    pub(super) fn find(&self, name: &str) -> Option<(&TrustedIssuerName, IssuerKind)> {
        self.known.iter().find(|known| known.name.as_str() == name).map(|known| (&known.name, known.kind))
    }

    /// The kinds, each as often as there are providers of it.
    pub(super) fn kinds(&self) -> impl Iterator<Item = IssuerKind> {
        self.known.iter().map(|known| known.kind)
    }

    /// Whether some provider gives rules this claim beside its kind's.
    pub(super) fn give_further(&self, claim: &str) -> bool {
        self.known.iter().filter_map(|known| known.claims.as_ref()).flatten().any(|listed| listed == claim)
    }

    /// "are `a`, `b`", for messages.
    pub(super) fn listed(&self) -> String {
        match self.known.as_slice() {
            [] => "are none".to_owned(),
            [one] => format!("is `{}`", one.name),
            several => format!("are {}", in_words(several)),
        }
    }
}

/// "`a`, `b`", for messages.
pub(super) fn in_words<'a>(providers: impl IntoIterator<Item = &'a Known>) -> String {
    let names: Vec<String> = providers.into_iter().map(|known| format!("`{}`", known.name)).collect();
    names.join(", ")
}

impl FromIterator<(TrustedIssuerName, IssuerKind)> for TrustedIssuers {
    fn from_iter<T: IntoIterator<Item = (TrustedIssuerName, IssuerKind)>>(providers: T) -> Self {
        let known = |(name, kind)| Known { name, kind, issuer: None, claims: None };
        Self { known: providers.into_iter().map(known).collect() }
    }
}

impl<'a> FromIterator<&'a TrustedIssuer> for TrustedIssuers {
    fn from_iter<T: IntoIterator<Item = &'a TrustedIssuer>>(providers: T) -> Self {
        let known = |provider: &TrustedIssuer| Known {
            name: provider.name.clone(),
            kind: provider.kind,
            issuer: Some(provider.issuer.clone()),
            claims: provider.claims.clone(),
        };
        Self { known: providers.into_iter().map(known).collect() }
    }
}
