//! What the verifier refuses, and what the signer will not sign.

use std::sync::LazyLock;

use serde_json::json;

use super::*;
use crate::{
    claims::{Audience, Lifetime, OptionalClaims, RoleArn, Subject},
    issuer::IssuerUrl,
    jwk::{Jwk, JwkSet},
    signing_key::SigningKey,
    tags::SessionTags,
};

const NOW: i64 = 1_790_000_000;

static RSA: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(Algorithm::Rs256).unwrap());
static EC: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(Algorithm::Es256).unwrap());

fn keys() -> VerificationKeys {
    let set = JwkSet { keys: vec![Jwk::new(RSA.public(), None), Jwk::new(EC.public(), None)] };
    VerificationKeys::parse(&serde_json::to_vec(&set).unwrap()).unwrap()
}

fn expected() -> Expected<'static> {
    Expected {
        issuer: "https://broker.example",
        audience: "sts.amazonaws.com",
        now: Timestamp::from_second(NOW).unwrap(),
        leeway_seconds: 0,
    }
}

fn claims() -> Claims {
    Claims {
        issuer: IssuerUrl::parse("https://broker.example").unwrap(),
        subject: Subject::parse("wallet:0xa").unwrap(),
        audience: Audience::parse("sts.amazonaws.com").unwrap(),
        mint_id: "mnt_01K00000000000000000000000".parse().unwrap(),
        issued_at: Timestamp::from_second(NOW).unwrap(),
        lifetime: Lifetime::DEFAULT,
        tags: SessionTags::new([("wallet", "0xa")], [""; 0]).unwrap(),
        roles: vec![],
        optional: OptionalClaims::default(),
    }
}

fn encode(text: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

/// Signs arbitrary header and payload texts.
fn forge(key: &SigningKey, header: &str, payload: &str) -> String {
    let message = format!("{}.{}", encode(header), encode(payload));
    format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(key.sign(message.as_bytes()).unwrap()))
}

fn check(token: &str) -> Result<VerifiedToken, VerifyError> {
    verify(token, &keys(), &expected())
}

#[test]
fn our_own_tokens_verify_under_both_algorithms() {
    for key in [&*RSA, &*EC] {
        let token = sign(&claims(), key).unwrap();
        let verified = check(token.expose()).unwrap();
        assert_eq!((verified.kid.as_str(), verified.claims["sub"].as_str()), (key.kid().as_str(), Some("wallet:0xa")));
        assert_eq!(verified.header.keys().collect::<Vec<_>>(), ["alg", "typ", "kid"]);
        assert_eq!(format!("{token:?}"), "Token([redacted])");
    }
}

