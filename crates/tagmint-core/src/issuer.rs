//! The issuer URL: the name under which AWS registers the provider.

use std::fmt;

use serde::Serialize;

/// Longest issuer URL that IAM registers (`CreateOpenIDConnectProvider`, parameter `Url`).
pub const MAX_ISSUER_LEN: usize = 255;

/// A checked issuer URL, kept byte for byte as it was written: `iss` must equal the registered URL exactly.
///
/// `https://HOST[/PATH]`: no query, no fragment, no user, no trailing slash (a slash makes a different provider on AWS), host in
/// lower case (AWS keeps the case it is given). A port is accepted for loopback hosts alone: AWS refuses any. `:443`
/// is none: AWS drops it, so that `iss` would not match.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(into = "String")]
pub struct IssuerUrl(String);

/// Why a text cannot be an issuer URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIssuer {
    /// Longer than [`MAX_ISSUER_LEN`].
    #[error("the issuer URL has {0} characters; IAM takes at most {MAX_ISSUER_LEN}")]
    TooLong(usize),
    /// Not `https://`.
    #[error("the issuer URL must begin with `https://`: AWS fetches its documents over TLS alone")]
    NotHttps,
    /// The host is missing or holds characters that a DNS name cannot have.
    #[error("the issuer's host `{0}` is not a DNS name in lower case")]
    Host(String),
    /// A port on a host that is not loopback, or no number.
    #[error(
        "the issuer URL has the port `{0}`; AWS refuses ports (only a loopback host may have one, for local work; 443 is left out)"
    )]
    Port(String),
    /// A trailing slash.
    #[error("the issuer URL ends in `/`: to AWS that is a different provider; write it without")]
    TrailingSlash,
    /// A query, a fragment, a user or a character that a path cannot have.
    #[error("the issuer URL holds `{0}`, which no issuer URL may have")]
    Character(char),
    /// An empty, `.` or `..` path segment.
    #[error("the issuer URL's path has the segment `{0}`; use plain names")]
    Segment(String),
}

impl IssuerUrl {
    /// Checks `text` and keeps it unchanged.
    pub fn parse(text: &str) -> Result<Self, InvalidIssuer> {
        if text.chars().count() > MAX_ISSUER_LEN {
            return Err(InvalidIssuer::TooLong(text.chars().count()));
        }
        let rest = text.strip_prefix("https://").ok_or(InvalidIssuer::NotHttps)?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~/:".contains(c);
        if let Some(bad) = rest.chars().find(|c| !allowed(*c)) {
            return Err(InvalidIssuer::Character(bad));
        }
        if rest.ends_with('/') {
            return Err(InvalidIssuer::TrailingSlash);
        }
        let (authority, path) = rest.split_once('/').map_or((rest, None), |(a, p)| (a, Some(p)));
        let (host, port) = authority.split_once(':').map_or((authority, None), |(h, p)| (h, Some(p)));
        if !is_dns_name(host) {
            return Err(InvalidIssuer::Host(host.to_owned()));
        }
        if let Some(port) = port
            && (!is_loopback(host)
                || port == "443"
                || !port.parse::<u16>().is_ok_and(|number| number.to_string() == port))
        {
            return Err(InvalidIssuer::Port(port.to_owned()));
        }
        for segment in path.iter().flat_map(|path| path.split('/')) {
            if matches!(segment, "" | "." | "..") || segment.contains(':') {
                return Err(InvalidIssuer::Segment(segment.to_owned()));
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// The URL as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host, without port.
    pub fn host(&self) -> &str {
        let authority = self.authority();
        authority.split_once(':').map_or(authority, |(host, _)| host)
    }

    /// The path, empty or beginning with `/`.
    pub fn path(&self) -> &str {
        &self.without_scheme()[self.authority().len()..]
    }

    /// The URL minus its scheme: the name of the provider in ARNs and condition keys (`HOST[/PATH]`).
    pub fn without_scheme(&self) -> &str {
        self.0.strip_prefix("https://").unwrap_or(&self.0)
    }

    /// Whether the host is this machine. Such an issuer cannot be registered with AWS.
    pub fn is_loopback(&self) -> bool {
        is_loopback(self.host())
    }

    /// The absolute URL of a path below the issuer; `path` begins with `/`.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    fn authority(&self) -> &str {
        let rest = self.without_scheme();
        rest.split_once('/').map_or(rest, |(authority, _)| authority)
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host == "127.0.0.1"
}

fn is_dns_name(host: &str) -> bool {
    host.len() <= 253
        && host.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        })
}

impl fmt::Display for IssuerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for IssuerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl From<IssuerUrl> for String {
    fn from(url: IssuerUrl) -> Self {
        url.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_aws_registers() {
        for good in [
            "https://broker.litentry.org",
            "https://b.example/path/two",
            "https://localhost:8443",
            "https://127.0.0.1:1/x",
        ] {
            assert_eq!(IssuerUrl::parse(good).unwrap().as_str(), good);
        }
        let url = IssuerUrl::parse("https://localhost:8443/a/b").unwrap();
        assert_eq!((url.host(), url.path(), url.without_scheme()), ("localhost", "/a/b", "localhost:8443/a/b"));
        assert_eq!(url.join("/x"), "https://localhost:8443/a/b/x");
    }

    #[test]
    fn refuses_what_aws_would_register_as_something_else() {
        use InvalidIssuer as E;
        let cases = [
            ("http://a.example", E::NotHttps),
            ("https://", E::Host(String::new())),
            ("https://a.example/", E::TrailingSlash),
            ("https://a.example:443", E::Port("443".into())),
            ("https://localhost:99999", E::Port("99999".into())),
            ("https://localhost:443", E::Port("443".into())),
            ("https://localhost:080", E::Port("080".into())),
            ("https://A.example", E::Host("A.example".into())),
            ("https://a..example", E::Host("a..example".into())),
            ("https://u@a.example", E::Character('@')),
            ("https://a.example?x", E::Character('?')),
            ("https://a.example#x", E::Character('#')),
            ("https://a.example/%2e", E::Character('%')),
            ("https://a.example/../b", E::Segment("..".into())),
            ("https://a.example//b", E::Segment(String::new())),
            ("https://bücher.example", E::Character('ü')),
        ];
        for (text, expected) in cases {
            assert_eq!(IssuerUrl::parse(text), Err(expected), "{text}");
        }
        assert_eq!(IssuerUrl::parse(&format!("https://a.example/{}", "x".repeat(300))), Err(E::TooLong(318)));
    }
}
