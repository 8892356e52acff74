//! The claims that a rule may name: those of the kind of issuer that it takes identities from.

use super::{RuleFrom, issuers::TrustedIssuers, nearest::nearest};
use crate::trusted_issuer::{
    IssuerKind,
    kind::{Claim, OtherClaims},
};

/// The name of the identity's subject in rules, whatever its source.
pub(super) const SUBJECT: &str = "sub";
/// The name of all claims as a map, in expressions.
pub(super) const CLAIMS: &str = "claims";

/// A name that the source of a rule's identities does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{from} has no claim `{name}`{}", nearest.as_ref().map(|it| format!(": did you mean `{it}`?")).unwrap_or_default())]
pub(super) struct UnknownClaim {
    from: String,
    name: String,
    nearest: Option<String>,
}

/// The claims that a rule may name.
#[derive(Debug, Clone)]
pub(super) struct Vocabulary<'a> {
    from: String,
    kind: Option<IssuerKind>,
    listed: Option<&'a [String]>,
    /// Whether identities may have claims that nothing here lists.
    open: bool,
}

impl<'a> Vocabulary<'a> {
    /// The claims of what a rule takes identities from.
    pub(super) fn of(from: &RuleFrom, issuers: &'a TrustedIssuers) -> Self {
        let name = from.as_str().to_owned();
        match from {
            RuleFrom::Session | RuleFrom::Bearer => Self { from: name, kind: None, listed: None, open: true },
            RuleFrom::Anonymous => Self { from: name, kind: None, listed: None, open: false },
            RuleFrom::TrustedIssuer(issuer) => {
                let known = issuers.find(issuer.as_str());
                let kind = known.map(|known| known.kind);
                let listed = known.and_then(|known| known.claims.as_deref());
                let keeps = kind.is_none_or(|kind| kind.table().others == OtherClaims::Kept);
                Self { from: name, kind, listed, open: keeps && listed.is_none() }
            }
        }
    }

    /// A vocabulary that takes any name: for looking at a rule whose `from` is wrong.
    pub(super) const fn anything() -> Self {
        Self { from: String::new(), kind: None, listed: None, open: true }
    }

    /// The entry of the claim `name` in the kind's table. An error if identities cannot have the claim.
    pub(super) fn look_up(&self, name: &str) -> Result<Option<&'static Claim>, UnknownClaim> {
        if let Some(claim) = self.kind.and_then(|kind| kind.claim(name)) {
            return Ok(Some(claim));
        }
        let prefixed =
            |kind: IssuerKind| matches!(kind.table().others, OtherClaims::Prefixed(it) if name.starts_with(it));
        let listed = self.listed.is_some_and(|names| names.iter().any(|listed| listed == name));
        if self.open || listed || name == SUBJECT || self.kind.is_some_and(prefixed) {
            return Ok(None);
        }
        let table = self.kind.into_iter().flat_map(|kind| kind.table().claims).map(|claim| claim.name);
        let names = table.chain(self.listed.into_iter().flatten().map(String::as_str)).chain([SUBJECT]);
        Err(UnknownClaim {
            from: match self.kind {
                Some(kind) => format!("`{}` (kind `{kind}`)", self.from),
                None => format!("`{}`", self.from),
            },
            name: super::expression::shortened(name, 60),
            nearest: nearest(name, names).map(str::to_owned),
        })
    }
}
