//! Sets of networks: written in a configuration, or published by AWS.

use std::{net::IpAddr, str::FromStr};

use serde::Deserialize;

/// The service in AWS's list that stands for all of AWS's addresses: it contains those of EC2 and of every other service. From which of
/// them STS fetches is not documented.
const ALL_OF_AWS: &str = "AMAZON";

/// The text is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not a network such as `203.0.113.0/24` or `2001:db8::/32`: an address, `/`, the length of the prefix, and nothing set behind it"
)]
pub struct InvalidNetwork;

/// The text is no list of AWS's networks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRanges {
    /// It is not JSON of that form.
    #[error(
        "is not AWS's list of its networks (https://ip-ranges.amazonaws.com/ip-ranges.json, with `prefixes` and `ipv6_prefixes`): {0}"
    )]
    Form(String),
    /// An entry is no network.
    #[error("names `{0}`, which is no network")]
    Network(String),
    /// There is none.
    #[error("names no network of the service `AMAZON`, which stands for all of AWS's")]
    Empty,
}

/// A set of networks. IPv4 addresses are kept as the IPv6 addresses that they are mapped to (RFC 4291 §2.5.5.2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(Vec<(u128, u128)>);

impl Networks {
    /// A set of everything that is in one of these.
    pub fn union(sets: impl IntoIterator<Item = Self>) -> Self {
        let mut spans: Vec<(u128, u128)> = sets.into_iter().flat_map(|set| set.0).collect();
        spans.sort_unstable();
        let mut merged: Vec<(u128, u128)> = Vec::with_capacity(spans.len());
        for (first, last) in spans {
            match merged.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        Self(merged)
    }

    /// Reads the list that AWS publishes (`ip-ranges.json`, described in the VPC user guide, "AWS IP address ranges").
    ///
    /// # Errors
    ///
    /// When the text is no such list, or names no network of AWS.
    pub fn from_aws_ranges(json: &[u8]) -> Result<Self, InvalidRanges> {
        let list: AwsRanges = serde_json::from_slice(json).map_err(|error| InvalidRanges::Form(error.to_string()))?;
        let v4 = list.prefixes.into_iter().map(|entry| (entry.service, entry.ip_prefix));
        let v6 = list.ipv6_prefixes.into_iter().map(|entry| (entry.service, entry.ipv6_prefix));
        let all = v4.chain(v6).filter(|(service, _)| service == ALL_OF_AWS);
        let sets = all.map(|(_, prefix)| prefix.parse().map_err(|InvalidNetwork| InvalidRanges::Network(prefix)));
        let networks = Self::union(sets.collect::<Result<Vec<Self>, _>>()?);
        if networks.0.is_empty() { Err(InvalidRanges::Empty) } else { Ok(networks) }
    }

    /// Whether the address lies in one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        let bits = bits(address);
        let before = self.0.partition_point(|(first, _)| *first <= bits);
        before.checked_sub(1).and_then(|index| self.0.get(index)).is_some_and(|(_, last)| bits <= *last)
    }
}

/// A network of one address.
impl From<IpAddr> for Networks {
    fn from(address: IpAddr) -> Self {
        let bits = bits(address);
        Self(vec![(bits, bits)])
    }
}

/// One network. A bare address is a network of one.
impl FromStr for Networks {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let address: IpAddr = address.parse().map_err(|_| InvalidNetwork)?;
        let width: u32 = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => width,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|length| *length <= width).ok_or(InvalidNetwork)?
            }
            Some(_) => return Err(InvalidNetwork),
        };
        let behind = u128::MAX.checked_shr(128 - (width - length)).unwrap_or(0);
        let first = bits(address);
        if first & behind == 0 { Ok(Self(vec![(first, first | behind)])) } else { Err(InvalidNetwork) }
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[derive(Deserialize)]
struct AwsRanges {
    prefixes: Vec<V4Range>,
    ipv6_prefixes: Vec<V6Range>,
}

#[derive(Deserialize)]
struct V4Range {
    ip_prefix: String,
    service: String,
}

#[derive(Deserialize)]
struct V6Range {
    ipv6_prefix: String,
    service: String,
}
