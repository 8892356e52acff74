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
    let anything = TrustedIssuer { algorithms: TokenAlgorithm::ALL.to_vec(), ..oidc() };
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
        assert_eq!(check(other, &plain, &sign), Err(TokenError::Signature));
        let bound = check(alg, &changed(&plain, json!({"alg": other})), &sign);
        assert!(matches!(bound, Err(TokenError::KeyAlgorithm { .. })), "{alg}");
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

/// What is wrong with an entry, and what its reason says.
#[test]
fn an_entry_that_is_not_what_it_should_be_is_passed_over_with_its_reason() {
    let (rsa, ec) = (jwk(&RSA), jwk(&EC));
    let point = |x: &str| changed(&ec, json!({"x": x}));
    let modulus = |bytes: Vec<u8>| changed(&rsa, json!({"n": encode(bytes)}));
    let without = |entry: &Value, name: &str| changed(entry, json!({name: null}));
    let cases = [
        ("number as kid", changed(&rsa, json!({"kid": 1})), "`kid` is not a string of 1 to 256 bytes"),
        ("long kid", changed(&rsa, json!({"kid": "k".repeat(257)})), "`kid` is not a string"),
        ("NUL in kid", changed(&rsa, json!({"kid": "a\u{0}"})), "`kid` is not a string"),
        ("for encryption", changed(&rsa, json!({"use": "enc"})), "`use` is `enc`"),
        ("an unknown use", changed(&rsa, json!({"use": ["sig"]})), "`use` is `[\"sig\"]`"),
        (
            "operations without verify",
            changed(&rsa, json!({"key_ops": ["encrypt"]})),
            "`key_ops` does not list `verify`",
        ),
        ("no operation", changed(&rsa, json!({"key_ops": []})), "`key_ops` does not list `verify`"),
        (
            "operations that are no list",
            changed(&rsa, json!({"key_ops": "verify"})),
            "`key_ops` does not list `verify`",
        ),
        ("for encryption by its algorithm", changed(&rsa, json!({"alg": "RSA-OAEP"})), "`alg` is `RSA-OAEP`"),
        ("HMAC by its algorithm", changed(&rsa, json!({"alg": "HS256"})), "`alg` is `HS256`"),
        (
            "another type's algorithm",
            changed(&rsa, json!({"alg": "ES256"})),
            "`alg` ES256 is not for a key of this type (RSA)",
        ),
        (
            "another curve's algorithm",
            changed(&ec, json!({"alg": "ES384"})),
            "`alg` ES384 is not for a key of this type (EC on P-256)",
        ),
        ("a private EC key", changed(&ec, json!({"d": "AAAA"})), "publishes the private member `d`"),
        ("a private RSA key", changed(&rsa, json!({"qi": "AAAA"})), "publishes the private member `qi`"),
        ("a shared secret", json!({"kty": "oct", "kid": "k", "k": "AAAA"}), "a shared secret"),
        ("Ed25519", json!({"kty": "OKP", "kid": "k", "crv": "Ed25519", "x": "AAAA"}), "`kty` is `OKP`"),
        (
            "Ed25519 with its algorithm",
            json!({"kty": "OKP", "kid": "k", "alg": "EdDSA", "crv": "Ed25519"}),
            "`alg` is `EdDSA`",
        ),
        ("no type", without(&rsa, "kty"), "`kty` is missing"),
        ("1024 bits", modulus(vec![0xff; 128]), "RSA of 1024 bits; 2048 to 8192"),
        ("1024 bits with a leading zero", modulus([vec![0], vec![0xff; 128]].concat()), "RSA of 1024 bits"),
        ("2047 bits", modulus([vec![0x7f], vec![0xff; 255]].concat()), "RSA of 2047 bits"),
        ("8200 bits", modulus(vec![0xff; 1025]), "RSA of 8200 bits"),
        ("no bits", modulus(vec![0, 0]), "RSA of 0 bits"),
        ("an even modulus", modulus([vec![0xff; 255], vec![0xfe]].concat()), "`n` is not an RSA modulus"),
        ("exponent 1", changed(&rsa, json!({"e": "AQ"})), "`e` is not an RSA exponent"),
        ("exponent 1 with a leading zero", changed(&rsa, json!({"e": "AAE"})), "`e` is not an RSA exponent"),
        ("an even exponent", changed(&rsa, json!({"e": "Ag"})), "`e` is not an RSA exponent"),
        ("no exponent", without(&rsa, "e"), "no member `e`"),
        (
            "a certificate alone",
            json!({"kty": "RSA", "kid": "k", "x5c": ["AAAA"]}),
            "no member `n`; a certificate (`x5c`) does not stand for it",
        ),
        ("an array as modulus", changed(&rsa, json!({"n": ["AQAB"]})), "`n` is not base64url"),
        ("hexadecimal", changed(&rsa, json!({"n": "0x00ff:00"})), "`n` is not base64url"),
        ("another curve", changed(&ec, json!({"crv": "P-384"})), "`x` and `y` are not a point on P-384"),
        ("secp256k1", changed(&ec, json!({"crv": "secp256k1"})), "`crv` is `secp256k1`"),
        ("no curve", without(&ec, "crv"), "`crv` is missing"),
        ("a point off its curve", point(&encode([1; 32])), "not a point on P-256"),
        ("a point of another curve", point(&encode([1; 33])), "`x` has 33 bytes; P-256 has coordinates of 32"),
        ("infinity", changed(&ec, json!({"x": encode([0; 32]), "y": encode([0; 32])})), "not a point on P-256"),
        ("no y", without(&ec, "y"), "no member `y`"),
        ("no object", json!("key"), "not a JSON object"),
        ("null", json!(null), "not a JSON object"),
    ];
    for (what, entry, says) in cases {
        let set = set_of(std::slice::from_ref(&entry));
        let [passed_over] = set.passed_over() else { panic!("{what}: {set:?}") };
        assert_eq!((set.len(), set.skipped()), (0, 1), "{what}");
        assert!(passed_over.reason.contains(says), "{what}: {passed_over}");
        let reason = passed_over.to_string();
        assert!(!reason.chars().any(char::is_control) && reason.len() < 500, "{what}: {reason}");
        match entry.get("kid").and_then(Value::as_str).filter(|kid| kid.len() < 50 && !kid.contains('\0')) {
            Some(kid) => assert!(reason.starts_with(&format!("`{kid}`: ")), "{what}: {reason}"),
            None => assert!(reason.contains(": it"), "{what}: {reason}"),
        }
    }
    let mixed = set_of(&[json!({"kty": "oct"}), rsa, ec]);
    assert_eq!((mixed.len(), mixed.skipped()), (2, 1));
    assert_eq!(
        mixed.passed_over()[0].to_string(),
        "keys[0]: it is a shared secret (`kty` is `oct`), which no issuer publishes"
    );
    assert!(mixed.contains(RSA.kid().as_str()) && !mixed.contains("x") && !mixed.is_empty());
    assert!(mixed.kids().eq([RSA.kid().as_str(), EC.kid().as_str()]));
    assert!(format!("{mixed:?}").contains(RSA.kid().as_str()));
}

