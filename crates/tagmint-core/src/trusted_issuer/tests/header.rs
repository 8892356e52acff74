//! Form, header and signature: what a stranger may write there, and that it leads nowhere.

use aws_lc_rs::hmac;

use super::*;

fn claims() -> String {
    Value::from(ci_claims::github_push()).to_string()
}

#[test]
fn a_platforms_token_is_verified_and_becomes_an_identity() {
    let text = token(&ci_claims::github_push());
    let unverified = UnverifiedToken::parse(&text).unwrap();
    assert_eq!(unverified.issuer(), ci_claims::GITHUB_ISSUER);
    assert_eq!((unverified.kid(), unverified.algorithm()), (Some(RSA.kid().as_str()), TokenAlgorithm::Rs256));
    let shown = format!("{unverified:?}");
    assert!(!shown.contains("octo-org") && !shown.contains(&text[..40]), "{shown}");

    let verified = verify(&text, &github()).unwrap();
    assert_eq!(verified.expires_at().as_second(), ci_claims::ISSUED_AT + 300);
    assert_eq!(verified.remember_until().as_second(), ci_claims::ISSUED_AT + 600);
    assert_eq!((verified.provider().as_str(), verified.audience()), ("github", ci_claims::AUDIENCE));
    let identity = verified.into_identity();
    assert_eq!(identity.source.as_str(), "github");
    assert_eq!(identity.trusted_issuer, Some(github().name));
    assert_eq!(identity.subject, "repo:octo-org/octo-repo:ref:refs/heads/main");
    assert_eq!(identity.only_rule, None);
    // printf %s 5ea2b0a5-6d0c-4b0a-9f0e-5c1f6a2f9d10 | sha256sum
    assert_eq!(identity.credential.to_string(), "github/d59b9691012f1622");
}

#[test]
fn an_algorithm_that_is_never_accepted_is_refused_before_any_key_is_looked_for() {
    for alg in ["none", "None", "nOnE", "", "HS256", "HS384", "HS512", "EdDSA", "ES256K", "RSA-OAEP", "rs256"] {
        let header = json!({"alg": alg, "kid": RSA.kid().as_str()}).to_string();
        for text in [forge(&RSA, &header, &claims()), format!("{}.{}.", encode(&header), encode(claims()))] {
            assert_eq!(UnverifiedToken::parse(&text).unwrap_err(), TokenError::Algorithm(alg.to_owned()));
        }
    }
    for alg in [json!(null), json!(["RS256"]), json!(256), json!({"RS256": true})] {
        let header = json!({"alg": alg, "kid": RSA.kid().as_str()}).to_string();
        let refused = UnverifiedToken::parse(&forge(&RSA, &header, &claims())).unwrap_err();
        assert_eq!(refused, TokenError::Algorithm(String::new()), "{alg}");
    }
}

#[test]
fn the_public_key_is_no_hmac_secret() {
    let header = json!({"alg": "HS256", "kid": RSA.kid().as_str()}).to_string();
    let message = format!("{}.{}", encode(header), encode(claims()));
    let secret = hmac::Key::new(hmac::HMAC_SHA256, jwk(&RSA).to_string().as_bytes());
    let forged = format!("{message}.{}", encode(hmac::sign(&secret, message.as_bytes())));
    assert_eq!(verify(&forged, &github()), Err(TokenError::Algorithm("HS256".to_owned())));
}

#[test]
fn a_key_is_used_for_its_own_algorithms_alone() {
    let both = TrustedIssuer { algorithms: TokenAlgorithm::ALL.to_vec(), ..github() };
    let with = |alg: &str, key: &SigningKey, kid: &str| {
        verify(&forge(key, &json!({"alg": alg, "kid": kid}).to_string(), &claims()), &both)
    };
    let (rsa, ec) = (RSA.kid().as_str(), EC.kid().as_str());
    assert!(with("RS256", &RSA, rsa).is_ok() && with("ES256", &EC, ec).is_ok());
    for (alg, key, kid) in [("ES256", &*RSA, rsa), ("RS256", &*EC, ec), ("ES384", &*EC, ec), ("PS256", &*RSA, rsa)] {
        assert!(matches!(with(alg, key, kid), Err(TokenError::KeyAlgorithm { .. })), "{alg}");
    }
    assert_eq!(with("RS256", &EC, rsa), Err(TokenError::Signature));
    assert_eq!(with("ES256", &RSA, ec), Err(TokenError::Signature));
    // GitHub signs with RSA, whatever its key set may hold one day.
    let refused = verify(&forge(&EC, &header(&EC).to_string(), &claims()), &github()).unwrap_err();
    assert!(matches!(refused, TokenError::AlgorithmNotAllowed { .. }), "{refused}");
}

