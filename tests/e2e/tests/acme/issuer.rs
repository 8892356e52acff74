//! The built binary with `tls.mode = "acme"`.

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::Command,
    time::Duration,
};

use serde_json::Value;
use tagmint_e2e::{Pebble, PebbleOptions, TagmintProcess, free_port, wait_until};

use super::{HOST, MASTER_KEY, TestResult, visit::Visit};

/// Time for a certificate, of a debug build on a busy machine. An attempt that failed is followed by a pause of up to a minute.
pub const ISSUED: Duration = Duration::from_mins(2);

/// An issuer's folder, and its Pebble.
pub struct Site {
    pub pebble: Pebble,
    dir: tempfile::TempDir,
}

/// One running node.
pub struct Node {
    pub process: TagmintProcess,
    pub https: u16,
    pub http: u16,
    config: PathBuf,
}

/// The ports of a node.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    pub https: u16,
    pub http: u16,
}

impl Ports {
    pub fn free() -> TestResult<Self> {
        Ok(Self { https: free_port()?, http: free_port()? })
    }
}

impl Site {
    /// Pebble as it usually is; it validates at `ports`.
    pub fn new(ports: Ports) -> TestResult<Self> {
        Self::with(Pebble::start(&PebbleOptions::new(ports.http))?)
    }

    /// A fresh folder, with this Pebble.
    pub fn with(pebble: Pebble) -> TestResult<Self> {
        let dir = tempfile::tempdir()?;
        let site = Self { pebble, dir };
        site.write_key()?;
        Ok(site)
    }

    /// A fresh folder with the same Pebble.
    pub fn anew(self) -> TestResult<Self> {
        self.pebble.proxy().forget();
        Self::with(self.pebble)
    }

    fn write_key(&self) -> TestResult {
        use std::os::unix::fs::OpenOptionsExt;
        let path = self.dir.path().join("master.key");
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        Ok(file.write_all(format!("{MASTER_KEY}\n").as_bytes())?)
    }

    /// Starts a node.
    pub fn start(&self, ports: Ports) -> TestResult<Node> {
        self.start_later(ports, Duration::ZERO)
    }

    /// Starts a node whose clock is ahead by so much (libfaketime): the lease of one that was killed has run out then.
    pub fn start_later(&self, ports: Ports, ahead: Duration) -> TestResult<Node> {
        let config = self.dir.path().join(format!("tagmint-{}.toml", ports.https));
        std::fs::write(&config, self.config(ports))?;
        let mut command = TagmintProcess::command(["serve", "--format", "json", "--config"])?;
        command.arg(&config);
        if !ahead.is_zero() {
            // The loader fills in `$LIB`.
            command.env("LD_PRELOAD", "/usr/$LIB/faketime/libfaketime.so.1");
            command.env("FAKETIME", format!("+{}s", ahead.as_secs())).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        let process = TagmintProcess::start_command(command)?;
        Ok(Node { process, https: ports.https, http: ports.http, config })
    }

    /// The root of the issuer's certificates.
    pub fn root(&self) -> &str {
        self.pebble.root()
    }

    /// Waits until a node serves a certificate, and connects.
    pub fn wait_for_certificate(&self, node: &Node) -> TestResult<Visit> {
        let mut visit = Err("nothing was tried".into());
        wait_until(ISSUED, || {
            visit = Visit::open(node.https, self.root());
            visit.is_ok()
        });
        visit.map_err(|error: super::Error| {
            format!("no certificate: {error}\n{}\n{}", node.process.stderr(), self.pebble.log()).into()
        })
    }

    fn config(&self, ports: Ports) -> String {
        let (directory, ca) = (self.pebble.proxy().directory_url(), self.pebble.ca_file());
        format!(
            r#"
environment = "test"
issuer = "https://{HOST}"

[listen]
public = "127.0.0.1:{https}"
admin = "127.0.0.1:0"

[tls]
mode = "acme"

[tls.acme]
directory = "{directory}"
ca_file = "{ca}"
contact = ["mailto:ops@acme.test"]
terms_of_service_agreed = true
http_listen = "127.0.0.1:{http}"

[database]
path = "tagmint.db"

[keys]
key_file = "master.key"
refresh = "1s"

[session_backend]
url = "http://127.0.0.1:9"

[[rule]]
name = "wallet"
from = "session"
subject = "wallet:${{sub}}"
audiences = ["sts.amazonaws.com"]
"#,
            https = ports.https,
            http = ports.http,
            ca = ca.display(),
        )
    }
}

impl Node {
    /// What `/readyz` says of the certificate: whether it is well, and in which words.
    pub fn certificate_check(&self) -> TestResult<(bool, String)> {
        let (_, body) = self.admin("/readyz")?;
        let health: Value = serde_json::from_str(&body)?;
        let checks = health["checks"].as_array().ok_or_else(|| format!("no checks: {body}"))?;
        let check = checks.iter().find(|check| check["name"] == "certificate");
        let check = check.ok_or_else(|| format!("no check `certificate`: {body}"))?;
        Ok((check["ok"] == true, check["detail"].as_str().unwrap_or_default().to_owned()))
    }

    /// A document of the admin listener.
    pub fn admin(&self, path: &str) -> TestResult<(u16, String)> {
        let url = self.process.field("admin")?;
        plain(url.trim_start_matches("http://").trim_end_matches('/'), path)
    }

    /// A document of port 80.
    pub fn port_80(&self, path: &str) -> TestResult<(u16, String)> {
        plain(&format!("127.0.0.1:{}", self.http), path)
    }

    /// `tagmint certificates …`, beside the running node.
    pub fn certificates(&self, arguments: &[&str]) -> TestResult<Value> {
        let mut command = TagmintProcess::command(["certificates"])?;
        run(command.args(arguments).args(["--format", "json", "--config"]).arg(&self.config))
    }
}

fn run(command: &mut Command) -> TestResult<Value> {
    let output = command.output()?;
    if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout).unwrap_or_default())
    } else {
        Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
    }
}

/// An answer over plain HTTP: the status, and head and body as they are for a redirect, the body alone otherwise.
fn plain(address: &str, path: &str) -> TestResult<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: elsewhere.example\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or("no status")?;
    Ok((status, if (300..400).contains(&status) { head.to_owned() } else { body.to_owned() }))
}
