//! Requests that were meant for another host.
//!
//! A proxy's site that leads to the wrong issuer is how one world would answer in the other's name. The worst of it: AWS takes whatever key set stands
//! at the host of a provider, so a test issuer that answers for prod's host lends its keys to prod's tokens.

use std::sync::Arc;

use axum::{
    extract::{MatchedPath, Request, State},
    http::{
        HeaderMap, Uri,
        header::HOST,
        uri::{Authority, InvalidUri},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::problem::{MISDIRECTED, Problem};
use crate::app::App;

/// Routes that answer by whatever name they are called: probes know a machine by its own name or address.
const PROBES: [&str; 3] = ["/livez", "/readyz", "/healthz"];

/// Refuses what was sent to a name that is none of this issuer's (RFC 9110 §15.5.20).
pub async fn meant_for_us(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    if PROBES.iter().any(|probe| route.ends_with(probe)) {
        return next.run(request).await;
    }
    match named_host(request.uri(), request.headers()) {
        Ok(Some(host)) if !is_ours(&host, &app.settings.hosts) => Problem::new(&MISDIRECTED)
            .detail(format!(
                "The request is for {host:?}, and this is the issuer {}. Its client, or a proxy on the way, sends it to the wrong place.",
                app.settings.stamp.issuer
            ))
            .into_response(),
        Ok(_) => next.run(request).await,
        Err(_) => Problem::new(&MISDIRECTED)
            .detail("The request names its host in a way that cannot be read, or twice.")
            .into_response(),
    }
}

/// The host that a request names, in lower case and without its port: of the target, where that has one (HTTP/2's `:authority`, and RFC 9112 §3.2.2),
/// else of the header.
fn named_host(target: &Uri, headers: &HeaderMap) -> Result<Option<String>, Unreadable> {
    if let Some(host) = target.host() {
        return Ok(Some(host.to_ascii_lowercase()));
    }
    let mut named = headers.get_all(HOST).iter();
    let (Some(host), None) = (named.next(), named.next()) else {
        return if headers.contains_key(HOST) { Err(Unreadable) } else { Ok(None) };
    };
    // Clients on a unix socket may have nothing to name (RFC 9112 §3.2).
    if host.is_empty() {
        return Ok(None);
    }
    let authority: Authority = host.to_str().map_err(|_| Unreadable)?.parse().map_err(|_: InvalidUri| Unreadable)?;
    Ok(Some(authority.host().to_ascii_lowercase()))
}

/// The `Host` header is no host, or there are two of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Unreadable;

/// Whether a host is one by which this issuer is called. Addresses and `localhost` say which machine is meant, not which issuer.
fn is_ours(host: &str, ours: &[String]) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    ours.iter().any(|own| own == host) || host == "localhost" || address.parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, Uri, header::HOST};

    use super::{Unreadable, is_ours, named_host};

    fn host(target: &'static str, hosts: &[&'static str]) -> Result<Option<String>, Unreadable> {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(HOST, HeaderValue::from_static(host));
        }
        named_host(&Uri::from_static(target), &headers)
    }

    #[test]
    fn the_target_goes_before_the_header() {
        let found = |name: &str| Ok(Some(name.to_owned()));
        assert_eq!(host("/v1/tokens", &["Issuer.Example:8443"]), found("issuer.example"));
        assert_eq!(host("https://ISSUER.example/v1/tokens", &["other.example"]), found("issuer.example"));
        assert_eq!(host("/v1/tokens", &["[::1]:8443"]), found("[::1]"));
        assert_eq!(host("/v1/tokens", &[]), Ok(None));
        assert_eq!(host("/v1/tokens", &[""]), Ok(None));
        assert_eq!(host("/v1/tokens", &["a.example", "a.example"]), Err(Unreadable));
        for broken in ["a b", "a.example/path", "http://a.example", "a.example:port:1"] {
            assert_eq!(host("/v1/tokens", &[broken]), Err(Unreadable), "{broken}");
        }
    }

    #[test]
    fn its_own_names_and_machines_are_ours() {
        let ours = ["issuer.example".to_owned(), "origin.example".to_owned()];
        for host in
            ["issuer.example", "issuer.example.", "origin.example", "localhost", "127.0.0.1", "10.0.0.7", "[::1]"]
        {
            assert!(is_ours(host, &ours), "{host}");
        }
        for host in [
            "other.example",
            "sub.issuer.example",
            "issuer.example.evil",
            "xissuer.example",
            "127.0.0.1.nip.io",
            "",
            ".",
        ] {
            assert!(!is_ours(host, &ours), "{host}");
        }
    }
}
