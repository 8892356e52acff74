//! The token's form (RFC 7515, RFC 7519), as leniently as STS reads it.

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::{
    StsError,
    checks::{Checks, shown},
};

/// A token, decoded but not verified.
pub(super) struct Token<'a> {
    pub(super) header: Map<String, Value>,
    pub(super) claims: Map<String, Value>,
    /// What the signature is over: the first two parts with their dot.
    pub(super) signed: &'a str,
    pub(super) signature: Vec<u8>,
    /// Whether the payload says something twice.
    pub(super) repeats: bool,
}

impl<'a> Token<'a> {
    /// Takes a compact serialization apart. Of repeated members the last one counts (recorded: the answer was about the second `aud`).
    pub(super) fn parse(text: &'a str) -> Result<Self, &'static str> {
        let (signed, signature) = text.rsplit_once('.').ok_or("not three parts with dots between")?;
        let (header, payload) = signed.split_once('.').ok_or("not three parts with dots between")?;
        let bytes = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).ok();
        let object = |part: &str| -> Option<Map<String, Value>> {
            bytes(part).and_then(|bytes| serde_json::from_slice(&bytes).ok())
        };
        Ok(Self {
            header: object(header).ok_or("the header is not a JSON object in base64url")?,
            claims: object(payload).ok_or("the payload is not a JSON object in base64url")?,
            signed,
            signature: bytes(signature).ok_or("the signature is not base64url")?,
            // The strict reader refuses nothing else that the one above takes.
            repeats: bytes(payload).is_some_and(|bytes| tagmint_core::json::parse(&bytes).is_err()),
        })
    }

    pub(super) fn header_text(&self, name: &str) -> Option<&str> {
        self.header.get(name).and_then(Value::as_str)
    }
}

/// What a claim is as a text, in the way that STS takes numbers and lists for texts (recorded: the subject of `"sub": 123` is `123`).
pub(super) struct ClaimText<'a>(pub(super) &'a Value);

impl fmt::Display for ClaimText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::String(text) => f.write_str(text),
            Value::Array(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{}", if index == 0 { "" } else { ", " }, ClaimText(item))?;
                }
                f.write_str("]")
            }
            Value::Object(members) => {
                f.write_str("{")?;
                for (index, (name, value)) in members.iter().enumerate() {
                    write!(f, "{}{name}={}", if index == 0 { "" } else { ", " }, ClaimText(value))?;
                }
                f.write_str("}")
            }
            other => write!(f, "{other}"),
        }
    }
}

/// The token's form, and that its header asks for nothing that STS doesn't know.
pub(super) fn check<'a>(text: &'a str, checks: &mut Checks) -> Result<Token<'a>, StsError> {
    let token = Token::parse(text).map_err(|problem| {
        let fix = "send the ID token, in compact serialization";
        checks.fail("token-form", "a signed JWT", problem, fix, StsError::not_a_jwt())
    })?;
    checks.pass("token-form", "a signed JWT", "a signed JWT");
    // RFC 7515 §4.1.11. Refused whatever it names (recorded).
    if let Some(critical) = token.header.get("crit") {
        let fix = "sign tokens without the header `crit`";
        let actual = shown(&critical.to_string());
        return Err(checks.fail("token-crit", "no header `crit`", actual, fix, StsError::not_a_jwt()));
    }
    Ok(token)
}
