//! TLS: rustls with aws-lc, TLS 1.2 beside 1.3 (AWS falls back to thumbprints where only 1.3 is offered), and the certificate that is served.
//!
//! A certificate comes from files or from ACME; [`ServedCertificate`] holds the one that is shown to new connections, and is changed while the
//! issuer runs.

mod fit;
mod trust;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tagmint_core::alarm::conditions::CertificateLife;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

/// Why a certificate or its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds no such PEM block.
    #[error("{what} {path}: {source}")]
    Read {
        /// `the certificate file` or `the key file`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: rustls::pki_types::pem::Error,
    },
    /// The key is under a passphrase, which the server cannot ask for at a start.
    #[error("the key file {path} is encrypted with a passphrase; write it without one: openssl pkey -in {path} -out FILE", path = .0.display())]
    Encrypted(PathBuf),
    /// The certificate file holds no certificate.
    #[error("the certificate file {0} holds no certificate")]
    Empty(PathBuf),
    /// The pair is unusable: they don't belong together, or the key is of an unknown kind.
    #[error("the certificate {certificate} and the key {key} cannot be used together: {source}")]
    Pair {
        /// The certificate file.
        certificate: PathBuf,
        /// The key file.
        key: PathBuf,
        /// Why.
        source: UnusableCertificate,
    },
}

/// Why a chain and its key cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum UnusableCertificate {
    /// Not PEM, or PEM of something else.
    #[error("{0}")]
    Pem(rustls::pki_types::pem::Error),
    /// There is no certificate.
    #[error("there is no certificate")]
    Empty,
    /// The first certificate is not X.509 (RFC 5280).
    #[error("the first certificate is not X.509: {0}")]
    Malformed(String),
    /// The key does not belong to the first certificate, or is of an unknown kind.
    #[error("{0}")]
    Key(rustls::Error),
}

/// What a certificate says of itself (RFC 5280).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The DNS names and IP addresses that it is for (subjectAltName), as text.
    pub names: Vec<String>,
    /// The serial number, in hex, as `openssl x509 -serial` prints it.
    pub serial: String,
    /// Who issued it, as text: `CN=R11, O=Let's Encrypt, C=US`.
    pub issuer: String,
    /// From when it is valid.
    pub not_before: Timestamp,
    /// Until when it is valid.
    pub not_after: Timestamp,
}

impl CertificateFacts {
    /// Reads one certificate.
    pub fn read(certificate: &CertificateDer<'_>) -> Result<Self, UnusableCertificate> {
        let malformed = |error: &dyn fmt::Display| UnusableCertificate::Malformed(error.to_string());
        let (_, parsed) = X509Certificate::from_der(certificate).map_err(|error| malformed(&error))?;
        let time = |time: x509_parser::time::ASN1Time| {
            Timestamp::from_second(time.timestamp()).map_err(|error| malformed(&error))
        };
        let alternatives = parsed.subject_alternative_name().map_err(|error| malformed(&error))?;
        let names = alternatives.iter().flat_map(|extension| &extension.value.general_names).filter_map(name);
        Ok(Self {
            names: names.collect(),
            serial: parsed.raw_serial().iter().flat_map(|byte| [byte >> 4, byte & 15]).map(hex_digit).collect(),
            issuer: parsed.issuer().to_string(),
            not_before: time(parsed.validity().not_before)?,
            not_after: time(parsed.validity().not_after)?,
        })
    }
}

fn hex_digit(nibble: u8) -> char {
    char::from_digit(nibble.into(), 16).unwrap_or('0').to_ascii_uppercase()
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| std::net::Ipv4Addr::from(bytes).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
        },
        _ => None,
    }
}

/// Whether a PEM file holds a key under a passphrase: PKCS #8 (RFC 5958 §3), or the older form of OpenSSL (RFC 1421 §4.6.1.1).
fn is_encrypted(key: &Path) -> bool {
    let text = std::fs::read(key).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") || text.contains("Proc-Type: 4,ENCRYPTED")
}

/// A certificate chain with its private key, ready to be served.
pub struct Certificate {
    key: Arc<CertifiedKey>,
    facts: CertificateFacts,
}

impl Certificate {
    /// Checks that the key belongs to the first certificate of the chain.
    pub fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, UnusableCertificate> {
        let facts = CertificateFacts::read(chain.first().ok_or(UnusableCertificate::Empty)?)?;
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let key = CertifiedKey::from_der(chain, key, &provider).map_err(UnusableCertificate::Key)?;
        Ok(Self { key: Arc::new(key), facts })
    }

    /// Reads a chain and its key from PEM text.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, UnusableCertificate> {
        let chain =
            CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>().map_err(UnusableCertificate::Pem)?;
        Self::new(chain, PrivateKeyDer::from_pem_slice(key).map_err(UnusableCertificate::Pem)?)
    }

    /// Reads a chain and its key from PEM files.
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let read = |what, path: &Path| {
            let path = path.to_owned();
            move |source| TlsError::Read { what, path, source }
        };
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect)
            .map_err(read("the certificate file", certificate))?;
        if chain.is_empty() {
            return Err(TlsError::Empty(certificate.to_owned()));
        }
        let private = PrivateKeyDer::from_pem_file(key).map_err(|source| {
            if is_encrypted(key) { TlsError::Encrypted(key.to_owned()) } else { read("the key file", key)(source) }
        })?;
        Self::new(chain, private).map_err(|source| TlsError::Pair {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            source,
        })
    }

    /// What the first certificate says of itself.
    pub const fn facts(&self) -> &CertificateFacts {
        &self.facts
    }

    /// From when until when the first certificate is valid.
    pub const fn life(&self) -> CertificateLife {
        CertificateLife { not_before: self.facts.not_before, not_after: self.facts.not_after }
    }

    /// The first certificate, in DER.
    pub fn leaf(&self) -> &[u8] {
        self.key.cert.first().map_or(&[], |certificate| certificate.as_ref())
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("facts", &self.facts).finish_non_exhaustive()
    }
}

/// The certificate that new connections are shown. Changing it touches no open connection.
#[derive(Default)]
pub struct ServedCertificate(ArcSwapOption<Certificate>);

impl ServedCertificate {
    /// Serves a certificate from now on.
    pub fn new(certificate: Certificate) -> Arc<Self> {
        Arc::new(Self(ArcSwapOption::from_pointee(certificate)))
    }

    /// Nothing to serve yet: handshakes fail until [`Self::put`].
    pub fn none() -> Arc<Self> {
        Arc::default()
    }

    /// Serves another one from now on.
    pub fn put(&self, certificate: impl Into<Arc<Certificate>>) {
        self.0.store(Some(certificate.into()));
    }

    /// The one that is served.
    pub fn current(&self) -> Option<Arc<Certificate>> {
        self.0.load_full()
    }
}

impl fmt::Debug for ServedCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServedCertificate").field(&self.current()).finish()
    }
}

impl ResolvesServerCert for ServedCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load().as_ref().map(|certificate| Arc::clone(&certificate.key))
    }
}

/// How TLS is spoken on the public listener, with whatever certificate is served at the time.
///
/// # Errors
///
/// When the TLS library has neither TLS 1.2 nor 1.3, which it has.
pub fn server_config(served: Arc<ServedCertificate>) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(served);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Makes aws-lc the process's TLS library. Call it once at start; a second call changes nothing.
pub fn install_provider() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
