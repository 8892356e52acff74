//! Public keys in their published form (RFC 7517, RFC 7518 §6, RFC 7638).

pub(crate) mod roca;

use aws_lc_rs::{
    digest,
    signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Serialize;
use serde_json::Value;

use crate::{
    json,
    signing_key::{Algorithm, KeyId},
};

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// RSA, 2048 to 8192 bits; big-endian numbers without leading zeros.
    Rsa {
        /// The modulus.
        n: Vec<u8>,
        /// The public exponent.
        e: Vec<u8>,
    },
    /// NIST P-256; 32 bytes each.
    P256 {
        /// The point's x.
        x: [u8; 32],
        /// The point's y.
        y: [u8; 32],
    },
}

/// The signature does not belong to the message and the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not valid under the key")]
pub struct BadSignature;

impl PublicKey {
    /// From an uncompressed SEC 1 point (`04 ‖ x ‖ y`).
    pub(crate) fn p256_from_uncompressed(point: &[u8]) -> Option<Self> {
        let (tag, coordinates) = point.split_first()?;
        let (x, y) = coordinates.split_at_checked(32)?;
        (*tag == 4).then_some(Self::P256 { x: x.try_into().ok()?, y: y.try_into().ok()? })
    }

    /// The algorithm that this key is for.
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa { .. } => Algorithm::Rs256,
            Self::P256 { .. } => Algorithm::Es256,
        }
    }

    /// RFC 7638: SHA-256 over the required members in lexicographic order.
    pub fn thumbprint(&self) -> KeyId {
        let canonical = match self {
            Self::Rsa { n, e } => format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, encode(e), encode(n)),
            Self::P256 { x, y } => format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, encode(x), encode(y)),
        };
        KeyId::from_thumbprint(encode(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref()))
    }

    /// Checks a signature over `message`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        match self {
            Self::Rsa { n, e } => RsaPublicKeyComponents { n, e }
                .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
                .map_err(|_| BadSignature),
            Self::P256 { x, y } => {
                let mut point = [4_u8; 65];
                point[1..33].copy_from_slice(x);
                point[33..].copy_from_slice(y);
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                    .verify(message, signature)
                    .map_err(|_| BadSignature)
            }
        }
    }
}

/// One entry of a published key set. Nothing private, no `key_ops`: STS refuses a key that has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Jwk {
    kty: &'static str,
    kid: String,
    #[serde(rename = "use")]
    usage: &'static str,
    alg: &'static str,
    #[serde(flatten)]
    members: Members,
    #[serde(skip_serializing_if = "Option::is_none")]
    x5c: Option<[String; 1]>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum Members {
    Rsa { n: String, e: String },
    Ec { crv: &'static str, x: String, y: String },
}

impl Jwk {
    /// The published form of a key; `certificate` is a DER certificate of the same key for `x5c` (RFC 7517 §4.7).
    pub fn new(key: &PublicKey, certificate: Option<&[u8]>) -> Self {
        let (kty, members) = match key {
            PublicKey::Rsa { n, e } => ("RSA", Members::Rsa { n: encode(n), e: encode(e) }),
            PublicKey::P256 { x, y } => ("EC", Members::Ec { crv: "P-256", x: encode(x), y: encode(y) }),
        };
        Self {
            kty,
            kid: key.thumbprint().to_string(),
            usage: "sig",
            alg: key.algorithm().as_str(),
            members,
            x5c: certificate.map(|der| [base64::prelude::BASE64_STANDARD.encode(der)]),
        }
    }
}

/// A published key set (RFC 7517 §5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JwkSet {
    /// The keys, the signing key first.
    pub keys: Vec<Jwk>,
}

/// A key set as a relying party reads it: the keys it can verify with, by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerificationKeys(Vec<(String, PublicKey)>);

/// Why a document is no usable key set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJwkSet {
    /// Not strict JSON.
    #[error("the key set is not JSON: {0}")]
    Json(#[from] json::InvalidJson),
    /// No `keys` array.
    #[error("the key set has no array `keys`")]
    NoKeys,
}

impl VerificationKeys {
    /// Reads a key set. Entries that are not RS256 or ES256 signature keys with a `kid` are passed over (RFC 7517 §5).
    pub fn parse(document: &[u8]) -> Result<Self, InvalidJwkSet> {
        let document = json::parse(document)?;
        let keys = document.get("keys").and_then(Value::as_array).ok_or(InvalidJwkSet::NoKeys)?;
        Ok(Self(keys.iter().filter_map(read_key).collect()))
    }

    /// The key with this id, for this algorithm.
    pub fn find(&self, kid: &str, algorithm: Algorithm) -> Option<&PublicKey> {
        self.0.iter().find(|(id, key)| id == kid && key.algorithm() == algorithm).map(|(_, key)| key)
    }
}

