//! Any other OpenID Connect issuer: its claims, unchanged.

use super::{Claim, Kind, OtherClaims};
use crate::trusted_issuer::TokenAlgorithm;

/// Source: OpenID Connect Core 1.0 section 2. Nothing else is known of the claims, so all of them count as anybody's choice.
pub(super) const KIND: Kind = Kind {
    name: "oidc",
    title: "any other OpenID Connect issuer",
    default_issuer: None,
    issuers: &["https://<host>/<path>"],
    algorithms: &[TokenAlgorithm::Rs256, TokenAlgorithm::Es256],
    has_nbf: false,
    audience_list: false,
    subjects: &["<what the issuer chose>"],
    claims: &[Claim::shapeable("sub", "The subject: who the issuer says it is")],
    others: OtherClaims::Kept,
    derive: |_, _| Ok(()),
    sample: include_str!("samples/oidc.json"),
};
