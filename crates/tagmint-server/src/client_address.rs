//! Whose request it is, behind proxies.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use axum::http::HeaderMap;

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
/// From anybody else the header is a claim and is ignored. Who comes over a unix socket is trusted, for its file's mode says who may; where
/// they name nobody it is the loopback address, 127.0.0.1.
pub fn client_address(peer: Peer, headers: &HeaderMap, trusted: &[IpAddr]) -> IpAddr {
    let address = peer.address().map(|address| address.to_canonical());
    let peer = address.unwrap_or(Ipv4Addr::LOCALHOST.into());
    if address.is_some_and(|address| !trusted.contains(&address)) {
        return peer;
    }
    let forwarded = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let chain: Vec<&str> = forwarded.flat_map(|value| value.split(',')).map(str::trim).collect();
    let mut address = peer;
    for hop in chain.into_iter().rev() {
        let Ok(hop) = hop.parse::<IpAddr>() else { break };
        address = hop.to_canonical();
        if !trusted.contains(&address) {
            break;
        }
    }
    address
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
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        let trusted: Vec<IpAddr> = trusted.iter().map(|ip| ip.parse().unwrap()).collect();
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
    fn who_comes_over_a_unix_socket_is_believed() {
        assert_eq!(address_of(Peer::Unix, &["1.1.1.1, 198.51.100.1"], &[]), "198.51.100.1");
        assert_eq!(address_of(Peer::Unix, &["198.51.100.1, 10.0.0.2"], &["10.0.0.2"]), "198.51.100.1");
        assert_eq!(address_of(Peer::Unix, &[], &[]), "127.0.0.1");
    }
}
