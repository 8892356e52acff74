//! Pebble, the ACME server of Let's Encrypt for tests, from Debian's packages: it validates over HTTP, and issues certificates that chain to a
//! root of its own.
//!
//! Names are looked up at the challenge test server that comes with it: every name leads to 127.0.0.1 until a test says otherwise. Clients
//! reach Pebble through an [`AcmeProxy`].
//!
//! Where Pebble 2.4 differs from Let's Encrypt, as far as every test must know:
//! - It forgets everything when it ends, its root included.
//! - It knows neither profiles nor ARI; the proxy offers both.
//! - It has no rate limits.
//! - It uses one authorization in a hundred again even where it is told to use none. A renewal then goes without a validation: what needs one looks
//!   whether it was made, and tries again ([`UNWANTED_REUSE`]).
//! - Its certificates begin now, whatever clock the client has.

mod config;

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    acme_proxy::{AcmeProxy, Upstream},
    daemon::Daemon,
    error::GuardError,
    ports::free_port,
};
use config::PebbleConfig;

/// The Debian package of both programs.
const PACKAGE: &str = "pebble";
/// Time to start.
const START: Duration = Duration::from_secs(20);
/// How often to try what needs a validation: three times without one are one in a million.
pub const UNWANTED_REUSE: u8 = 3;
/// Time for an answer of the challenge test server.
const ANSWER: Duration = Duration::from_secs(10);

/// Credentials for `externalAccountBinding` (RFC 8555 §7.3.4).
#[derive(Debug, Clone)]
pub struct ExternalAccount {
    /// The key's name.
    pub kid: String,
    /// The HMAC key in base64url without padding.
    pub hmac_key: String,
}

/// How a [`Pebble`] is to be started.
#[derive(Debug, Clone)]
pub struct PebbleOptions {
    /// The port in place of 80, where HTTP-01 is validated.
    pub http_port: u16,
    /// How long certificates are valid. Pebble's own default is five years.
    pub lifetime: Duration,
    /// Of a hundred good nonces, how many are refused (RFC 8555 §6.5 lets a server do so).
    pub nonces_refused: u8,
    /// Of a hundred authorizations that stand already, how many are used again in a new order.
    pub authorizations_reused: u8,
    /// New accounts must name these.
    pub external_account: Option<ExternalAccount>,
}

impl PebbleOptions {
    /// Ninety days, 5 % of the nonces refused and no authorization used twice.
    pub fn new(http_port: u16) -> Self {
        Self {
            http_port,
            lifetime: Duration::from_hours(90 * 24),
            nonces_refused: 5,
            authorizations_reused: 0,
            external_account: None,
        }
    }
}

/// A running Pebble with its DNS server, and the proxy in front of it. Nothing listens beyond this machine; dropping it ends all three.
#[derive(Debug)]
pub struct Pebble {
    // Dropped from top to bottom: clients before servers, the directory last.
    proxy: AcmeProxy,
    server: Daemon,
    dns: Daemon,
    dns_management: SocketAddr,
    root: String,
    dir: TempDir,
}

impl Pebble {
    /// Starts all three and waits until they answer.
    pub fn start(options: &PebbleOptions) -> Result<Self, GuardError> {
        let dir = tempfile::Builder::new()
            .prefix("tagmint-pebble-")
            .tempdir()
            .map_err(|e| GuardError::io("make a temporary directory", e))?;
        config::write_certificates(dir.path())?;
        let (dns_port, management) = (free_port()?, free_port()?);
        let dns_management = SocketAddr::from((Ipv4Addr::LOCALHOST, management));
        let dns = start_dns(dir.path(), dns_port, dns_management)?;
        let config = PebbleConfig { dir: dir.path(), acme_port: free_port()?, management_port: free_port()?, options };
        let mut command = Command::new("pebble");
        command.arg("-config").arg(config.write()?).arg("-dnsserver").arg(format!("127.0.0.1:{dns_port}"));
        command.env("PEBBLE_WFE_NONCEREJECT", options.nonces_refused.to_string());
        command.env("PEBBLE_AUTHZREUSE", options.authorizations_reused.to_string());
        command.env("PEBBLE_VA_NOSLEEP", "1");
        let mut pebble = Daemon::spawn("pebble", &mut command, PACKAGE, &dir.path().join("pebble.log"))?;
        let [acme, management] = config.addresses();
        pebble.wait_ready("Pebble's start", START, || {
            [acme, management].iter().all(|address| TcpStream::connect(address).is_ok())
        })?;
        let proxy = AcmeProxy::start(&Upstream {
            address: acme,
            directory: "/dir",
            ca: &dir.path().join(config::CA),
            certificate: &dir.path().join(config::CERTIFICATE),
            key: &dir.path().join(config::KEY),
        })?;
        let root = config::fetch_root(dir.path(), management)?;
        let guard = Self { proxy, server: pebble, dns, dns_management, root, dir };
        // No IPv6: every name has one address, the one that tests listen on.
        guard.manage("set-default-ipv6", &json!({"ip": ""}))?;
        Ok(guard)
    }

