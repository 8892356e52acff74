//! The provider's documents and the token's signature.
//!
//! Recorded: a key set keeps RSA and EC keys apart, each kind with its own limit of 100; of keys with the same `kid` the last one counts;
//! `use` other than `sig` hides a key, a wrong `alg` doesn't; a key without `kid` is never found.

use std::collections::BTreeMap;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, EcdsaVerificationAlgorithm,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use serde_json::{Map, Value};

use super::{
    Fetched, StsError,
    checks::{Checks, shown},
    token::Token,
    x5c,
};
use crate::provider::OidcProvider;

/// Most keys of a kind in a set; with one more, tokens of this kind fail (recorded for RSA; IAM user guide).
const MAX_KEYS_PER_KIND: usize = 100;

/// The discovery document: fetched, about this issuer, with a key set on https.
pub(super) fn check_discovery(
    discovery: Option<Fetched<'_>>,
    provider: &OidcProvider,
    checks: &mut Checks,
) -> Result<(), StsError> {
    let expected = format!("a document with `issuer` {} and a `jwks_uri` on https", provider.issuer());
    let problem = match discovery {
        None | Some(Fetched::Unchecked) => return Ok(()),
        Some(Fetched::Failed(why)) => why.to_owned(),
        Some(Fetched::Document(bytes)) => match serde_json::from_slice::<Value>(bytes) {
            Err(error) => format!("not JSON: {error}"),
            Ok(document) => {
                let text = |name: &str| document.get(name).and_then(Value::as_str).unwrap_or_default();
                if text("issuer") != provider.issuer() {
                    format!("`issuer` is {:?}", shown(text("issuer")))
                } else if !text("jwks_uri").starts_with("https://") {
                    format!("`jwks_uri` is {:?}", shown(text("jwks_uri")))
                } else {
                    checks.pass("discovery", expected, "as expected");
                    return Ok(());
                }
            }
        },
    };
    let fix = "make /.well-known/openid-configuration answer so, within five seconds, from AWS's side";
    Err(checks.fail("discovery", expected, problem, fix, StsError::no_key()))
}

/// Finds the token's key and verifies its signature.
pub(super) fn check_signature(token: &Token<'_>, jwks: Fetched<'_>, checks: &mut Checks) -> Result<(), StsError> {
    let name = token.header_text("alg").unwrap_or_default();
    let Some(algorithm) = Algorithm::parse(name) else {
        // Not recorded. No key of a set is for another algorithm, so there is none to be found.
        let fix = "sign with one of these algorithms";
        let expected = "RS256, RS384, RS512, ES256, ES384, ES512";
        return Err(checks.fail("token-algorithm", expected, shown(name), fix, StsError::no_key()));
    };
    checks.pass("token-algorithm", "RS256, RS384, RS512, ES256, ES384, ES512", name);
    let set = match jwks {
        Fetched::Document(bytes) => KeySet::parse(bytes),
        Fetched::Failed(why) => Err(why.to_owned()),
        Fetched::Unchecked => return Ok(()),
    };
    let set = set.map_err(|problem| {
        let fix = "make the key set reachable from AWS's side within five seconds";
        checks.fail("key-set", "a key set", problem, fix, StsError::no_key())
    })?;
    let found = format!("{} RSA and {} EC keys{}", set.rsa.count, set.ec.count, set.not_used());
    checks.pass("key-set", "a key set", found);
    let kid = token.header_text("kid");
    let wanted = match kid {
        Some(kid) => format!("an {} key with kid {:?}", algorithm.kind(), shown(kid)),
        None => format!("exactly one key, an {} one, since the token names no kid", algorithm.kind()),
    };
    let key = set.select(algorithm, kid).map_err(|problem| {
        let fix = "publish the key with its kid, `use` \"sig\", and without key_ops";
        checks.fail("token-key", wanted.clone(), problem, fix, StsError::no_key())
    })?;
    checks.pass("token-key", wanted, "found");
    match key.verify(algorithm, token) {
        Ok(()) => {
            checks.pass("token-signature", "valid under the key", "valid");
            Ok(())
        }
        Err(problem) => {
            let fix = "sign with the published key, and publish it without key_ops";
            Err(checks.fail("token-signature", "valid under the key", problem, fix, StsError::not_validated()))
        }
    }
}

