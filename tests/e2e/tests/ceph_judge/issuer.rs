//! An issuer whose every word the rows decide: keys, tokens with any claims, and the two documents over TLS.

use std::net::TcpListener;

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    hmac,
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{KeyPair, RSA_PKCS1_SHA256},
};
use axum::{Router, routing::get};
use axum_server::tls_rustls::RustlsConfig;
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use serde_json::{Map, Value, json};

use super::{
    TestResult,
    rows::{Signed, TokenRow},
};

const KID: &str = "judge-1";
const TAGS: &str = "https://aws.amazon.com/tags";

/// A running issuer: `https://localhost:PORT`.
pub struct Issuer {
    key: RsaKeyPair,
    other: RsaKeyPair,
    host: String,
    jwks: String,
    ca: String,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Issuer {
    /// Makes keys and a throw-away CA, and serves discovery and key set.
    pub async fn start() -> TestResult<Self> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (key, other) = (RsaKeyPair::generate(KeySize::Rsa2048)?, RsaKeyPair::generate(KeySize::Rsa2048)?);
        let jwks = json!({"keys": [jwk(&key)?]}).to_string();

        let ca_key = rcgen::KeyPair::generate()?;
        let mut ca = rcgen::CertificateParams::new(Vec::new())?;
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        ca.distinguished_name.push(rcgen::DnType::CommonName, "CA of the judge's issuer");
        let ca_pem = ca.self_signed(&ca_key)?.pem();
        let tls_key = rcgen::KeyPair::generate()?;
        let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()])?
            .signed_by(&tls_key, &rcgen::Issuer::new(ca, ca_key))?;
        let tls = RustlsConfig::from_pem(certificate.pem().into_bytes(), tls_key.serialize_pem().into_bytes()).await?;

        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let host = format!("localhost:{}", listener.local_addr()?.port());
        let discovery = json!({
            "issuer": format!("https://{host}"),
            "jwks_uri": format!("https://{host}/jwks.json"),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        });
        let (discovery, keys) = (discovery.to_string(), jwks.clone());
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(async move || discovery.clone()))
            .route("/jwks.json", get(async move || keys.clone()));
        let server = axum_server::from_tcp_rustls(listener, tls)?;
        let server = tokio::spawn(async move { server.serve(app.into_make_service()).await });
        Ok(Self { key, other, host, jwks, ca: ca_pem, server })
    }

    /// Host and port: the URL without its scheme, as AWS names a provider.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The key set, as it is served.
    pub fn jwks(&self) -> &str {
        &self.jwks
    }

    /// The CA of the server's certificate, in PEM.
    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// The token that a row describes, at this time (Unix seconds).
    pub fn token(&self, row: &TokenRow, now: i64) -> TestResult<String> {
        let mut header = Map::from_iter([
            ("alg".to_owned(), json!("RS256")),
            ("kid".to_owned(), json!(KID)),
            ("typ".to_owned(), json!("JWT")),
        ]);
        match row.signed {
            Signed::Not => header.insert("alg".to_owned(), json!("none")),
            Signed::HmacOfThePublicKey => header.insert("alg".to_owned(), json!("HS256")),
            _ => None,
        };
        overlay(&mut header, &row.header, now);

        let mut claims = json!({
            "iss": format!("https://{}", self.host), "sub": "wallet:red", "aud": "sts.amazonaws.com",
            "iat": now - 10, "exp": now + 600,
        });
        if !row.tags.is_empty() {
            let tags: Map<String, Value> = row.tags.iter().map(|(key, value)| (key.clone(), json!([value]))).collect();
            claims[TAGS] = json!({"principal_tags": tags, "transitive_tag_keys": row.transitive});
        }
        let claims = claims.as_object_mut().ok_or("claims are an object")?;
        overlay(claims, &row.claims, now);

        let signed = format!("{}.{}", encode(&serde_json::to_vec(&header)?), encode(&serde_json::to_vec(&claims)?));
        let signature = match row.signed {
            Signed::Well | Signed::ThenRewritten => sign(&self.key, signed.as_bytes())?,
            Signed::ByAnotherKey => sign(&self.other, signed.as_bytes())?,
            Signed::ThenAltered => {
                let mut signature = sign(&self.key, signed.as_bytes())?;
                signature[7] ^= 1;
                signature
            }
            Signed::Not => Vec::new(),
            Signed::HmacOfThePublicKey => {
                let pem = pem(&certificate(&self.key)?);
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, pem.as_bytes()), signed.as_bytes()).as_ref().to_vec()
            }
        };
        if matches!(row.signed, Signed::ThenRewritten) {
            claims.insert("sub".to_owned(), json!("wallet:rewritten"));
            let (header, _) = signed.split_once('.').ok_or("two parts are signed")?;
            return Ok(format!("{header}.{}.{}", encode(&serde_json::to_vec(&claims)?), encode(&signature)));
        }
        Ok(format!("{signed}.{}", encode(&signature)))
    }
}

/// Members over others: `null` takes one away, `{"now": N}` is the time N seconds from now.
fn overlay(members: &mut Map<String, Value>, over: &Map<String, Value>, now: i64) {
    for (name, value) in over {
        match value {
            Value::Null => drop(members.remove(name)),
            Value::Object(object) if object.contains_key("now") => {
                let offset = object["now"].as_i64().unwrap_or_default();
                members.insert(name.clone(), json!(now + offset));
            }
            other => drop(members.insert(name.clone(), other.clone())),
        }
    }
}

fn sign(key: &RsaKeyPair, message: &[u8]) -> TestResult<Vec<u8>> {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)?;
    Ok(signature)
}

/// With `x5c`, because Ceph takes the key from there alone.
fn jwk(key: &RsaKeyPair) -> TestResult<Value> {
    let public = key.public_key();
    Ok(json!({
        "kty": "RSA", "use": "sig", "alg": "RS256", "kid": KID,
        "n": encode(public.modulus().big_endian_without_leading_zero()),
        "e": encode(public.exponent().big_endian_without_leading_zero()),
        "x5c": [BASE64_STANDARD.encode(certificate(key)?)],
    }))
}

fn certificate(key: &RsaKeyPair) -> TestResult<Vec<u8>> {
    let pkcs8 = AsDer::<Pkcs8V1Der<'_>>::as_der(key)?;
    let pair = rcgen::KeyPair::try_from(pkcs8.as_ref())?;
    Ok(rcgen::CertificateParams::new(["judge".to_owned()])?.self_signed(&pair)?.der().to_vec())
}

/// As Ceph writes a certificate before it verifies with it.
fn pem(certificate: &[u8]) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----", BASE64_STANDARD.encode(certificate))
}

fn encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