/// The token of a key that is passed over says which key it is and why.
#[test]
fn a_token_of_a_key_that_is_passed_over_says_why() {
    let weak = changed(&jwk(&RSA), json!({"n": encode(vec![0xff; 128])}));
    let verdict = verify_with(&token(&ci_claims::github_push()), &set_of(&[weak])).unwrap_err();
    let kid = RSA.kid();
    assert_eq!(
        verdict.to_string(),
        format!("the provider's key `{kid}` is not used: RSA of 1024 bits; 2048 to 8192 bits are accepted")
    );
    assert!(verdict.may_be_a_new_key(), "the issuer may have published a better one meanwhile");
}

fn verify_with(token: &str, set: &KeySet) -> Result<VerifiedToken, TokenError> {
    UnverifiedToken::parse(token)?.verify(&github(), set, Timestamp::from_second(NOW).unwrap())
}

/// A number in base64url with something done to its bytes.
fn rewritten(entry: &Value, member: &str, change: impl Fn(Vec<u8>) -> Vec<u8>) -> Value {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(entry[member].as_str().unwrap()).unwrap();
    changed(entry, json!({member: encode(change(bytes))}))
}

/// The same bytes with a bit set behind them: 256 bytes leave two bits of the last character unused.
fn with_bits_behind(text: &Value) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let text = text.as_str().unwrap();
    let (start, last) = text.split_at(text.len() - 1);
    let next = ALPHABET.find(last).unwrap() + 1;
    format!("{start}{}", &ALPHABET[next..=next])
}