/// The algorithms that STS takes (IAM user guide; EdDSA isn't one).
#[derive(Clone, Copy)]
enum Algorithm {
    Rsa(&'static RsaParameters),
    Ec(&'static EcdsaVerificationAlgorithm, &'static str),
}

impl Algorithm {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rsa(&RSA_PKCS1_2048_8192_SHA256)),
            "RS384" => Some(Self::Rsa(&RSA_PKCS1_2048_8192_SHA384)),
            "RS512" => Some(Self::Rsa(&RSA_PKCS1_2048_8192_SHA512)),
            "ES256" => Some(Self::Ec(&ECDSA_P256_SHA256_FIXED, "P-256")),
            "ES384" => Some(Self::Ec(&ECDSA_P384_SHA384_FIXED, "P-384")),
            "ES512" => Some(Self::Ec(&ECDSA_P521_SHA512_FIXED, "P-521")),
            _ => None,
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Rsa(_) => "RSA",
            Self::Ec(..) => "EC",
        }
    }
}

/// A published key's numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PublicKey {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// An uncompressed point.
    Ec {
        curve: &'static str,
        point: Vec<u8>,
    },
}

struct Key {
    public: PublicKey,
    /// The set says what the key is for with `key_ops`, too: it is found, and then no signature is valid under it (recorded).
    with_operations: bool,
}

impl Key {
    fn verify(&self, algorithm: Algorithm, token: &Token<'_>) -> Result<(), &'static str> {
        if self.with_operations {
            return Err("the key has key_ops, which STS doesn't verify with");
        }
        let message = token.signed.as_bytes();
        // What STS makes of a weak key is not recorded. RFC 7518 §3.3 demands 2048 bits, and AWS's guide shows no smaller one.
        if let PublicKey::Rsa { n, .. } = &self.public
            && n.len() < 256
        {
            return Err("the key is RSA below 2048 bits, which RFC 7518 §3.3 forbids");
        }
        let outcome = match (algorithm, &self.public) {
            (Algorithm::Rsa(parameters), PublicKey::Rsa { n, e }) => {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, &token.signature)
            }
            (Algorithm::Ec(algorithm, wanted), PublicKey::Ec { curve, point }) if wanted == *curve => {
                UnparsedPublicKey::new(algorithm, point).verify(message, &token.signature)
            }
            _ => return Err("the key is on another curve than the algorithm's"),
        };
        outcome.map_err(|_| "not valid under the key")
    }
}

#[derive(Default)]
struct KeysOfKind {
    /// All keys of the kind, usable or not.
    count: usize,
    by_kid: BTreeMap<String, Key>,
    /// Keys that are not found, by `kid` where they have one, and why.
    not_used: Vec<(Option<String>, String)>,
}

struct KeySet {
    rsa: KeysOfKind,
    ec: KeysOfKind,
}

impl KeySet {
    /// Reads a key set. Keys that cannot be used are counted and passed over.
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let document: Value = serde_json::from_slice(bytes).map_err(|error| format!("not JSON: {error}"))?;
        let keys = document.get("keys").and_then(Value::as_array).ok_or("no array `keys`")?;
        let mut set = Self { rsa: KeysOfKind::default(), ec: KeysOfKind::default() };
        for key in keys.iter().filter_map(Value::as_object) {
            let kind = match key.get("kty").and_then(Value::as_str) {
                Some("RSA") => &mut set.rsa,
                Some("EC") => &mut set.ec,
                _ => continue,
            };
            kind.count += 1;
            let kid = key.get("kid").and_then(Value::as_str);
            match (kid, read_key(key)) {
                (Some(kid), Ok(key)) => {
                    kind.by_kid.insert(kid.to_owned(), key);
                }
                (kid, Err(why)) => kind.not_used.push((kid.map(str::to_owned), why)),
                (None, Ok(_)) => kind.not_used.push((None, "it has no `kid`, and STS finds keys by that".to_owned())),
            }
        }
        Ok(set)
    }

    /// The keys that are not used, for people; empty where all are.
    fn not_used(&self) -> String {
        const SHOWN: usize = 5;
        let all: Vec<_> = self.rsa.not_used.iter().chain(&self.ec.not_used).collect();
        let named = all.iter().take(SHOWN).map(|(kid, why)| match kid {
            Some(kid) => format!("{:?}: {}", shown(kid), shown(why)),
            None => format!("one without kid: {}", shown(why)),
        });
        let named: Vec<String> = named.collect();
        let more = all.len() - named.len();
        match (named.as_slice(), more) {
            ([], _) => String::new(),
            (named, 0) => format!("; not used: {}", named.join("; ")),
            (named, more) => format!("; not used: {}; and {more} more", named.join("; ")),
        }
    }

    fn select(&self, algorithm: Algorithm, kid: Option<&str>) -> Result<&Key, String> {
        let of_kind = match algorithm {
            Algorithm::Rsa(_) => &self.rsa,
            Algorithm::Ec(..) => &self.ec,
        };
        if of_kind.count > MAX_KEYS_PER_KIND {
            return Err(format!(
                "{} keys of this kind; STS reads none of more than {MAX_KEYS_PER_KIND}",
                of_kind.count
            ));
        }
        match kid {
            Some(kid) => of_kind.by_kid.get(kid).ok_or_else(|| {
                let named = of_kind.not_used.iter().find(|(known, _)| known.as_deref() == Some(kid));
                named.map_or_else(
                    || "no such usable key".to_owned(),
                    |(_, why)| format!("the key with this kid is not used: {why}"),
                )
            }),
            None => match (self.rsa.by_kid.len() + self.ec.by_kid.len(), of_kind.by_kid.values().next()) {
                (1, Some(only)) => Ok(only),
                (number, _) => Err(format!("{number} usable keys with a kid")),
            },
        }
    }
}

