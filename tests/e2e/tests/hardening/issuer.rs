//! An issuer that ends TLS itself.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
};

use rustls::pki_types::CertificateDer;
use tagmint_e2e::{TagmintProcess, free_port};
use tagmint_testkit::attacks::Victim;

use super::TestResult;

/// A running issuer.
pub struct Issuer {
    pub process: TagmintProcess,
    pub address: SocketAddr,
    _dir: tempfile::TempDir,
    authority: CertificateDer<'static>,
}

impl Issuer {
    /// Starts one that takes so many connections.
    pub fn start(connections: usize) -> TestResult<Self> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let dir = tempfile::tempdir()?;
        let ca_key = rcgen::KeyPair::generate()?;
        let mut ca = rcgen::CertificateParams::new(Vec::new())?;
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        ca.distinguished_name.push(rcgen::DnType::CommonName, "hardening test CA");
        let authority = ca.self_signed(&ca_key)?;
        let key = rcgen::KeyPair::generate()?;
        let server = rcgen::CertificateParams::new(vec!["localhost".to_owned()])?;
        let certificate = server.signed_by(&key, &rcgen::Issuer::new(ca, ca_key))?;
        fs::write(dir.path().join("certificate.pem"), certificate.pem())?;
        for (name, text) in [
            ("certificate-key.pem", key.serialize_pem()),
            ("master.key", "c2l4dGVlbiBieXRlcyB0aW1lcyB0d28gaXMgMzIuLi4=\n".to_owned()),
        ] {
            use std::{io::Write, os::unix::fs::OpenOptionsExt};
            let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(dir.path().join(name));
            file?.write_all(text.as_bytes())?;
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let text = format!(
            r#"
environment = "test"
issuer = "https://localhost:{port}"

[listen]
public = "{address}"
admin = "127.0.0.1:0"

[tls]
mode = "files"
certificate = "certificate.pem"
key = "certificate-key.pem"

[database]
path = "tagmint.db"

[keys]
key_file = "master.key"

[limits]
connections = {connections}
"#,
            port = address.port()
        );
        fs::write(dir.path().join("tagmint.toml"), text)?;
        let mut command = TagmintProcess::command(["serve", "--format", "json", "--config"])?;
        command.arg(dir.path().join("tagmint.toml"));
        let process = TagmintProcess::start_command(command)?;
        Ok(Self { process, address, _dir: dir, authority: authority.der().clone() })
    }

    /// It, to be attacked.
    pub fn victim(&self) -> TestResult<Victim> {
        Ok(Victim::new(self.address, self.authority.clone())?)
    }

    /// Its memory, in bytes (`VmRSS` of proc_pid_status(5)).
    pub fn memory(&self) -> TestResult<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? << 10)
    }

    /// Its figures.
    pub async fn metrics(&self) -> TestResult<String> {
        Ok(reqwest::get(format!("{}/metrics", self.process.field("admin")?)).await?.text().await?)
    }
}
