//! Why a platform's token is not accepted.

use super::{TokenAlgorithm, TrustedIssuerName};
use crate::jws::compact::CompactError;

/// Why a token is not accepted. Nothing in here holds the token; texts from it are cut short.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not three base64url parts with JSON objects in the first two, too long, or without a usable `iss`.
    #[error("the token is malformed: {0}")]
    Malformed(String),
    /// `alg` is not one that any provider could allow. `none` and the HMAC algorithms never are.
    #[error("the token's algorithm `{0}` is not accepted; `none` and the HMAC algorithms never are")]
    Algorithm(String),
    /// The header holds a member that tells the verifier where to find the key, or that it must understand (RFC 7515 §4.1.11).
    #[error("the token's header has `{0}`, which is not accepted")]
    HeaderMember(&'static str),
    /// The provider has another issuer.
    #[error("the token's issuer is not that of the provider `{0}`")]
    Issuer(TrustedIssuerName),
    /// The provider does not allow the token's algorithm.
    #[error("the provider `{provider}` does not allow the token's algorithm {algorithm}; see `algorithms`")]
    AlgorithmNotAllowed {
        /// The provider.
        provider: TrustedIssuerName,
        /// The token's algorithm.
        algorithm: TokenAlgorithm,
    },
    /// The key set has no usable key of this id. Newer keys may have it.
    #[error("the provider has no key `{0}`")]
    UnknownKey(String),
    /// The key set lists a key of this id that cannot be used. Newer keys may hold a better one.
    #[error("the provider's key `{kid}` is not used: {reason}")]
    KeyPassedOver {
        /// The key.
        kid: String,
        /// Why it is not used.
        reason: String,
    },
    /// The token names no key, and is of none of them. Newer keys may verify it.
    #[error(
        "the token's header has no `kid`, and its signature is valid under none of the provider's keys for {algorithm} ({tried} tried)"
    )]
    NoKeyOf {
        /// The token's algorithm.
        algorithm: TokenAlgorithm,
        /// How many keys were tried.
        tried: usize,
    },
    /// The key of this id is not for the token's algorithm.
    #[error("the provider's key `{kid}` is not for {algorithm}")]
    KeyAlgorithm {
        /// The key.
        kid: String,
        /// The token's algorithm.
        algorithm: TokenAlgorithm,
    },
    /// The signature is wrong.
    #[error("the signature is not valid under the provider's key")]
    Signature,
    /// A token for somebody else.
    #[error("the token is not for an audience of the provider `{0}`; ask the platform for one of its `audiences`")]
    Audience(TrustedIssuerName),
    /// `aud` is a list.
    #[error("the token's `aud` is a list of {0}; one text is expected, so that the token is good here alone")]
    AudienceList(usize),
    /// A claim is absent, or not what it must be.
    #[error("the claim `{claim}` {problem}")]
    Claim {
        /// The claim.
        claim: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// `exp` has passed.
    #[error("the token expired at {0}")]
    Expired(i64),
    /// It was issued longer ago than the provider's `max_age`.
    #[error("the token was issued at {0}, which is longer ago than the provider's `max_age`")]
    TooOld(i64),
    /// `nbf` or `iat` lies in the future.
    #[error("the token is from the future: `{claim}` is {at}")]
    Future {
        /// The claim.
        claim: &'static str,
        /// Its value, in seconds since the epoch.
        at: i64,
    },
    /// Two claims disagree that a platform makes of the same thing.
    #[error("the claims `{first}` and `{second}` contradict each other")]
    Contradiction {
        /// The one.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
}

impl TokenError {
    /// Whether newer keys of the provider may change the verdict.
    pub const fn may_be_a_new_key(&self) -> bool {
        matches!(self, Self::UnknownKey(_) | Self::KeyPassedOver { .. } | Self::NoKeyOf { .. })
    }

    pub(super) fn claim(claim: &str, problem: &'static str) -> Self {
        Self::Claim { claim: claim.chars().take(64).collect(), problem }
    }
}

impl From<CompactError> for TokenError {
    fn from(error: CompactError) -> Self {
        match error {
            CompactError::Malformed(why) => Self::Malformed(why),
            CompactError::HeaderMember(member) => Self::HeaderMember(member),
        }
    }
}