/// A key that STS finds, or why it does not.
fn read_key(entry: &Map<String, Value>) -> Result<Key, String> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str);
    let bytes = |name: &str| {
        let text = text(name).ok_or_else(|| {
            let alone = if entry.contains_key("x5c") { "; a certificate (`x5c`) alone is not read" } else { "" };
            format!("it has no member `{name}`{alone}")
        })?;
        let decoded = BASE64_URL_SAFE_NO_PAD.decode(text);
        decoded.map(stripped).map_err(|_| format!("its `{name}` is not base64url without padding (RFC 7518 §2)"))
    };
    if let Some(usage) = entry.get("use").filter(|usage| *usage != "sig") {
        return Err(format!("its `use` is {usage}, not \"sig\""));
    }
    // Recorded for ["verify"]: found, but nothing verifies. Other operations say that the key isn't for signatures, as another `use` does.
    let with_operations = match entry.get("key_ops") {
        None => false,
        Some(Value::Array(operations)) if operations.iter().any(|operation| operation == "verify") => true,
        Some(operations) => return Err(format!("its `key_ops` are {operations}, without \"verify\"")),
    };
    let public = if text("kty") == Some("RSA") {
        PublicKey::Rsa { n: bytes("n")?, e: bytes("e")? }
    } else {
        let name = text("crv").unwrap_or_default();
        let curves = [("P-256", 32), ("P-384", 48), ("P-521", 66)];
        let known = curves.into_iter().find(|(curve, _)| *curve == name);
        let (curve, len) = known.ok_or_else(|| format!("its `crv` is {name:?}; P-256, P-384 and P-521 are used"))?;
        let point = point(&bytes("x")?, &bytes("y")?, len);
        PublicKey::Ec { curve, point: point.ok_or_else(|| format!("its coordinates are longer than {curve}'s"))? }
    };
    // A certificate has to be of the very key (recorded: one alone, or of another key, hides the key).
    if let Some(certificates) = entry.get("x5c") {
        let first = certificates.as_array().and_then(|all| all.first()).and_then(Value::as_str);
        let key = first.and_then(|first| x5c::public_key(&BASE64_STANDARD.decode(first).ok()?));
        if key.as_ref() != Some(&public) {
            return Err("its certificate (`x5c`) is not one of this key".to_owned());
        }
    }
    Ok(Key { public, with_operations })
}

/// Big-endian numbers without leading zeros.
pub(super) fn stripped(bytes: Vec<u8>) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    if zeros == 0 { bytes } else { bytes[zeros..].to_vec() }
}

fn point(x: &[u8], y: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut point = vec![4];
    for coordinate in [x, y] {
        point.resize(point.len() + len.checked_sub(coordinate.len())?, 0);
        point.extend_from_slice(coordinate);
    }
    Some(point)
}

#[cfg(test)]
mod tests;
