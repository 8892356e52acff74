//! Requests of the issuer's own, and the proxy that they go through.

use reqwest::{ClientBuilder, Proxy, Url};
use tagmint_core::outbound::{Outbound, ProxyUrl};

/// Sends the requests of this client as `outbound` says, and by nothing that the process's environment says.
pub fn apply(builder: ClientBuilder, outbound: &Outbound) -> ClientBuilder {
    let builder = builder.no_proxy();
    if outbound.is_direct() {
        return builder;
    }
    let outbound = outbound.clone();
    builder.proxy(Proxy::custom(move |url: &Url| proxy_for(&outbound, url).map(|proxy| proxy.expose().to_owned())))
}

/// The proxy for a URL; none: it is asked directly.
pub fn proxy_for<'o>(outbound: &'o Outbound, url: &Url) -> Option<&'o ProxyUrl> {
    outbound.proxy_for(url.scheme(), url.host_str()?, url.port())
}