#[test]
fn the_header_decides_nothing_it_should_not() {
    let payload = claims().to_json();
    let header = |alg: &str, kid: &str, more: &str| format!(r#"{{"alg":"{alg}","kid":"{kid}"{more}}}"#);
    let (ec, rsa) = (EC.kid().as_str(), RSA.kid().as_str());
    for alg in ["none", "None", "HS256", "ES384", "PS256", "EdDSA", ""] {
        let refused = check(&forge(&EC, &header(alg, ec, ""), &payload)).unwrap_err();
        assert_eq!(refused, VerifyError::Algorithm(alg.to_owned()));
    }
    assert!(matches!(check(&forge(&EC, &header("RS256", ec, ""), &payload)), Err(VerifyError::UnknownKey(_))));
    assert!(matches!(check(&forge(&RSA, &header("ES256", rsa, ""), &payload)), Err(VerifyError::UnknownKey(_))));
    assert_eq!(check(&forge(&EC, &header("RS256", rsa, ""), &payload)), Err(VerifyError::Signature));
    for (member, value) in
        [("crit", "[]"), ("jku", "\"https://x\""), ("jwk", "{}"), ("x5u", "\"https://x\""), ("x5c", "[]")]
    {
        let refused =
            check(&forge(&EC, &header("ES256", ec, &format!(",\"{member}\":{value}")), &payload)).unwrap_err();
        assert_eq!(refused, VerifyError::HeaderMember(member));
    }
    for kid in ["", "../../etc/passwd", "' OR 1=1 --", "a\\u0000b", &"k".repeat(10_000)] {
        assert!(
            matches!(check(&forge(&EC, &header("ES256", kid, ""), &payload)), Err(VerifyError::UnknownKey(_))),
            "{kid:.20}"
        );
    }
    let doubled = format!(r#"{{"alg":"none","alg":"ES256","kid":"{ec}"}}"#);
    assert!(matches!(check(&forge(&EC, &doubled, &payload)), Err(VerifyError::Malformed(_))));
}

#[test]
fn claims_are_read_strictly() {
    let header = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, EC.kid());
    let with = |name: &str, value: Value| {
        let mut claims: Value = serde_json::from_str(&claims().to_json()).unwrap();
        claims[name] = value;
        check(&forge(&EC, &header, &claims.to_string()))
    };
    for name in ["exp", "iat", "nbf"] {
        for value in [json!("1790000000"), json!(1_790_000_000.5), json!(null), json!(-1), json!([1]), json!(1e300)] {
            assert_eq!(with(name, value.clone()), Err(VerifyError::Claim(name)), "{name} {value}");
        }
    }
    for value in [json!([]), json!(["sts.amazonaws.com"]), json!(null), json!(1)] {
        assert_eq!(with("aud", value.clone()), Err(VerifyError::Claim("aud")), "{value}");
    }
    for value in ["STS.amazonaws.com", "sts.amazonaws.co", "sts.amazonaws.com ", ""] {
        assert_eq!(with("aud", json!(value)), Err(VerifyError::Audience));
    }
    for value in ["https://broker.example/", "https://Broker.example", "http://broker.example"] {
        assert_eq!(with("iss", json!(value)), Err(VerifyError::Issuer));
    }
    assert_eq!(with("exp", json!(NOW)), Err(VerifyError::Expired(NOW)));
    assert_eq!(with("iat", json!(NOW + 1)), Err(VerifyError::Future { claim: "iat", at: NOW + 1 }));
    assert_eq!(with("nbf", json!(NOW + 1)), Err(VerifyError::Future { claim: "nbf", at: NOW + 1 }));
    let doubled = claims().to_json().replacen('{', "{\"sub\":\"wallet:0xb\",", 1);
    assert!(matches!(check(&forge(&EC, &header, &doubled)), Err(VerifyError::Malformed(_))));
    let overflow = claims().to_json().replace("1790000300", "1e400");
    assert!(matches!(check(&forge(&EC, &header, &overflow)), Err(VerifyError::Malformed(_))));
}

#[test]
fn every_flipped_bit_is_noticed() {
    let token = sign(&claims(), &*EC).unwrap().expose().to_owned();
    for position in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[position] ^= 1;
        let Ok(changed) = String::from_utf8(bytes) else { continue };
        assert!(check(&changed).is_err(), "position {position}");
    }
}

#[test]
fn malformed_tokens_are_named_as_such() {
    for token in ["", ".", "..", "a.b", "a.b.c.d", "!.e30.", "e30=.e30.e30"] {
        assert!(check(token).is_err(), "{token}");
    }
    assert!(matches!(check(&"x".repeat(20_001)), Err(VerifyError::Malformed(_))));
}

#[test]
fn a_token_over_the_limit_is_not_signed() {
    let tags: Vec<(String, String)> = (0..50).map(|i| (format!("{i}{}", "k".repeat(126)), "v".repeat(256))).collect();
    let roles: Vec<RoleArn> =
        (0..2).map(|i| RoleArn::parse(&format!("arn:aws:iam::123456789012:role/{i}")).unwrap()).collect();
    let big = Claims { tags: SessionTags::new(tags, [""; 0]).unwrap(), roles, ..claims() };
    assert!(matches!(sign(&big, &*EC), Err(SignError::Claim(InvalidClaim::TokenTooLong(len))) if len > MAX_TOKEN_LEN));
}

#[test]
fn the_predicted_length_is_the_real_one() {
    for bytes in 0..40 {
        assert_eq!(base64_len(bytes), BASE64_URL_SAFE_NO_PAD.encode(vec![0; bytes]).len());
    }
}
