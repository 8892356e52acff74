//! What the proxy understands of the requests that pass.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::Value;

/// What a request is for. Pebble's paths are its own on purpose: no other server has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AcmeStep {
    /// The directory (RFC 8555 §7.1.1).
    Directory,
    /// A nonce (§7.2).
    NewNonce,
    /// An account is made or found (§7.3).
    NewAccount,
    /// An account is read or changed (§7.3.2).
    Account,
    /// An account's key is changed (§7.3.5).
    KeyChange,
    /// An order is placed (§7.4).
    NewOrder,
    /// An order is read (§7.4).
    Order,
    /// An authorization is read (§7.5).
    Authorization,
    /// A challenge is read, or said to be ready (§7.5.1).
    Challenge,
    /// The certificate is asked for, with its signing request (§7.4).
    Finalize,
    /// The certificate is fetched (§7.4.2).
    Certificate,
    /// A certificate is revoked (§7.6).
    Revoke,
    /// When to renew a certificate (RFC 9773); answered by the proxy.
    RenewalInfo,
    /// Anything else.
    Other,
}

/// The path under which the proxy answers for `renewalInfo`.
pub(super) const RENEWAL_INFO: &str = "/renewal-info";

impl AcmeStep {
    /// The step of a path.
    pub(super) fn of(path: &str) -> Self {
        const PREFIXES: [(&str, AcmeStep); 13] = [
            ("/dir", AcmeStep::Directory),
            ("/nonce-plz", AcmeStep::NewNonce),
            ("/sign-me-up", AcmeStep::NewAccount),
            ("/my-account/", AcmeStep::Account),
            ("/rollover-account-key", AcmeStep::KeyChange),
            ("/order-plz", AcmeStep::NewOrder),
            ("/my-order/", AcmeStep::Order),
            ("/authZ/", AcmeStep::Authorization),
            ("/chalZ/", AcmeStep::Challenge),
            ("/finalize-order/", AcmeStep::Finalize),
            ("/certZ/", AcmeStep::Certificate),
            ("/revoke-cert", AcmeStep::Revoke),
            (RENEWAL_INFO, AcmeStep::RenewalInfo),
        ];
        PREFIXES.iter().find(|(prefix, _)| path.starts_with(prefix)).map_or(Self::Other, |(_, step)| *step)
    }
}

/// A request that passed, and what became of it.
#[derive(Debug, Clone)]
pub struct AcmeRequest {
    /// What it was for.
    pub step: AcmeStep,
    /// Its path.
    pub path: String,
    /// What was signed, as JSON; `Null` for an empty payload and for a request without a signature.
    pub payload: Value,
    /// The header of the signature; `Null` for a request without one.
    pub protected: Value,
    /// The `User-Agent` header.
    pub user_agent: Option<String>,
    /// The status of the answer, also of one that never reached the client; none when nobody was asked.
    pub status: Option<u16>,
    /// The `Location` of the answer: the URL of an account or order.
    pub location: Option<String>,
    /// The `type` of the problem document that was the answer.
    pub problem: Option<String>,
}

impl AcmeRequest {
    pub(super) fn read(path: &str, user_agent: Option<String>, body: &[u8]) -> Self {
        let outer: Value = serde_json::from_slice(body).unwrap_or_default();
        Self {
            step: AcmeStep::of(path),
            path: path.to_owned(),
            payload: part(&outer["payload"]),
            protected: part(&outer["protected"]),
            user_agent,
            status: None,
            location: None,
            problem: None,
        }
    }

    /// Whether it carried a signature.
    pub fn is_signed(&self) -> bool {
        self.protected.is_object()
    }

    /// Whether the server answered with success, also when the client never heard of it.
    pub fn is_accepted(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// The account that signed it, by its URL.
    pub fn account(&self) -> Option<&str> {
        self.protected["kid"].as_str()
    }
}

/// A base64url part of a JWS (RFC 7515 §7.2.2) that holds JSON.
fn part(text: &Value) -> Value {
    let bytes = text.as_str().and_then(|text| BASE64_URL_SAFE_NO_PAD.decode(text).ok());
    bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_signed_request_is_read_and_others_are_empty() {
        let encode = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let body = json!({
            "protected": encode(json!({"kid": "https://ca.test/my-account/1"})),
            "payload": encode(json!({"profile": "shortlived"})),
            "signature": "AA",
        });
        let request = AcmeRequest::read("/order-plz", None, body.to_string().as_bytes());
        assert_eq!((request.step, request.is_signed(), request.is_accepted()), (AcmeStep::NewOrder, true, false));
        assert_eq!(request.account(), Some("https://ca.test/my-account/1"));
        assert_eq!(request.payload["profile"], "shortlived");
        let request = AcmeRequest::read("/renewal-info/a.b", None, b"");
        assert_eq!((request.step, request.is_signed()), (AcmeStep::RenewalInfo, false));
        assert_eq!(AcmeStep::of("/"), AcmeStep::Other);
    }
}
