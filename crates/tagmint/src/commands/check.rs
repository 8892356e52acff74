//! `tagmint check`.

pub mod against;
pub mod remote;
pub(crate) mod unfinished;

use std::path::Path;

use serde_json::{Value, json};
use tagmint_core::{
    clock::{Clock as _, SystemClock},
    sealing::MasterKey,
    trusted_issuer::TrustedIssuer,
};
use tagmint_store::{LedgerError, LedgerQuery, Store, StoreError};

use crate::{
    compose,
    config::{
        Config, Tls, TrustedIssuerConfig,
        files::{self, FileState},
    },
    durations,
    error::CliError,
    isolation,
    output::{Output, pairs, table},
    surroundings,
};

/// Says what a configuration means and whether its files can be used.
pub async fn run(config: &Config, config_only: bool, output: Output) -> Result<(), CliError> {
    let now = SystemClock.now();
    let mut files = if config_only {
        Vec::new()
    } else {
        files::inspect(config, surroundings::credentials_directory().as_deref(), now)
    };
    if let Some(other) = config.isolated_from.as_ref().filter(|_| !config_only) {
        let found = isolation::refuse_shared(config);
        files.push(state(
            "the other world",
            other.display().to_string(),
            found.map(|()| "shares nothing with this one"),
        ));
    }
    let bad_before = files.iter().filter(|file| !file.ok).count();
    let mut unfinished = unfinished::in_configuration(config);
    let mut status = None;
    if !config_only {
        let found = database(config).await;
        status = found.as_ref().err().map(CliError::status);
        files.push(state("database", config.database.display().to_string(), found));
        unfinished.extend(unfinished::in_database(config, now).await);
    }
    let bad = bad_before + usize::from(status.is_some());
    let settings = &config.settings;
    let rotation = &settings.rotation;
    let tls = match &config.tls {
        Tls::Files { .. } => "files",
        Tls::Acme(_) => "acme",
        Tls::Proxy => "proxy",
    };
    let backend = config.session_backend.as_ref().map(|backend| backend.url.as_str());
    let issuers: Vec<_> = config.issuers.iter().map(issuer_as_json).collect();
    let outbound = compose::outbound(config)?.to_string();
    let private_authority = if config_only { None } else { files::private_authority(config, now) };
    let warnings: Vec<&String> = config.warnings.iter().chain(&private_authority).chain(&unfinished).collect();
    let data = json!({
        "ok": bad == 0 && (unfinished.is_empty() || !config.strict),
        "config": config.file,
        "issuer": settings.stamp.issuer,
        "environment": settings.stamp.environment,
        "public": config.public.to_string(),
        "admin": config.admin.to_string(),
        "tls": tls,
        "session_backend": backend,
        "trusted_issuers": issuers,
        "rules_hash": config.rules.hash(),
        "outbound": outbound,
        "algorithm": rotation.algorithm,
        "rules": config.rule_notes,
        "rule_warnings": config.rules.warnings(),
        "files": files,
        "warnings": warnings,
    });
    output.data(&data, || {
        let row = |name: &str, value: String| (name.to_owned(), value);
        let summary = pairs([
            row("issuer", settings.stamp.issuer.to_string()),
            row("environment", settings.stamp.environment.to_string()),
            row("listens on", format!("{} (tls: {tls}), admin {}", config.public, config.admin)),
            row("session backend", backend.unwrap_or("none").to_owned()),
            row("trusted issuers", issuer_names(config)),
            row("own requests go", outbound.clone()),
            row("rules", format!("{} (hash {})", config.rule_notes.len(), config.rules.hash())),
            row(
                "keys",
                format!(
                    "{}, a new one every {}, published {} ahead",
                    rotation.algorithm,
                    durations::in_words(rotation.rotate_every),
                    durations::in_words(rotation.publish_ahead)
                ),
            ),
        ]);
        let rules =
            config.rule_notes.iter().map(|rule| [rule.name.clone(), rule.description.clone().unwrap_or_default()]);
        let mark = |ok| if ok { "ok" } else { "WRONG" }.to_owned();
        let parts =
            files.iter().map(|file| [mark(file.ok), file.what.to_owned(), file.file.clone(), file.state.clone()]);
        let rules = table(["rule", "for"], rules);
        if config_only {
            return format!("{summary}\n\n{rules}");
        }
        format!("{summary}\n\n{rules}\n\n{}", table(["", "file", "where", "state"], parts))
    })?;
    for warning in warnings {
        output.warn(warning);
    }
    let message = match bad {
        0 if config.strict && !unfinished.is_empty() => {
            let text = format!("`strict` is on, and the set-up is not finished: {}", unfinished.join("; "));
            return Err(CliError::Check(text));
        }
        0 => return Ok(()),
        1 => "one file cannot be used".to_owned(),
        several => format!("{several} files cannot be used"),
    };
    // `serve` would end with the same code.
    if bad_before == 0 && status == Some(1) { Err(CliError::Unusable(message)) } else { Err(CliError::Check(message)) }
}

fn state(what: &'static str, file: String, found: Result<&str, CliError>) -> FileState {
    let ok = found.is_ok();
    FileState { what, file, ok, state: found.map_or_else(|error| error.to_string(), str::to_owned) }
}

fn issuer_as_json(config: &TrustedIssuerConfig) -> Value {
    let TrustedIssuer { name, kind, issuer, audiences, .. } = &config.issuer;
    json!({"name": name, "kind": kind.as_str(), "issuer": issuer.as_str(), "audiences": audiences})
}

/// "github (https://…), gitlab (https://…)".
fn issuer_names(config: &Config) -> String {
    let shown = |config: &TrustedIssuerConfig| format!("{} ({})", config.issuer.name, config.issuer.issuer);
    let all: Vec<String> = config.issuers.iter().map(shown).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}

/// Looks at the database as `serve` does, but makes and changes nothing.
async fn database(config: &Config) -> Result<&'static str, CliError> {
    let file = &config.database;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        let (database, folder) = (file.to_string_lossy().into(), folder.to_string_lossy().into());
        return Err(StoreError::NoFolder { database, folder }.into());
    }
    if !file.try_exists().unwrap_or(true) {
        return Ok("is made at the first start");
    }
    let store = match compose::open_existing(config).await {
        Ok(store) => store,
        // Both are for `serve` to mend.
        Err(CliError::Store(StoreError::Missing { .. })) => return Ok("is empty, and filled at the first start"),
        Err(CliError::Store(StoreError::OlderSchema { .. })) => {
            return Ok("is of an older version, and migrated at the next start");
        }
        Err(error) => return Err(error),
    };
    // What is wrong with the key file itself has a line of its own.
    let master_key = compose::master_key(config).ok();
    let sealed = match &master_key {
        Some(master_key) => seal(config, &store, master_key).await,
        None => Ok("belongs to this issuer; the ledger's seal was not checked, for want of the key file"),
    };
    store.close().await;
    sealed
}

/// Whether the ledger's head is sealed under the key file.
async fn seal(config: &Config, store: &Store, master_key: &MasterKey) -> Result<&'static str, CliError> {
    let database = || config.database.to_string_lossy().into();
    match store.ledger().head().await? {
        Some(stored) if master_key.ledger_head_is_genuine(stored.head.seq, &stored.head.hash, &stored.seal) => {
            Ok("belongs to this issuer and this key file")
        }
        Some(_) => Err(LedgerError::Seal { database: database() }.into()),
        None if store.ledger().page(&LedgerQuery::default(), 1).await?.is_empty() => Ok("belongs to this issuer"),
        None => Err(LedgerError::HeadMissing { database: database() }.into()),
    }
}
