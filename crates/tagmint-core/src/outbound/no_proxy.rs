//! The hosts to ask directly although there is a proxy.

use std::{fmt, net::IpAddr, str::FromStr};

use crate::witness::Networks;

/// A list of hosts, domains and networks, in the form of `NO_PROXY`: `10.0.0.0/8`, `192.0.2.1`, `[2001:db8::1]:8443`, `example.org` (with
/// what is below it), `.example.org`, `*.example.org`, `host:8443`, `*` for everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NoProxy(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    text: String,
    what: What,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Everything,
    Networks(Networks),
    /// A host's name, in lower case, and what is below it.
    Domain(String),
}

/// The text is no entry of such a list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a host, a domain such as `.example.org`, or a network such as `10.0.0.0/8`")]
pub struct InvalidNoProxy(pub String);

impl NoProxy {
    /// A list of entries.
    ///
    /// # Errors
    ///
    /// With the first that is none.
    pub fn parse<'t>(entries: impl IntoIterator<Item = &'t str>) -> Result<Self, InvalidNoProxy> {
        entries.into_iter().map(str::parse).collect::<Result<Vec<Entry>, _>>().map(Self)
    }

    /// The value of the variable: entries with commas or white space between them. Text that is not an entry is passed over.
    pub(super) fn lenient(list: &str) -> Self {
        let entries = list.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty());
        Self(entries.filter_map(|entry| entry.parse().ok()).collect())
    }

    /// The entries without ports, domains without what stands for "below".
    pub(super) fn without_ports(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|entry| match (&entry.what, entry.port) {
            (What::Domain(domain), _) => domain.clone(),
            (What::Networks(_), Some(_)) => {
                let address = entry.text.rsplit_once(':').map_or(entry.text.as_str(), |(address, _)| address);
                address.trim_matches(['[', ']']).to_owned()
            }
            (What::Networks(_) | What::Everything, _) => entry.text.trim_matches(['[', ']']).to_owned(),
        })
    }

    /// Whether nothing is on it.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it names this host, in lower case and without brackets, at this port.
    pub(super) fn names(&self, host: &str, port: u16) -> bool {
        let address = host.parse::<IpAddr>().ok();
        self.0.iter().filter(|entry| entry.port.is_none_or(|wanted| wanted == port)).any(|entry| match &entry.what {
            What::Everything => true,
            What::Networks(networks) => address.is_some_and(|address| networks.contains(address)),
            What::Domain(domain) => {
                let above = host.strip_suffix(domain.as_str());
                address.is_none() && above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
            }
        })
    }
}

impl FromStr for Entry {
    type Err = InvalidNoProxy;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidNoProxy(text.chars().take(80).collect());
        let entry = |what, port| Ok(Self { text: text.to_owned(), what, port });
        if text == "*" {
            return entry(What::Everything, None);
        }
        if let Ok(networks) = text.parse::<Networks>() {
            return entry(What::Networks(networks), None);
        }
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, "")) => (address, None),
            Some((address, rest)) => (address, Some(rest.strip_prefix(':').ok_or_else(invalid)?)),
            None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
        };
        let port = port.map(|port| port.parse::<u16>().map_err(|_| invalid())).transpose()?;
        if let Ok(address) = host.parse::<IpAddr>() {
            return entry(What::Networks(address.to_string().parse().map_err(|_| invalid())?), port);
        }
        let domain = host.strip_prefix("*.").or_else(|| host.strip_prefix('.')).unwrap_or(host);
        let domain = domain.trim_end_matches('.').to_ascii_lowercase();
        let good =
            |label: &str| !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
        // A name that ends in a label of digits is an address that was not written well.
        let number = domain.rsplit('.').next().is_some_and(|last| last.chars().all(|c| c.is_ascii_digit()));
        if !domain.split('.').all(good) || number {
            return Err(invalid());
        }
        entry(What::Domain(domain), port)
    }
}

impl fmt::Display for NoProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<&str> = self.0.iter().map(|entry| entry.text.as_str()).collect();
        f.write_str(&texts.join(", "))
    }
}
