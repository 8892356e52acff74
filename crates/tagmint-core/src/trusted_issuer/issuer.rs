//! What the configuration says of a platform whose tokens are accepted.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
    sync::Arc,
};

use jiff::SignedDuration;
use serde::Serialize;

use super::{TokenAlgorithm, kind::IssuerKind};

/// A provider's name: 1 to 64 characters of `a-z`, `0-9` and `-`. Rules name it in `from`, the ledger keeps it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub struct TrustedIssuerName(Arc<str>);

/// The text cannot be a provider's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a provider's name has 1 to {} characters of `a-z`, `0-9` and `-`", TrustedIssuerName::MAX_LEN)]
pub struct InvalidTrustedIssuerName;

impl TrustedIssuerName {
    /// The most characters.
    pub const MAX_LEN: usize = 64;

    /// Checks a name.
    pub fn parse(text: &str) -> Result<Self, InvalidTrustedIssuerName> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let good = (1..=Self::MAX_LEN).contains(&text.len()) && text.bytes().all(allowed);
        if good { Ok(Self(text.into())) } else { Err(InvalidTrustedIssuerName) }
    }

    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TrustedIssuerName {
    type Err = InvalidTrustedIssuerName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for TrustedIssuerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TrustedIssuerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl From<TrustedIssuerName> for String {
    fn from(name: TrustedIssuerName) -> Self {
        name.0.as_ref().to_owned()
    }
}

/// The issuer URL of a platform, kept byte for byte: `iss` must equal it.
///
/// `https://HOST[:PORT][/PATH]` without user, query and fragment. Ports and a trailing slash are allowed, unlike in an
/// [`IssuerUrl`](crate::issuer::IssuerUrl): others chose this URL. `http://` is for a loopback host alone (a platform that a test plays).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrustedIssuerUrl(Arc<str>);

/// Why a text cannot be the issuer of a platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTrustedIssuerUrl {
    /// Longer than [`TrustedIssuerUrl::MAX_LEN`] characters.
    #[error("it has {0} characters; {max} are allowed", max = TrustedIssuerUrl::MAX_LEN)]
    TooLong(usize),
    /// Another scheme, or `http://` to another machine.
    #[error("it must begin with `https://` (`http://` is for a loopback host alone)")]
    Scheme,
    /// No DNS name or IP address, or a port that is no number.
    #[error(
        "`{0}` is not a host, or not a host and a port; an IPv6 address stands in brackets, as in `https://[2001:db8::1]:8443`"
    )]
    Host(String),
    /// A user, a query, a fragment, white space and the like.
    #[error("it holds `{0}`, which no issuer has; write scheme, host, port and path alone")]
    Character(char),
}

impl TrustedIssuerUrl {
    /// The most characters.
    pub const MAX_LEN: usize = 255;

    /// Checks `text` and keeps it unchanged.
    pub fn parse(text: &str) -> Result<Self, InvalidTrustedIssuerUrl> {
        check_url(text)?;
        Ok(Self(text.into()))
    }

    /// The URL as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host, without port: a DNS name, an IPv4 address, or an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        host(&self.0)
    }

    /// Whether it is asked in clear, which only a loopback host is.
    pub fn is_plain_http(&self) -> bool {
        self.0.starts_with("http://")
    }
}

impl fmt::Display for TrustedIssuerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TrustedIssuerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The host of a URL that [`check_url`] has taken, without port and brackets.
pub(super) fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    split_authority(authority).map_or("", |(host, _)| host)
}

/// Host and port of an authority (RFC 3986 §3.2). An IPv6 address stands in brackets, which are taken off.
fn split_authority(authority: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        address.parse::<Ipv6Addr>().ok()?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((address, Some(port))),
            None => rest.is_empty().then_some((address, None)),
        };
    }
    Some(authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))))
}

