//! An issuer that ends TLS itself.

use std::{
    fs,
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use rcgen::Certificate;
use tagmint_e2e::{TagmintProcess, free_port};
use tagmint_testkit::attacks::Victim;

use super::TestResult;

/// A running issuer.
pub struct Issuer {
    pub process: TagmintProcess,
    pub address: SocketAddr,
    dir: tempfile::TempDir,
    authority: Certificate,
}

impl Issuer {
    /// Starts one that takes so many connections.
    pub fn start(connections: usize) -> TestResult<Self> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let dir = tempfile::tempdir()?;
        let authority = write_certificate(dir.path())?;
        write_secret(&dir.path().join("master.key"), "c2l4dGVlbiBieXRlcyB0aW1lcyB0d28gaXMgMzIuLi4=\n")?;
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
        Ok(Self { process, address, dir, authority })
    }

    /// It, to be attacked.
    pub fn victim(&self) -> TestResult<Victim> {
        Ok(Victim::new(self.address, self.authority.der().clone())?)
    }

    /// One of its files.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Another certificate of another authority takes the place of its own in its files.
    pub fn renew(&mut self) -> TestResult {
        self.authority = write_certificate(self.dir.path())?;
        Ok(())
    }

    /// A client that trusts its authority of now.
    pub fn client(&self) -> TestResult<reqwest::Client> {
        let authority = reqwest::Certificate::from_der(self.authority.der())?;
        Ok(reqwest::Client::builder()
            .tls_certs_only([authority])
            .no_proxy()
            .timeout(Duration::from_secs(10))
            .build()?)
    }

    /// A URL of it.
    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
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

/// Writes a certificate for `localhost` and its key, and gives its authority.
fn write_certificate(dir: &Path) -> TestResult<Certificate> {
    let ca_key = rcgen::KeyPair::generate()?;
    let mut ca = rcgen::CertificateParams::new(Vec::new())?;
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    ca.distinguished_name.push(rcgen::DnType::CommonName, "hardening test CA");
    let authority = ca.self_signed(&ca_key)?;
    let key = rcgen::KeyPair::generate()?;
    let server = rcgen::CertificateParams::new(vec!["localhost".to_owned()])?;
    let certificate = server.signed_by(&key, &rcgen::Issuer::new(ca, ca_key))?;
    write_secret(&dir.join("certificate-key.pem"), &key.serialize_pem())?;
    fs::write(dir.join("certificate.pem"), certificate.pem())?;
    Ok(authority)
}

fn write_secret(path: &Path, text: &str) -> TestResult {
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    Ok(file.write_all(text.as_bytes())?)
}
