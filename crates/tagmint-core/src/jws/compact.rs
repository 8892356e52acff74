//! The compact serialization (RFC 7515 §7.1), read strictly: the part of verification that is the same for every issuer's tokens.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use crate::{claims::MAX_TOKEN_LEN, json};

/// Header members that tell a verifier where to find the key, that it must understand (`crit`), or that change what is signed (`b64`).
const REFUSED_MEMBERS: [&str; 6] = ["crit", "jku", "jwk", "x5u", "x5c", "b64"];

/// Why a text is not a token whose signature is worth checking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CompactError {
    Malformed(String),
    HeaderMember(&'static str),
}

/// A token in its three parts; the header has been read.
pub(crate) struct Compact<'a> {
    pub(crate) header: Map<String, Value>,
    /// What is signed: header and payload as they stand in the token.
    pub(crate) message: &'a str,
    payload: &'a str,
    signature: &'a str,
}

impl<'a> Compact<'a> {
    pub(crate) fn read(token: &'a str) -> Result<Self, CompactError> {
        if token.len() > MAX_TOKEN_LEN {
            let len = token.len();
            return Err(CompactError::Malformed(format!("{len} characters, at most {MAX_TOKEN_LEN} are read")));
        }
        let parts: Vec<&str> = token.split('.').collect();
        let [header, payload, signature] = parts[..] else {
            return Err(CompactError::Malformed(format!("{} parts instead of three", parts.len())));
        };
        let message = &token[..header.len() + 1 + payload.len()];
        let header = object(header, "header")?;
        if let Some(member) = REFUSED_MEMBERS.into_iter().find(|member| header.contains_key(*member)) {
            return Err(CompactError::HeaderMember(member));
        }
        Ok(Self { header, message, payload, signature })
    }

    /// A header member that is a text; empty where it is not.
    pub(crate) fn header_text(&self, name: &str) -> &str {
        self.header.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn signature(&self) -> Result<Vec<u8>, CompactError> {
        decode(self.signature, "signature")
    }

    /// The claims. Whoever reads them before the signature was checked reads a stranger's words.
    pub(crate) fn payload(&self) -> Result<Map<String, Value>, CompactError> {
        object(self.payload, "payload")
    }
}

/// A claim that is a time: whole seconds since the epoch, not negative (RFC 7519 §2, NumericDate, without fractions).
pub(crate) fn seconds(claims: &Map<String, Value>, name: &str) -> Option<i64> {
    claims.get(name).and_then(Value::as_i64).filter(|at| *at >= 0)
}

fn decode(part: &str, name: &str) -> Result<Vec<u8>, CompactError> {
    BASE64_URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|error| CompactError::Malformed(format!("the {name} is not base64url: {error}")))
}

fn object(part: &str, name: &str) -> Result<Map<String, Value>, CompactError> {
    match json::parse(&decode(part, name)?) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(CompactError::Malformed(format!("the {name} is not a JSON object"))),
        Err(error) => Err(CompactError::Malformed(format!("the {name}: {error}"))),
    }
}
