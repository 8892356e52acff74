//! The issuer's own requests.

use tagmint_core::outbound::{NoProxy, Outbound, ProxyUrl};

use super::Check;
use crate::config::{
    problem::shortened,
    raw::{RawConfig, RawOutbound},
};

impl Check<'_> {
    /// How requests leave this machine; none: as the environment says.
    pub(super) fn outbound(&mut self, raw: &RawOutbound) -> Option<Outbound> {
        let direct = NoProxy::parse(raw.no_proxy.iter().map(String::as_str)).unwrap_or_else(|error| {
            let at = raw.no_proxy.iter().position(|entry| error.0 == shortened(entry) || entry.starts_with(&error.0));
            self.problem(&format!("outbound.no_proxy[{}]", at.unwrap_or(0)), error.to_string());
            NoProxy::default()
        });
        match raw.proxy.as_deref() {
            None | Some("none") if !raw.no_proxy.is_empty() => {
                let message = "is of no use without `outbound.proxy`: remove it, or put it into the variable NO_PROXY";
                self.problem("outbound.no_proxy", message);
                None
            }
            None => None,
            Some("none") => Some(Outbound::direct()),
            Some(text) => match ProxyUrl::parse(text) {
                Ok(proxy) if proxy.has_user() => {
                    let message = format!(
                        "`{proxy}` has a user or password, which do not belong into a configuration: remove `outbound.proxy`, and set HTTPS_PROXY \
                         in an environment file that its owner alone can read"
                    );
                    self.problem("outbound.proxy", message);
                    None
                }
                Ok(proxy) => Some(Outbound::through(proxy, direct)),
                Err(error) => {
                    // The text before an `@` is a password.
                    let shown =
                        if text.contains('@') { "the URL".to_owned() } else { format!("`{}`", shortened(text)) };
                    self.problem("outbound.proxy", format!("{shown}: {error}; `none` stands for no proxy"));
                    None
                }
            },
        }
    }
}

/// Warns of the effect of a proxy on other settings.
pub(super) fn warning(raw: &RawConfig) -> Option<String> {
    let proxied = raw.outbound.proxy.as_deref().is_some_and(|proxy| proxy != "none");
    (proxied && !raw.trusted_issuer.is_empty()).then(|| {
        "`outbound.proxy` is set: the proxy, not this issuer, resolves the names of platforms and of what their documents name; have it refuse \
         connections into your own network"
            .to_owned()
    })
}
