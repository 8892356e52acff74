//! Fetching an issuer's documents as STS does: over verified TLS, without redirects, for five seconds at most.

use std::time::Duration;

use serde_json::Value;

use crate::aws::StartError;

/// How long STS waits.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The largest document that is read, in bytes.
const MAX_BYTES: usize = 1 << 20;

/// What came of fetching discovery and key set; an error says why not.
#[derive(Debug)]
pub struct Documents {
    /// The discovery document.
    pub discovery: Result<Vec<u8>, String>,
    /// The key set.
    pub jwks: Result<Vec<u8>, String>,
}

/// Fetches issuers' documents.
#[derive(Debug, Clone)]
pub struct Fetcher(reqwest::Client);

impl Fetcher {
    /// Trusts the system's roots, and those of a PEM bundle besides.
    pub fn new(more_roots: Option<&[u8]>) -> Result<Self, StartError> {
        let mut builder = reqwest::Client::builder()
            .https_only(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .user_agent("tagmint-localaws");
        if let Some(pem) = more_roots {
            let roots = reqwest::Certificate::from_pem_bundle(pem)?;
            if roots.is_empty() {
                return Err(StartError::NoRoots);
            }
            builder = builder.tls_certs_merge(roots);
        }
        Ok(Self(builder.build()?))
    }

    /// The documents of an issuer (OpenID Connect Discovery 1.0 §4).
    pub async fn documents(&self, issuer: &str) -> Documents {
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let discovery = self.get(&url).await;
        let jwks = match &discovery {
            Err(_) => Err("the discovery document could not be fetched".to_owned()),
            Ok(document) => match jwks_uri(document) {
                Some(uri) => self.get(&uri).await,
                None => Err("the discovery document has no `jwks_uri`".to_owned()),
            },
        };
        Documents { discovery, jwks }
    }

    async fn get(&self, url: &str) -> Result<Vec<u8>, String> {
        let mut answer = self.0.get(url).send().await.map_err(|error| told(url, &error))?;
        let status = answer.status();
        if status != http::StatusCode::OK {
            return Err(format!("{url} answered {status}"));
        }
        let mut document = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| told(url, &error))? {
            if document.len() + chunk.len() > MAX_BYTES {
                return Err(format!("{url} answered more than {MAX_BYTES} bytes"));
            }
            document.extend_from_slice(&chunk);
        }
        Ok(document)
    }
}

fn jwks_uri(discovery: &[u8]) -> Option<String> {
    let document: Value = serde_json::from_slice(discovery).ok()?;
    document.get("jwks_uri")?.as_str().map(str::to_owned)
}

/// The error with its causes: reqwest's own text leaves out what TLS says.
fn told(url: &str, error: &reqwest::Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |error| error.source());
    let causes: Vec<String> = causes.map(|cause| format!(": {cause}")).collect();
    format!("{url}: {error}{}", causes.concat())
}
