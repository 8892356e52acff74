//! Pebble's files, and its root.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use serde_json::json;

use super::PebbleOptions;
use crate::{acme_proxy, error::GuardError};

/// The authority of the API's certificate.
pub(super) const CA: &str = "ca.pem";
/// The API's certificate.
pub(super) const CERTIFICATE: &str = "api.pem";
/// Its key.
pub(super) const KEY: &str = "api.key";

/// What goes into Pebble's configuration.
pub(super) struct PebbleConfig<'a> {
    pub dir: &'a Path,
    pub acme_port: u16,
    pub management_port: u16,
    pub options: &'a PebbleOptions,
}

impl PebbleConfig<'_> {
    /// Where the API and the management interface listen.
    pub(super) fn addresses(&self) -> [SocketAddr; 2] {
        [self.acme_port, self.management_port].map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }

    /// Writes the file.
    pub(super) fn write(&self) -> Result<PathBuf, GuardError> {
        let [acme, management] = self.addresses();
        let mut pebble = json!({
            "listenAddress": acme.to_string(),
            "managementListenAddress": management.to_string(),
            "certificate": self.dir.join(CERTIFICATE),
            "privateKey": self.dir.join(KEY),
            "httpPort": self.options.http_port,
            "tlsPort": 1,
            "ocspResponderURL": "",
            "certificateValidityPeriod": self.options.lifetime.as_secs(),
            "externalAccountBindingRequired": self.options.external_account.is_some(),
        });
        if let Some(account) = &self.options.external_account {
            pebble["externalAccountMACKeys"] = json!({account.kid.as_str(): account.hmac_key});
        }
        let path = self.dir.join("pebble.json");
        fs::write(&path, json!({"pebble": pebble}).to_string()).map_err(|e| GuardError::file("write", &path, e))?;
        Ok(path)
    }
}

/// An authority, and a certificate for the API under it.
pub(super) fn write_certificates(dir: &Path) -> Result<(), GuardError> {
    let failed = |e: rcgen::Error| GuardError::io("make Pebble's certificate", std::io::Error::other(e));
    let write = |name: &str, text: String| {
        let path = dir.join(name);
        fs::write(&path, text).map_err(|e| GuardError::file("write", &path, e))
    };
    let ca_key = rcgen::KeyPair::generate().map_err(failed)?;
    let mut ca = rcgen::CertificateParams::new(Vec::new()).map_err(failed)?;
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    ca.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
    ca.distinguished_name.push(rcgen::DnType::CommonName, "API of the ACME server under test");
    write(CA, ca.self_signed(&ca_key).map_err(failed)?.pem())?;
    let key = rcgen::KeyPair::generate().map_err(failed)?;
    let names = vec!["localhost".to_owned(), Ipv4Addr::LOCALHOST.to_string()];
    let server = rcgen::CertificateParams::new(names).map_err(failed)?;
    let certificate = server.signed_by(&key, &rcgen::Issuer::new(ca, ca_key)).map_err(failed)?;
    write(CERTIFICATE, certificate.pem())?;
    write(KEY, key.serialize_pem())
}

/// The root that Pebble has made for this run.
pub(super) fn fetch_root(dir: &Path, management: SocketAddr) -> Result<String, GuardError> {
    let client = acme_proxy::client(&dir.join(CA))?;
    let fetch = async move {
        client.get(format!("https://{management}/roots/0")).send().await?.error_for_status()?.text().await
    };
    let failed =
        |e: Box<dyn std::error::Error + Send + Sync>| GuardError::io("fetch Pebble's root", std::io::Error::other(e));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| failed(e.into()))?;
    // A thread, since the caller may be within a runtime.
    let thread = std::thread::spawn(move || runtime.block_on(fetch));
    match thread.join() {
        Ok(answer) => answer.map_err(|e| failed(e.into())),
        Err(_) => Err(failed("the thread that asks has panicked".into())),
    }
}
