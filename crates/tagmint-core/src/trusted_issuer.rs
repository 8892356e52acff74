//! Tokens of other issuers: a CI job proves itself with the ID token that its platform gives it.
//!
//! Nothing here fetches anything. [`UnverifiedToken`] says what is needed to choose the provider and the key, and nothing else; a
//! [`KeySet`] is what a provider publishes; verifying the one with the other gives an [`VerifiedToken`], and that an identity. A token
//! never says where its key is: `jku`, `x5u`, `jwk`, `x5c` and `crit` are refused before anything is looked up.
//!
//! | module | holds |
//! |---|---|
//! | `issuer`, `algorithm` | what the configuration says of a trusted issuer |
//! | [`kind`] | what is known of each kind: its claims, and what they mean |
//! | [`discovery`], `key_set` | the two documents that a platform publishes |
//! | `token`, `error` | from a text to a token that has been verified, or why not |
//! | `claims` | from verified claims to what rules see |

mod algorithm;
mod claims;
pub mod discovery;
mod error;
mod issuer;
mod key_set;
pub mod kind;
mod token;

#[cfg(test)]
mod tests;

pub(crate) use self::token::read_unproven;
pub use self::{
    algorithm::{TokenAlgorithm, UnknownTokenAlgorithm},
    error::TokenError,
    issuer::{
        InvalidTrustedIssuerName, InvalidTrustedIssuerUrl, Reuse, TrustedIssuer, TrustedIssuerName, TrustedIssuerUrl,
    },
    key_set::{InvalidKeySet, KeySet, PassedOver},
    kind::{IssuerKind, UnknownIssuerKind},
    token::{TokenUseId, UnverifiedToken, VerifiedToken},
};

/// The largest document that is read from a platform, in bytes.
pub const MAX_DOCUMENT_LEN: usize = 512 * 1024;
