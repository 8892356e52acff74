//! Certificates for the servers of tests.

use std::sync::Arc;

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
};

/// A server's certificate, and what to trust for it.
#[derive(Debug)]
pub struct Certificates {
    /// The certificate of the authority, as PEM.
    pub ca_pem: String,
    /// The server's certificate, as PEM.
    pub certificate_pem: String,
    /// The server's key, as PEM.
    pub key_pem: String,
    /// A server that shows it.
    pub config: Arc<ServerConfig>,
}

/// A throw-away authority, and a certificate for these names and addresses under it.
///
/// # Panics
///
/// Where a name is none.
pub fn under_an_authority(names: &[&str]) -> Certificates {
    let make = || -> Result<Certificates, rcgen::Error> {
        let ca_key = rcgen::KeyPair::generate()?;
        let mut ca = rcgen::CertificateParams::new(Vec::new())?;
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        ca.distinguished_name.push(rcgen::DnType::CommonName, "a throw-away CA of a test");
        let ca_pem = ca.self_signed(&ca_key)?.pem();
        let key = rcgen::KeyPair::generate()?;
        let server = server(names)?.signed_by(&key, &rcgen::Issuer::new(ca, ca_key))?;
        Ok(certificates(ca_pem, &server, &key))
    };
    make().expect("certificates can be made")
}

/// A certificate for these names that signs itself.
///
/// # Panics
///
/// Where a name is none.
pub fn self_signed(names: &[&str]) -> Certificates {
    let make = || -> Result<Certificates, rcgen::Error> {
        let key = rcgen::KeyPair::generate()?;
        let server = server(names)?.self_signed(&key)?;
        Ok(certificates(server.pem(), &server, &key))
    };
    make().expect("a certificate can be made")
}

fn server(names: &[&str]) -> Result<rcgen::CertificateParams, rcgen::Error> {
    let mut server = rcgen::CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
    server.distinguished_name = rcgen::DistinguishedName::new();
    server.distinguished_name.push(rcgen::DnType::CommonName, *names.first().unwrap_or(&"nobody"));
    Ok(server)
}

fn certificates(ca_pem: String, server: &rcgen::Certificate, key: &rcgen::KeyPair) -> Certificates {
    let chain: Vec<CertificateDer<'static>> = vec![server.der().clone()];
    let private = PrivateKeyDer::try_from(key.serialize_der()).expect("rcgen writes PKCS#8");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
        .expect("a certificate and its own key belong together");
    Certificates { ca_pem, certificate_pem: server.pem(), key_pem: key.serialize_pem(), config: Arc::new(config) }
}
