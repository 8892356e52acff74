//! The keys that a platform publishes (RFC 7517).

use std::{collections::HashMap, fmt};

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, EcdsaVerificationAlgorithm,
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents,
};
use serde_json::Value;

use super::{MAX_DOCUMENT_LEN, UpstreamAlgorithm};
use crate::{
    json,
    jwk::{self, BadSignature},
};

/// Why a document is no key set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeySet {
    /// Larger than [`MAX_DOCUMENT_LEN`].
    #[error("the key set has {0} bytes; {MAX_DOCUMENT_LEN} are read")]
    TooLong(usize),
    /// Not strict JSON.
    #[error("the key set is not JSON: {0}")]
    Json(#[from] json::InvalidJson),
    /// No `keys` array.
    #[error("the key set has no array `keys`")]
    NoKeys,
    /// More keys than [`KeySet::MAX_KEYS`].
    #[error("the key set has {0} keys; {max} are read", max = KeySet::MAX_KEYS)]
    TooManyKeys(usize),
}

/// The usable keys of a platform, parsed and ready.
///
/// An entry is passed over that has no `kid`, is not for signatures (`use`, `key_ops`), is private, is for an algorithm that is never
/// accepted, or is not what it says: RSA below 2048 or above 8192 bits, a point that is not on its curve. Where two different keys have
/// one `kid`, neither is used: which of them a token means could not be said.
#[derive(Clone, Default)]
pub struct KeySet {
    keys: HashMap<String, Key>,
    skipped: usize,
}

#[derive(Clone)]
struct Key {
    /// What makes two keys the same: type and numbers.
    material: Vec<u8>,
    /// The key, prepared for each algorithm that it is for.
    prepared: Vec<(UpstreamAlgorithm, ParsedPublicKey)>,
}

impl KeySet {
    /// The most entries.
    pub const MAX_KEYS: usize = 200;
    /// The longest `kid`, in bytes.
    pub const MAX_KID_LEN: usize = 256;

    /// Reads a key set. An empty one is one: the platform has withdrawn its keys.
    pub fn parse(document: &[u8]) -> Result<Self, InvalidKeySet> {
        if document.len() > MAX_DOCUMENT_LEN {
            return Err(InvalidKeySet::TooLong(document.len()));
        }
        let document = json::parse(document)?;
        let entries = document.get("keys").and_then(Value::as_array).ok_or(InvalidKeySet::NoKeys)?;
        if entries.len() > Self::MAX_KEYS {
            return Err(InvalidKeySet::TooManyKeys(entries.len()));
        }
        let mut keys: HashMap<String, Option<Key>> = HashMap::new();
        for entry in entries {
            let Some((kid, key)) = read_key(entry) else { continue };
            keys.entry(kid)
                .and_modify(|known| {
                    if known.as_ref().is_some_and(|known| known.material != key.material) {
                        *known = None;
                    }
                })
                .or_insert(Some(key));
        }
        let keys: HashMap<_, _> = keys.into_iter().filter_map(|(kid, key)| Some((kid, key?))).collect();
        Ok(Self { skipped: entries.len() - keys.len(), keys })
    }

    /// Whether there is a usable key of this id.
    pub fn contains(&self, kid: &str) -> bool {
        self.keys.contains_key(kid)
    }

    /// How many usable keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key is usable.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many entries were passed over.
    pub const fn skipped(&self) -> usize {
        self.skipped
    }

    /// The prepared key of this id for this algorithm.
    pub(super) fn find(&self, kid: &str, algorithm: UpstreamAlgorithm) -> Result<PreparedKey<'_>, NoKey> {
        let key = self.keys.get(kid).ok_or(NoKey::Unknown)?;
        let prepared = key.prepared.iter().find(|(known, _)| *known == algorithm);
        prepared.map(|(_, key)| PreparedKey(key)).ok_or(NoKey::OtherAlgorithm)
    }
}

/// Why a key set has no key for a token.
pub(super) enum NoKey {
    /// No usable key has this id.
    Unknown,
    /// The key of this id is for another algorithm.
    OtherAlgorithm,
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kids: Vec<&str> = self.keys.keys().map(String::as_str).collect();
        kids.sort_unstable();
        f.debug_struct("KeySet").field("kids", &kids).field("skipped", &self.skipped).finish()
    }
}

