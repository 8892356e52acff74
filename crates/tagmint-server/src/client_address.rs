//! Whose request it is, behind proxies.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use axum::http::{HeaderMap, HeaderValue};
use tagmint_core::witness::Networks;

/// Who is at the other end of a connection. Every request carries it as an extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// An address.
    Tcp(SocketAddr),
    /// Somebody on this machine who may open the unix socket: the proxy.
    Unix,
}

impl Peer {
    /// The address, where there is one.
    pub const fn address(self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(address.ip()),
            Self::Unix => None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.ip().fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

/// The caller's address: the peer's, or, where the peer is a trusted proxy, the last address in `X-Forwarded-For` that is not one.
///
/// From any other peer the header is a claim and is ignored. A peer on a unix socket is trusted, because the mode of the socket's file
/// limits who may connect; if such a peer names no client, the address is the loopback address, 127.0.0.1. If a proxy does not name its
/// client (`unknown`, an obfuscated name of RFC 7239 §6.3, anything else that is not an address), it is the proxy's own address: strangers
/// wrote the entries before it.
pub fn client_address(peer: Peer, headers: &HeaderMap, trusted: &Networks) -> IpAddr {
    let address = peer.address().map(|address| address.to_canonical());
    let peer = address.unwrap_or(Ipv4Addr::LOCALHOST.into());
    if address.is_some_and(|address| !trusted.contains(address)) {
        return peer;
    }
    // Bytes and not texts: one that is not ASCII spoils its own element, and not those that proxies added to the same header.
    let lines: Vec<&[u8]> = headers.get_all("x-forwarded-for").iter().map(HeaderValue::as_bytes).collect();
    let hops = lines.into_iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b','));
    let mut address = peer;
    // An empty element of a list says nothing (RFC 9110 §5.6.1.2).
    for hop in hops.map(<[u8]>::trim_ascii).filter(|hop| !hop.is_empty()) {
        let Some(hop) = hop_address(hop) else { break };
        address = hop;
        if !trusted.contains(address) {
            break;
        }
    }
    address
}

/// The address of one element: `203.0.113.9`, `203.0.113.9:4711`, `2001:db8::9`, `[2001:db8::9]`, `[2001:db8::9]:4711`, each with or without
/// quotes and an IPv6 zone.
fn hop_address(element: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(element).ok()?;
    let text = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text).trim();
    let v6 = |text: &str| text.split('%').next()?.parse::<Ipv6Addr>().ok();
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return v6(address).filter(|_| is_port).map(|address| IpAddr::V6(address).to_canonical());
    }
    if let Some((address, _)) = text.split_once(':').filter(|(_, port)| is_port(port))
        && let Ok(address) = address.parse::<Ipv4Addr>()
    {
        return Some(address.into());
    }
    text.parse::<IpAddr>().ok().or_else(|| v6(text).map(IpAddr::V6)).map(|address| address.to_canonical())
}