fn read_key(entry: &Value) -> Option<(String, PublicKey)> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str);
    let for_signatures = entry.get("use").is_none_or(|usage| usage == "sig") && entry.get("key_ops").is_none();
    if !for_signatures {
        return None;
    }
    let key = match text("kty")? {
        "RSA" => {
            let (n, e) = rsa_numbers(entry)?;
            (256..=1024).contains(&n.len()).then_some(PublicKey::Rsa { n, e })?
        }
        "EC" if text("crv")? == "P-256" => {
            PublicKey::P256 { x: bytes(entry, "x")?.try_into().ok()?, y: bytes(entry, "y")?.try_into().ok()? }
        }
        _ => return None,
    };
    let algorithm_fits = entry.get("alg").is_none_or(|alg| alg == key.algorithm().as_str());
    algorithm_fits.then(|| (text("kid").unwrap_or_default().to_owned(), key)).filter(|(kid, _)| !kid.is_empty())
}

/// A key's modulus and exponent (RFC 7518 §6.3.1), without leading zeros as the RFC has them. Both are odd; the exponent is not 1, under
/// which every message is its own signature; and the modulus is not one of those that can be factored ([`roca`]).
pub(crate) fn rsa_numbers(entry: &Value) -> Option<(Vec<u8>, Vec<u8>)> {
    let odd = |number: &Vec<u8>| number.last().is_some_and(|byte| byte % 2 == 1);
    let number = |name| bytes(entry, name).filter(|number| number.first().is_some_and(|b| *b != 0) && odd(number));
    Some((number("n").filter(|modulus| !roca::is_weak(modulus))?, number("e").filter(|exponent| exponent != &[1])?))
}

/// A key's member that is base64url.
pub(crate) fn bytes(entry: &Value, name: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(entry.get(name)?.as_str()?).ok()
}

fn encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7638 §3.1.
    #[test]
    fn the_thumbprint_is_that_of_the_rfc() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64t\
                 Z_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbI\
                 SD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let key = PublicKey::Rsa { n: BASE64_URL_SAFE_NO_PAD.decode(n).unwrap(), e: vec![1, 0, 1] };
        assert_eq!(key.thumbprint().as_str(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn a_published_key_can_be_read_back_and_holds_nothing_private() {
        use crate::signing_key::{Signer, SigningKey};
        for algorithm in [Algorithm::Rs256, Algorithm::Es256] {
            let key = SigningKey::generate(algorithm).unwrap();
            let set = JwkSet { keys: vec![Jwk::new(key.public(), Some(b"der"))] };
            let text = serde_json::to_string(&set).unwrap();
            let value: Value = serde_json::from_str(&text).unwrap();
            let mut members: Vec<&str> = value["keys"][0].as_object().unwrap().keys().map(String::as_str).collect();
            members.sort_unstable();
            let expected: &[&str] = match algorithm {
                Algorithm::Rs256 => &["alg", "e", "kid", "kty", "n", "use", "x5c"],
                Algorithm::Es256 => &["alg", "crv", "kid", "kty", "use", "x", "x5c", "y"],
            };
            assert_eq!(members, expected);
            let read = VerificationKeys::parse(text.as_bytes()).unwrap();
            assert_eq!(read.find(key.kid().as_str(), algorithm), Some(key.public()));
        }
    }

    #[test]
    fn unusable_entries_are_passed_over() {
        let good = r#"{"kty":"EC","crv":"P-256","kid":"a","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#;
        let variants = [
            good.replace("\"kid\":\"a\"", "\"kid\":\"a\",\"use\":\"enc\""),
            good.replace("\"kid\":\"a\"", "\"kid\":\"a\",\"key_ops\":[\"verify\"]"),
            good.replace("\"kid\":\"a\"", "\"kid\":\"a\",\"alg\":\"RS256\""),
            good.replace("\"kid\":\"a\",", ""),
            good.replace("P-256", "P-384"),
            good.replace("\"EC\"", "\"oct\""),
            good.replace("AAA\",\"y\"", "AA\",\"y\""),
            good.replace("AAA\",\"y\"", "AAB\",\"y\""),
            r#"{"kty":"RSA","kid":"a","n":"AQAB","e":"AQAB"}"#.to_owned(),
        ];
        for entry in variants {
            assert_eq!(VerificationKeys::parse(format!("{{\"keys\":[{entry}]}}").as_bytes()).unwrap().0, [], "{entry}");
        }
        assert_eq!(VerificationKeys::parse(format!("{{\"keys\":[{good}]}}").as_bytes()).unwrap().0.len(), 1);
        assert_eq!(VerificationKeys::parse(b"{}"), Err(InvalidJwkSet::NoKeys));
        assert!(matches!(VerificationKeys::parse(b"{\"keys\":[],\"keys\":[]}"), Err(InvalidJwkSet::Json(_))));
    }
}
