//! Which addresses an upstream may have.
//!
//! A name in a discovery document is a stranger's word. Whoever can choose it must not reach what only this machine can reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of network an address belongs to, by IANA's special-purpose registries (RFC 6890).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The public internet.
    Public,
    /// This machine or a network of one's own: loopback, RFC 1918, carriers' NAT (RFC 6598), unique-local (RFC 4193). The operator may
    /// allow these.
    Private(&'static str),
    /// Nowhere that an upstream can be: link-local (the clouds' metadata services), multicast, unspecified, documentation, reserved.
    Never(&'static str),
}

/// Classifies an address. One that embeds an IPv4 address (mapped, NAT64, 6to4) is as far as that one.
pub fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => reach_v4(address),
        IpAddr::V6(address) => reach_v6(address),
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    match address.octets() {
        [127, ..] => Reach::Private("loopback"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Reach::Private("private"),
        [100, 64..=127, ..] => Reach::Private("shared by a carrier's customers"),
        [169, 254, ..] => Reach::Never("link-local"),
        [0, ..] => Reach::Never("unspecified"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Reach::Never("for documentation"),
        [192, 0, 0, _] | [192, 88, 99, _] | [198, 18..=19, ..] | [240..=255, ..] => Reach::Never("reserved"),
        [224..=239, ..] => Reach::Never("multicast"),
        _ => Reach::Public,
    }
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        reach_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Reach::Never("unspecified"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Private("loopback"),
        // IPv4-mapped (RFC 4291 §2.5.5.2), NAT64's well-known prefix (RFC 6052 §2.1), 6to4 (RFC 3056 §2).
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            embedded(high, low)
        }
        [0x64, 0xff9b, 1, ..] | [0xfc00..=0xfdff, ..] => Reach::Private("private"),
        [0xfe80..=0xfebf, ..] => Reach::Never("link-local"),
        [0xff00..=0xffff, ..] => Reach::Never("multicast"),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0x0fff, ..] => Reach::Never("for documentation"),
        // Teredo, benchmarks, ORCHID and the rest of IETF's protocol assignments (RFC 2928).
        [0x2001, 0..=0x01ff, ..] => Reach::Never("reserved"),
        // Global unicast is all that IANA has handed out.
        [0x2000..=0x3fff, ..] => Reach::Public,
        _ => Reach::Never("reserved"),
    }
}

/// An upstream's name stands for an address where no upstream may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForbiddenAddress {
    /// An address of one's own network, and the provider does not allow these.
    #[error("{address} is {kind}; set `allow_private_addresses` for the provider if it belongs there")]
    Private {
        /// The address.
        address: IpAddr,
        /// What it is.
        kind: &'static str,
    },
    /// No upstream has such an address.
    #[error("{address} is {kind}; no provider can be there")]
    Never {
        /// The address.
        address: IpAddr,
        /// What it is.
        kind: &'static str,
    },
}

/// Refuses an address that the provider may not have.
///
/// # Errors
///
/// With the address and what it is.
pub fn check(address: IpAddr, allow_private: bool) -> Result<(), ForbiddenAddress> {
    match reach(address) {
        Reach::Public => Ok(()),
        Reach::Private(_) if allow_private => Ok(()),
        Reach::Private(kind) => Err(ForbiddenAddress::Private { address, kind }),
        Reach::Never(kind) => Err(ForbiddenAddress::Never { address, kind }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach_of(text: &str) -> Reach {
        reach(text.parse().unwrap())
    }

    #[test]
    fn the_public_internet_is_public() {
        for public in [
            "140.82.121.3",
            "8.8.8.8",
            "172.15.255.255",
            "172.32.0.0",
            "100.63.0.1",
            "100.128.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:50c0:8000::153",
            "2a00:1450::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
        ] {
            assert_eq!(reach_of(public), Reach::Public, "{public}");
        }
    }

    #[test]
    fn ones_own_networks_need_leave() {
        for private in [
            "127.0.0.1",
            "127.255.255.255",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "::1",
            "fc00::1",
            "fd00:ec2::254",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::1",
            "2002:c0a8:101::1",
        ] {
            assert!(matches!(reach_of(private), Reach::Private(_)), "{private}: {:?}", reach_of(private));
            let address = private.parse().unwrap();
            assert!(check(address, true).is_ok(), "{private}");
            let refused = check(address, false).unwrap_err().to_string();
            assert!(refused.contains("allow_private_addresses"), "{refused}");
        }
    }

    #[test]
    fn some_addresses_are_nobodys() {
        for never in [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::7f00:1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "2001::1",
            "2001:2::1",
            "2001:db8::1",
            "3fff::1",
            "100::1",
            "5f00::1",
            "4000::1",
            "::ffff:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::1",
            "::ffff:0.0.0.0",
        ] {
            assert!(matches!(reach_of(never), Reach::Never(_)), "{never}: {:?}", reach_of(never));
            let address = never.parse().unwrap();
            assert!(check(address, true).is_err() && check(address, false).is_err(), "{never}");
        }
    }
}