    /// What clients talk to.
    pub fn proxy(&self) -> &AcmeProxy {
        &self.proxy
    }

    /// The file with the authority that signed the *API's* certificate, in PEM.
    pub fn ca_file(&self) -> PathBuf {
        self.dir.path().join(config::CA)
    }

    /// The root of the certificates that Pebble issues, in PEM.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// Questions about this name fail from now on: the DNS servers of its zone don't answer.
    pub fn break_dns(&self, name: &str) -> Result<(), GuardError> {
        self.manage("set-servfail", &json!({"host": name}))
    }

    /// They are answered again.
    pub fn mend_dns(&self, name: &str) -> Result<(), GuardError> {
        self.manage("clear-servfail", &json!({"host": name}))
    }

    /// The end of Pebble's log, for the message of a failed test.
    pub fn log(&self) -> String {
        self.server.log()
    }

    /// Everything that Pebble has logged.
    pub fn full_log(&self) -> Result<String, GuardError> {
        let path = self.dir.path().join("pebble.log");
        fs::read_to_string(&path).map_err(|e| GuardError::file("read", &path, e))
    }

    /// The ids of the two processes: Pebble, and the challenge test server.
    pub fn pids(&self) -> [u32; 2] {
        [self.server.pid(), self.dns.pid()]
    }

    /// Asks the challenge test server for something. Plain HTTP/1.0, so that it works with and without a runtime.
    fn manage(&self, what: &str, body: &Value) -> Result<(), GuardError> {
        let body = body.to_string();
        let request = format!(
            "POST /{what} HTTP/1.0\r\nhost: {}\r\ncontent-length: {}\r\n\r\n{body}",
            self.dns_management,
            body.len()
        );
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(self.dns_management)?;
            stream.set_read_timeout(Some(ANSWER))?;
            stream.write_all(request.as_bytes())?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        let action = format!("ask the challenge test server to {what}");
        let answer = ask().map_err(|e| GuardError::io(action.as_str(), e))?;
        if answer.lines().next().is_some_and(|status| status.ends_with(" 200 OK")) {
            Ok(())
        } else {
            Err(GuardError::io(action, std::io::Error::other(answer)))
        }
    }
}

impl Drop for Pebble {
    #[expect(clippy::print_stderr, reason = "the test harness shows it with the failed test")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the end of Pebble's log ---\n{}\n---", self.log());
        }
    }
}

/// DNS alone; challenges are answered by the client under test.
fn start_dns(dir: &Path, port: u16, management: SocketAddr) -> Result<Daemon, GuardError> {
    let mut command = Command::new("pebble-challtestsrv");
    for (name, value) in [("http01", ""), ("https01", ""), ("tlsalpn01", "")] {
        command.arg(format!("-{name}")).arg(value);
    }
    command.args(["-dns01", &format!("127.0.0.1:{port}"), "-management", &management.to_string()]);
    let mut dns = Daemon::spawn("pebble-challtestsrv", &mut command, PACKAGE, &dir.join("dns.log"))?;
    let dns_address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    dns.wait_ready("the DNS server's start", START, || {
        [dns_address, management].iter().all(|address| TcpStream::connect(address).is_ok())
    })?;
    Ok(dns)
}
