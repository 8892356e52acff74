//! A relying party that verifies tokens by `jsonwebtoken`: an implementation that is not ours.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header, errors::ErrorKind, jwk::JwkSet};
use serde_json::{Map, Value};

/// How far the clocks of issuer and relying party may be apart, in seconds.
const LEEWAY: i64 = 60;

/// A token whose signature, issuer, audience and times are good.
#[derive(Debug, Clone)]
pub(super) struct VerifiedToken {
    /// `alg`.
    pub(super) algorithm: String,
    /// `kid`.
    pub(super) kid: String,
    /// The header's members.
    pub(super) header: Map<String, Value>,
    /// The claims.
    pub(super) claims: Map<String, Value>,
}

/// Why a token is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// The signature does not fit the token and the key.
    #[error("the signature is not good")]
    Signature,
    /// It is for another recipient.
    #[error("it is for another audience")]
    Audience,
    /// `exp` is over.
    #[error("it expired at {0}")]
    Expired(Timestamp),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// The issuer's published keys.
#[derive(Debug, Clone)]
pub(super) struct Keys(JwkSet);

impl Keys {
    pub(super) fn parse(document: &Value) -> Result<Self, String> {
        serde_json::from_value(document.clone())
            .map(Self)
            .map_err(|error| format!("the key set is not understood: {error}"))
    }

    /// Verifies a token at `now` (RFC 7519 §7.2).
    pub(super) fn verify(
        &self,
        token: &str,
        issuer: &str,
        audience: &str,
        now: Timestamp,
    ) -> Result<VerifiedToken, Refusal> {
        let other = |text: &str| Refusal::Other(text.to_owned());
        let header = decode_header(token).map_err(|error| Refusal::Other(error.to_string()))?;
        let kid = header.kid.clone().ok_or_else(|| other("it names no key"))?;
        let key = self.0.find(&kid).ok_or_else(|| other("its key is not published"))?;
        let key = DecodingKey::from_jwk(key).map_err(|error| Refusal::Other(error.to_string()))?;
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["iss", "aud", "exp", "sub"]);
        // The library reads the system's clock: the times are compared with `now` below.
        validation.validate_exp = false;
        let read = decode::<Map<String, Value>>(token, &key, &validation).map_err(|error| match error.kind() {
            ErrorKind::InvalidSignature => Refusal::Signature,
            ErrorKind::InvalidAudience => Refusal::Audience,
            _ => Refusal::Other(error.to_string()),
        })?;
        let seconds = |name: &str| read.claims.get(name).and_then(Value::as_i64);
        let expires = seconds("exp").ok_or_else(|| other("its `exp` is no time"))?;
        if now.as_second() >= expires.saturating_add(LEEWAY) {
            return Err(Refusal::Expired(Timestamp::from_second(expires).unwrap_or(Timestamp::MIN)));
        }
        if seconds("nbf").is_some_and(|begins| now.as_second() < begins.saturating_sub(LEEWAY)) {
            return Err(other("it is not valid yet"));
        }
        let members = members(token).ok_or_else(|| other("its header is no JSON object"))?;
        Ok(VerifiedToken { algorithm: format!("{:?}", header.alg), kid, header: members, claims: read.claims })
    }
}

/// The header as it was written.
fn members(token: &str) -> Option<Map<String, Value>> {
    let header = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').next()?).ok()?;
    serde_json::from_slice(&header).ok()
}
