//! From an issuer's URL to its keys: discovery, then the key set.

use std::fmt;

use futures::future::BoxFuture;
use tagmint_core::federation::{
    InvalidKeySet, KeySet, UpstreamIssuer,
    discovery::{self, InvalidDiscovery},
};

use super::client::{DocumentError, GuardedClient};

/// Why an issuer's keys were not fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// One of the two documents could not be had.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The discovery document is of no use.
    #[error(transparent)]
    Discovery(#[from] InvalidDiscovery),
    /// The key set is of no use.
    #[error("{url}: {error}")]
    Keys {
        /// Where it came from.
        url: String,
        /// What is wrong with it.
        error: InvalidKeySet,
    },
    /// The source of keys did not come to an end, or ended in a panic.
    #[error("the fetch {0}")]
    Broken(&'static str),
}

/// Where keys come from. A seam: the platform is another program.
pub trait KeyFetcher: Send + Sync + fmt::Debug {
    /// The keys that `issuer` publishes now.
    fn fetch<'a>(&'a self, issuer: &'a UpstreamIssuer) -> BoxFuture<'a, Result<KeySet, FetchError>>;
}

/// Asks the issuer itself: its discovery document (OpenID Connect Discovery 1.0 §4), and the key set that this names.
#[derive(Debug, Clone)]
pub struct HttpKeyFetcher(GuardedClient);

impl HttpKeyFetcher {
    /// Asks by this client.
    pub const fn new(client: GuardedClient) -> Self {
        Self(client)
    }

    async fn ask(&self, issuer: &UpstreamIssuer) -> Result<KeySet, FetchError> {
        let document = self.0.get(&discovery::url(issuer)).await?;
        let uri = discovery::jwks_uri(&document, issuer)?;
        let document = self.0.get(uri.as_str()).await?;
        KeySet::parse(&document).map_err(|error| FetchError::Keys { url: uri.as_str().to_owned(), error })
    }
}

impl KeyFetcher for HttpKeyFetcher {
    fn fetch<'a>(&'a self, issuer: &'a UpstreamIssuer) -> BoxFuture<'a, Result<KeySet, FetchError>> {
        Box::pin(self.ask(issuer))
    }
}
