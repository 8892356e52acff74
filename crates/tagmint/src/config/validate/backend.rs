//! The session backend.

use std::net::IpAddr;

use jiff::SignedDuration;
use tagmint_core::environment::Environment;

use super::{Check, MINUTE};
use crate::config::{SessionBackendConfig, problem::shortened, raw::RawSessionBackend};

/// The longest URL of a service, in characters.
const MAX_URL: usize = 2_000;

impl Check<'_> {
    pub(super) fn session_backend(
        &mut self,
        raw: &RawSessionBackend,
        environment: Environment,
    ) -> Option<SessionBackendConfig> {
        let bounds = (SignedDuration::from_millis(100), MINUTE);
        let timeout = self.duration("session_backend.timeout", &raw.timeout, bounds).unsigned_abs();
        if let Err(message) = check_service_url(&raw.url, environment) {
            // What follows an `@` or `?` may be a secret.
            let shown =
                if raw.url.contains(['@', '?']) { "the URL".to_owned() } else { format!("`{}`", shortened(&raw.url)) };
            self.problem("session_backend.url", format!("{shown} {message}"));
            return None;
        }
        let ca_file = raw.ca_file.as_ref().map(|file| self.path(file));
        Some(SessionBackendConfig { url: raw.url.clone(), timeout, ca_file })
    }
}

/// Whether `url` is one of a service that can be asked in this environment.
pub(super) fn check_service_url(url: &str, environment: Environment) -> Result<(), &'static str> {
    let parsed = reqwest::Url::parse(url).map_err(|_| "is not a URL such as `https://service.example.org`")?;
    if url.len() > MAX_URL || parsed.query().is_some() || parsed.fragment().is_some() {
        return Err("has a query or fragment, or is too long: write scheme, host, port and path alone");
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err("holds a user or password, which do not belong into a configuration");
    }
    let host = parsed.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match (parsed.scheme(), environment) {
        ("https", _) => Ok(()),
        ("http", Environment::Test) if loopback => Ok(()),
        ("http", Environment::Test) => {
            Err("sends secrets in clear over a network: use `https://`; `http://` is for loopback hosts alone")
        }
        ("http", Environment::Prod) => Err("is plain HTTP, which prod does not use: use `https://`"),
        _ => Err("has a scheme other than `https` (or `http` for a loopback host, in test)"),
    }
}
