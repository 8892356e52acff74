//! The folder of a local issuer.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::Write,
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tagmint_core::{random::SystemRandom, sealing::MasterKey, signing_key::Algorithm};
use tagmint_server::{tls::Certificate, x509};

use super::config::{self, Addresses};
use crate::{error::CliError, surroundings};

/// How long local certificates are good, in days.
const CERTIFICATE_DAYS: i64 = 365;
/// After how long they are made anew.
const RENEW_AFTER: SignedDuration = SignedDuration::from_hours(24 * 300);
/// Everything below this line of the configuration is kept as it is.
const MARKER: &str =
    "# --- Rules: yours to edit. `tagmint dev` writes the part above anew at each start and keeps this one. ---";

/// The paths of a local issuer's files.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) dir: PathBuf,
    pub(super) config: PathBuf,
    pub(super) ca: PathBuf,
    certificate: PathBuf,
    tls_key: PathBuf,
    key: PathBuf,
}

/// What the configuration of the last start says.
#[derive(Debug, Default)]
pub(super) struct Noted {
    pub(super) public: Option<u16>,
    pub(super) admin: Option<u16>,
    pub(super) backend: Option<u16>,
    pub(super) algorithm: Option<Algorithm>,
}

impl Layout {
    /// Makes the folder, for its owner alone.
    pub(super) fn prepare(dir: &Path) -> Result<Self, CliError> {
        let dir = surroundings::absolute(dir);
        DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(failed("make", &dir))?;
        Ok(Self {
            config: dir.join("tagmint.toml"),
            ca: dir.join("ca.pem"),
            certificate: dir.join("server.pem"),
            tls_key: dir.join("server-key.pem"),
            key: dir.join("key"),
            dir,
        })
    }

    /// Makes sure that one issuer alone runs in this folder.
    pub(super) fn lock(&self) -> Result<File, CliError> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.dir.join("lock"))
            .map_err(failed("open", &self.dir.join("lock")))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(CliError::Refused(format!(
                "a local issuer is running in {} already; end it, or use another folder with --dir",
                self.dir.display()
            ))),
            Err(TryLockError::Error(source)) => Err(CliError::file("lock", &self.dir.join("lock"), source)),
        }
    }

    /// The ports and the algorithm of the last start.
    pub(super) fn noted(&self) -> Noted {
        let text = fs::read_to_string(&self.config).unwrap_or_default();
        let table: toml::Table = text.parse().unwrap_or_default();
        let value = |section: &str, key: &str| table.get(section)?.get(key)?.as_str();
        let port = |text: &str| text.parse::<SocketAddr>().ok().map(|address| address.port());
        Noted {
            public: value("listen", "public").and_then(port),
            admin: value("listen", "admin").and_then(port),
            backend: value("session_backend", "url").and_then(|url| port(url.strip_prefix("http://")?)),
            algorithm: value("keys", "algorithm").and_then(|text| text.parse().ok()),
        }
    }

    /// Makes the key file and the certificates where they are missing, too old or unusable.
    pub(super) fn write_secrets(&self, now: Timestamp) -> Result<(), CliError> {
        if !self.key.exists() {
            write(&self.key, MasterKey::generate_file(&SystemRandom)?.as_bytes())?;
        }
        let made = fs::metadata(&self.ca).and_then(|metadata| metadata.modified()).ok();
        let young = made
            .and_then(|made| Timestamp::try_from(made).ok())
            .is_some_and(|made| now.duration_since(made) < RENEW_AFTER);
        if !young || Certificate::from_files(&self.certificate, &self.tls_key).is_err() {
            let certificates = x509::local_certificates(now, CERTIFICATE_DAYS)?;
            write(&self.certificate, certificates.certificate_pem.as_bytes())?;
            write(&self.tls_key, certificates.key_pem.as_bytes())?;
            write(&self.ca, certificates.ca_pem.as_bytes())?;
        }
        Ok(())
    }

    /// Writes what AWS needs to know of the issuer.
    pub(super) fn write_aws_set_up(&self, set_up: &Value) -> Result<(), CliError> {
        write(&self.dir.join("localaws.json"), format!("{set_up:#}\n").as_bytes())
    }

    /// Writes the configuration; rules that were edited stay.
    pub(super) fn write_config(&self, addresses: Addresses, algorithm: Algorithm) -> Result<(), CliError> {
        let old = fs::read_to_string(&self.config).unwrap_or_default();
        let kept = old.split_once(MARKER).map(|(_, rules)| rules.to_owned());
        let rules = kept.unwrap_or_else(|| format!("\n{}", config::rules()));
        let settings = config::settings(addresses, algorithm);
        write(&self.config, format!("{settings}{MARKER}{rules}").as_bytes())
    }
}

fn failed(verb: &'static str, file: &Path) -> impl Fn(std::io::Error) -> CliError {
    move |source| CliError::file(verb, file, source)
}

/// Writes a file whole or not at all, for its owner alone.
fn write(file: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let failed = failed("write", file);
    let fresh = file.with_extension("new");
    // A file that a killed process left behind may have any mode.
    if fresh.exists() {
        fs::remove_file(&fresh).map_err(&failed)?;
    }
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh).map_err(&failed)?;
    out.write_all(bytes).and_then(|()| out.sync_all()).map_err(&failed)?;
    fs::rename(&fresh, file).map_err(&failed)
}
