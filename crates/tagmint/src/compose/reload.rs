//! SIGHUP: reloads the rules and the certificate files of a running issuer.

use std::{path::Path, sync::Arc};

use tagmint_core::{rules::RuleSet, trusted_issuer::TrustedIssuer};
use tagmint_server::{certificate_files::Seen, settings::Settings};

use super::Issuer;
use crate::config::{Config, ConfigError};

impl Issuer {
    /// Reloads the rules and the certificate files. After an error the old ones stay in use.
    pub(super) async fn reload(&self) {
        let reading = (self.config_file.clone(), self.trusted_issuers.clone(), Arc::clone(self.app()));
        match tokio::task::spawn_blocking(move || rules_anew(&reading.0, &reading.1, reading.2.settings())).await {
            Ok(Ok(rules)) => {
                let hash = rules.hash().to_owned();
                if self.app().replace_rules(rules) {
                    tracing::info!(rules = hash, "other rules are in force");
                } else {
                    tracing::info!(rules = hash, "the rules are the same as before");
                }
            }
            Ok(Err(error)) => {
                self.app().keep_rules();
                tracing::error!(%error, "the rules could not be reloaded: the old ones stay in force");
            }
            Err(error) => {
                self.app().keep_rules();
                tracing::error!(%error, "the rules could not be reloaded: the old ones stay in force");
            }
        }
        let Some(files) = &self.certificate_files else { return };
        let reading = Arc::clone(files);
        match tokio::task::spawn_blocking(move || reading.reload()).await {
            // Asked for, it is said again.
            Ok(Seen::Unusable { error, .. }) => {
                files.note(&Seen::Unusable { error, new: true }, self.app().certificate_file_figures());
            }
            Ok(seen) => files.note(&seen, self.app().certificate_file_figures()),
            Err(error) => tracing::error!(%error, "the certificate could not be read anew"),
        }
    }
}

/// The rules of the configuration as it stands now. All of it must be good, and what the rules were checked against must be what the issuer
/// runs with: a rule that is sound under other settings may not be under these.
fn rules_anew(file: &Path, issuers: &[TrustedIssuer], running: &Settings) -> Result<RuleSet, ReloadError> {
    let config = Config::load(file)?;
    let settings = &config.settings;
    for (section, same) in [
        ("environment` and `issuer", settings.stamp == running.stamp),
        ("[token]", settings.optional_claims == running.optional_claims),
        ("[anonymous_minting]", settings.anonymous_minting == running.anonymous_minting),
    ] {
        if !same {
            return Err(ReloadError::Settings(section));
        }
    }
    if !config.issuers.iter().map(|config| &config.issuer).eq(issuers) {
        return Err(ReloadError::TrustedIssuers);
    }
    Ok(config.rules)
}

/// Why the rules stay as they are.
#[derive(Debug, thiserror::Error)]
enum ReloadError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(
        "the `[[trusted_issuer]]` tables differ from those that the issuer runs with; restart it (`systemctl restart`)"
    )]
    TrustedIssuers,
    #[error("`{0}` differs from what the issuer runs with, and rules depend on it; restart it (`systemctl restart`)")]
    Settings(&'static str),
}
