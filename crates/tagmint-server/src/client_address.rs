//! Whose request it is, behind proxies.

use std::net::IpAddr;

use axum::http::HeaderMap;

/// The caller's address: the peer's, or, where the peer is a trusted proxy, the last address in `X-Forwarded-For` that is not one.
///
/// From anybody else the header is a claim and is ignored.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> IpAddr {
    let peer = peer.to_canonical();
    if !trusted.contains(&peer) {
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
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        let trusted: Vec<IpAddr> = trusted.iter().map(|ip| ip.parse().unwrap()).collect();
        client_address(peer.parse().unwrap(), &headers, &trusted).to_string()
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
}
