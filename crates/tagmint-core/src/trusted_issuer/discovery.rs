//! The document in which a platform says where its keys are (OpenID Connect Discovery 1.0).

use serde_json::Value;

use super::{
    MAX_DOCUMENT_LEN, TrustedIssuerUrl,
    issuer::{check_url, host},
};
use crate::json;

/// Where a platform's keys are. Checked in form alone: whoever fetches it decides which addresses it may lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwksUri(String);

impl JwksUri {
    /// Checks a URL that the configuration names: `https://` without user and fragment; `http://` only for a loopback host.
    pub fn parse(text: &str) -> Result<Self, InvalidJwksUri> {
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let printable = query.len() <= 1024 && query.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
        if check_url(base).is_err() || !printable { Err(InvalidJwksUri) } else { Ok(Self(text.to_owned())) }
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host, without port and brackets.
    pub fn host(&self) -> &str {
        host(&self.0)
    }

    /// Whether it is asked in clear, which only a loopback host is.
    pub fn is_plain_http(&self) -> bool {
        self.0.starts_with("http://")
    }
}

/// The text is not a URL from which keys are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not an `https://` URL without user and fragment (`http://` is for a loopback host alone)")]
pub struct InvalidJwksUri;

/// Why a discovery document is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDiscovery {
    /// Larger than [`MAX_DOCUMENT_LEN`].
    #[error("the discovery document has {0} bytes; {MAX_DOCUMENT_LEN} are read")]
    TooLong(usize),
    /// Not strict JSON.
    #[error("the discovery document is not JSON: {0}")]
    Json(#[from] json::InvalidJson),
    /// `issuer` is another one, or absent (§4.3: it must be the very URL that was asked).
    #[error("the discovery document is of the issuer `{0}`, not of the one that was asked")]
    Issuer(String),
    /// `jwks_uri` is absent or no URL that is fetched.
    #[error("the discovery document's `jwks_uri` is missing or not an `https://` URL without user and fragment")]
    JwksUri,
}

/// The URL of an issuer's discovery document (§4: a trailing slash is removed first).
pub fn url(issuer: &TrustedIssuerUrl) -> String {
    let base = issuer.as_str();
    format!("{}/.well-known/openid-configuration", base.strip_suffix('/').unwrap_or(base))
}

/// Where the keys of `issuer` are, by its discovery document.
///
/// The keys may be on another host, as Google's are. Plain HTTP is accepted where the issuer itself is asked so, and for loopback alone.
pub fn jwks_uri(document: &[u8], issuer: &TrustedIssuerUrl) -> Result<JwksUri, InvalidDiscovery> {
    if document.len() > MAX_DOCUMENT_LEN {
        return Err(InvalidDiscovery::TooLong(document.len()));
    }
    // RFC 8259 §8.1: a parser may ignore a byte order mark.
    let document = json::parse(document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document))?;
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    let named = text("issuer").unwrap_or_default();
    if named != issuer.as_str() {
        return Err(InvalidDiscovery::Issuer(named.chars().take(100).collect()));
    }
    let uri = text("jwks_uri").ok_or(InvalidDiscovery::JwksUri)?;
    let uri = JwksUri::parse(uri).map_err(|InvalidJwksUri| InvalidDiscovery::JwksUri)?;
    if uri.is_plain_http() && !issuer.is_plain_http() { Err(InvalidDiscovery::JwksUri) } else { Ok(uri) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn issuer(text: &str) -> TrustedIssuerUrl {
        TrustedIssuerUrl::parse(text).unwrap()
    }

    #[test]
    fn a_slash_at_the_end_is_not_doubled() {
        let well_known = "/.well-known/openid-configuration";
        for (text, base) in [
            ("https://a.example", "https://a.example"),
            ("https://a.example/", "https://a.example"),
            ("https://h.example/_services/token", "https://h.example/_services/token"),
        ] {
            assert_eq!(url(&issuer(text)), format!("{base}{well_known}"));
        }
    }

    #[test]
    fn the_keys_are_where_the_issuer_itself_says() {
        let asked = issuer("https://a.example");
        let read = |document: Value| jwks_uri(document.to_string().as_bytes(), &asked);
        for good in [
            "https://a.example/jwks",
            "https://keys.example:8443/a/b?v=1",
            "https://[2001:db8::1]/jwks",
            "https://[::1]:8443/jwks?v=1",
            "https://www.googleapis.com/oauth2/v3/certs",
        ] {
            assert_eq!(read(json!({"issuer": "https://a.example", "jwks_uri": good})).unwrap().as_str(), good);
        }
        for bad in [
            json!("http://a.example/jwks"),
            json!("http://127.0.0.1/jwks"),
            json!("file:///etc/passwd"),
            json!("https://u@a.example/jwks"),
            json!("https://a.example/jwks#x"),
            json!("https://a.example/jwks?a#x"),
            json!("https://a.example/jwks?a b"),
            json!("https:///jwks"),
            json!("https://[::1/jwks"),
            json!("https://::1/jwks"),
            json!("https://[fe80::1%25eth0]/jwks"),
            json!("https://[127.0.0.1]/jwks"),
            json!("https://[::1]x/jwks"),
            json!("https://a.example/[jwks]"),
            json!("//a.example/jwks"),
            json!("/jwks"),
            json!(["https://a.example/jwks"]),
            json!(null),
        ] {
            let found = read(json!({"issuer": "https://a.example", "jwks_uri": bad}));
            assert_eq!(found, Err(InvalidDiscovery::JwksUri), "{bad}");
        }
        assert_eq!(read(json!({"issuer": "https://a.example"})), Err(InvalidDiscovery::JwksUri));
        for other in [json!("https://a.example/"), json!("https://A.example"), json!("https://b.example"), json!(1)] {
            let found = read(json!({"issuer": other, "jwks_uri": "https://a.example/jwks"}));
            assert!(matches!(found, Err(InvalidDiscovery::Issuer(_))), "{other}");
        }
        let doubled =
            br#"{"issuer":"https://a.example","issuer":"https://a.example","jwks_uri":"https://a.example/j"}"#;
        assert!(matches!(jwks_uri(doubled, &asked), Err(InvalidDiscovery::Json(_))));
        let long = vec![b' '; MAX_DOCUMENT_LEN + 1];
        assert_eq!(jwks_uri(&long, &asked), Err(InvalidDiscovery::TooLong(MAX_DOCUMENT_LEN + 1)));
    }

    #[test]
    fn plain_http_stays_on_this_machine() {
        let asked = issuer("http://127.0.0.1:8080");
        let read =
            |uri: &str| jwks_uri(json!({"issuer": asked.as_str(), "jwks_uri": uri}).to_string().as_bytes(), &asked);
        assert!(read("http://127.0.0.1:8080/jwks").is_ok());
        assert!(read("https://a.example/jwks").is_ok());
        assert_eq!(read("http://a.example/jwks"), Err(InvalidDiscovery::JwksUri));
    }
}