/// What other readers of RFC 7517 and RFC 7518 take for the same key verifies here too.
#[test]
fn other_spellings_of_a_key_are_the_key() {
    use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE};
    let rsa = jwk(&RSA);
    let text = token(&ci_claims::github_push());
    let zeros = |count: usize| move |bytes: Vec<u8>| [vec![0; count], bytes].concat();
    let n = BASE64_URL_SAFE_NO_PAD.decode(rsa["n"].as_str().unwrap()).unwrap();
    for (what, entry) in [
        ("a leading zero in n", rewritten(&rsa, "n", zeros(1))),
        ("leading zeros in n", rewritten(&rsa, "n", zeros(5))),
        ("a leading zero in e", rewritten(&rsa, "e", zeros(1))),
        ("standard base64", changed(&rsa, json!({"n": BASE64_STANDARD.encode(&n)}))),
        ("standard base64 without padding", changed(&rsa, json!({"n": BASE64_STANDARD_NO_PAD.encode(&n)}))),
        ("base64url with padding", changed(&rsa, json!({"n": BASE64_URL_SAFE.encode(&n)}))),
        ("padding where none is needed", changed(&rsa, json!({"e": "AQAB"}))),
        ("bits behind the last byte", changed(&rsa, json!({"n": with_bits_behind(&rsa["n"])}))),
        ("members that are null", changed(&rsa, json!({"use": null, "alg": null, "key_ops": null, "d": null}))),
        ("unknown members", changed(&rsa, json!({"x5t": "AAAA", "x5c": ["AAAA"], "ext": true, "oth2": 1}))),
    ] {
        let set = set_of(std::slice::from_ref(&entry));
        assert_eq!(set.passed_over(), [], "{what}");
        assert!(verify_with(&text, &set).is_ok(), "{what}");
    }
    let marked = [b"\xef\xbb\xbf".as_slice(), json!({"keys": [rsa]}).to_string().as_bytes()].concat();
    assert_eq!(KeySet::parse(&marked).unwrap().len(), 1, "a byte order mark");
}

/// One coordinate in 256 begins with a zero octet, which some writers drop, and others write one too many.
#[test]
fn short_and_long_coordinates_are_the_same_numbers() {
    let message = |kid: &str| {
        format!(
            "{}.{}",
            encode(json!({"alg": "ES256", "kid": kid}).to_string()),
            encode(Value::from(oidc_claims()).to_string())
        )
    };
    let now = Timestamp::from_second(NOW).unwrap();
    let mut short = 0;
    while short < 2 {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let entry = jwk(&key);
        let first = |member: &str| BASE64_URL_SAFE_NO_PAD.decode(entry[member].as_str().unwrap()).unwrap()[0];
        let Some(member) = ["x", "y"].into_iter().find(|member| first(member) == 0) else { continue };
        short += 1;
        let message = message(key.kid().as_str());
        let text = format!("{message}.{}", encode(key.sign(message.as_bytes()).unwrap()));
        let token = UnverifiedToken::parse(&text).unwrap();
        let dropped = rewritten(&entry, member, |bytes| bytes[1..].to_vec());
        let padded = rewritten(&entry, member, |bytes| [vec![0], bytes].concat());
        for entry in [entry, dropped, padded] {
            assert!(token.verify(&oidc(), &set_of(&[entry]), now).is_ok());
        }
    }
}