/// Checks a URL without user, query and fragment.
pub(super) fn check_url(text: &str) -> Result<(), InvalidTrustedIssuerUrl> {
    use InvalidTrustedIssuerUrl as Error;
    if text.len() > TrustedIssuerUrl::MAX_LEN {
        return Err(Error::TooLong(text.chars().count()));
    }
    let (rest, plain) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (rest, false),
        (None, Some(rest)) => (rest, true),
        (None, None) => return Err(Error::Scheme),
    };
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~/:%".contains(c);
    let literal = authority.starts_with('[');
    let mut all = authority.chars().filter(|c| !literal || !"[]".contains(*c)).chain(path.chars());
    if let Some(bad) = all.find(|c| !allowed(*c)) {
        return Err(Error::Character(bad));
    }
    let bad_host = || Error::Host(authority.to_owned());
    let (host, port) = split_authority(authority).ok_or_else(bad_host)?;
    let good_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let good_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|number| number.to_string() == port));
    if !(literal || host.split('.').all(good_label)) || !good_port {
        return Err(bad_host());
    }
    let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if plain && !loopback { Err(Error::Scheme) } else { Ok(()) }
}

/// How often one token may be exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// So many times within a time, for clients that repeat a request whose answer was lost.
    Times {
        /// How often, 1 to [`Self::MAX_USES`]. A repetition must be for the same audience and role.
        uses: u32,
        /// How long after its first use a token may be used again. Without meaning where `uses` is 1.
        within: SignedDuration,
    },
    /// As long as the token is good, for the same audience: for platforms that hand out one token for an hour.
    UntilExpiry {
        /// The most uses in a minute.
        per_minute: u32,
        /// Whether all uses must come from the network of the first one.
        one_network: bool,
    },
}

impl Reuse {
    /// Once.
    pub const ONCE: Self = Self::Times { uses: 1, within: SignedDuration::ZERO };
    /// The most uses that can be counted.
    pub const MAX_USES: u32 = 1_000;
}

/// A platform whose tokens are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedIssuer {
    /// Its name in rules and the ledger.
    pub name: TrustedIssuerName,
    /// What its tokens hold.
    pub kind: IssuerKind,
    /// What `iss` must equal, and where the keys are found.
    pub issuer: TrustedIssuerUrl,
    /// The audiences that mean this issuer. A token's one audience must be among them, byte for byte.
    pub audiences: Vec<String>,
    /// Whether `aud` may be a list of exactly one text beside a text, as Kubernetes writes it. A list of several is always refused: such
    /// a token is good elsewhere too, and whoever it was shown to there could bring it here.
    pub audience_list: bool,
    /// The algorithms that its tokens may be signed with.
    pub algorithms: Vec<TokenAlgorithm>,
    /// How far its clock and ours may differ, for `exp`, `nbf` and `iat` alike. At most [`Self::MAX_LEEWAY`].
    pub leeway: SignedDuration,
    /// The greatest age of a token, from `iat`. None: its `exp` alone counts.
    pub max_age: Option<SignedDuration>,
    /// The claims that rules see besides those that the kind's table lists. For `oidc`: the claims that rules see; None is all but those
    /// that verification consumes.
    pub claims: Option<Vec<String>>,
    /// How often one of its tokens may be exchanged.
    pub reuse: Reuse,
}

impl TrustedIssuer {
    /// The greatest leeway.
    pub const MAX_LEEWAY: SignedDuration = SignedDuration::from_mins(5);
    /// The leeway where the configuration gives none.
    pub const DEFAULT_LEEWAY: SignedDuration = SignedDuration::from_mins(1);
    /// The greatest age where the configuration gives none. GitHub's tokens live minutes, GitLab's as long as a job may run, and a job may
    /// well ask at its end.
    pub const DEFAULT_MAX_AGE: SignedDuration = SignedDuration::from_hours(6);

    /// A provider with the defaults of its kind.
    pub fn new(name: TrustedIssuerName, kind: IssuerKind, issuer: TrustedIssuerUrl, audiences: Vec<String>) -> Self {
        Self {
            name,
            kind,
            issuer,
            audiences,
            audience_list: kind.table().audience_list,
            algorithms: kind.table().algorithms.to_vec(),
            leeway: Self::DEFAULT_LEEWAY,
            max_age: Some(Self::DEFAULT_MAX_AGE),
            claims: None,
            reuse: Reuse::ONCE,
        }
    }
}
