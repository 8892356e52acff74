//! The two requests that instant-acme cannot make: a new account with a key that was stored before, and the change of an account's key to
//! one that was stored before. Both make keys of their own there, which a crash would lose.
//!
//! Signed as RFC 8555 §6.2, §7.3 and §7.3.5 say.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, Method, header};
use serde::Deserialize;
use serde_json::{Value, json};
use tagmint_core::{
    jwk::Jwk,
    signing_key::{Algorithm, Signer, SigningKey},
};

use super::{
    error::{AcmeError, ServerProblem, bounded},
    http::{AcmeHttp, Answer},
};

/// How often a nonce may be rejected before a request counts as failed. Servers reject some when they restart; Pebble does on purpose.
pub(super) const NONCES: u32 = 100;

/// What an ACME server offers (RFC 8555 §7.1.1).
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Directory {
    new_nonce: String,
    new_account: String,
    key_change: Option<String>,
    /// RFC 9773.
    pub(super) renewal_info: Option<String>,
    #[serde(default)]
    pub(super) meta: Meta,
}

/// What an ACME server says of itself.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Meta {
    #[serde(default)]
    pub(super) profiles: serde_json::Map<String, Value>,
    #[serde(default)]
    pub(super) external_account_required: bool,
}

/// What ties an account to a customer (RFC 8555 §7.3.4).
pub struct ExternalAccount {
    /// The key's id, as the CA gave it.
    pub kid: String,
    /// The HMAC key.
    pub hmac_key: zeroize::Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for ExternalAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExternalAccount").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl Directory {
    pub(super) async fn fetch(http: &AcmeHttp, url: &str) -> Result<Self, AcmeError> {
        let answer = http.get(url).await?;
        serde_json::from_slice(&answer.body).map_err(|error| AcmeError::Answer {
            url: bounded(url),
            cause: format!("it is no ACME directory: {error}"),
        })
    }
}

/// A key of P-256, as ACME accounts here have it.
pub(super) fn account_key(pkcs8: &[u8]) -> Result<SigningKey, AcmeError> {
    Ok(SigningKey::from_pkcs8(Algorithm::Es256, pkcs8)?)
}

/// Registers an account, or finds the one that has the key. Returns its URL.
///
/// With `only_existing` nothing is made: the error `accountDoesNotExist` says that there is none.
pub(super) async fn new_account(
    http: &AcmeHttp,
    directory: &Directory,
    key: &SigningKey,
    contact: &[String],
    binding: Option<&ExternalAccount>,
    only_existing: bool,
) -> Result<String, AcmeError> {
    let url = &directory.new_account;
    let payload = if only_existing {
        json!({"onlyReturnExisting": true})
    } else {
        let mut payload = json!({"termsOfServiceAgreed": true});
        if !contact.is_empty() {
            payload["contact"] = json!(contact);
        }
        if let Some(binding) = binding {
            payload["externalAccountBinding"] = bind(binding, key, url);
        } else if directory.meta.external_account_required {
            return Err(AcmeError::BindingRequired);
        }
        payload
    };
    let answer = post(http, directory, url, key, &json!({"jwk": jwk(key)}), &payload).await?;
    answer
        .header("location")
        .ok_or_else(|| AcmeError::Answer { url: bounded(url), cause: "it does not name the account's URL".to_owned() })
}

/// Gives an account another key.
pub(super) async fn change_key(
    http: &AcmeHttp,
    directory: &Directory,
    account: &str,
    old: &SigningKey,
    new: &SigningKey,
) -> Result<(), AcmeError> {
    let url = directory.key_change.as_ref().ok_or(AcmeError::NoKeyChange)?;
    let inner = sign(
        new,
        &json!({"alg": "ES256", "jwk": jwk(new), "url": url}),
        &json!({"account": account, "oldKey": jwk(old)}),
    )?;
    post(http, directory, url, old, &json!({"kid": account}), &inner).await.map(|_| ())
}

/// Posts, with as many nonces as it takes.
async fn post(
    http: &AcmeHttp,
    directory: &Directory,
    url: &str,
    key: &SigningKey,
    who: &Value,
    payload: &Value,
) -> Result<Answer, AcmeError> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/jose+json"));
    let mut nonce = None;
    for _ in 0..NONCES {
        let fresh = match nonce.take() {
            Some(nonce) => nonce,
            None => new_nonce(http, directory).await?,
        };
        let mut protected = who.clone();
        for (name, value) in [("alg", "ES256"), ("nonce", fresh.as_str()), ("url", url)] {
            protected[name] = json!(value);
        }
        let body = sign(key, &protected, payload)?.to_string();
        let answer = http.send(Method::POST, url, &headers, body.into()).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        nonce = answer.header("replay-nonce");
    }
    let detail = format!("{NONCES} nonces were rejected in a row");
    let problem = ServerProblem {
        status: 400,
        kind: Some("urn:ietf:params:acme:error:badNonce".to_owned()),
        detail,
        retry_after: None,
    };
    Err(AcmeError::Problem { url: bounded(url), problem })
}

async fn new_nonce(http: &AcmeHttp, directory: &Directory) -> Result<String, AcmeError> {
    let url = &directory.new_nonce;
    let answer = http.send(Method::HEAD, url, &HeaderMap::new(), bytes::Bytes::new()).await?;
    answer
        .header("replay-nonce")
        .ok_or_else(|| AcmeError::Answer { url: bounded(url), cause: "it has no nonce".to_owned() })
}

fn jwk(key: &SigningKey) -> Value {
    // RFC 8555 §6.2 wants the key alone; `kid`, `use` and `alg` of our published form are left out.
    let mut full = serde_json::to_value(Jwk::new(key.public(), None)).unwrap_or_default();
    if let Some(members) = full.as_object_mut() {
        members.retain(|name, _| matches!(name.as_str(), "kty" | "crv" | "x" | "y"));
    }
    full
}

fn sign(key: &SigningKey, protected: &Value, payload: &Value) -> Result<Value, AcmeError> {
    let (protected, payload) = (encode(protected), encode(payload));
    let signature = key.sign(format!("{protected}.{payload}").as_bytes())?;
    Ok(json!({"protected": protected, "payload": payload, "signature": BASE64_URL_SAFE_NO_PAD.encode(signature)}))
}

fn bind(binding: &ExternalAccount, key: &SigningKey, url: &str) -> Value {
    use aws_lc_rs::hmac;
    let (protected, payload) = (encode(&json!({"alg": "HS256", "kid": binding.kid, "url": url})), encode(&jwk(key)));
    let hmac_key = hmac::Key::new(hmac::HMAC_SHA256, &binding.hmac_key);
    let tag = hmac::sign(&hmac_key, format!("{protected}.{payload}").as_bytes());
    json!({"protected": protected, "payload": payload, "signature": BASE64_URL_SAFE_NO_PAD.encode(tag.as_ref())})
}

fn encode(value: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(value.to_string())
}