#[test]
fn one_key_may_be_listed_once_for_each_algorithm() {
    let rsa = jwk(&RSA);
    let entries = ["RS256", "RS384", "PS256"].map(|alg| changed(&rsa, json!({"alg": alg})));
    let text = token(&ci_claims::github_push());
    for entries in [entries.to_vec(), entries.iter().rev().cloned().collect()] {
        let set = set_of(&entries);
        assert_eq!((set.len(), set.skipped()), (1, 0), "it is one key");
        assert!(verify_with(&text, &set).is_ok());
    }
    let bound = set_of(&entries[1..]);
    assert!(matches!(verify_with(&text, &bound), Err(TokenError::KeyAlgorithm { .. })), "RS256 is not listed");
    let set = set_of(&[rsa.clone(), rsa]);
    assert_eq!((set.len(), set.skipped()), (1, 0), "the same key twice is one key");
}

/// RFC 7517 §4.5: keys of several types may have one `kid`, and two of one type only should not.
#[test]
fn several_keys_of_one_name_are_all_tried() {
    let (rsa, ec) = (jwk(&RSA), changed(&jwk(&EC), json!({"kid": RSA.kid().as_str()})));
    let other = changed(&jwk(&SigningKey::generate(Algorithm::Rs256).unwrap()), json!({"kid": RSA.kid().as_str()}));
    let text = token(&ci_claims::github_push());
    for keys in
        [[rsa.clone(), ec.clone()], [ec.clone(), rsa.clone()], [rsa.clone(), other.clone()], [other.clone(), rsa]]
    {
        assert!(verify_with(&text, &set_of(&keys)).is_ok());
    }
    assert_eq!(verify_with(&text, &set_of(&[other, ec])), Err(TokenError::Signature));
}

/// `kid` is optional in the key (RFC 7517 §4.5) and in the token (RFC 7515 §4.1.4).
#[test]
fn without_a_kid_every_key_that_fits_is_tried() {
    let strip = |entry: Value| changed(&entry, json!({"kid": null}));
    let (rsa, ec, other) = (jwk(&RSA), jwk(&EC), jwk(&SigningKey::generate(Algorithm::Rs256).unwrap()));
    let claims = Value::from(ci_claims::github_push()).to_string();
    let named = token(&ci_claims::github_push());
    let header = |kid: Value| json!({"alg": "RS256", "kid": kid}).to_string();
    let unnamed = forge(&RSA, r#"{"alg":"RS256"}"#, &claims);
    let empty = forge(&RSA, &header(json!("")), &claims);
    let null = forge(&RSA, &header(json!(null)), &claims);
    for set in [
        vec![rsa.clone()],
        vec![strip(rsa.clone())],
        vec![ec.clone(), other.clone(), rsa.clone()],
        vec![other.clone(), strip(rsa.clone())],
    ] {
        for text in [&unnamed, &empty, &null] {
            assert!(verify_with(text, &set_of(&set)).is_ok(), "{set:?}");
        }
    }
    assert!(
        verify_with(&named, &set_of(&[other.clone(), strip(rsa.clone())])).is_ok(),
        "a key without a name may be any"
    );
    let refused = verify_with(&named, &set_of(&[other.clone(), strip(other.clone())])).unwrap_err();
    assert_eq!(refused, TokenError::UnknownKey(RSA.kid().to_string()));
    let refused = verify_with(&unnamed, &set_of(&[ec, other.clone(), strip(other)])).unwrap_err();
    assert_eq!(refused, TokenError::NoKeyOf { algorithm: TokenAlgorithm::Rs256, tried: 2 });
    assert!(refused.may_be_a_new_key());
    assert_eq!(
        refused.to_string(),
        "the token's header has no `kid`, and its signature is valid under none of the provider's keys for RS256 (2 tried)"
    );
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
    assert_eq!(verdict, Err(TokenError::UnknownKey(RSA.kid().to_string())));
}
