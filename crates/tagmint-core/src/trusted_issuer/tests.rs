//! What is accepted from platforms, and what is not. The claim sets are those of the testkit.

mod attributes;
mod claims;
mod header;
mod ids;
mod keys;
mod properties;
mod wycheproof;

use std::sync::LazyLock;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tagmint_testkit::ci_claims;

use super::*;
use crate::{
    jwk::Jwk,
    signing_key::{Algorithm, Signer, SigningKey},
};

/// The time of all checks: while every claim set of the testkit is good.
const NOW: i64 = ci_claims::ISSUED_AT + 100;

static RSA: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(Algorithm::Rs256).unwrap());
static EC: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(Algorithm::Es256).unwrap());

fn jwk(key: &SigningKey) -> Value {
    serde_json::to_value(Jwk::new(key.public(), None)).unwrap()
}

fn set_of(keys: &[Value]) -> KeySet {
    KeySet::parse(json!({"keys": keys}).to_string().as_bytes()).unwrap()
}

/// The platform's keys: one of each type.
fn keys() -> KeySet {
    set_of(&[jwk(&RSA), jwk(&EC)])
}

fn trusted(kind: IssuerKind) -> TrustedIssuer {
    let issuer = kind.default_issuer().unwrap_or("https://issuer.example");
    let issuer = TrustedIssuerUrl::parse(issuer).unwrap();
    let audiences = vec![ci_claims::AUDIENCE.to_owned(), "second".to_owned()];
    TrustedIssuer::new(TrustedIssuerName::parse(kind.as_str()).unwrap(), kind, issuer, audiences)
}

fn github() -> TrustedIssuer {
    trusted(IssuerKind::GITHUB)
}

fn oidc() -> TrustedIssuer {
    trusted(IssuerKind::OIDC)
}

/// The fewest claims that a token of the generic kind may have.
fn oidc_claims() -> Map<String, Value> {
    let claims = json!({"iss": "https://issuer.example", "aud": "second", "sub": "job:7", "iat": NOW, "exp": NOW + 60});
    claims.as_object().unwrap().clone()
}

fn header(key: &SigningKey) -> Value {
    json!({"alg": key.algorithm().as_str(), "typ": "JWT", "kid": key.kid().as_str()})
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Signs any header and payload.
fn forge(key: &SigningKey, header: &str, payload: &str) -> String {
    let message = format!("{}.{}", encode(header), encode(payload));
    format!("{message}.{}", encode(key.sign(message.as_bytes()).unwrap()))
}

/// A token of these claims as platforms make them.
fn token(claims: &Map<String, Value>) -> String {
    forge(&RSA, &header(&RSA).to_string(), &Value::from(claims.clone()).to_string())
}

fn verify_at(token: &str, trusted: &TrustedIssuer, now: i64) -> Result<VerifiedToken, TokenError> {
    UnverifiedToken::parse(token)?.verify(trusted, &keys(), Timestamp::from_second(now).unwrap())
}

fn verify(token: &str, trusted: &TrustedIssuer) -> Result<VerifiedToken, TokenError> {
    verify_at(token, trusted, NOW)
}