/// RFC 7239 §6: a port is up to five digits, or an obfuscated name.
fn is_port(text: &str) -> bool {
    let digits = (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits || text.strip_prefix('_').is_some_and(|rest| !rest.is_empty() && !rest.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        address_of(Peer::Tcp((peer.parse::<IpAddr>().unwrap(), 1).into()), forwarded, trusted)
    }

    fn address_of(peer: Peer, forwarded: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let trusted = Networks::union(trusted.iter().map(|network| network.parse().unwrap()));
        client_address(peer, &headers, &trusted).to_string()
    }

    #[test]
    fn the_header_counts_from_trusted_proxies_alone() {
        assert_eq!(address("203.0.113.9", &["198.51.100.1"], &["127.0.0.1"]), "203.0.113.9");
        assert_eq!(address("127.0.0.1", &["198.51.100.1"], &["127.0.0.1"]), "198.51.100.1");
        assert_eq!(address("::ffff:127.0.0.1", &["198.51.100.1"], &["127.0.0.1"]), "198.51.100.1");
        assert_eq!(address("127.0.0.1", &[], &["127.0.0.1"]), "127.0.0.1");
    }

    #[test]
    fn what_the_client_wrote_itself_is_not_believed() {
        assert_eq!(address("127.0.0.1", &["1.1.1.1, 198.51.100.1"], &["127.0.0.1"]), "198.51.100.1");
        assert_eq!(
            address("127.0.0.1", &["1.1.1.1", "198.51.100.1, 10.0.0.2"], &["127.0.0.1", "10.0.0.2"]),
            "198.51.100.1"
        );
        assert_eq!(address("127.0.0.1", &["198.51.100.1, junk"], &["127.0.0.1"]), "127.0.0.1");
    }

    #[test]
    fn proxies_may_be_named_by_their_networks() {
        let trusted = &["10.0.0.0/8", "2001:db8:1::/48"];
        assert_eq!(address("10.9.8.7", &["1.1.1.1, 198.51.100.1, 10.1.2.3"], trusted), "198.51.100.1");
        assert_eq!(address("2001:db8:1::5", &["198.51.100.1"], trusted), "198.51.100.1");
        assert_eq!(address("11.0.0.1", &["198.51.100.1"], trusted), "11.0.0.1");
    }

    #[test]
    fn an_address_is_read_as_proxies_write_it() {
        for (element, expected) in [
            ("203.0.113.9", "203.0.113.9"),
            ("203.0.113.9:4711", "203.0.113.9"),
            ("\"203.0.113.9:4711\"", "203.0.113.9"),
            ("203.0.113.9:_secret", "203.0.113.9"),
            ("2001:db8::9", "2001:db8::9"),
            ("[2001:db8::9]", "2001:db8::9"),
            ("[2001:db8::9]:4711", "2001:db8::9"),
            ("\"[2001:db8::9]:4711\"", "2001:db8::9"),
            ("fe80::9%eth0", "fe80::9"),
            ("[fe80::9%25eth0]:80", "fe80::9"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("[::ffff:203.0.113.9]:80", "203.0.113.9"),
            (" 203.0.113.9 ,", "203.0.113.9"),
            ("\u{e9}, 203.0.113.9", "203.0.113.9"),
        ] {
            assert_eq!(address("127.0.0.1", &[element], &["127.0.0.1"]), expected, "{element}");
        }
    }

    #[test]
    fn where_a_proxy_does_not_say_whom_it_serves_it_is_the_proxy() {
        for element in [
            "unknown",
            "_hidden",
            "_SEVKISEK",
            "",
            "-",
            "proxy.example",
            "203.0.113.9:",
            "203.0.113.9:port",
            "203.0.113.9:123456",
            "203.0.113.300",
            "[2001:db8::9",
            "[2001:db8::9]x",
            "[203.0.113.9]",
            "203.0.113.9;203.0.113.8",
            "\u{e9}",
            "for=203.0.113.9",
            "0x7f000001",
            "203.0.113",
        ] {
            let forwarded = format!("1.1.1.1, {element}");
            let expected = if element.is_empty() { "1.1.1.1" } else { "127.0.0.1" };
            assert_eq!(address("127.0.0.1", &[&forwarded], &["127.0.0.1"]), expected, "{element}");
            let behind_two = format!("{forwarded}, 10.0.0.2:80");
            let expected = if element.is_empty() { "1.1.1.1" } else { "10.0.0.2" };
            assert_eq!(address("127.0.0.1", &[&behind_two], &["127.0.0.1", "10.0.0.2"]), expected, "{element}");
        }
    }

    #[test]
    fn who_comes_over_a_unix_socket_is_believed() {
        assert_eq!(address_of(Peer::Unix, &["1.1.1.1, 198.51.100.1"], &[]), "198.51.100.1");
        assert_eq!(address_of(Peer::Unix, &["198.51.100.1, 10.0.0.2"], &["10.0.0.2"]), "198.51.100.1");
        assert_eq!(address_of(Peer::Unix, &[], &[]), "127.0.0.1");
    }
}
