//! Tokens: making ours, and checking one as a relying party does (RFC 7515, RFC 7519).

pub(crate) mod compact;

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use self::compact::{Compact, CompactError};
use crate::{
    claims::{Claims, InvalidClaim, MAX_TOKEN_LEN},
    jwk::VerificationKeys,
    signing_key::{Algorithm, Signer, SigningError},
};

/// A signed token. Whoever holds it can assume the role, so it does not print.
#[derive(Clone)]
pub struct Token(SecretString);

impl Token {
    /// The compact serialization, for the one who asked.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token([redacted])")
    }
}

/// The text with a `…` in the place of everything that may be a JWT: for errors and logs that repeat what somebody sent.
pub fn without_tokens(text: &str) -> String {
    let mut clean = String::new();
    let mut rest = text;
    // Every JWT begins with the base64url of `{"`.
    while let Some(start) = rest.find("eyJ") {
        clean.push_str(&rest[..start]);
        clean.push('…');
        let token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '=');
        rest = rest[start..].trim_start_matches(token);
    }
    clean.push_str(rest);
    clean
}

/// Why a token was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The claims make a token that AWS refuses.
    #[error(transparent)]
    Claim(#[from] InvalidClaim),
    /// The key failed.
    #[error(transparent)]
    Signing(#[from] SigningError),
}

/// Signs claims. The length is checked before the signature is made.
pub fn sign(claims: &Claims, signer: &dyn Signer) -> Result<Token, SignError> {
    let algorithm = signer.algorithm();
    let header = format!(r#"{{"alg":"{algorithm}","typ":"JWT","kid":"{}"}}"#, signer.kid());
    let payload = claims.to_json();
    let signature_len = base64_len(algorithm.signature_len());
    let len = base64_len(header.len()) + base64_len(payload.len()) + signature_len + 2;
    if len > MAX_TOKEN_LEN {
        return Err(InvalidClaim::TokenTooLong(len).into());
    }
    let mut token = String::with_capacity(len);
    BASE64_URL_SAFE_NO_PAD.encode_string(header, &mut token);
    token.push('.');
    BASE64_URL_SAFE_NO_PAD.encode_string(payload, &mut token);
    let signature = signer.sign(token.as_bytes())?;
    token.push('.');
    BASE64_URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(Token(SecretString::from(token)))
}

fn base64_len(bytes: usize) -> usize {
    (bytes * 4).div_ceil(3)
}

/// What a relying party knows before it sees a token.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The issuer it trusts, byte for byte.
    pub issuer: &'a str,
    /// Its own name.
    pub audience: &'a str,
    /// The time of the check.
    pub now: Timestamp,
    /// How far clocks may differ, in seconds, for `exp`, `nbf` and `iat` alike.
    pub leeway_seconds: i64,
}

/// A token whose signature, issuer, audience and times have been checked.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedToken {
    /// The algorithm it was signed with.
    pub algorithm: Algorithm,
    /// The key it was signed with.
    pub kid: String,
    /// The header's members.
    pub header: Map<String, Value>,
    /// The claims.
    pub claims: Map<String, Value>,
}

/// Why a token is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// Not three base64url parts with JSON objects in the first two, or too long.
    #[error("the token is malformed: {0}")]
    Malformed(String),
    /// `alg` is not one that is accepted. `none` and the HMAC algorithms never are.
    #[error("the token's algorithm `{0}` is not accepted")]
    Algorithm(String),
    /// The header holds a member that tells the verifier where to find the key, or that it must understand (RFC 7515 §4.1.11).
    #[error("the token's header has `{0}`, which is not accepted")]
    HeaderMember(&'static str),
    /// The key set has no such key for this algorithm.
    #[error("no key `{0}` for this algorithm in the key set")]
    UnknownKey(String),
    /// The signature is wrong.
    #[error("the signature is not valid under the key")]
    Signature,
    /// A claim is absent or of another type.
    #[error("the claim `{0}` is missing or of the wrong type")]
    Claim(&'static str),
    /// Another issuer's token.
    #[error("the token's issuer is not the expected one")]
    Issuer,
    /// A token for somebody else.
    #[error("the token's audience is not the expected one")]
    Audience,
    /// `exp` has passed.
    #[error("the token expired at {0}")]
    Expired(i64),
    /// `nbf` or `iat` lies in the future.
    #[error("the token is from the future: `{claim}` is {at}")]
    Future {
        /// The claim.
        claim: &'static str,
        /// Its value, in seconds since the epoch.
        at: i64,
    },
}

/// Checks a token strictly: form, header, signature, issuer, audience, times. One string audience, integer times.
pub fn verify(token: &str, keys: &VerificationKeys, expected: &Expected<'_>) -> Result<VerifiedToken, VerifyError> {
    let compact = Compact::read(token)?;
    let alg = compact.header_text("alg");
    let algorithm: Algorithm = alg.parse().map_err(|_| VerifyError::Algorithm(alg.chars().take(20).collect()))?;
    let kid = compact.header_text("kid");
    let key = keys.find(kid, algorithm).ok_or_else(|| VerifyError::UnknownKey(kid.chars().take(64).collect()))?;
    key.verify(compact.message.as_bytes(), &compact.signature()?).map_err(|_| VerifyError::Signature)?;

    let claims = compact.payload()?;
    let text = |name: &'static str| claims.get(name).and_then(Value::as_str).ok_or(VerifyError::Claim(name));
    let time = |name: &'static str| compact::seconds(&claims, name).ok_or(VerifyError::Claim(name));
    if text("iss")? != expected.issuer {
        return Err(VerifyError::Issuer);
    }
    if text("aud")? != expected.audience {
        return Err(VerifyError::Audience);
    }
    text("sub")?;
    let now = expected.now.as_second();
    let expires = time("exp")?;
    if expires.saturating_add(expected.leeway_seconds) <= now {
        return Err(VerifyError::Expired(expires));
    }
    for claim in ["iat", "nbf"] {
        if claim == "nbf" && !claims.contains_key(claim) {
            continue;
        }
        let at = time(claim)?;
        if at > now.saturating_add(expected.leeway_seconds) {
            return Err(VerifyError::Future { claim, at });
        }
    }
    let kid = kid.to_owned();
    Ok(VerifiedToken { algorithm, kid, header: compact.header, claims })
}

impl From<CompactError> for VerifyError {
    fn from(error: CompactError) -> Self {
        match error {
            CompactError::Malformed(why) => Self::Malformed(why),
            CompactError::HeaderMember(member) => Self::HeaderMember(member),
        }
    }
}

#[cfg(test)]
mod tests;
