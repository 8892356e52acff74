//! Which outbound requests go through a proxy.
//!
//! The rules are those of curl and of AWS's SDKs: `HTTPS_PROXY` for `https://` URLs, `HTTP_PROXY` for `http://`, `ALL_PROXY` for both, and
//! `NO_PROXY` for what goes there directly. This machine is always asked directly.

mod no_proxy;

#[cfg(test)]
mod tests;

use std::{fmt, net::IpAddr, sync::Arc};

pub use self::no_proxy::{InvalidNoProxy, NoProxy};

/// The URL of an HTTP proxy: `http://[USER:PASSWORD@]HOST[:PORT]`, or `https://…`. It may hold a password, so it prints without.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl(Arc<str>);

/// The text is no proxy that requests can go through.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is not the URL of an HTTP proxy such as `http://proxy.example.org:3128` ({0})")]
pub struct InvalidProxy(&'static str);

impl ProxyUrl {
    /// Checks a URL. Without a scheme it is `http://`, as everywhere.
    ///
    /// # Errors
    ///
    /// With the reason, and nothing of the text.
    pub fn parse(text: &str) -> Result<Self, InvalidProxy> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let scheme = scheme.to_ascii_lowercase();
        match scheme.as_str() {
            "http" | "https" => {}
            socks if socks.starts_with("socks") => return Err(InvalidProxy("SOCKS is not spoken")),
            _ => return Err(InvalidProxy("the scheme is `http` or `https`")),
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (user, authority) = rest.rsplit_once('@').map_or((None, rest), |(user, rest)| (Some(user), rest));
        if user.is_some_and(|user| user.chars().any(|c| !c.is_ascii_graphic() || "/?#@".contains(c))) {
            return Err(InvalidProxy("user and password are percent-encoded"));
        }
        if !is_authority(authority) {
            return Err(InvalidProxy("scheme, host and port alone"));
        }
        Ok(Self(format!("{scheme}://{rest}").into()))
    }

    /// The URL with its password, for the client that connects.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it holds a user or a password.
    pub fn has_user(&self) -> bool {
        self.0.contains('@')
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("http", &self.0));
        match rest.rsplit_once('@') {
            Some((_, host)) => write!(f, "{scheme}://…@{host}"),
            None => f.write_str(&self.0),
        }
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyUrl({self})")
    }
}

fn is_authority(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            let port = rest.strip_prefix(':');
            if address.parse::<std::net::Ipv6Addr>().is_err() || (port.is_none() && !rest.is_empty()) {
                return false;
            }
            (address, port)
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let in_host = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    !host.is_empty() && host.chars().all(in_host) && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// How requests leave this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outbound {
    https: Option<ProxyUrl>,
    http: Option<ProxyUrl>,
    direct: NoProxy,
}

/// A variable of the environment that says no proxy or exception.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidVariable {
    /// Not a proxy.
    #[error("the environment variable {name}: {source}; correct it, or set `outbound.proxy` in the configuration")]
    Proxy {
        /// Which.
        name: &'static str,
        /// The fault in its value.
        source: InvalidProxy,
    },
}

impl Outbound {
    /// The variables that are read, each in capitals before small letters.
    pub const VARIABLES: [[&'static str; 2]; 4] = [
        ["HTTPS_PROXY", "https_proxy"],
        ["HTTP_PROXY", "http_proxy"],
        ["ALL_PROXY", "all_proxy"],
        ["NO_PROXY", "no_proxy"],
    ];

    /// Everything directly.
    pub fn direct() -> Self {
        Self::default()
    }

    /// Everything through one proxy, but for what `direct` names.
    pub fn through(proxy: ProxyUrl, direct: NoProxy) -> Self {
        Self { https: Some(proxy.clone()), http: Some(proxy), direct }
    }

    /// Reads the environment. `value` gives the value of a variable; an empty one counts as none.
    ///
    /// An entry of `NO_PROXY` that is none is passed over, as other programs do.
    ///
    /// # Errors
    ///
    /// When a variable holds no proxy. Requests that go another way than they should are worse than none.
    pub fn from_environment(value: impl Fn(&'static str) -> Option<String>) -> Result<Self, InvalidVariable> {
        let find = |names: [&'static str; 2]| {
            names.into_iter().find_map(|name| {
                let value = value(name)?.trim().to_owned();
                (!value.is_empty()).then_some((name, value))
            })
        };
        let [https, http, all, direct] = Self::VARIABLES;
        let proxy = |names| {
            let Some((name, value)) = find(names).or_else(|| find(all)) else { return Ok(None) };
            ProxyUrl::parse(&value).map(Some).map_err(|source| InvalidVariable::Proxy { name, source })
        };
        let direct = find(direct).map(|(_, list)| NoProxy::lenient(&list)).unwrap_or_default();
        Ok(Self { https: proxy(https)?, http: proxy(http)?, direct })
    }

    /// Whether no request goes through a proxy.
    pub const fn is_direct(&self) -> bool {
        self.https.is_none() && self.http.is_none()
    }

    /// The proxy for `https://` URLs.
    pub const fn https(&self) -> Option<&ProxyUrl> {
        self.https.as_ref()
    }

    /// The hosts to ask directly, as the value of `NO_PROXY`, for clients that choose by themselves. They know no ports.
    pub fn direct_for_others(&self) -> String {
        let own = ["localhost", "127.0.0.0/8", "::1"].map(str::to_owned);
        own.into_iter().chain(self.direct.without_ports()).collect::<Vec<_>>().join(",")
    }

    /// The proxy for a request to this place; none: it goes there directly. An IPv6 address may stand in brackets.
    pub fn proxy_for(&self, scheme: &str, host: &str, port: Option<u16>) -> Option<&ProxyUrl> {
        let (proxy, usual) = match scheme {
            "https" => (self.https.as_ref(), 443),
            "http" => (self.http.as_ref(), 80),
            _ => return None,
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
        let here = host == "localhost"
            || host.ends_with(".localhost")
            || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
        proxy.filter(|_| !here && !self.direct.names(&host, port.unwrap_or(usual)))
    }
}

impl fmt::Display for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.https, &self.http) {
            (None, None) => return f.write_str("directly"),
            (Some(https), Some(http)) if https == http => write!(f, "through {https}")?,
            (Some(https), Some(http)) => write!(f, "through {https} (https), {http} (http)")?,
            (Some(https), None) => write!(f, "through {https} (https)")?,
            (None, Some(http)) => write!(f, "through {http} (http)")?,
        }
        if self.direct.is_empty() { Ok(()) } else { write!(f, "; directly: {}", self.direct) }
    }
}
