//! Requests to AWS, and the proxy that they go through.

use aws_smithy_http_client::proxy::ProxyConfig;
use reqwest::{ClientBuilder, Proxy, Url};
use tagmint_core::outbound::{Outbound, ProxyUrl};

/// The proxy for a URL; none: it is asked directly.
pub(crate) fn proxy_for<'o>(outbound: &'o Outbound, url: &str) -> Option<&'o ProxyUrl> {
    let url = Url::parse(url).ok()?;
    outbound.proxy_for(url.scheme(), url.host_str()?, url.port())
}

/// Sends the requests of this client as `outbound` says, and by nothing that the process's environment says.
pub(crate) fn apply(builder: ClientBuilder, outbound: &Outbound) -> ClientBuilder {
    let builder = builder.no_proxy();
    if outbound.is_direct() {
        return builder;
    }
    let outbound = outbound.clone();
    builder.proxy(Proxy::custom(move |url: &Url| {
        proxy_for(&outbound, url.as_str()).map(|proxy| proxy.expose().to_owned())
    }))
}

/// The same for a client of the SDK's own, whose URLs are not known here: those that find credentials. Only `https://` goes through the
/// proxy; the metadata services of a machine and a container speak plain HTTP, and are asked directly.
pub(crate) fn for_credentials(outbound: &Outbound) -> ProxyConfig {
    let proxy = outbound.https().and_then(|proxy| ProxyConfig::https(proxy.expose()).ok());
    proxy.map_or_else(ProxyConfig::disabled, |proxy| proxy.no_proxy(outbound.direct_for_others()))
}

#[cfg(test)]
mod tests {
    use tagmint_core::outbound::NoProxy;

    use super::*;

    #[test]
    fn credentials_are_found_through_the_proxy_too() {
        assert!(for_credentials(&Outbound::direct()).is_disabled());
        let proxy = ProxyUrl::parse("http://proxy.example:3128").unwrap();
        let outbound = Outbound::through(proxy, NoProxy::parse([".vpce.amazonaws.com"]).unwrap());
        assert!(!for_credentials(&outbound).is_disabled());
        let proxied = |url: &str| proxy_for(&outbound, url).is_some();
        assert!(proxied("https://sts.eu-central-1.amazonaws.com"));
        assert!(!proxied("https://x.sts.eu-central-1.vpce.amazonaws.com") && !proxied("http://127.0.0.1:9000"));
    }
}
