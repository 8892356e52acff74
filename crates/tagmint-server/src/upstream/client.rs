//! An HTTP client for documents that strangers name: bounded in time and size, and kept away from one's own network.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use http::{HeaderValue, StatusCode, header};
use reqwest::{
    Certificate, Client, Response, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect,
};

use tagmint_core::{outbound::Outbound, trusted_issuer::MAX_DOCUMENT_LEN};

use super::address::{self, ForbiddenAddress};
use crate::{outbound, settings::UpstreamSettings};

/// Bounds on one document.
#[derive(Debug, Clone, Copy)]
pub struct FetchLimits {
    /// How long a connection may take, TLS included.
    pub connect: Duration,
    /// How long all of it may take: name, connection, answer to its last byte.
    pub request: Duration,
    /// The largest body, in bytes.
    pub body: usize,
}

impl Default for FetchLimits {
    /// 3 s to connect, 5 s in all, 512 KiB. GitHub's and GitLab's documents are below 16 KiB.
    fn default() -> Self {
        Self { connect: Duration::from_secs(3), request: Duration::from_secs(5), body: MAX_DOCUMENT_LEN }
    }
}

/// Why a document was not fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{url}: {problem}")]
pub struct DocumentError {
    /// What was asked for.
    pub url: String,
    /// What went wrong.
    pub problem: DocumentProblem,
}

/// What went wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentProblem {
    /// Not a URL that may be asked.
    #[error("{0}")]
    Url(&'static str),
    /// It stands where no upstream may be.
    #[error("{0}")]
    Address(#[from] ForbiddenAddress),
    /// No connection: no such name, nobody listening, a certificate that is not trusted.
    #[error("no connection ({0})")]
    Connect(String),
    /// It took too long.
    #[error("it was not there in full after {} ms", .0.as_millis())]
    Timeout(Duration),
    /// An answer other than 200. Redirects are not followed.
    #[error("it answered {0}{hint}", hint = if .0.is_redirection() { "; redirects are not followed" } else { "" })]
    Status(StatusCode),
    /// 401 or 403: it wants to see a credential, or another one.
    #[error("it answered {0}; {1}")]
    Unauthorized(StatusCode, Shown),
    /// A compressed answer, although none was asked for.
    #[error("its answer has a content-encoding, which is not accepted")]
    Encoded,
    /// The body is too large.
    #[error("its answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The exchange broke off.
    #[error("the exchange failed ({0})")]
    Exchange(String),
}

/// Which credential a request showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// None is configured.
    Nothing,
    /// The token of `bearer_token_file`.
    Token,
    /// None, because the document is not where the token may go.
    Withheld,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => {
                "where it wants a bearer token name its file as `bearer_token_file`, or give the keys as `jwks_file`"
            }
            Self::Token => "it does not accept the token in `bearer_token_file`",
            Self::Withheld => {
                "the token in `bearer_token_file` is shown to the issuer's own host and port alone; to have it shown here set \
                 `jwks_uri` to this address"
            }
        })
    }
}

/// A client for one provider's documents.
///
/// It follows no redirect, decompresses nothing, and connects to no address that the provider may not have, whatever a name resolves to.
/// Where a request goes through a proxy, the proxy resolves the name: what stands in the URL and what this machine's own resolver knows of
/// the name are checked all the same, and what the proxy may reach is the proxy's matter.
#[derive(Clone)]
pub struct GuardedClient {
    direct: Client,
    proxied: Option<Client>,
    outbound: Outbound,
    resolver: Arc<dyn Resolve>,
    limits: FetchLimits,
    allow_private: bool,
}

/// How long this machine's resolver may take for a name that a proxy will resolve: behind a proxy there may be no resolver at all.
const LOOK_UP: Duration = Duration::from_secs(1);

impl fmt::Debug for GuardedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedClient")
            .field("limits", &self.limits)
            .field("allow_private", &self.allow_private)
            .finish_non_exhaustive()
    }
}

impl GuardedClient {
    /// A client that resolves names as the system does, within the usual limits.
    ///
    /// # Errors
    ///
    /// When `ca_pem` is no certificate, or there is none to trust: this machine has no root certificates and `ca_pem` is absent.
    pub fn new(settings: &UpstreamSettings) -> Result<Self, reqwest::Error> {
        Self::with(settings, FetchLimits::default(), Arc::new(SystemResolver))
    }

