//! The files of providers: key sets, bearer tokens, certificates.

use std::path::{Path, PathBuf};

use tagmint_core::{
    outbound::Outbound,
    trusted_issuer::{KeySet, TrustedIssuer},
};
use tagmint_server::settings::{KeySource, UpstreamSettings};
use zeroize::Zeroizing;

use super::{Config, FileError, ca_bundle, read};
use crate::config::TrustedIssuerConfig;

/// A provider's certificates, in messages.
const CA: &str = "a provider's CA file";
/// A provider's key set, in messages.
pub(super) const KEYS: &str = "a provider's key set";
/// The token that is shown to a provider, in messages.
pub(super) const TOKEN: &str = "a provider's bearer token file";

/// Looks at the files of a provider: which, where, and what was found.
pub(super) fn inspect(provider: &TrustedIssuerConfig) -> Vec<(&'static str, PathBuf, Result<String, FileError>)> {
    let mut all = Vec::new();
    if let Some(file) = &provider.ca_file {
        all.push(("provider CA", file.clone(), ca_bundle(CA, file).map(|_| "holds certificates".to_owned())));
    }
    if let KeySource::File(file) = &provider.source {
        all.push(("provider keys", file.clone(), jwks(file)));
    }
    if let Some(file) = &provider.bearer_token_file {
        all.push(("provider token", file.clone(), bearer_token(file).map(|()| "holds a bearer token".to_owned())));
    }
    all
}

/// The providers, with how their keys are fetched through this proxy: the files that they name are read.
pub fn upstreams(config: &Config, outbound: &Outbound) -> Result<Vec<(TrustedIssuer, UpstreamSettings)>, FileError> {
    let upstream = |config: &TrustedIssuerConfig| {
        if let KeySource::File(file) = &config.source {
            jwks(file)?;
        }
        if let Some(file) = &config.bearer_token_file {
            bearer_token(file)?;
        }
        let settings = UpstreamSettings {
            source: config.source.clone(),
            bearer_token_file: config.bearer_token_file.clone(),
            outbound: outbound.clone(),
            ca_pem: config.ca_file.as_deref().map(|file| ca_bundle(CA, file)).transpose()?,
            allow_private_addresses: config.allow_private_addresses,
            refresh: config.refresh,
            stale_after: config.stale_after,
            unknown_key_interval: config.unknown_key_interval,
        };
        Ok((config.issuer.clone(), settings))
    };
    config.issuers.iter().map(upstream).collect()
}

/// Reads a provider's key set, and says what is in it.
fn jwks(file: &Path) -> Result<String, FileError> {
    let keys =
        KeySet::parse(&read(KEYS, file)?).map_err(|source| FileError::KeySet { file: file.to_owned(), source })?;
    let skipped: Vec<String> = keys.passed_over().iter().map(ToString::to_string).collect();
    if keys.is_empty() {
        let why = if skipped.is_empty() { String::new() } else { format!(": {}", skipped.join("; ")) };
        return Err(FileError::NoKeys { file: file.to_owned(), why });
    }
    let held = format!("holds {} usable key{}", keys.len(), if keys.len() == 1 { "" } else { "s" });
    Ok(if skipped.is_empty() { held } else { format!("{held}; skipped {}", skipped.join("; ")) })
}

/// Looks at the bearer token that is shown where a provider's keys are fetched.
fn bearer_token(file: &Path) -> Result<(), FileError> {
    let token = Zeroizing::new(read(TOKEN, file)?);
    let good = tagmint_server::upstream::fetch::bearer(&token).is_some();
    if good { Ok(()) } else { Err(FileError::NoToken(file.to_owned())) }
}
