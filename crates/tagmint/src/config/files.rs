//! The files that a configuration names: whether they are there, whether others can read them, whether they hold what they should.

mod providers;
mod tls;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use secrecy::SecretString;
use serde::Serialize;
use tagmint_core::{
    sealing::{MasterKey, SealingError},
    trusted_issuer::InvalidKeySet,
    witness::{InvalidRanges, Networks},
};
use tagmint_server::tls::TlsError;
use zeroize::Zeroizing;

use self::providers::{KEYS, TOKEN};
pub use self::{
    providers::upstreams,
    tls::{certificate, private_authority, tls},
};
use super::{AlarmSinkConfig, AlarmSinkKind, Config, SecretSource, Tls, WebhookUrl};

/// The permission bits of everybody but the owner.
const GROUP_AND_OTHERS: u32 = 0o077;
/// The permission bits of those outside the file's group.
const OTHERS: u32 = 0o007;

/// The session backend's certificates, in messages.
const BACKEND_CA: &str = "the session backend's CA file";
/// The certificates of STS, in messages.
const STS_CA: &str = "the CA file of STS";
/// The certificates of the ACME server, in messages.
const ACME_CA: &str = "the CA file of the ACME server";
/// The key of an external account binding, in messages.
const EAB_KEY: &str = "the HMAC key file of the external account binding";
/// A sink's certificates, in messages.
const SINK_CA: &str = "the CA file of an alarm sink";

/// AWS's list of its networks, in messages.
const AWS_NETWORKS: &str = "the list of AWS's networks";

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is not there, or cannot be read.
    #[error("{what} {}: {source}", file.display())]
    Read {
        /// Which file.
        what: &'static str,
        /// Where.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Somebody else can read it.
    #[error("{what} {} can be read by others (mode {mode:04o}); `chmod 600` it", file.display())]
    Open {
        /// Which file.
        what: &'static str,
        /// Where.
        file: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It holds no key.
    #[error("the key file {}: {source}", file.display())]
    Key {
        /// Where.
        file: PathBuf,
        /// What it should hold.
        source: SealingError,
    },
    /// A systemd credential was named outside a unit that has it.
    #[error(
        "a secret is the systemd credential `{0}`, and $CREDENTIALS_DIRECTORY is not set: run as a unit with `LoadCredential={0}:FILE`, \
         or by hand with the folder of that file in the variable (the other one's of `--against` in `--against-credentials`)"
    )]
    NoCredentials(String),
    /// Certificate and key.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No authority vouches for a prod issuer's certificate.
    #[error(
        "the certificate {} is self-signed, and this is a prod issuer: AWS does not fetch its keys; take one of a public certificate \
         authority, or order it with `tls.mode = \"acme\"`",
        .0.display()
    )]
    SelfSigned(PathBuf),
    /// Certificate and key can be served, and no client would take them.
    #[error("{}: {faults}", .0.display(), faults = .1)]
    Unfit(PathBuf, String),
    /// No list of networks.
    #[error("{AWS_NETWORKS} {} {source}", file.display())]
    Networks {
        /// Where.
        file: PathBuf,
        /// What it should hold.
        source: InvalidRanges,
    },
    /// Not an HMAC key.
    #[error("{EAB_KEY} {} does not hold a key of 16 bytes or more in base64url, as the CA shows it", file.display())]
    HmacKey {
        /// Where.
        file: PathBuf,
    },
    /// Not a key set.
    #[error("{KEYS} {} (`jwks_file`): {source}", file.display())]
    KeySet {
        /// Where.
        file: PathBuf,
        /// The fault in it.
        source: InvalidKeySet,
    },
    /// A key set of which no key can be used.
    #[error("{KEYS} {} (`jwks_file`) has no key that can be used{why}", file.display())]
    NoKeys {
        /// Where.
        file: PathBuf,
        /// Why each key is skipped.
        why: String,
    },
    /// Not a bearer token.
    #[error("{TOKEN} {} (`bearer_token_file`) does not hold one bearer token, and nothing else", .0.display())]
    NoToken(PathBuf),
    /// It holds no URL that may be used. What it holds may be a secret.
    #[error("the file with a webhook's URL {} does not hold one URL that begins with `https://` (`http://` for a loopback host)", .0.display())]
    NoUrl(PathBuf),
    /// No certificates to trust.
    #[error("{what} {} does not hold certificates in PEM, and nothing else", file.display())]
    CaBundle {
        /// Which file.
        what: &'static str,
        /// Where.
        file: PathBuf,
    },
}

