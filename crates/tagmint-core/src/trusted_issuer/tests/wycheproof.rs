//! Project Wycheproof's JOSE vectors (`tests/wycheproof/`), through both verifiers.
//!
//! Their payloads are no claims, so that as tokens all of them are refused. What is compared is what comes before the claims are read: whether
//! the set has a key for the token, and whether the signature is valid under it.

use super::*;
use crate::{jwk::VerificationKeys, jws::compact::Compact};

const FILES: [(&str, &str); 3] = [
    ("signature", include_str!("../../../../../tests/wycheproof/json_web_signature_test.json")),
    ("crypto", include_str!("../../../../../tests/wycheproof/json_web_crypto_test.json")),
    ("key", include_str!("../../../../../tests/wycheproof/json_web_key_test.json")),
];

struct Vector {
    /// `signature 18 acceptsValid`.
    name: String,
    key_set: Value,
    jws: String,
    valid: bool,
}

/// All signed vectors; those of encryption are nothing to us.
fn vectors() -> Vec<Vector> {
    let mut vectors = Vec::new();
    for (file, text) in FILES {
        let document: Value = serde_json::from_str(text).unwrap();
        for group in document["testGroups"].as_array().unwrap() {
            // HMAC keys have no public half.
            let key = group.get("public").unwrap_or(&group["private"]);
            let key_set = if key.get("keys").is_some() { key.clone() } else { json!({"keys": [key]}) };
            for test in group["tests"].as_array().unwrap() {
                let Some(jws) = test["jws"].as_str() else { continue };
                vectors.push(Vector {
                    name: format!("{file} {} {}", test["tcId"], test["comment"].as_str().unwrap()),
                    key_set: key_set.clone(),
                    jws: jws.to_owned(),
                    valid: test["result"] == "valid",
                });
            }
        }
    }
    vectors
}

/// Whether a trusted issuer with this key set signed it.
fn signed_by_trusted_issuer(vector: &Vector) -> bool {
    let Ok(keys) = KeySet::parse(vector.key_set.to_string().as_bytes()) else { return false };
    let Ok(compact) = Compact::read(&vector.jws) else { return false };
    let Ok(algorithm) = compact.header_text("alg").parse() else { return false };
    let kid = compact.header.get("kid").and_then(Value::as_str);
    let verifies = |signature: &[u8]| {
        keys.find(kid, algorithm).iter().any(|key| key.verify(compact.message.as_bytes(), signature).is_ok())
    };
    compact.signature().is_ok_and(|signature| verifies(&signature))
}

/// Whether an issuer of our own with this key set signed it.
fn signed_by_us(vector: &Vector) -> bool {
    let Ok(keys) = VerificationKeys::parse(vector.key_set.to_string().as_bytes()) else { return false };
    let Ok(compact) = Compact::read(&vector.jws) else { return false };
    let Ok(algorithm) = compact.header_text("alg").parse() else { return false };
    let Some(key) = keys.find(compact.header_text("kid"), algorithm) else { return false };
    compact.signature().is_ok_and(|signature| key.verify(compact.message.as_bytes(), &signature).is_ok())
}

/// The vectors that are invalid and accepted, and those that are valid and refused.
fn differing(verdict: impl Fn(&Vector) -> bool) -> (Vec<Vector>, Vec<Vector>) {
    let differing = vectors().into_iter().filter(|vector| verdict(vector) != vector.valid);
    differing.partition(|vector| !vector.valid)
}

fn names<'a>(vectors: impl IntoIterator<Item = &'a Vector>) -> Vec<&'a str> {
    vectors.into_iter().map(|vector| vector.name.as_str()).collect()
}

impl Vector {
    /// The header's algorithm, where it can be read.
    fn algorithm(&self) -> String {
        Compact::read(&self.jws).map_or_else(|_| String::new(), |compact| compact.header_text("alg").to_owned())
    }

    fn has_shared_secret(&self) -> bool {
        self.key_set["keys"].as_array().unwrap().iter().any(|key| key["kty"] == "oct")
    }
}

#[test]
fn the_vectors_are_all_there() {
    let (valid, invalid): (Vec<Vector>, Vec<Vector>) = vectors().into_iter().partition(|vector| vector.valid);
    assert_eq!((valid.len(), invalid.len()), (55, 420));
}

#[test]
fn a_trusted_issuers_keys_and_signatures_are_judged_as_they_should_be() {
    let (accepted, refused) = differing(signed_by_trusted_issuer);
    assert_eq!(names(&accepted), [""; 0], "accepted although invalid");
    // Secrets that both sides share are never taken.
    let others = refused.iter().filter(|vector| !vector.has_shared_secret());
    let expected = [
        // PS384 under a key that says that it is for PS256.
        "signature 346 Figure20",
        "signature 350 Figure20",
        // A key for `ES521`, which is no algorithm (RFC 7518 §3.1 has ES512).
        "signature 347 Figure27",
        "signature 351 Figure27",
    ];
    let mut found = names(others);
    found.sort_unstable_by_key(|name| expected.iter().position(|known| known == name));
    assert_eq!(found, expected, "refused although valid");
}

#[test]
fn our_own_verifier_judges_them_as_it_should() {
    let (accepted, refused) = differing(signed_by_us);
    assert_eq!(names(&accepted), [""; 0], "accepted although invalid");
    // It knows our two algorithms, and no key with `key_ops`: we publish none.
    let others = refused.iter().filter(|vector| ["RS256", "ES256"].contains(&vector.algorithm().as_str()));
    assert_eq!(names(others), ["signature 349 Figure13"], "refused although valid");
}

#[test]
fn no_vector_is_a_token() {
    let trusted = TrustedIssuer { algorithms: TokenAlgorithm::ALL.to_vec(), ..oidc() };
    for vector in vectors() {
        let Ok(keys) = KeySet::parse(vector.key_set.to_string().as_bytes()) else { continue };
        let now = Timestamp::from_second(NOW).unwrap();
        let token = UnverifiedToken::parse(&vector.jws).and_then(|token| token.verify(&trusted, &keys, now));
        assert!(token.is_err(), "{}", vector.name);
    }
}
