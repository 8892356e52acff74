//! Which published keys are used.

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{KeyPair as RsaPair, KeySize},
    signature::{
        ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair,
        RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
        RsaEncoding,
    },
};

use super::*;

fn changed(entry: &Value, changes: Value) -> Value {
    ci_claims::with(entry.as_object().unwrap().clone(), changes).into()
}

#[test]
fn every_algorithm_verifies_with_its_key() {
    let anything = Provider { algorithms: UpstreamAlgorithm::ALL.to_vec(), ..oidc() };
    let payload = encode(Value::from(oidc_claims()).to_string());
    let check = |alg: &str, entry: &Value, sign: &dyn Fn(&[u8]) -> Vec<u8>| {
        let message = format!("{}.{payload}", encode(json!({"alg": alg, "kid": "k"}).to_string()));
        let text = format!("{message}.{}", encode(sign(message.as_bytes())));
        let now = Timestamp::from_second(NOW).unwrap();
        UnverifiedToken::parse(&text).unwrap().verify(&anything, &set_of(std::slice::from_ref(entry)), now)
    };
    let pair = RsaPair::generate(KeySize::Rsa3072).unwrap();
    let public = pair.public_key();
    let (n, e) = (public.modulus(), public.exponent());
    let plain = json!({"kty": "RSA", "kid": "k", "n": encode(n.big_endian_without_leading_zero()), "e": encode(e.big_endian_without_leading_zero())});
    let encodings: [(&str, &'static dyn RsaEncoding); 6] = [
        ("RS256", &RSA_PKCS1_SHA256),
        ("RS384", &RSA_PKCS1_SHA384),
        ("RS512", &RSA_PKCS1_SHA512),
        ("PS256", &RSA_PSS_SHA256),
        ("PS384", &RSA_PSS_SHA384),
        ("PS512", &RSA_PSS_SHA512),
    ];
    for (alg, encoding) in encodings {
        let sign = |message: &[u8]| {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(encoding, &SystemRandom::new(), message, &mut signature).unwrap();
            signature
        };
        assert!(check(alg, &plain, &sign).is_ok(), "{alg}");
        assert!(check(alg, &changed(&plain, json!({"alg": alg, "use": "sig", "key_ops": ["verify"]})), &sign).is_ok());
        let other = if alg == "RS256" { "PS256" } else { "RS256" };
        assert_eq!(check(other, &plain, &sign), Err(FederationError::Signature));
        let bound = check(alg, &changed(&plain, json!({"alg": other})), &sign);
        assert!(matches!(bound, Err(FederationError::KeyAlgorithm { .. })), "{alg}");
    }
    let curves: [(&str, &str, &'static EcdsaSigningAlgorithm); 2] =
        [("ES384", "P-384", &ECDSA_P384_SHA384_FIXED_SIGNING), ("ES512", "P-521", &ECDSA_P521_SHA512_FIXED_SIGNING)];
    for (alg, curve, algorithm) in curves {
        let pair = EcdsaKeyPair::generate(algorithm).unwrap();
        let point = pair.public_key().as_ref();
        let (x, y) = point[1..].split_at(point.len() / 2);
        let entry = json!({"kty": "EC", "crv": curve, "kid": "k", "x": encode(x), "y": encode(y)});
        let sign = |message: &[u8]| pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec();
        assert!(check(alg, &entry, &sign).is_ok(), "{alg}");
    }
}

#[test]
fn an_entry_that_is_not_what_it_should_be_is_passed_over() {
    let (rsa, ec) = (jwk(&RSA), jwk(&EC));
    let point = |x: &str| changed(&ec, json!({"x": x}));
    let short_modulus = encode(vec![0xff; 255]);
    let long_modulus = encode(vec![0xff; 1025]);
    let nearly = encode([vec![0x7f], vec![0xff; 255]].concat());
    let zero_first = encode([vec![0], vec![0xff; 256]].concat());
    let cases = [
        ("no kid", changed(&rsa, json!({"kid": null}))),
        ("empty kid", changed(&rsa, json!({"kid": ""}))),
        ("number as kid", changed(&rsa, json!({"kid": 1}))),
        ("long kid", changed(&rsa, json!({"kid": "k".repeat(257)}))),
        ("NUL in kid", changed(&rsa, json!({"kid": "a\u{0}"}))),
        ("for encryption", changed(&rsa, json!({"use": "enc"}))),
        ("for encryption by its operations", changed(&rsa, json!({"key_ops": ["encrypt"]}))),
        ("for encryption by its algorithm", changed(&rsa, json!({"alg": "RSA-OAEP"}))),
        ("HMAC by its algorithm", changed(&rsa, json!({"alg": "HS256"}))),
        ("another type's algorithm", changed(&rsa, json!({"alg": "ES256"}))),
        ("another curve's algorithm", changed(&ec, json!({"alg": "ES384"}))),
        ("a private key", changed(&ec, json!({"d": "AAAA"}))),
        ("a shared secret", json!({"kty": "oct", "kid": "k", "k": "AAAA"})),
        ("an unknown type", changed(&rsa, json!({"kty": "OKP"}))),
        ("no type", changed(&rsa, json!({"kty": null}))),
        ("2040 bits", changed(&rsa, json!({"n": short_modulus}))),
        ("2047 bits", changed(&rsa, json!({"n": nearly}))),
        ("8200 bits", changed(&rsa, json!({"n": long_modulus}))),
        ("a leading zero", changed(&rsa, json!({"n": zero_first}))),
        ("exponent 1", changed(&rsa, json!({"e": "AQ"}))),
        ("an even exponent", changed(&rsa, json!({"e": "Ag"}))),
        ("no exponent", changed(&rsa, json!({"e": null}))),
        ("padding", changed(&rsa, json!({"e": "AQAB="}))),
        ("another curve", changed(&ec, json!({"crv": "P-384"}))),
        ("secp256k1", changed(&ec, json!({"crv": "secp256k1"}))),
        ("a point off its curve", point(&encode([1; 32]))),
        ("a short coordinate", point(&encode([1; 31]))),
        ("infinity", changed(&ec, json!({"x": encode([0; 32]), "y": encode([0; 32])}))),
        ("no object", json!("key")),
        ("null", json!(null)),
    ];
    for (what, entry) in cases {
        let set = set_of(&[entry]);
        assert_eq!((set.len(), set.skipped()), (0, 1), "{what}");
    }
    let mixed = set_of(&[json!({"kty": "oct"}), rsa, ec]);
    assert_eq!((mixed.len(), mixed.skipped()), (2, 1));
    assert!(mixed.contains(RSA.kid().as_str()) && !mixed.contains("x") && !mixed.is_empty());
    assert!(format!("{mixed:?}").contains(RSA.kid().as_str()));
}

#[test]
fn two_keys_of_one_name_are_both_unusable() {
    let (rsa, ec) = (jwk(&RSA), changed(&jwk(&EC), json!({"kid": RSA.kid().as_str()})));
    for keys in [[rsa.clone(), ec.clone()], [ec.clone(), rsa.clone()]] {
        let set = set_of(&keys);
        assert_eq!((set.len(), set.skipped()), (0, 2));
        assert!(!set.contains(RSA.kid().as_str()));
    }
    let set = set_of(&[rsa.clone(), ec, rsa.clone()]);
    assert!(set.is_empty(), "a third does not settle it");
    let set = set_of(&[rsa.clone(), rsa]);
    assert_eq!((set.len(), set.skipped()), (1, 1), "the same key twice is one key");
}

#[test]
fn a_document_is_bounded() {
    assert!(matches!(KeySet::parse(b"{"), Err(InvalidKeySet::Json(_))));
    assert!(matches!(KeySet::parse(br#"{"keys":[],"keys":[]}"#), Err(InvalidKeySet::Json(_))));
    for text in ["{}", "[]", r#"{"keys":{}}"#, r#"{"keys":null}"#] {
        assert!(matches!(KeySet::parse(text.as_bytes()), Err(InvalidKeySet::NoKeys)), "{text}");
    }
    assert!(KeySet::parse(br#"{"keys":[]}"#).unwrap().is_empty());
    let entries = |count: usize| json!({"keys": vec![json!({}); count]}).to_string();
    assert_eq!(KeySet::parse(entries(200).as_bytes()).unwrap().skipped(), 200);
    assert!(matches!(KeySet::parse(entries(201).as_bytes()), Err(InvalidKeySet::TooManyKeys(201))));
    let long = format!(r#"{{"keys":[]{}}}"#, " ".repeat(MAX_DOCUMENT_LEN));
    assert!(matches!(KeySet::parse(long.as_bytes()), Err(InvalidKeySet::TooLong(_))));
}

#[test]
fn a_withdrawn_key_is_unknown() {
    let text = token(&ci_claims::github_push());
    let now = Timestamp::from_second(NOW).unwrap();
    let verdict = UnverifiedToken::parse(&text).unwrap().verify(&github(), &set_of(&[jwk(&EC)]), now);
    assert_eq!(verdict, Err(FederationError::UnknownKey(RSA.kid().to_string())));
}