/// The state of one file.
#[derive(Debug, Serialize)]
pub struct FileState {
    /// Which file.
    pub what: &'static str,
    /// Where it is.
    pub file: String,
    /// Whether it can be used.
    pub ok: bool,
    /// What was found.
    pub state: String,
}

/// Looks at every file that a configuration names but the database. `credentials` is systemd's folder of credentials; certificates are
/// judged at `now`.
pub fn inspect(config: &Config, credentials: Option<&Path>, now: Timestamp) -> Vec<FileState> {
    let mut states = Vec::new();
    let mut note = |what, file: String, found: Result<&str, FileError>| {
        let ok = found.is_ok();
        let state = found.map_or_else(|error| error.to_string(), str::to_owned);
        states.push(FileState { what, file, ok, state });
    };
    let master_key = master_key(&config.key_file, credentials);
    note("key file", config.key_file.to_string(), master_key.map(|_| "holds a key, readable by its owner alone"));
    if let Tls::Files { certificate, key } = &config.tls {
        let both = format!("{}, {}", certificate.display(), key.display());
        let found = tls::tls_of(config.environment(), certificate, key).and_then(|read| {
            let faults = read.faults(config.settings.stamp.issuer.host(), now);
            if faults.is_empty() { Ok(()) } else { Err(FileError::Unfit(certificate.clone(), faults.join("; "))) }
        });
        note(
            "TLS",
            both,
            found.map(|()| "certificate and key belong together, and fit the issuer's host and the time"),
        );
    }
    if let Tls::Acme(acme) = &config.tls {
        if let Some(ca_file) = &acme.ca_file {
            let found = ca_bundle(ACME_CA, ca_file).map(|_| "holds certificates");
            note("ACME CA", ca_file.display().to_string(), found);
        }
        if let Some(eab) = &acme.eab {
            let found = hmac_key(&eab.hmac_key, credentials).map(|_| "holds a key, readable by its owner alone");
            note("ACME account binding", eab.hmac_key.to_string(), found);
        }
    }
    if let Some(ca_file) = config.session_backend.as_ref().and_then(|backend| backend.ca_file.as_ref()) {
        let found = ca_bundle(BACKEND_CA, ca_file).map(|_| "holds certificates");
        note("session backend CA", ca_file.display().to_string(), found);
    }
    for provider in &config.issuers {
        for (what, file, found) in providers::inspect(provider) {
            let (said, found) = match found {
                Ok(said) => (said, Ok(())),
                Err(error) => (String::new(), Err(error)),
            };
            note(what, file.display().to_string(), found.map(|()| said.as_str()));
        }
    }
    if let Some(ca_file) = config.aws.as_ref().and_then(|aws| aws.ca_file.as_ref()) {
        let found = ca_bundle(STS_CA, ca_file).map(|_| "holds certificates");
        note("STS CA", ca_file.display().to_string(), found);
    }
    if let Some(file) = &config.witness_networks {
        note("AWS's networks", file.display().to_string(), aws_networks(file).map(|_| "names AWS's networks"));
    }
    for sink in &config.alarm_sinks {
        if let AlarmSinkKind::Webhook { url: url @ WebhookUrl::Secret(source) } = &sink.kind {
            let found = webhook_url(url, credentials).map(|_| "holds a URL, readable by its owner alone");
            note("alarm sink URL", source.to_string(), found);
        }
        if let Some(file) = &sink.ca_file {
            let found = ca_bundle(SINK_CA, file).map(|_| "holds certificates");
            note("alarm sink CA", file.display().to_string(), found);
        }
    }
    states
}

/// Reads AWS's list of its networks.
pub fn aws_networks(file: &Path) -> Result<Networks, FileError> {
    let json = read(AWS_NETWORKS, file)?;
    Networks::from_aws_ranges(&json).map_err(|source| FileError::Networks { file: file.to_owned(), source })
}

/// The certificates to trust at a sink.
pub fn sink_ca(sink: &AlarmSinkConfig) -> Result<Option<Vec<u8>>, FileError> {
    sink.ca_file.as_deref().map(|file| ca_bundle(SINK_CA, file)).transpose()
}

