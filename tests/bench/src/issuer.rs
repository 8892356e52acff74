//! A release `tagmint serve` to measure, with all that it needs, made as an operator would make it.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use rustls::pki_types::CertificateDer;
use serde_json::Value;
use tagmint_core::{random::SystemRandom, sealing::MasterKey, signing_key::Algorithm};
use tagmint_e2e::{TagmintProcess, free_port};
use tempfile::TempDir;
use tokio_rustls::TlsConnector;

use crate::{args::Transport, client::Target, error::BenchError};

/// What the mock session backend takes.
pub(crate) const AUTH_TOKEN: &str = "federation-proof";
/// What tokens are for.
pub(crate) const AUDIENCE: &str = "sts.amazonaws.com";

/// The folder of one run: the certificate that all servers use, and their files.
pub(crate) struct Site {
    dir: TempDir,
    binary: PathBuf,
    connector: TlsConnector,
}

impl Site {
    /// Makes the folder below `parent`, with a self-signed certificate for `localhost`.
    pub(crate) fn prepare(parent: &Path, binary: PathBuf) -> Result<Self, BenchError> {
        let dir = tempfile::Builder::new()
            .prefix("tagmint-bench-")
            .tempdir_in(parent)
            .map_err(BenchError::file("make a folder in", parent))?;
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])
            .map_err(|error| BenchError::wrong(format!("the certificate could not be made: {error}")))?;
        let site = Self { connector: connector(made.cert.der().clone())?, dir, binary };
        write(&site.certificate(), made.cert.pem().as_bytes())?;
        write(&site.certificate_key(), made.signing_key.serialize_pem().as_bytes())?;
        Ok(site)
    }

    /// The program that is measured.
    pub(crate) fn binary(&self) -> &Path {
        &self.binary
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The certificate's file.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.path().join("certificate.pem")
    }

    /// Its private key's file.
    pub(crate) fn certificate_key(&self) -> PathBuf {
        self.path().join("certificate-key.pem")
    }

    /// A server at this port of this machine.
    pub(crate) fn target(&self, port: u16, transport: Transport) -> Target {
        let tls = match transport {
            Transport::Tls => Some(self.connector.clone()),
            Transport::Plain => None,
        };
        Target { address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), authority: format!("localhost:{port}"), tls }
    }
}

/// A client that trusts this certificate alone.
fn connector(certificate: CertificateDer<'static>) -> Result<TlsConnector, BenchError> {
    let problem = |error: rustls::Error| BenchError::wrong(format!("the certificate is not usable: {error}"));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).map_err(problem)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(problem)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Writes a file that its owner alone may read.
fn write(path: &Path, bytes: &[u8]) -> Result<(), BenchError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let written = options.open(path).and_then(|mut file| std::io::Write::write_all(&mut file, bytes));
    written.map_err(BenchError::file("write", path))
}

/// A running issuer with its own database and keys, no rate limits, and a mock session backend.
pub(crate) struct Issuer<'s> {
    site: &'s Site,
    server: TagmintProcess,
    /// After `server`: the issuer asks it until its end.
    _backend: TagmintProcess,
    config: PathBuf,
    /// Where it answers.
    pub(crate) target: Target,
    /// Its issuer URL.
    pub(crate) url: String,
}

impl<'s> Issuer<'s> {
    /// Starts one and waits until it is ready.
    pub(crate) fn start(site: &'s Site, algorithm: Algorithm, transport: Transport) -> Result<Self, BenchError> {
        Self::start_with(site, algorithm, transport, "")
    }

    /// Starts one with more in its configuration.
    pub(crate) fn start_with(
        site: &'s Site,
        algorithm: Algorithm,
        transport: Transport,
        more: &str,
    ) -> Result<Self, BenchError> {
        let port = free_port()?;
        let name = format!("issuer-{port}");
        let dir = site.path().join(&name);
        fs::create_dir(&dir).map_err(BenchError::file("make", &dir))?;
        let key = MasterKey::generate_file(&SystemRandom).map_err(|error| BenchError::wrong(error.to_string()))?;
        write(&dir.join("key"), key.as_bytes())?;

        let backend =
            site.tagmint(["mock-backend", "--listen", "127.0.0.1:0", "--auth-token", AUTH_TOKEN, "--format", "json"]);
        let backend = TagmintProcess::start_command(backend)?;
        let config = dir.join("tagmint.toml");
        let text = configuration(port, algorithm, transport, backend.field("url")?) + more;
        write(&config, text.as_bytes())?;
        let mut serve = site.tagmint(["serve", "--format", "json"]);
        serve.arg("--config").arg(&config);
        let server = TagmintProcess::start_command(serve)?;
        let url = server.field("issuer")?.to_owned();
        Ok(Self { site, server, _backend: backend, config, target: site.target(port, transport), url })
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Ends it in order and has its ledger verified; returns how many rows it has.
    pub(crate) fn finish(self) -> Result<u64, BenchError> {
        let log = self.server.stderr();
        let status = self.server.stop()?;
        if !status.success() {
            return Err(BenchError::wrong(format!("the issuer ended with {status}; the end of its log:\n{log}")));
        }
        let mut verify = self.site.tagmint(["ledger", "verify", "--format", "json"]);
        verify.arg("--config").arg(&self.config);
        let output = verify.output().map_err(BenchError::io("start `tagmint ledger verify`"))?;
        let report: Option<Value> = serde_json::from_slice(&output.stdout).ok();
        let rows = report.filter(|_| output.status.success()).and_then(|report| report["rows"].as_u64());
        rows.ok_or_else(|| {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            BenchError::wrong(format!("the ledger did not verify ({}): {text}", output.status))
        })
    }
}

impl Site {
    fn tagmint<const N: usize>(&self, args: [&str; N]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(args);
        command
    }
}

/// As an operator would write it, with the limits off and the log quiet: a measurement asks for more than a limit allows.
fn configuration(port: u16, algorithm: Algorithm, transport: Transport, backend: &str) -> String {
    let tls = match transport {
        Transport::Tls => "mode = \"files\"\ncertificate = \"../certificate.pem\"\nkey = \"../certificate-key.pem\"",
        Transport::Plain => "mode = \"proxy\"",
    };
    format!(
        r#"
environment = "test"
issuer = "https://localhost:{port}"

[listen]
public = "127.0.0.1:{port}"
admin = "127.0.0.1:0"

[tls]
{tls}

[database]
path = "tagmint.db"

[keys]
key_file = "key"
algorithm = "{algorithm}"

[session_backend]
url = "{backend}"

[limits]
per_credential = {{ per_second = 0, burst = 0 }}
per_address = {{ per_second = 0, burst = 0 }}
failed_per_address = {{ per_second = 0, burst = 0 }}
failed_per_network = {{ per_second = 0, burst = 0 }}
refusal_rows_per_network = {{ per_hour = 0, burst = 0 }}
refusal_rows = {{ per_hour = 0, burst = 0 }}
sessions_per_subject = 0
session_opens_per_subject = {{ per_second = 0, burst = 0 }}

[log]
level = "warn"

[[rule]]
name = "wallet"
from = "session"
when = 'sub.matches("^0x[0-9a-f]{{40}}$")'
subject = "wallet:${{sub}}"
audiences = ["{AUDIENCE}"]
roles = ["arn:aws:iam::000000000000:role/agentkeys-data-role-test"]
max_lifetime = "15m"
transitive = ["agentkeys_user_wallet"]

[rule.tags]
agentkeys_user_wallet = "${{sub}}"
"#
    )
}
