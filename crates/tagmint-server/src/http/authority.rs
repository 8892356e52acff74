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

use super::{
    health::PROBES,
    problem::{MISDIRECTED, Problem},
};
use crate::app::App;

/// What a proxy was asked for.
const FORWARDED_HOST: &str = "x-forwarded-host";

/// Refuses what was sent to a name that is none of this issuer's (RFC 9110 §15.5.20).
pub async fn meant_for_us(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    // Probes know a machine by its own name or address.
    if PROBES.iter().any(|probe| route.ends_with(probe)) {
        return next.run(request).await;
    }
    match foreign_host(request.uri(), request.headers(), &app.settings.hosts) {
        Ok(Some(host)) => Problem::new(&MISDIRECTED)
            .detail(format!(
                "The request is for {host:?}, and this is the issuer {}. Its client, or a proxy on the way, sends it to the wrong place.",
                app.settings.stamp.issuer
            ))
            .into_response(),
        Ok(None) => next.run(request).await,
        Err(Unreadable) => Problem::new(&MISDIRECTED)
            .detail("The request names its host in a way that cannot be read, or twice.")
            .into_response(),
    }
}

/// The name by which a request was sent, where it is none of ours. A proxy may put an address or its own name for us into `Host` and keep what it was
/// asked for in `X-Forwarded-Host`: that one refuses, too, and never lets in.
fn foreign_host(target: &Uri, headers: &HeaderMap, ours: &[String]) -> Result<Option<String>, Unreadable> {
    let forwarded = match headers.get(FORWARDED_HOST) {
        Some(first) => first.to_str().map_err(|_| Unreadable)?.split(',').next().unwrap_or_default().trim(),
        None => "",
    };
    let named = [named_host(target, headers)?, host_of(forwarded)?];
    Ok(named.into_iter().flatten().find(|host| !is_ours(host, ours)))
}

/// The host of `HOST[:PORT]`, in lower case; none where there is nothing.
fn host_of(authority: &str) -> Result<Option<String>, Unreadable> {
    if authority.is_empty() {
        return Ok(None);
    }
    let authority: Authority = authority.parse().map_err(|_: InvalidUri| Unreadable)?;
    Ok(Some(authority.host().to_ascii_lowercase()))
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
    // Clients on a unix socket may have nothing to name (RFC 9112 §3.2): then it is empty.
    host_of(host.to_str().map_err(|_| Unreadable)?)
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

    use super::{FORWARDED_HOST, Unreadable, foreign_host, is_ours, named_host};

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
    fn what_a_proxy_was_asked_for_refuses_and_never_lets_in() {
        let ours = ["issuer.example".to_owned()];
        let foreign = |host: &'static str, forwarded: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static(host));
            headers.insert(FORWARDED_HOST, HeaderValue::from_static(forwarded));
            foreign_host(&Uri::from_static("/"), &headers, &ours).map(Option::unwrap_or_default)
        };
        let other = Ok("other.example".to_owned());
        assert_eq!(foreign("127.0.0.1:8081", "other.example"), other);
        assert_eq!(foreign("issuer.example", "Other.Example:443, issuer.example"), other);
        assert_eq!(foreign("other.example", "issuer.example"), other);
        for fine in ["", "issuer.example", "issuer.example:443, cdn.example", "127.0.0.1"] {
            assert_eq!(foreign("127.0.0.1:8081", fine), Ok(String::new()), "{fine}");
        }
        assert_eq!(foreign("issuer.example", "a b"), Err(Unreadable));
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
