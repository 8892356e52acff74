//! From an issuer's URL to its keys: discovery, then the key set; or from where else the configuration says that they are.

use std::{
    fmt, fs,
    io::Read,
    path::{Path, PathBuf},
};

use futures::future::BoxFuture;
use http::HeaderValue;
use reqwest::Url;
use tagmint_core::trusted_issuer::{
    InvalidKeySet, KeySet, MAX_DOCUMENT_LEN, TrustedIssuerUrl,
    discovery::{self, InvalidDiscovery, JwksUri},
};
use zeroize::Zeroizing;

use super::client::{DocumentError, DocumentProblem, GuardedClient, Shown};
use crate::settings::{KeySource, UpstreamSettings};

/// The longest bearer token, in bytes. Kubernetes' have some 1,000.
const MAX_TOKEN_LEN: usize = 16 * 1024;

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
        /// Where it came from: a URL, or a file.
        url: String,
        /// The fault in it.
        error: InvalidKeySet,
    },
    /// A file of the configuration cannot be used.
    #[error("`{key}` {file}: {problem}")]
    File {
        /// The configuration's key.
        key: &'static str,
        /// Where the file is.
        file: String,
        /// The fault in it.
        problem: String,
    },
    /// The source of keys did not come to an end, or ended in a panic.
    #[error("the fetch {0}")]
    Broken(&'static str),
}

/// Where keys come from. A seam: the platform is another program.
pub trait KeyFetcher: Send + Sync + fmt::Debug {
    /// The keys that `issuer` publishes now.
    fn fetch<'a>(&'a self, issuer: &'a TrustedIssuerUrl) -> BoxFuture<'a, Result<KeySet, FetchError>>;
}

/// Asks the issuer itself: its discovery document (OpenID Connect Discovery 1.0 §4), and the key set that this names. Or asks for the key
/// set at once, where the configuration says where it is.
#[derive(Debug, Clone)]
pub struct HttpKeyFetcher {
    client: GuardedClient,
    jwks_uri: Option<JwksUri>,
    bearer_token_file: Option<PathBuf>,
}

impl HttpKeyFetcher {
    /// Asks by this client, with discovery and without a credential.
    pub const fn new(client: GuardedClient) -> Self {
        Self { client, jwks_uri: None, bearer_token_file: None }
    }

    /// Asks by this client as the settings say.
    pub fn by(client: GuardedClient, settings: &UpstreamSettings) -> Self {
        let jwks_uri = match &settings.source {
            KeySource::Uri(uri) => Some(uri.clone()),
            KeySource::Discovery | KeySource::File(_) => None,
        };
        Self { client, jwks_uri, bearer_token_file: settings.bearer_token_file.clone() }
    }

    async fn ask(&self, issuer: &TrustedIssuerUrl) -> Result<KeySet, FetchError> {
        let authorization = self.authorization().await?;
        if let Some(uri) = &self.jwks_uri {
            return self.keys(uri, authorization).await;
        }
        let url = discovery::url(issuer);
        let document = self.client.get_with(&url, authorization.clone()).await?;
        let uri = discovery::jwks_uri(&document, issuer)?;
        // The author of the document may name any host: the token is for the issuer's own.
        let withheld = authorization.is_some() && !is_same_origin(uri.as_str(), &url);
        match self.keys(&uri, authorization.filter(|_| !withheld)).await {
            Err(FetchError::Document(DocumentError { url, problem: DocumentProblem::Unauthorized(status, _) }))
                if withheld =>
            {
                Err(DocumentError { url, problem: DocumentProblem::Unauthorized(status, Shown::Withheld) }.into())
            }
            other => other,
        }
    }

    async fn keys(&self, uri: &JwksUri, authorization: Option<HeaderValue>) -> Result<KeySet, FetchError> {
        let document = self.client.get_with(uri.as_str(), authorization).await?;
        KeySet::parse(&document).map_err(|error| FetchError::Keys { url: uri.as_str().to_owned(), error })
    }

    /// The token of the file as it is now: a projected token is replaced while the issuer runs.
    async fn authorization(&self) -> Result<Option<HeaderValue>, FetchError> {
        let Some(file) = &self.bearer_token_file else { return Ok(None) };
        let token = Zeroizing::new(read("bearer_token_file", file, MAX_TOKEN_LEN).await?);
        bearer(&token).map(Some).ok_or_else(|| {
            let problem = "it does not hold a bearer token, and nothing else (RFC 6750: letters, digits and -._~+/=)";
            failed("bearer_token_file", file, problem)
        })
    }
}

/// `Authorization` with the token of a file; none where the file holds something else.
pub fn bearer(file: &[u8]) -> Option<HeaderValue> {
    let token = std::str::from_utf8(file).ok()?.trim();
    // RFC 6750 §2.1, b64token.
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if token.is_empty() || !token.bytes().all(allowed) {
        return None;
    }
    let text = Zeroizing::new(format!("Bearer {token}"));
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn is_same_origin(one: &str, other: &str) -> bool {
    match (Url::parse(one), Url::parse(other)) {
        (Ok(one), Ok(other)) => one.origin() == other.origin(),
        _ => false,
    }
}

impl KeyFetcher for HttpKeyFetcher {
    fn fetch<'a>(&'a self, issuer: &'a TrustedIssuerUrl) -> BoxFuture<'a, Result<KeySet, FetchError>> {
        Box::pin(self.ask(issuer))
    }
}

/// Reads a key set that another program puts on this machine, and keeps there.
#[derive(Debug, Clone)]
pub struct FileKeyFetcher(PathBuf);

impl FileKeyFetcher {
    /// Reads this file.
    pub const fn new(file: PathBuf) -> Self {
        Self(file)
    }
}

impl KeyFetcher for FileKeyFetcher {
    fn fetch<'a>(&'a self, _: &'a TrustedIssuerUrl) -> BoxFuture<'a, Result<KeySet, FetchError>> {
        Box::pin(async {
            let document = read("jwks_file", &self.0, MAX_DOCUMENT_LEN).await?;
            KeySet::parse(&document).map_err(|error| FetchError::Keys { url: self.0.display().to_string(), error })
        })
    }
}

async fn read(key: &'static str, file: &Path, most: usize) -> Result<Vec<u8>, FetchError> {
    let path = file.to_owned();
    let reading = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        // One byte more than is taken tells that there is too much.
        fs::File::open(path)?.take(most as u64 + 1).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(bytes)
    });
    let bytes = reading.await.map_err(|_| FetchError::Broken("was given up"))?;
    let bytes = bytes.map_err(|error| failed(key, file, &error.to_string()))?;
    if bytes.len() > most { Err(failed(key, file, &format!("it is larger than {most} bytes"))) } else { Ok(bytes) }
}

fn failed(key: &'static str, file: &Path, problem: &str) -> FetchError {
    FetchError::File { key, file: file.display().to_string(), problem: problem.to_owned() }
}
