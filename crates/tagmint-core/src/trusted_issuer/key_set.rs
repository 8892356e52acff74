//! The keys that a platform publishes (RFC 7517).

mod entry;

use std::fmt;

use aws_lc_rs::signature::ParsedPublicKey;
use serde_json::Value;

use super::{MAX_DOCUMENT_LEN, TokenAlgorithm};
use crate::{json, jwk::BadSignature};

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
/// An entry is passed over, with its reason, that is not for signatures (`use`, `key_ops`), publishes a private member, is for an algorithm
/// that is never accepted, or is not what it says: RSA below 2048 or above 8192 bits, a point that is not on its curve. `kid` is optional
/// (RFC 7517 §4.5), and need not be unique: one key may be listed once for each algorithm, and keys of several types may share a `kid`.
#[derive(Clone, Default)]
pub struct KeySet {
    keys: Vec<Key>,
    passed_over: Vec<PassedOver>,
}

#[derive(Clone)]
struct Key {
    kid: Option<String>,
    /// What makes two keys the same: type and numbers.
    material: Vec<u8>,
    /// The key, prepared for each algorithm that it is for.
    prepared: Vec<(TokenAlgorithm, ParsedPublicKey)>,
}

/// An entry of a key set that is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOver {
    /// Its place in the set, from 0.
    pub index: usize,
    /// Its `kid`, cut short and without control characters; none where it has none.
    pub kid: Option<String>,
    /// Why it is not used.
    pub reason: String,
}

impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, kid, reason } = self;
        match kid {
            Some(kid) => write!(f, "`{kid}`: {reason}"),
            None => write!(f, "keys[{index}]: {reason}"),
        }
    }
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
        // RFC 8259 §8.1: a parser may ignore a byte order mark. Editors leave one in a file.
        let document = json::parse(document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document))?;
        let entries = document.get("keys").and_then(Value::as_array).ok_or(InvalidKeySet::NoKeys)?;
        if entries.len() > Self::MAX_KEYS {
            return Err(InvalidKeySet::TooManyKeys(entries.len()));
        }
        let mut set = Self::default();
        for (index, entry) in entries.iter().enumerate() {
            match entry::read(entry) {
                Ok(key) => set.add(key),
                Err(reason) => {
                    set.passed_over.push(PassedOver {
                        index,
                        kid: entry::shown_kid(entry),
                        reason: reason.to_string(),
                    });
                }
            }
        }
        Ok(set)
    }

    /// Adds a key, or what a further entry says about one that is known: the algorithms of both.
    fn add(&mut self, key: Key) {
        let same = |known: &&mut Key| known.kid == key.kid && known.material == key.material;
        let Some(known) = self.keys.iter_mut().find(same) else { return self.keys.push(key) };
        for (algorithm, prepared) in key.prepared {
            if known.prepared.iter().all(|(listed, _)| *listed != algorithm) {
                known.prepared.push((algorithm, prepared));
            }
        }
    }

    /// Whether there is a usable key of this id.
    pub fn contains(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid.as_deref() == Some(kid))
    }

    /// How many usable keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key is usable.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The ids of the usable keys, in the order of the set; `(no kid)` for one without.
    pub fn kids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.kid.as_deref().unwrap_or("(no kid)"))
    }

    /// The entries that were passed over, in the order of the set.
    pub fn passed_over(&self) -> &[PassedOver] {
        &self.passed_over
    }

    /// How many entries were passed over.
    pub const fn skipped(&self) -> usize {
        self.passed_over.len()
    }

    /// The prepared keys that a token of this id and algorithm may be signed with.
    ///
    /// A token with a `kid` is of the keys with that `kid`, or of those without any, whose id is unknown. A token without `kid` may be of
    /// any key. All of them are the issuer's own, so trying several gives nothing away.
    pub(super) fn find(&self, kid: Option<&str>, algorithm: TokenAlgorithm) -> Vec<PreparedKey<'_>> {
        let known = kid.is_some_and(|kid| self.contains(kid));
        let named = self.keys.iter().filter(|key| match kid {
            Some(_) if known => key.kid.as_deref() == kid,
            Some(_) => key.kid.is_none(),
            None => true,
        });
        let fitting = named.flat_map(|key| &key.prepared).filter(|(prepared, _)| *prepared == algorithm);
        fitting.map(|(_, key)| PreparedKey(key)).collect()
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kids: Vec<&str> = self.kids().collect();
        f.debug_struct("KeySet").field("kids", &kids).field("passed_over", &self.passed_over).finish_non_exhaustive()
    }
}

/// A key, ready to verify signatures of one algorithm.
pub(super) struct PreparedKey<'a>(&'a ParsedPublicKey);

impl PreparedKey<'_> {
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        self.0.verify_sig(message, signature).map_err(|_| BadSignature)
    }
}

/// Whether a text can be a key's id: 1 to [`KeySet::MAX_KID_LEN`] bytes without control characters.
pub(super) fn is_kid(text: &str) -> bool {
    (1..=KeySet::MAX_KID_LEN).contains(&text.len()) && !text.chars().any(char::is_control)
}
