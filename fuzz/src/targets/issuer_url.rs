//! Issuer URLs: an accepted one stays byte for byte what it was, and IAM keeps it under the very name.

use crate::world;
use tagmint_core::issuer::{IssuerUrl, MAX_ISSUER_LEN};
use tagmint_iam::provider::{OidcProvider, Registration};

/// Runs one input.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let url = match IssuerUrl::parse(text) {
        Ok(url) => url,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert_eq!(url.as_str(), text);
    assert_eq!(IssuerUrl::parse(url.as_str()).as_ref(), Ok(&url));
    assert_eq!(serde_json::to_string(&url).ok(), Some(format!("\"{text}\"")), "accepted with something to escape");
    assert!(text.len() <= MAX_ISSUER_LEN && !text.ends_with('/'));
    let port = text.len() - url.without_scheme().len() + url.host().len();
    assert_eq!(format!("https://{}{}", url.host(), &text[port..]), text);
    assert!(text.ends_with(url.path()) && (url.path().is_empty() || url.path().starts_with('/')));
    assert_eq!(url.join("/jwks"), format!("{text}/jwks"));
    let has_port = text[port..].starts_with(':');
    assert!(!has_port || url.is_loopback());

    let registration = Registration { url: text.to_owned(), ..Registration::default() };
    let registered = OidcProvider::register(world::ACCOUNT, registration.clone());
    let local = OidcProvider::register_local(world::ACCOUNT, registration).expect("localaws registers every issuer");
    if !has_port {
        let registered = registered.expect("IAM registers every issuer without a port");
        assert_eq!(registered.issuer(), text);
        assert_eq!(registered.url(), url.without_scheme());
        assert_eq!(registered, local);
    }
    // Port 443 is the one that IAM drops.
    if !text[port..].starts_with(":443") {
        assert_eq!(local.issuer(), text);
    }
}
