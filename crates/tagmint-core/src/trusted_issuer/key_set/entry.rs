//! One entry of a key set (RFC 7517 §4, RFC 7518 §6), or why it is not used.

use std::borrow::Cow;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, EcdsaVerificationAlgorithm,
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents,
};
use base64::{
    Engine,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde_json::Value;

use super::{Key, KeySet, is_kid};
use crate::{jwk::roca, trusted_issuer::TokenAlgorithm};

/// The most characters of a stranger's text in a reason.
const SHOWN: usize = 64;

/// Why an entry is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Reason {
    #[error("it is not a JSON object")]
    NotAnObject,
    #[error("its `kid` is not a string of 1 to {max} bytes without control characters", max = KeySet::MAX_KID_LEN)]
    Kid,
    #[error("its `use` is {0}; keys for signatures have `sig` or none")]
    Use(String),
    #[error("its `key_ops` does not list `verify`")]
    KeyOps,
    #[error("it publishes the private member `{0}`: the key is compromised, withdraw it")]
    Private(&'static str),
    #[error("it is a shared secret (`kty` is `oct`), which no issuer publishes")]
    SharedSecret,
    #[error("its `alg` is {0}; RS, PS and ES with 256, 384 and 512 are accepted")]
    Algorithm(String),
    #[error("its `alg` {alg} is not for a key of this type ({key})")]
    OtherType { alg: TokenAlgorithm, key: String },
    #[error("its `kty` is {0}; RSA and EC are accepted")]
    Type(String),
    #[error("its `crv` is {0}; P-256, P-384 and P-521 are accepted")]
    Curve(String),
    #[error("it has no member `{0}`{hint}", hint = if *.1 { "; a certificate (`x5c`) does not stand for it" } else { "" })]
    Missing(&'static str, bool),
    #[error("its `{0}` is not base64url")]
    Base64(&'static str),
    #[error("RSA of {0} bits; 2048 to 8192 bits are accepted")]
    Bits(usize),
    #[error("its `{0}` is not an RSA {what}", what = if *.0 == "n" { "modulus" } else { "exponent: an odd number above 1" })]
    Number(&'static str),
    #[error("its modulus can be factored (ROCA, CVE-2017-15361); its issuer has to make another key")]
    Roca,
    #[error("its `{member}` has {len} bytes; {curve} has coordinates of {most}")]
    Coordinate { member: &'static str, len: usize, curve: &'static str, most: usize },
    #[error("its `x` and `y` are not a point on {0}")]
    Point(&'static str),
    #[error("the cryptographic library does not take it")]
    Unusable,
}

const RSA: [(TokenAlgorithm, &RsaParameters); 6] = [
    (TokenAlgorithm::Rs256, &RSA_PKCS1_2048_8192_SHA256),
    (TokenAlgorithm::Rs384, &RSA_PKCS1_2048_8192_SHA384),
    (TokenAlgorithm::Rs512, &RSA_PKCS1_2048_8192_SHA512),
    (TokenAlgorithm::Ps256, &RSA_PSS_2048_8192_SHA256),
    (TokenAlgorithm::Ps384, &RSA_PSS_2048_8192_SHA384),
    (TokenAlgorithm::Ps512, &RSA_PSS_2048_8192_SHA512),
];

/// Name, algorithm and length of a coordinate (RFC 7518 §6.2.1.2).
const CURVES: [(&str, TokenAlgorithm, &EcdsaVerificationAlgorithm, usize); 3] = [
    ("P-256", TokenAlgorithm::Es256, &ECDSA_P256_SHA256_FIXED, 32),
    ("P-384", TokenAlgorithm::Es384, &ECDSA_P384_SHA384_FIXED, 48),
    ("P-521", TokenAlgorithm::Es512, &ECDSA_P521_SHA512_FIXED, 66),
];

/// The members that only a private key has (RFC 7518 §6.2.2, §6.3.2).
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

/// Reads an entry. A member that is `null` counts as absent.
pub(super) fn read(entry: &Value) -> Result<Key, Reason> {
    if !entry.is_object() {
        return Err(Reason::NotAnObject);
    }
    let kid = kid(entry)?;
    for_signatures(entry)?;
    let only = match member(entry, "alg") {
        None => None,
        Some(named) => {
            Some(named.as_str().and_then(|alg| alg.parse().ok()).ok_or_else(|| Reason::Algorithm(shown(named)))?)
        }
    };
    let (material, prepared) = match text(entry, "kty") {
        Some("RSA") => rsa(entry, only)?,
        Some("EC") => ec(entry, only)?,
        Some("oct") => return Err(Reason::SharedSecret),
        _ => return Err(Reason::Type(member(entry, "kty").map_or_else(|| "missing".to_owned(), shown))),
    };
    Ok(Key { kid, material, prepared })
}

/// The `kid` of an entry, for people; none where it has none.
pub(super) fn shown_kid(entry: &Value) -> Option<String> {
    let kid = match member(entry, "kid")? {
        Value::String(kid) => Cow::Borrowed(kid.as_str()),
        other => Cow::Owned(other.to_string()),
    };
    let kid: String =
        kid.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(KeySet::MAX_KID_LEN).collect();
    (!kid.is_empty()).then_some(kid)
}

fn kid(entry: &Value) -> Result<Option<String>, Reason> {
    match member(entry, "kid") {
        None => Ok(None),
        Some(Value::String(kid)) if kid.is_empty() => Ok(None),
        Some(Value::String(kid)) if is_kid(kid) => Ok(Some(kid.clone())),
        Some(_) => Err(Reason::Kid),
    }
}

fn for_signatures(entry: &Value) -> Result<(), Reason> {
    if let Some(usage) = member(entry, "use").filter(|usage| *usage != "sig") {
        return Err(Reason::Use(shown(usage)));
    }
    let verifies = |operations: &Value| {
        operations.as_array().is_some_and(|operations| operations.iter().any(|operation| operation == "verify"))
    };
    if member(entry, "key_ops").is_some_and(|operations| !verifies(operations)) {
        return Err(Reason::KeyOps);
    }
    match PRIVATE.into_iter().find(|name| member(entry, name).is_some()) {
        Some(name) => Err(Reason::Private(name)),
        None => Ok(()),
    }
}

type Prepared = Vec<(TokenAlgorithm, ParsedPublicKey)>;

fn rsa(entry: &Value, only: Option<TokenAlgorithm>) -> Result<(Vec<u8>, Prepared), Reason> {
    let (n, e) = (number(entry, "n")?, number(entry, "e")?);
    let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
    if !(2048..=8192).contains(&bits) {
        return Err(Reason::Bits(bits));
    }
    let odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
    if !odd(&n) {
        return Err(Reason::Number("n"));
    }
    if roca::is_weak(&n) {
        return Err(Reason::Roca);
    }
    // Under the exponent 1 every message is its own signature.
    if !odd(&e) || e == [1] {
        return Err(Reason::Number("e"));
    }
    let components = RsaPublicKeyComponents { n: &n, e: &e };
    let wanted = RSA.iter().filter(|(algorithm, _)| only.is_none_or(|only| only == *algorithm));
    let prepared = wanted.map(|(algorithm, parameters)| {
        let key = components.to_parsed_public_key(parameters).map_err(|_| Reason::Unusable)?;
        Ok((*algorithm, key))
    });
    let prepared = prepared.collect::<Result<Vec<_>, Reason>>()?;
    match only {
        Some(alg) if prepared.is_empty() => Err(Reason::OtherType { alg, key: "RSA".to_owned() }),
        _ => Ok(([b"RSA".as_slice(), &n, b"/", &e].concat(), prepared)),
    }
}

fn ec(entry: &Value, only: Option<TokenAlgorithm>) -> Result<(Vec<u8>, Prepared), Reason> {
    let unknown = || Reason::Curve(member(entry, "crv").map_or_else(|| "missing".to_owned(), shown));
    let name = text(entry, "crv").ok_or_else(unknown)?;
    let (curve, algorithm, parameters, len) = CURVES.into_iter().find(|curve| curve.0 == name).ok_or_else(unknown)?;
    let mut point = vec![4];
    for member in ["x", "y"] {
        // RFC 7518 §6.2.1.2 wants the full length; writers drop or add leading zeros, and the number is the same.
        let coordinate = number(entry, member)?;
        let zeros = len.checked_sub(coordinate.len());
        let too_long = || Reason::Coordinate { member, len: coordinate.len(), curve, most: len };
        point.resize(point.len() + zeros.ok_or_else(too_long)?, 0);
        point.extend_from_slice(&coordinate);
    }
    let parsed = ParsedPublicKey::new(parameters, &point).map_err(|_| Reason::Point(curve))?;
    match only {
        Some(alg) if alg != algorithm => Err(Reason::OtherType { alg, key: format!("EC on {curve}") }),
        _ => Ok((point, vec![(algorithm, parsed)])),
    }
}

/// A number (RFC 7518 §2, Base64urlUInt), without leading zeros, which some writers keep of a signed encoding.
fn number(entry: &Value, name: &'static str) -> Result<Vec<u8>, Reason> {
    let bytes = match member(entry, name) {
        None => return Err(Reason::Missing(name, member(entry, "x5c").is_some())),
        Some(value) => value.as_str().and_then(decode).ok_or(Reason::Base64(name))?,
    };
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    Ok(bytes[zeros..].to_vec())
}

/// Base64url as other readers take it: with or without padding, and in the standard alphabet too (RFC 4648 §4). One text is one number
/// whichever alphabet it is in, and the key set is the issuer's own word.
fn decode(text: &str) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &URL_SAFE,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    let text = if text.contains(['+', '/']) {
        Cow::Owned(text.replace('+', "-").replace('/', "_"))
    } else {
        Cow::Borrowed(text)
    };
    LENIENT.decode(text.as_bytes()).ok()
}

fn member<'a>(entry: &'a Value, name: &str) -> Option<&'a Value> {
    entry.get(name).filter(|value| !value.is_null())
}

fn text<'a>(entry: &'a Value, name: &str) -> Option<&'a str> {
    entry.get(name).and_then(Value::as_str)
}

/// A member's value for people, in backquotes: cut short, without control characters.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => Cow::Borrowed(text.as_str()),
        other => Cow::Owned(other.to_string()),
    };
    let text: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(SHOWN).collect();
    format!("`{text}`")
}
