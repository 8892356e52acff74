//! An issuer's documents, fetched as STS does: over verified TLS, without redirects, and not for long.

use std::time::Duration;

use reqwest::{Certificate, Client, redirect::Policy};
use serde_json::Value;
use tagmint_iam::web_identity::Fetched;

use crate::failure::causes;

/// How long a document may take. STS waits about as long.
const PATIENCE: Duration = Duration::from_secs(5);
/// The largest document, in bytes.
const LARGEST: usize = 1_048_576;

/// What came of the discovery document and the key set.
#[derive(Debug)]
pub struct Documents {
    /// The discovery document, or why there is none.
    pub discovery: Result<Vec<u8>, String>,
    /// The key set, or why there is none.
    pub jwks: Result<Vec<u8>, String>,
}

/// Why nothing could be fetched at all: what is wrong with the further roots.
#[derive(Debug, thiserror::Error)]
#[error("the file with further certificate authorities (--ca-file): {0}")]
pub struct InvalidRoots(String);

/// Fetches both. `roots` are further certificate authorities, as PEM.
pub async fn fetch(issuer: &str, roots: Option<&[u8]>) -> Result<Documents, InvalidRoots> {
    let client = client(roots)?;
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let discovery = get(&client, &url).await;
    let named = discovery.as_deref().ok().and_then(|document| serde_json::from_slice::<Value>(document).ok());
    let jwks = match named.as_ref().and_then(|document| document["jwks_uri"].as_str()) {
        Some(url) => get(&client, url).await,
        None => Err("the discovery document names no `jwks_uri`".to_owned()),
    };
    Ok(Documents { discovery, jwks })
}

/// An HTTPS client that trusts the system's certificate authorities and these, and follows no redirect.
pub fn client(roots: Option<&[u8]>) -> Result<Client, InvalidRoots> {
    let failed = |error: reqwest::Error| InvalidRoots(causes(&error));
    let mut builder = Client::builder().https_only(true).redirect(Policy::none()).timeout(PATIENCE);
    if let Some(pem) = roots {
        let roots = Certificate::from_pem_bundle(pem).map_err(failed)?;
        if roots.is_empty() {
            return Err(InvalidRoots("no certificate in it".to_owned()));
        }
        builder = builder.tls_certs_merge(roots);
    }
    builder.build().map_err(failed)
}

impl Documents {
    /// The discovery document as the engine takes it.
    pub fn discovery(&self) -> Fetched<'_> {
        fetched(&self.discovery)
    }

    /// The key set as the engine takes it.
    pub fn jwks(&self) -> Fetched<'_> {
        fetched(&self.jwks)
    }
}

fn fetched(outcome: &Result<Vec<u8>, String>) -> Fetched<'_> {
    match outcome {
        Ok(document) => Fetched::Document(document),
        Err(why) => Fetched::Failed(why),
    }
}

async fn get(client: &Client, url: &str) -> Result<Vec<u8>, String> {
    let failed = |error: reqwest::Error| format!("{url}: {}", causes(&error.without_url()));
    let mut answer = client.get(url).send().await.map_err(failed)?;
    if answer.status() != reqwest::StatusCode::OK {
        return Err(format!("{url}: answered {} instead of 200", answer.status().as_u16()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        body.extend_from_slice(&chunk);
        if body.len() > LARGEST {
            return Err(format!("{url}: larger than {LARGEST} bytes"));
        }
    }
    Ok(body)
}
