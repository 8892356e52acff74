//! `tagmint serve`.

use std::path::Path;

use serde_json::json;
use tagmint_core::clock::{Clock as _, SystemClock};

use crate::{
    compose::{self, ServiceManager, Signals, Sockets},
    config::{Config, files},
    error::CliError,
    isolation, logging,
    output::Output,
    surroundings,
};

/// Runs an issuer until it is told to end.
pub async fn run(file: &Path, output: Output) -> Result<(), CliError> {
    let mut config = Config::load(file)?;
    logging::init(&config.log);
    surroundings::forbid_core_dumps();
    let private_authority = files::private_authority(&config, SystemClock.now());
    for warning in config.warnings.iter().chain(&private_authority) {
        tracing::warn!("{warning}");
    }
    isolation::refuse_shared(&config)?;
    let open_files = surroundings::raise_open_files();
    surroundings::leave_files_for_the_database(open_files, &mut config.settings.limits);
    let signals = Signals::listen()?;
    let manager = ServiceManager::connect();
    let sockets = Sockets::take(&config)?;
    let stamp = config.settings.stamp.clone();
    let issuer = compose::start_on(config, sockets).await?;
    let address = issuer.public_address();
    tracing::info!(
        issuer = %stamp.issuer, environment = %stamp.environment, public = %address, admin = issuer.admin_url(), open_files,
        version = env!("CARGO_PKG_VERSION"), "the issuer is ready"
    );
    let ready = json!({"issuer": stamp.issuer, "admin": issuer.admin_url()});
    output.data(&ready, || {
        format!("{} is ready on {address}; metrics on {}/metrics", stamp.issuer, issuer.admin_url())
    })?;
    issuer.run_under(&manager, signals).await
}