/// A key, ready to verify signatures of one algorithm.
pub(super) struct PreparedKey<'a>(&'a ParsedPublicKey);

impl PreparedKey<'_> {
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        self.0.verify_sig(message, signature).map_err(|_| BadSignature)
    }
}

const RSA: [(UpstreamAlgorithm, &RsaParameters); 6] = [
    (UpstreamAlgorithm::Rs256, &RSA_PKCS1_2048_8192_SHA256),
    (UpstreamAlgorithm::Rs384, &RSA_PKCS1_2048_8192_SHA384),
    (UpstreamAlgorithm::Rs512, &RSA_PKCS1_2048_8192_SHA512),
    (UpstreamAlgorithm::Ps256, &RSA_PSS_2048_8192_SHA256),
    (UpstreamAlgorithm::Ps384, &RSA_PSS_2048_8192_SHA384),
    (UpstreamAlgorithm::Ps512, &RSA_PSS_2048_8192_SHA512),
];

/// Name, algorithm and length of a coordinate (RFC 7518 §6.2.1.2).
const CURVES: [(&str, UpstreamAlgorithm, &EcdsaVerificationAlgorithm, usize); 3] = [
    ("P-256", UpstreamAlgorithm::Es256, &ECDSA_P256_SHA256_FIXED, 32),
    ("P-384", UpstreamAlgorithm::Es384, &ECDSA_P384_SHA384_FIXED, 48),
    ("P-521", UpstreamAlgorithm::Es512, &ECDSA_P521_SHA512_FIXED, 66),
];

fn read_key(entry: &Value) -> Option<(String, Key)> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str);
    let kid = text("kid").filter(|kid| is_kid(kid))?;
    let verifies = |operations: &Value| {
        operations.as_array().is_some_and(|operations| operations.iter().any(|operation| operation == "verify"))
    };
    let for_signatures =
        entry.get("use").is_none_or(|usage| usage == "sig") && entry.get("key_ops").is_none_or(verifies);
    let private = ["d", "p", "q", "k"].iter().any(|name| entry.get(*name).is_some());
    if !for_signatures || private {
        return None;
    }
    let only: Option<UpstreamAlgorithm> = match entry.get("alg") {
        None => None,
        Some(named) => Some(named.as_str()?.parse().ok()?),
    };
    let wanted = |algorithm: UpstreamAlgorithm| only.is_none_or(|only| only == algorithm);
    let key = match text("kty")? {
        "RSA" => {
            let (n, e) = jwk::rsa_numbers(entry)?;
            let bits = n.len() * 8 - usize::try_from(n.first()?.leading_zeros()).ok()?;
            if !(2048..=8192).contains(&bits) {
                return None;
            }
            let components = RsaPublicKeyComponents { n: &n, e: &e };
            let usable = RSA.iter().filter(|(algorithm, _)| wanted(*algorithm));
            let prepared = usable
                .map(|(algorithm, parameters)| Some((*algorithm, components.to_parsed_public_key(parameters).ok()?)));
            let prepared = prepared.collect::<Option<Vec<_>>>()?;
            Key { material: [b"RSA".as_slice(), &n, b"/", &e].concat(), prepared }
        }
        "EC" => {
            let name = text("crv")?;
            let (_, algorithm, parameters, len) = CURVES.into_iter().find(|curve| curve.0 == name)?;
            let coordinate = |name| jwk::bytes(entry, name).filter(|bytes| bytes.len() == len);
            let point = [vec![4], coordinate("x")?, coordinate("y")?].concat();
            let parsed = ParsedPublicKey::new(parameters, &point).ok()?;
            let prepared = if wanted(algorithm) { vec![(algorithm, parsed)] } else { vec![] };
            Key { material: point, prepared }
        }
        _ => return None,
    };
    (!key.prepared.is_empty()).then(|| (kid.to_owned(), key))
}

/// Whether a text can be a key's id: 1 to [`KeySet::MAX_KID_LEN`] bytes without control characters.
pub(super) fn is_kid(text: &str) -> bool {
    (1..=KeySet::MAX_KID_LEN).contains(&text.len()) && !text.chars().any(char::is_control)
}
