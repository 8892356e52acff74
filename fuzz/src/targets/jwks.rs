//! Key sets, read by us and by STS: a key that we read and publish again is the same key.

use crate::{reference, world};
use serde_json::Value;
use tagmint_core::{
    jwk::{Jwk, JwkSet, VerificationKeys},
    signing_key::Algorithm,
};

/// Runs one input.
pub fn run(data: &[u8]) {
    // STS reads more leniently: everything that it makes of the set comes before the answer about a good token.
    for token in world::TOKENS.lines() {
        let _ = world::verdict(&world::request(token, world::ROLE_ARN), data, None);
    }

    let Ok(keys) = VerificationKeys::parse(data) else { return };
    assert_eq!(reference::repeats_a_member(data), Some(false));
    let document: Value = serde_json::from_slice(data).expect("strict JSON is JSON");
    let listed = document["keys"].as_array().expect("a key set has keys");
    for kid in listed.iter().filter_map(|key| key["kid"].as_str()) {
        for algorithm in [Algorithm::Es256, Algorithm::Rs256] {
            let Some(key) = keys.find(kid, algorithm) else { continue };
            assert_eq!(key.algorithm(), algorithm);
            let _ = key.verify(b"message", &[0; 64]);
            let published = JwkSet { keys: vec![Jwk::new(key, None)] };
            let published = serde_json::to_vec(&published).expect("a key set is JSON");
            let again = VerificationKeys::parse(&published).expect("what is published can be read");
            assert_eq!(again.find(key.thumbprint().as_str(), algorithm), Some(key));
        }
    }
}
