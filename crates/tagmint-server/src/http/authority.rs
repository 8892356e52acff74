//! Requests that were meant for another host.
//!
//! A proxy's site that leads to the wrong issuer is how one world would answer in the other's name. The worst of it: AWS takes whatever key set stands
//! at the host of a provider, so a test issuer that answers for prod's host lends its keys to prod's tokens.

use std::{borrow::Cow, sync::Arc};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{
        HeaderMap, Uri,
        header::{FORWARDED, HOST},
        uri::{Authority, InvalidUri},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use tagmint_core::sanitize;

use super::{
    forwarded,
    health::PROBES,
    problem::{MISDIRECTED, Problem},
};
use crate::app::App;

/// Headers with the host that a proxy was asked for: the common one, and the one of Azure's gateways.
const FORWARDED_HOST: [&str; 2] = ["x-forwarded-host", "x-original-host"];

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
/// asked for in `X-Forwarded-Host` or `Forwarded` (RFC 7239): those refuse, too, and never let in. Each proxy on the way may have added a value, so
/// every one counts.
fn foreign_host(target: &Uri, headers: &HeaderMap, ours: &[String]) -> Result<Option<String>, Unreadable> {
    let mut named = vec![named_host(target, headers)?];
    for value in FORWARDED_HOST.iter().flat_map(|name| headers.get_all(*name)) {
        for host in value.to_str().map_err(|_| Unreadable)?.split(',') {
            named.push(host_of(host.trim())?);
        }
    }
    for value in headers.get_all(FORWARDED) {
        for host in forwarded::hosts(value.as_bytes()).ok_or(Unreadable)? {
            named.push(host_of(host.trim())?);
        }
    }
    Ok(named.into_iter().flatten().find(|host| !is_ours(host, ours)))
}

/// The host of `HOST[:PORT]`, in lower case; none where there is nothing.
fn host_of(authority: &str) -> Result<Option<String>, Unreadable> {
    if authority.is_empty() {
        return Ok(None);
    }
    let authority: Authority = authority.parse().map_err(|_: InvalidUri| Unreadable)?;
    Ok(Some(lower(authority.host())))
}

/// A host in lower case. Text that looks like a credential is redacted before its case is lost; it is not a name of this issuer.
fn lower(host: &str) -> String {
    match sanitize::redact(host) {
        Cow::Borrowed(host) => host.to_ascii_lowercase(),
        Cow::Owned(redacted) => redacted,
    }
}

/// The host that a request names, in lower case and without its port: of the target, where that has one (HTTP/2's `:authority`, and RFC 9112 §3.2.2),
/// else of the header.
fn named_host(target: &Uri, headers: &HeaderMap) -> Result<Option<String>, Unreadable> {
    if let Some(host) = target.host() {
        return Ok(Some(lower(host)));
    }
    let mut named = headers.get_all(HOST).iter();
    let (Some(host), None) = (named.next(), named.next()) else {
        return if headers.contains_key(HOST) { Err(Unreadable) } else { Ok(None) };
    };
    // Clients on a unix socket may have nothing to name (RFC 9112 §3.2): then it is empty.
    host_of(host.to_str().map_err(|_| Unreadable)?)
}

/// A header that should name a host does not, or `Host` stands twice.
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

    use super::{Unreadable, foreign_host, is_ours, named_host};

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
        let foreign = |host: &'static str, forwarded: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static(host));
            for (name, value) in forwarded {
                headers.append(*name, HeaderValue::from_static(value));
            }
            foreign_host(&Uri::from_static("/"), &headers, &ours).map(Option::unwrap_or_default)
        };
        let (xfh, other) = ("x-forwarded-host", Ok("other.example".to_owned()));
        assert_eq!(foreign("other.example", &[(xfh, "issuer.example")]), other);
        for told in [
            &[(xfh, "other.example")][..],
            &[(xfh, "Other.Example:443, issuer.example")],
            &[(xfh, "issuer.example, other.example")],
            &[(xfh, "issuer.example,,other.example:8443 , issuer.example")],
            &[(xfh, "issuer.example"), (xfh, "other.example")],
            &[("x-original-host", "other.example")],
            &[("forwarded", "host=other.example")],
            &[("forwarded", "for=192.0.2.1;HOST=\"Other.example:443\";proto=https")],
            &[("forwarded", "host=issuer.example, for=\"a,b\";host=other.example")],
            &[("forwarded", "host=issuer.example"), ("forwarded", "host=other.example")],
            &[(xfh, "issuer.example"), ("forwarded", "host=other.example")],
        ] {
            assert_eq!(foreign("127.0.0.1:8081", told), other, "{told:?}");
        }
        for fine in [
            &[(xfh, "")][..],
            &[(xfh, "issuer.example")],
            &[(xfh, "issuer.example:443, 127.0.0.1")],
            &[("forwarded", "")],
            &[("forwarded", "for=192.0.2.1, for=\"[2001:db8::1]:4711\";proto=https;by=other.example")],
            &[("forwarded", "host=\"issuer.example:443\"")],
        ] {
            assert_eq!(foreign("127.0.0.1:8081", fine), Ok(String::new()), "{fine:?}");
        }
        for broken in [
            &[(xfh, "a b")][..],
            &[(xfh, "issuer.example, a b")],
            &[("forwarded", "host=\"issuer.example")],
            &[("forwarded", "host")],
            &[("forwarded", "host=a b")],
        ] {
            assert_eq!(foreign("issuer.example", broken), Err(Unreadable), "{broken:?}");
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