/// The URL of a webhook.
pub fn webhook_url(url: &WebhookUrl, credentials: Option<&Path>) -> Result<SecretString, FileError> {
    let source = match url {
        WebhookUrl::Plain(url) => return Ok(SecretString::from(url.as_str())),
        WebhookUrl::Secret(source) => source,
    };
    let file = secret_file("the file with a webhook's URL", source, credentials)?;
    let bytes = Zeroizing::new(read("the file with a webhook's URL", &file)?);
    let text = std::str::from_utf8(&bytes).unwrap_or_default().trim();
    let parsed = reqwest::Url::parse(text).ok();
    let loopback = |url: &reqwest::Url| {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    };
    let usable = parsed.is_some_and(|url| url.scheme() == "https" || (url.scheme() == "http" && loopback(&url)));
    if usable { Ok(SecretString::from(text)) } else { Err(FileError::NoUrl(file)) }
}

/// The file of a secret, after a look at who can read it.
fn secret_file(what: &'static str, source: &SecretSource, credentials: Option<&Path>) -> Result<PathBuf, FileError> {
    match source {
        SecretSource::File(file) => {
            private(what, file, GROUP_AND_OTHERS)?;
            Ok(file.clone())
        }
        // systemd keeps credentials in a folder that only the unit can enter; an access control list shows as group bits.
        SecretSource::Credential(name) => {
            let folder = credentials.ok_or_else(|| FileError::NoCredentials(name.clone()))?;
            let file = folder.join(name);
            private(what, &file, if is_of_systemd(folder) { OTHERS } else { GROUP_AND_OTHERS })?;
            Ok(file)
        }
    }
}

/// Reads the PEM file with the certificates to trust at the session backend.
pub fn backend_ca(file: &Path) -> Result<Vec<u8>, FileError> {
    ca_bundle(BACKEND_CA, file)
}

/// Reads the PEM file with the certificates to trust at STS.
pub fn sts_ca(file: &Path) -> Result<Vec<u8>, FileError> {
    ca_bundle(STS_CA, file)
}

/// Reads the PEM file with the certificates to trust at the ACME server.
pub fn acme_ca(file: &Path) -> Result<Vec<u8>, FileError> {
    ca_bundle(ACME_CA, file)
}

/// Reads the HMAC key of an external account binding (RFC 8555 §7.3.4): base64url, with or without padding.
pub fn hmac_key(source: &SecretSource, credentials: Option<&Path>) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let (file, bytes) = secret(EAB_KEY, source, credentials)?;
    let text = std::str::from_utf8(&bytes).unwrap_or_default().trim().trim_end_matches('=');
    let key = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(text).unwrap_or_default());
    if key.len() < 16 { Err(FileError::HmacKey { file }) } else { Ok(key) }
}

fn ca_bundle(what: &'static str, file: &Path) -> Result<Vec<u8>, FileError> {
    let pem = read(what, file)?;
    let good = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>().is_ok_and(|found| {
        let mut roots = RootCertStore::empty();
        !found.is_empty() && found.into_iter().all(|certificate| roots.add(certificate).is_ok())
    });
    if good { Ok(pem) } else { Err(FileError::CaBundle { what, file: file.to_owned() }) }
}

/// Reads the key under which signing keys are encrypted.
pub fn master_key(source: &SecretSource, credentials: Option<&Path>) -> Result<MasterKey, FileError> {
    let (file, bytes) = secret("the key file", source, credentials)?;
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    MasterKey::parse(text).map_err(|source| FileError::Key { file, source })
}

/// Reads a secret that its owner alone can read.
fn secret(
    what: &'static str,
    source: &SecretSource,
    credentials: Option<&Path>,
) -> Result<(PathBuf, Zeroizing<Vec<u8>>), FileError> {
    let file = secret_file(what, source, credentials)?;
    let bytes = Zeroizing::new(read(what, &file)?);
    Ok((file, bytes))
}

/// Whether a folder of credentials is one that systemd makes for a unit: `/run/credentials/UNIT`, or a user's.
fn is_of_systemd(folder: &Path) -> bool {
    folder.starts_with("/run/credentials")
        || (folder.starts_with("/run/user") && folder.iter().any(|name| name == "credentials"))
}

