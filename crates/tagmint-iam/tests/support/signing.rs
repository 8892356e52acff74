//! Keys of all six algorithms, tokens signed with them, and key sets as the recordings describe them.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
        EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
    },
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

pub struct Keys {
    rsa: RsaKeyPair,
    other_rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    p384: EcdsaKeyPair,
    p521: EcdsaKeyPair,
}

impl Keys {
    pub fn generate() -> Self {
        Self {
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            other_rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            p256: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            p384: EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap(),
            p521: EcdsaKeyPair::generate(&ECDSA_P521_SHA512_FIXED_SIGNING).unwrap(),
        }
    }

    pub fn sign(&self, alg: &str, header: &Value, payload: &str) -> String {
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let signed = format!("{}.{}", encode(header.to_string().as_bytes()), encode(payload.as_bytes()));
        let random = SystemRandom::new();
        let rsa = |padding| {
            let mut signature = vec![0; self.rsa.public_modulus_len()];
            self.rsa.sign(padding, &random, signed.as_bytes(), &mut signature).unwrap();
            signature
        };
        let ec = |key: &EcdsaKeyPair| key.sign(&random, signed.as_bytes()).unwrap().as_ref().to_vec();
        let signature = match alg {
            "RS256" => rsa(&RSA_PKCS1_SHA256),
            "RS384" => rsa(&RSA_PKCS1_SHA384),
            "RS512" => rsa(&RSA_PKCS1_SHA512),
            "ES256" => ec(&self.p256),
            "ES384" => ec(&self.p384),
            "ES512" => ec(&self.p521),
            other => panic!("no key for {other}"),
        };
        format!("{signed}.{}", encode(&signature))
    }

    fn jwk(&self, alg: &str) -> Value {
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let ec = |key: &EcdsaKeyPair, curve: &str| {
            let point = &key.public_key().as_ref()[1..];
            let (x, y) = point.split_at(point.len() / 2);
            json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y), "kid": alg, "alg": alg, "use": "sig"})
        };
        match alg {
            "ES256" => ec(&self.p256, "P-256"),
            "ES384" => ec(&self.p384, "P-384"),
            "ES512" => ec(&self.p521, "P-521"),
            _ => {
                let public = self.rsa.public_key();
                let n = encode(public.modulus().big_endian_without_leading_zero());
                let e = encode(public.exponent().big_endian_without_leading_zero());
                json!({"kty": "RSA", "n": n, "e": e, "kid": alg, "alg": alg, "use": "sig"})
            }
        }
    }

    /// The key set that a recording describes, for a token signed with `alg`.
    pub fn jwks(&self, alg: &str, description: &Value) -> Result<Value, String> {
        let described = description.as_object().ok_or("jwks is no object")?;
        if described.is_empty() {
            let all = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"];
            return Ok(json!({"keys": all.map(|alg| self.jwk(alg))}));
        }
        if let Some(kinds) = description["kty"].as_array()
            && kinds.iter().any(|kind| kind.as_str().is_some_and(|kind| kind.contains(" x")))
        {
            return self.many(kinds);
        }
        let mut key = self.jwk(alg);
        for (name, value) in described {
            match (name.as_str(), value.as_str()) {
                ("keys" | "kty" | "duplicate_kid" | "kids", _) => {}
                ("x5c", Some(certificate)) => {
                    if certificate.contains("only") {
                        key = json!({"kty": key["kty"], "kid": key["kid"]});
                    }
                    let foreign = ["other", "wrong", "contradict", "differ", "mismatch", "does not"];
                    let foreign = foreign.iter().any(|word| certificate.contains(word));
                    key["x5c"] = json!([BASE64_STANDARD.encode(self.certificate(foreign))]);
                }
                (_, Some("absent")) => {
                    key.as_object_mut().ok_or("no object")?.remove(name);
                }
                ("kid" | "use" | "alg" | "key_ops" | "n" | "e" | "crv", _) => key[name] = value.clone(),
                (other, _) => return Err(format!("cannot rebuild the key set: unknown member {other}")),
            }
        }
        let keys = match description["duplicate_kid"].as_str() {
            None => vec![key],
            Some(text) => {
                let mut wrong = key.clone();
                let modulus = self.other_rsa.public_key().modulus();
                wrong["n"] = json!(BASE64_URL_SAFE_NO_PAD.encode(modulus.big_endian_without_leading_zero()));
                if text.contains("identical") {
                    vec![key.clone(), key]
                } else if text.starts_with("first entry has a wrong") {
                    vec![wrong, key]
                } else if text.starts_with("first entry is right") {
                    vec![key, wrong]
                } else {
                    return Err(format!("cannot rebuild the key set: {text}"));
                }
            }
        };
        Ok(json!({"keys": keys}))
    }

    /// As "RSA x101": the first key of a kind has its algorithm as kid, the others further ones.
    fn many(&self, kinds: &[Value]) -> Result<Value, String> {
        let mut keys = Vec::new();
        for kind in kinds {
            let text = kind.as_str().unwrap_or_default();
            let (kty, count) = text.split_once(" x").ok_or_else(|| format!("cannot rebuild {text}"))?;
            let alg = if kty == "RSA" { "RS256" } else { "ES256" };
            let count: usize = count.parse().map_err(|_| format!("cannot rebuild {text}"))?;
            keys.push(self.jwk(alg));
            for index in 1..count {
                let mut extra = self.jwk(alg);
                extra["kid"] = json!(format!("{kty}-extra{index}"));
                keys.push(extra);
            }
        }
        Ok(json!({"keys": keys}))
    }

    fn certificate(&self, foreign: bool) -> Vec<u8> {
        let key = if foreign { &self.other_rsa } else { &self.rsa };
        let pkcs8 = AsDer::<Pkcs8V1Der<'_>>::as_der(key).unwrap();
        let pair = rcgen::KeyPair::try_from(pkcs8.as_ref()).unwrap();
        let public: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
        let certificate =
            rcgen::CertificateParams::new(["issuer.example.test".to_owned()]).unwrap().self_signed(&pair).unwrap();
        assert!(certificate.der().windows(public.as_ref().len()).any(|part| part == public.as_ref()));
        certificate.der().to_vec()
    }
}
