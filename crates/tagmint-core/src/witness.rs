//! Who fetched the published documents, and what a key may conclude from it.
//!
//! A fetch of the key set by STS is a **witness** for the keys in it. What it is worth:
//!
//! - It is no proof. AWS documents neither the addresses nor the user agent of these fetches, anybody can send any user agent, and anybody
//!   can rent an address of AWS. STS is many machines, and one that has fetched says nothing of another.
//! - So a witness can **only end a wait** (`crate::key_schedule`): a key that waits begins to sign no sooner than it would without the
//!   feature, which is no sooner than the JWKS `max-age` after its publication. Whoever forges a fetch gets the schedule that an issuer
//!   without the feature has. Whoever suppresses one (by filling the recorder) delays a rotation up to its deadline, while the older key
//!   signs on.
//!
//! Nothing here reads a socket: the server records, the store counts, and this module says what a fetch is.

mod networks;

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use jiff::Timestamp;
use serde::Serialize;

pub use self::networks::{InvalidNetwork, InvalidRanges, Networks};
use crate::{key_schedule::KeyState, sanitize::redact, signing_key::KeyId};

/// The longest user agent that is kept, in characters.
pub const USER_AGENT_LENGTH: usize = 120;

/// A document that STS fetches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Document {
    /// `/.well-known/openid-configuration`.
    Discovery,
    /// `/.well-known/jwks.json`.
    Jwks,
}

impl Document {
    /// Its name in the store and in figures.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Discovery => "discovery",
            Self::Jwks => "jwks",
        }
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who is taken to have fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FetchClass {
    /// AWS STS, as far as the configuration can tell.
    Sts,
    /// Anybody else.
    Other,
}

impl FetchClass {
    /// Its name in the store and in figures.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sts => "sts",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for FetchClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names nothing of the kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not one of the names that are stored for it")]
pub struct UnknownName;

impl FromStr for Document {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Discovery, Self::Jwks].into_iter().find(|known| known.as_str() == text).ok_or(UnknownName)
    }
}

impl FromStr for FetchClass {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Sts, Self::Other].into_iter().find(|known| known.as_str() == text).ok_or(UnknownName)
    }
}

/// Where a fetch came from: the /24 of an IPv4 address, the /48 of an IPv6 address. Whole addresses are not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SourceNetwork(IpAddr);

impl From<IpAddr> for SourceNetwork {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & (u32::MAX << 8)).into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 80)).into(),
        })
    }
}

impl fmt::Display for SourceNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0, if self.0.is_ipv4() { 24 } else { 48 })
    }
}

/// A caller's `User-Agent`, cut to [`USER_AGENT_LENGTH`] and printable ASCII, without what looks like a credential: a stranger chose it, it is
/// kept, and it is shown on terminals.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UserAgent(Box<str>);

impl UserAgent {
    /// Takes over what can be shown of a header's value; every other byte becomes `?`, and no header is `-`.
    pub fn new(header: Option<&[u8]>) -> Self {
        let shown = |byte: &u8| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '?' };
        match header.unwrap_or_default() {
            [] => Self("-".into()),
            bytes => {
                let text: String = bytes.iter().map(shown).collect();
                let clean = redact(&text);
                Self(clean.chars().filter(char::is_ascii).take(USER_AGENT_LENGTH).collect())
            }
        }
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How STS is told from anybody else. Of each kind that is given, one entry must match; where nothing is given nobody is STS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recognition {
    /// Beginnings of the user agent.
    pub user_agents: Vec<String>,
    /// Networks that it comes from; none where the address does not matter.
    pub networks: Option<Networks>,
}

impl Recognition {
    /// Whether anybody can be recognised as STS.
    pub const fn is_given(&self) -> bool {
        !self.user_agents.is_empty() || self.networks.is_some()
    }

    /// Whose fetch it is.
    pub fn class(&self, address: IpAddr, agent: &UserAgent) -> FetchClass {
        let agent_fits = || self.user_agents.is_empty() || self.user_agents.iter().any(|it| agent.0.starts_with(&**it));
        let network_fits = || self.networks.as_ref().is_none_or(|networks| networks.contains(address));
        if self.is_given() && agent_fits() && network_fits() { FetchClass::Sts } else { FetchClass::Other }
    }
}

/// When STS last fetched each key, on any node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Witnesses(HashMap<KeyId, Timestamp>);

impl Witnesses {
    /// Whether STS has fetched the key since its publication.
    pub fn saw(&self, key: &KeyState) -> bool {
        self.0.get(&key.kid).is_some_and(|last| *last >= key.schedule.published_at)
    }

    /// When STS last fetched any key.
    pub fn latest(&self) -> Option<Timestamp> {
        self.0.values().max().copied()
    }
}

impl FromIterator<(KeyId, Timestamp)> for Witnesses {
    fn from_iter<I: IntoIterator<Item = (KeyId, Timestamp)>>(fetched: I) -> Self {
        Self(fetched.into_iter().collect())
    }
}

#[cfg(test)]
mod tests;
