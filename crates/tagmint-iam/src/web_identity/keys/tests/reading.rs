//! Keys that are passed over, and other spellings of the same key.

use serde_json::json;

use super::super::*;

/// The x and y of RFC 7515 A.3's key.
const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

#[test]
fn a_key_that_is_not_found_says_why() {
    let ec = |changes: Value| {
        let mut key = json!({"kty": "EC", "crv": "P-256", "kid": "k", "x": X, "y": Y});
        for (name, value) in changes.as_object().unwrap() {
            key[name.as_str()] = value.clone();
        }
        key
    };
    for (key, says) in [
        (ec(json!({"use": "enc"})), "its `use` is \"enc\""),
        (ec(json!({"key_ops": ["encrypt"]})), "its `key_ops` are [\"encrypt\"]"),
        (ec(json!({"crv": "secp256k1"})), "its `crv` is \"secp256k1\""),
        (ec(json!({"x": "+/=="})), "its `x` is not base64url"),
        (ec(json!({"x": BASE64_URL_SAFE_NO_PAD.encode([1; 33])})), "its coordinates are longer than P-256's"),
        (ec(json!({"x5c": ["AAAA"]})), "its certificate (`x5c`) is not one of this key"),
        (
            json!({"kty": "RSA", "kid": "k", "x5c": ["AAAA"]}),
            "it has no member `n`; a certificate (`x5c`) alone is not read",
        ),
    ] {
        let set = KeySet::parse(json!({"keys": [key]}).to_string().as_bytes()).unwrap();
        assert!(set.not_used().contains(says), "{}", set.not_used());
        let algorithm = Algorithm::parse(if key["kty"] == "RSA" { "RS256" } else { "ES256" }).unwrap();
        let Err(problem) = set.select(algorithm, Some("k")) else { panic!("{key} is found") };
        assert!(problem.starts_with("the key with this kid is not used: ") && problem.contains(says), "{problem}");
    }
    let nameless = json!({"keys": [{"kty": "EC", "crv": "P-256", "x": X, "y": Y}, ec(json!({}))]});
    let set = KeySet::parse(nameless.to_string().as_bytes()).unwrap();
    assert_eq!(set.not_used(), "; not used: one without kid: it has no `kid`, and STS finds keys by that");
    assert!(set.select(Algorithm::parse("ES256").unwrap(), Some("k")).is_ok());
    let many = json!({"keys": vec![json!({"kty": "RSA"}); 7]});
    assert!(KeySet::parse(many.to_string().as_bytes()).unwrap().not_used().ends_with("; and 2 more"));
}

/// Zero octets before a number, or coordinates without theirs, are the same number.
#[test]
fn other_spellings_of_a_number_are_the_number() {
    let of = |x: Vec<u8>| {
        let key = json!({"kty": "EC", "crv": "P-256", "kid": "k", "x": BASE64_URL_SAFE_NO_PAD.encode(x), "y": Y});
        read_key(key.as_object().unwrap()).map(|key| key.public)
    };
    let short = [7; 31].to_vec();
    let full = [vec![0], short.clone()].concat();
    assert_eq!(of(short), of(full.clone()));
    assert_eq!(of(full.clone()), of([vec![0], full].concat()));
}
