//! Certificate and key.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tagmint_core::environment::Environment;
use tagmint_server::{certificate_files::CertificateFiles, tls::Certificate};

use super::{Config, FileError, OTHERS, Tls, private};

/// Reads certificate and key, and keeps an eye on their files. What is refused at the start is refused later, too.
pub fn certificate(
    environment: Environment,
    certificate: PathBuf,
    key: PathBuf,
) -> Result<CertificateFiles, FileError> {
    CertificateFiles::open(certificate, key, move |certificate, key| tls_of(environment, certificate, key))
}

/// Reads certificate and key, and checks that strangers cannot read the key.
pub fn tls(certificate: &Path, key: &Path) -> Result<Certificate, FileError> {
    private("the TLS key", key, OTHERS)?;
    Ok(Certificate::from_files(certificate, key)?)
}

/// The same, and refuses a self-signed certificate of a prod issuer.
pub(super) fn tls_of(environment: Environment, certificate: &Path, key: &Path) -> Result<Certificate, FileError> {
    let read = tls(certificate, key)?;
    if environment == Environment::Prod && read.is_self_signed() {
        return Err(FileError::SelfSigned(certificate.to_owned()));
    }
    Ok(read)
}

/// Warns of a prod issuer's certificate that nobody here trusts, and therefore hardly AWS.
pub fn private_authority(config: &Config, now: Timestamp) -> Option<String> {
    let Tls::Files { certificate, key } = &config.tls else { return None };
    if config.environment() != Environment::Prod {
        return None;
    }
    let read = tls(certificate, key).ok().filter(|read| !read.is_self_signed())?;
    let unknown = read.is_of_unknown_authority(config.settings.stamp.issuer.host(), now);
    unknown.then(|| {
        format!(
            "the certificate {} is issued by {}, which this machine does not trust: AWS fetches keys over a certificate of a public \
             authority, of another one only where its thumbprint is registered with the provider",
            certificate.display(),
            read.facts().issuer
        )
    })
}
