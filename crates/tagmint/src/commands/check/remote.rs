//! `tagmint check --remote`.

use std::fmt::Write as _;
use std::path::Path;

use tagmint_core::{
    alarm::conditions::RenewalView,
    clock::{Clock as _, SystemClock},
    key_schedule::KeyState,
    sanitize,
};
use tagmint_server::{
    acme::Overview,
    remote_check::{self, Inside, Level, RemoteCheck, Report, StoredLeaf},
};

use crate::{
    cli::CheckArgs,
    compose,
    config::{Config, Tls, files},
    error::CliError,
    output::{Output, table},
};

/// The port of plain HTTP.
const HTTP: u16 = 80;

/// Looks at a running issuer as STS would.
pub async fn run(args: CheckArgs, file: &Path, output: Output) -> Result<(), CliError> {
    let CheckArgs { remote, ca_file, timeout, http_port, against: _, against_credentials: _, config_only: _ } = args;
    // With a URL no configuration is needed.
    let (url, inside, needs_http) = if let Some(url) = remote.flatten() {
        (url, None, false)
    } else {
        let config = Config::load(file)?;
        let inside = inside(&config).await;
        let acme = matches!(config.tls, Tls::Acme(_));
        (config.settings.stamp.issuer, Some(inside), acme)
    };
    let ca_pem = ca_file.map(|file| files::read("the CA file", &file)).transpose()?;
    let has_port = url.without_scheme().split('/').next().is_some_and(|authority| authority.contains(':'));
    let check = RemoteCheck {
        url,
        ca_pem,
        timeout: timeout.unsigned_abs(),
        http_port: http_port.or((!has_port).then_some(HTTP)),
        needs_http,
        inside,
    };
    let report = check.run(&SystemClock).await.map_err(|error| CliError::Refused(error.to_string()))?;
    output.data(&report, || text(&report))?;
    let failed = report.rows.iter().filter(|row| row.level == Level::Failure).count();
    match (report.reached, failed) {
        (false, _) => Err(CliError::Unreachable(format!("nobody answers at {}", report.url))),
        (true, 0) => Ok(()),
        (true, 1) => Err(CliError::Refused("one check failed".to_owned())),
        (true, several) => Err(CliError::Refused(format!("{several} checks failed"))),
    }
}

/// What the configuration, its files and its database say.
async fn inside(config: &Config) -> Inside {
    let (stored, keys) = match database(config).await {
        Ok((stored, keys)) => (stored, Ok(keys)),
        Err(error) => (None, Err(error.to_string())),
    };
    let (certificate, renewal) = match &config.tls {
        Tls::Files { certificate, key } => {
            let leaf = match files::tls(certificate, key) {
                Ok(stored) => StoredLeaf::Leaf(stored.leaf().to_vec()),
                Err(error) => StoredLeaf::Unusable(error.to_string()),
            };
            (Some(leaf), None)
        }
        Tls::Acme(_) => stored.unzip(),
        Tls::Proxy => (None, None),
    };
    Inside { certificate, renewal, keys, policy: config.settings.rotation }
}

/// What the database says: the certificate and its renewals where the issuer orders it itself, and the keys.
async fn database(config: &Config) -> Result<(Option<(StoredLeaf, RenewalView)>, Vec<KeyState>), CliError> {
    let store = compose::open_existing(config).await?;
    let read = async {
        let stored = match &config.tls {
            Tls::Acme(acme) => {
                let found = Overview::read(&store, &acme.directory, &acme.names, SystemClock.now()).await?;
                Some(remote_check::ordered(&found))
            }
            Tls::Files { .. } | Tls::Proxy => None,
        };
        let keys = store.keys().list().await?;
        Ok((stored, keys.into_iter().map(|record| record.state).collect()))
    };
    let read = read.await;
    store.close().await;
    read
}

fn text(report: &Report) -> String {
    let mark = |level| match level {
        Level::Ok => "✓",
        Level::Note => "·",
        Level::Warning => "!",
        Level::Failure => "✗",
        Level::Skipped => "-",
    };
    let rows = report.rows.iter().map(|row| [mark(row.level).to_owned(), row.check.to_owned(), row.seen.clone()]);
    let mut text = format!("{}\n\n{}", report.url, table(["", "check", "seen"], rows));
    for row in report.rows.iter().filter(|row| matches!(row.level, Level::Warning | Level::Failure)) {
        let fix = row.fix.as_deref().unwrap_or("nothing");
        let _ = write!(
            text,
            "\n\n{} {}: {}\n  should be: {}\n  what to do: {fix}",
            mark(row.level),
            row.check,
            sanitize::text(&row.seen),
            sanitize::text(&row.expected)
        );
    }
    text
}