#[test]
fn a_token_does_not_say_where_its_key_is() {
    let own_key = jwk(&EC);
    for (member, value) in [
        ("jku", json!("https://attacker.example/jwks")),
        ("jwk", own_key),
        ("x5u", json!("https://attacker.example/cert")),
        ("x5c", json!(["MIIB"])),
        ("crit", json!([])),
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
        ("jku", json!(null)),
    ] {
        let mut header = header(&RSA);
        header[member] = value;
        let refused = UnverifiedToken::parse(&forge(&RSA, &header.to_string(), &claims())).unwrap_err();
        assert_eq!(refused, TokenError::HeaderMember(member));
    }
}

#[test]
fn a_kid_is_a_name_and_nothing_more() {
    let with = |kid: Value| {
        verify(&forge(&RSA, &json!({"alg": "RS256", "kid": kid}).to_string(), &claims()), &github()).unwrap_err()
    };
    for kid in ["../../etc/passwd", "' OR 1=1 --", "https://attacker.example/", "%00", &"k".repeat(256)] {
        let refused = with(json!(kid));
        assert_eq!(refused, TokenError::UnknownKey(kid.chars().take(64).collect()), "{kid}");
        assert!(refused.may_be_a_new_key());
    }
    for kid in
        [json!("a\u{0}b"), json!("a\nb"), json!("k".repeat(257)), json!("k".repeat(1 << 20)), json!(["k"]), json!(1)]
    {
        let refused = with(kid);
        assert!(matches!(refused, TokenError::Malformed(_)) && !refused.may_be_a_new_key(), "{refused}");
        assert!(refused.to_string().len() < 200, "{refused}");
    }
}

#[test]
fn what_is_said_twice_is_refused() {
    let plain = header(&RSA).to_string();
    let doubled = [
        plain.replacen('{', r#"{"alg":"none","#, 1),
        plain.replacen('{', r#"{"\u0061lg":"RS256","#, 1),
        plain.replacen('{', r#"{"x":{"y":1,"y":2},"#, 1),
    ];
    for header in doubled {
        let refused = UnverifiedToken::parse(&forge(&RSA, &header, &claims())).unwrap_err();
        assert!(matches!(refused, TokenError::Malformed(_)), "{header}");
    }
    for member in [r#""sub":"repo:mallory/x:pull_request""#, r#""exp":9999999999"#, r#""x":[{"a":1,"a":1}]"#] {
        let payload = claims().replacen('{', &format!("{{{member},"), 1);
        let refused = UnverifiedToken::parse(&forge(&RSA, &plain, &payload)).unwrap_err();
        assert!(matches!(refused, TokenError::Malformed(_)), "{member}");
    }
}

#[test]
fn what_is_no_token_is_malformed() {
    let good = token(&ci_claims::github_push());
    let (head, signature) = good.rsplit_once('.').unwrap();
    for text in
        ["", ".", "..", "a.b", "a.b.c.d", "e30=.e30.e30", " ", "eyJhbGciOiJSUzI1NiJ9.e30.", "\u{0}.\u{0}.\u{0}", head]
    {
        assert!(UnverifiedToken::parse(text).is_err(), "{text:?}");
    }
    for text in [
        format!("{good}="),
        format!(" {good}"),
        format!("{good}\n"),
        good.replace('.', ".."),
        format!("{head}.{signature}.{signature}"),
    ] {
        assert!(matches!(UnverifiedToken::parse(&text), Err(TokenError::Malformed(_))), "{text}");
    }
    for payload in ["[]", "null", "\"x\"", "{", "{}", r#"{"iss":1}"#, r#"{"iss":""}"#, "\u{feff}{}"] {
        let refused = UnverifiedToken::parse(&forge(&RSA, &header(&RSA).to_string(), payload)).unwrap_err();
        assert!(matches!(refused, TokenError::Malformed(_)), "{payload}");
    }
    let long = Map::from_iter([("iss".to_owned(), json!("x".repeat(300)))]);
    assert!(matches!(UnverifiedToken::parse(&token(&long)), Err(TokenError::Malformed(_))));
    assert!(matches!(UnverifiedToken::parse(&"x".repeat(1 << 20)), Err(TokenError::Malformed(_))));
}

#[test]
fn an_empty_or_cut_signature_is_none() {
    let good = token(&ci_claims::github_push());
    let (head, signature) = good.rsplit_once('.').unwrap();
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    let longer = [bytes.as_slice(), &[0]].concat();
    for signature in [String::new(), encode(&bytes[1..]), encode(&bytes[..255]), encode(longer), encode([0; 256])] {
        assert_eq!(verify(&format!("{head}.{signature}"), &github()), Err(TokenError::Signature));
    }
    let es = TrustedIssuer { algorithms: vec![TokenAlgorithm::Es256], ..github() };
    let good = forge(&EC, &header(&EC).to_string(), &claims());
    let (head, _) = good.rsplit_once('.').unwrap();
    // (0, 0) is the signature that broken verifiers take under any key.
    assert_eq!(verify(&format!("{head}.{}", encode([0; 64])), &es), Err(TokenError::Signature));
}
