//! Project Wycheproof's JOSE vectors (`tests/wycheproof/`), as STS would see their keys and signatures.
//!
//! Their payloads are no claims, so that as tokens all of them are refused. What is compared is the check of the signature alone.

mod reading;

use serde_json::json;

use super::*;

const FILES: [(&str, &str); 3] = [
    ("signature", include_str!("../../../../../tests/wycheproof/json_web_signature_test.json")),
    ("crypto", include_str!("../../../../../tests/wycheproof/json_web_crypto_test.json")),
    ("key", include_str!("../../../../../tests/wycheproof/json_web_key_test.json")),
];

/// The token's header and signature as `Token::parse` reads them, with no claims.
fn token(jws: &str) -> Option<Token<'_>> {
    let (signed, signature) = jws.rsplit_once('.')?;
    let (header, _) = signed.split_once('.')?;
    Some(Token {
        header: serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(header).ok()?).ok()?,
        claims: Map::new(),
        signed,
        signature: BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?,
    })
}

struct Vector {
    name: String,
    valid: bool,
    accepted: bool,
    algorithm: String,
    /// Members of the set's first key.
    key: Value,
}

fn vectors() -> Vec<Vector> {
    let mut vectors = Vec::new();
    for (file, text) in FILES {
        let document: Value = serde_json::from_str(text).unwrap();
        for group in document["testGroups"].as_array().unwrap() {
            // HMAC keys have no public half.
            let key = group.get("public").unwrap_or(&group["private"]);
            let key_set = if key.get("keys").is_some() { key.clone() } else { json!({"keys": [key]}) };
            let document = key_set.to_string();
            for test in group["tests"].as_array().unwrap() {
                let Some(jws) = test["jws"].as_str() else { continue };
                let token = token(jws);
                let set = Fetched::Document(document.as_bytes());
                let judge = |token: &Token<'_>| check_signature(token, set, &mut Checks::default()).is_ok();
                let algorithm = token.as_ref().and_then(|token| token.header_text("alg"));
                vectors.push(Vector {
                    name: format!("{file} {} {}", test["tcId"], test["comment"].as_str().unwrap()),
                    valid: test["result"] == "valid",
                    accepted: token.as_ref().is_some_and(judge),
                    algorithm: algorithm.unwrap_or_default().to_owned(),
                    key: key_set["keys"][0].clone(),
                });
            }
        }
    }
    vectors
}

#[test]
fn no_signature_is_valid_that_should_not_be() {
    let vectors = vectors();
    assert_eq!((vectors.len(), vectors.iter().filter(|vector| vector.valid).count()), (475, 55));
    let accepted = vectors.iter().filter(|vector| vector.accepted && !vector.valid);
    let names: Vec<&str> = accepted.map(|vector| vector.name.as_str()).collect();
    let known = [
        // Recorded: STS takes a key whatever its `alg` says.
        "signature 332 UsingRS256",
        "signature 334 UsingRS384",
        "signature 336 UsingRS512",
        // Nobody has recorded what STS says of keys that can be factored (CVE-2017-15361). Tagmint's own verifier refuses them.
        "crypto 46 rejectsKeyWithRocaVulnerability",
        "key 7 rejectsKeyWithRocaVulnerability",
        // Recorded, as above.
        "key 19 mismatchedAlgAndCurve",
        "key 20 mismatchedAlgAndCurve",
    ];
    assert_eq!(names, known);
}

#[test]
fn what_sts_knows_is_valid() {
    for vector in vectors().into_iter().filter(|vector| vector.valid && !vector.accepted) {
        // HMAC and PSS are no algorithms of STS; under a key with `key_ops` nothing verifies (recorded).
        let unknown =
            vector.algorithm.is_empty() || vector.algorithm.starts_with("HS") || vector.algorithm.starts_with("PS");
        assert!(unknown || vector.key.get("key_ops").is_some(), "{}: refused although valid", vector.name);
    }
}
