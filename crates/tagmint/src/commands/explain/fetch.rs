//! The issuer's documents, fetched as STS does: over verified TLS, without redirects, and not for long.

use std::{error::Error, time::Duration};

use reqwest::{Certificate, Client, redirect::Policy};
use serde_json::Value;

use crate::error::CliError;

/// How long a document may take. STS waits about as long.
const PATIENCE: Duration = Duration::from_secs(5);
/// The largest document, in bytes.
const LARGEST: usize = 1_048_576;

/// What came of the discovery document and the key set.
pub(super) struct Documents {
    pub(super) discovery: Result<Vec<u8>, String>,
    pub(super) jwks: Result<Vec<u8>, String>,
}

/// Fetches both. `roots` are further certificate authorities, as PEM.
pub(super) async fn documents(issuer: &str, roots: Option<&[u8]>) -> Result<Documents, CliError> {
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

fn client(roots: Option<&[u8]>) -> Result<Client, CliError> {
    let failed = |error: reqwest::Error| CliError::Refused(format!("--ca-file: {}", causes(&error)));
    let mut builder = Client::builder().https_only(true).redirect(Policy::none()).timeout(PATIENCE);
    if let Some(pem) = roots {
        let roots = Certificate::from_pem_bundle(pem).map_err(failed)?;
        if roots.is_empty() {
            return Err(CliError::Refused("--ca-file: no certificate in the file".to_owned()));
        }
        builder = builder.tls_certs_merge(roots);
    }
    builder.build().map_err(failed)
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

/// An error with what caused it.
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