fn private(what: &'static str, file: &Path, forbidden: u32) -> Result<(), FileError> {
    let metadata = fs::metadata(file).map_err(|source| FileError::Read { what, file: file.to_owned(), source })?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & forbidden != 0 {
        return Err(FileError::Open { what, file: file.to_owned(), mode });
    }
    Ok(())
}

/// Reads a file whole.
pub fn read(what: &'static str, file: &Path) -> Result<Vec<u8>, FileError> {
    fs::read(file).map_err(|source| FileError::Read { what, file: file.to_owned(), source })
}

impl std::fmt::Display for SecretSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(file) => file.display().fmt(f),
            Self::Credential(name) => write!(f, "credential:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use tagmint_core::random::SystemRandom;

    use super::*;

    fn key_file(folder: &Path, mode: u32, text: &str) -> SecretSource {
        let file = folder.join("key");
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        SecretSource::File(file)
    }

    #[test]
    fn a_key_file_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let text = MasterKey::generate_file(&SystemRandom).unwrap();
        assert!(master_key(&key_file(folder.path(), 0o600, &text), None).is_ok());
        assert!(master_key(&key_file(folder.path(), 0o400, &text), None).is_ok());
        for mode in [0o640, 0o604, 0o644, 0o620] {
            let error = master_key(&key_file(folder.path(), mode, &text), None).unwrap_err();
            assert!(matches!(error, FileError::Open { mode: found, .. } if found == mode), "{error}");
        }
        let error = master_key(&key_file(folder.path(), 0o600, "not a key"), None).unwrap_err().to_string();
        assert!(error.contains("32 random bytes") && !error.contains("not a key"), "{error}");
        let error = master_key(&SecretSource::File(folder.path().join("none")), None).unwrap_err();
        assert!(matches!(error, FileError::Read { .. }));
    }

    #[test]
    fn a_ca_file_holds_certificates() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        let made = tagmint_server::x509::local_certificates(Timestamp::from_second(1_790_000_000).unwrap(), 1);
        let made = made.unwrap();
        for (text, good) in [
            (made.ca_pem.clone(), true),
            (format!("{0}{0}", made.ca_pem), true),
            (String::new(), false),
            ("no certificate".to_owned(), false),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(), false),
            (made.key_pem.to_string(), false),
        ] {
            fs::write(&file, &text).unwrap();
            assert_eq!(backend_ca(&file).is_ok(), good, "{text}");
        }
    }

    #[test]
    fn a_webhooks_url_is_its_owners_alone_and_is_not_told() {
        use secrecy::ExposeSecret;
        let folder = tempfile::tempdir().unwrap();
        let read = |mode, text| {
            let source = key_file(folder.path(), mode, text);
            webhook_url(&WebhookUrl::Secret(source), None).map(|url| url.expose_secret().to_owned())
        };
        let url = "https://hooks.example/very-secret";
        assert_eq!(read(0o600, "https://hooks.example/very-secret\n").unwrap(), url);
        assert!(read(0o600, "http://127.0.0.1:9093/x").is_ok());
        assert!(matches!(read(0o644, url), Err(FileError::Open { .. })));
        for text in ["", "hooks.example/very-secret", "http://hooks.example/very-secret", "https://"] {
            let error = read(0o600, text).unwrap_err();
            assert!(matches!(error, FileError::NoUrl(_)) && !error.to_string().contains("very-secret"), "{error}");
        }
    }

    #[test]
    fn a_credential_is_found_in_systemds_folder() {
        let folder = tempfile::tempdir().unwrap();
        let text = MasterKey::generate_file(&SystemRandom).unwrap();
        let source = SecretSource::Credential("key".to_owned());
        for (mode, good) in [(0o600, true), (0o400, true), (0o440, false), (0o644, false)] {
            let _ = fs::remove_file(folder.path().join("key"));
            key_file(folder.path(), mode, &text);
            let found = master_key(&source, Some(folder.path()));
            assert_eq!(found.is_ok(), good, "{mode:o}");
        }
        assert!(is_of_systemd(Path::new("/run/credentials/tagmint@prod.service")));
        assert!(is_of_systemd(Path::new("/run/user/1000/credentials/x.service")));
        assert!(!is_of_systemd(Path::new("/etc/tagmint/prod")) && !is_of_systemd(folder.path()));
        assert!(matches!(master_key(&source, None), Err(FileError::NoCredentials(_))));
    }
}