    /// A client with other limits and another source of addresses; the guard stands before it all the same.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with(
        settings: &UpstreamSettings,
        limits: FetchLimits,
        resolver: Arc<dyn Resolve>,
    ) -> Result<Self, reqwest::Error> {
        let allow_private = settings.allow_private_addresses;
        let build = |outbound: &Outbound| {
            let mut builder = Client::builder()
                .user_agent(concat!("tagmint/", env!("CARGO_PKG_VERSION")))
                .https_only(!allow_private)
                .redirect(redirect::Policy::none())
                .http1_only()
                .connect_timeout(limits.connect)
                .pool_max_idle_per_host(1)
                .pool_idle_timeout(limits.request);
            if let Some(pem) = &settings.ca_pem {
                builder = builder.tls_certs_merge(Certificate::from_pem_bundle(pem)?);
            }
            Ok::<_, reqwest::Error>(outbound::apply(builder, outbound))
        };
        let guard = GuardedResolver { inner: Arc::clone(&resolver), allow_private };
        let direct = build(&Outbound::direct())?.dns_resolver(guard).build()?;
        let outbound = settings.outbound.clone();
        // The proxy itself may well be at a private address: its client resolves no other name.
        let proxied = if outbound.is_direct() { None } else { Some(build(&outbound)?.build()?) };
        Ok(Self { direct, proxied, outbound, resolver, limits, allow_private })
    }

    /// The body at `url`.
    ///
    /// # Errors
    ///
    /// Anything but a complete, plain answer 200 within the limits, from an address that the provider may have.
    pub async fn get(&self, url: &str) -> Result<Vec<u8>, DocumentError> {
        self.get_with(url, None).await
    }

    /// The same, showing this `Authorization`.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub async fn get_with(&self, url: &str, authorization: Option<HeaderValue>) -> Result<Vec<u8>, DocumentError> {
        let timeout = self.limits.request;
        tokio::time::timeout(timeout, self.get_unhurried(url, authorization))
            .await
            .unwrap_or(Err(DocumentProblem::Timeout(timeout)))
            .map_err(|problem| DocumentError { url: url.chars().take(200).collect(), problem })
    }

    async fn get_unhurried(&self, url: &str, authorization: Option<HeaderValue>) -> Result<Vec<u8>, DocumentProblem> {
        let url = self.checked(url)?;
        let proxy = outbound::proxy_for(&self.outbound, &url).cloned();
        let client = match (&proxy, &self.proxied) {
            (Some(_), Some(proxied)) => {
                self.check_name(&url).await?;
                proxied
            }
            _ => &self.direct,
        };
        let shown = if authorization.is_some() { Shown::Token } else { Shown::Nothing };
        let mut request = client.get(url).header(header::ACCEPT, "application/json, application/jwk-set+json");
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let answer = request.header(header::ACCEPT_ENCODING, "identity").send().await;
        let answer = answer.map_err(|error| match (problem(error), &proxy) {
            (DocumentProblem::Connect(words), Some(proxy)) => {
                DocumentProblem::Connect(format!("{words}, through the proxy {proxy}"))
            }
            (problem, _) => problem,
        })?;
        match answer.status() {
            StatusCode::OK => {}
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                return Err(DocumentProblem::Unauthorized(status, shown));
            }
            status => return Err(DocumentProblem::Status(status)),
        }
        if answer.headers().get_all(header::CONTENT_ENCODING).iter().any(|encoding| encoding != "identity") {
            return Err(DocumentProblem::Encoded);
        }
        self.read(answer).await
    }

    async fn read(&self, mut answer: Response) -> Result<Vec<u8>, DocumentProblem> {
        let limit = self.limits.body;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(problem)? {
            if chunk.len() > limit - body.len() {
                return Err(DocumentProblem::TooLarge(limit));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// Refuses a name that this machine resolves to a forbidden address, before a proxy is asked for it. One that it cannot resolve is the
    /// proxy's to resolve.
    async fn check_name(&self, url: &Url) -> Result<(), DocumentProblem> {
        let Some(name) = url.domain().and_then(|name| name.parse::<Name>().ok()) else { return Ok(()) };
        let Ok(Ok(found)) = tokio::time::timeout(LOOK_UP, self.resolver.resolve(name)).await else { return Ok(()) };
        for found in found {
            address::check(found.ip(), self.allow_private)?;
        }
        Ok(())
    }

    /// An address that stands in the URL itself is never resolved, so it is checked here.
    fn checked(&self, url: &str) -> Result<Url, DocumentProblem> {
        let url = Url::parse(url).map_err(|_| DocumentProblem::Url("it is not a URL"))?;
        let host = url.host_str().ok_or(DocumentProblem::Url("it has no host"))?;
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        if let Some(literal) = literal {
            address::check(literal, self.allow_private)?;
        }
        let is_loopback = literal.map_or(host == "localhost", |literal| literal.is_loopback());
        match url.scheme() {
            "https" => {}
            "http" if self.allow_private && is_loopback => {}
            _ => return Err(DocumentProblem::Url("it does not begin with `https://`")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(DocumentProblem::Url("it holds a user name or a password"));
        }
        Ok(url)
    }
}

fn problem(error: reqwest::Error) -> DocumentProblem {
    let mut cause: &(dyn std::error::Error + 'static) = &error;
    loop {
        if let Some(forbidden) = cause.downcast_ref::<ForbiddenAddress>() {
            return DocumentProblem::Address(*forbidden);
        }
        match cause.source() {
            Some(deeper) => cause = deeper,
            None => break,
        }
    }
    let words = cause.to_string();
    if error.is_connect() || error.is_dns() {
        DocumentProblem::Connect(words)
    } else {
        DocumentProblem::Exchange(words)
    }
}

/// Asks the system for a name's addresses.
#[derive(Debug, Clone, Copy)]
struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Passes on what another resolver found, unless one of the addresses is forbidden: a name that stands for a public and a private address
/// at once is somebody's trick.
struct GuardedResolver {
    inner: Arc<dyn Resolve>,
    allow_private: bool,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (found, allow_private) = (self.inner.resolve(name), self.allow_private);
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = found.await?.collect();
            for found in &addresses {
                address::check(found.ip(), allow_private)?;
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(allow_private_addresses: bool) -> GuardedClient {
        crate::tls::install_provider();
        GuardedClient::new(&UpstreamSettings { allow_private_addresses, ..UpstreamSettings::default() }).unwrap()
    }

    #[test]
    fn only_tls_and_only_public_literals() {
        let client = client(false);
        for good in
            ["https://token.actions.githubusercontent.com/x", "https://8.8.8.8/x", "https://[2606:50c0::1]:8443/"]
        {
            assert!(client.checked(good).is_ok(), "{good}");
        }
        for bad in [
            "http://a.example/",
            "http://localhost:8080/",
            "ftp://a.example/",
            "file:///etc/passwd",
            "data:application/json,{}",
            "https://user@a.example/",
            "https://:word@a.example/",
            "https://",
            "/relative",
            "",
        ] {
            assert!(matches!(client.checked(bad), Err(DocumentProblem::Url(_))), "{bad}");
        }
        for private in [
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f.0.0.1/",
            "https://0177.0.0.1/",
            "https://127.0.0.1./",
            "https://%31%32%37.0.0.1/",
            "https://１２７.0.0.1/",
            "https://10.0.0.1:8443/",
            "https://169.254.169.254/latest/meta-data/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:7f00:1]/",
            "https://[fd00::1]/",
            "https://[fe80::1]/",
            "https://[64:ff9b::a00:1]/",
            "https://0/",
        ] {
            let refused = client.checked(private);
            assert!(matches!(refused, Err(DocumentProblem::Address(_))), "{private}: {refused:?}");
        }
    }

    #[test]
    fn where_the_provider_allows_it_loopback_and_private_addresses_pass() {
        let client = client(true);
        for good in
            ["https://127.0.0.1:1/", "http://127.0.0.1:1/", "http://localhost:1/", "http://[::1]/", "https://10.1.2.3/"]
        {
            assert!(client.checked(good).is_ok(), "{good}");
        }
        for bad in ["http://10.1.2.3/", "http://a.example/", "https://169.254.169.254/", "https://0.0.0.0/"] {
            assert!(client.checked(bad).is_err(), "{bad}");
        }
    }
}
