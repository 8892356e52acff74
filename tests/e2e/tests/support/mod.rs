//! The stage of the scenario: certificates and a config, our issuer, Ceph as AWS.

mod ceph;
mod issuer;

use std::path::PathBuf;

pub use ceph::Ceph;
pub use issuer::Issuer;

pub type Error = Box<dyn std::error::Error + Send + Sync>;
pub type TestResult<T = ()> = Result<T, Error>;

/// The files that outlive one run of the issuer: certificates, key file, database, config.
pub struct Stage {
    dir: tempfile::TempDir,
    pub port: u16,
}

impl Stage {
    /// A throw-away CA, a certificate for `localhost` under it, and a key file.
    pub fn new() -> TestResult<Self> {
        let dir = tempfile::tempdir()?;
        let ca_key = rcgen::KeyPair::generate()?;
        let mut ca = rcgen::CertificateParams::new(Vec::new())?;
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        ca.distinguished_name.push(rcgen::DnType::CommonName, "end-to-end CA");
        std::fs::write(dir.path().join("ca.pem"), ca.self_signed(&ca_key)?.pem())?;
        let key = rcgen::KeyPair::generate()?;
        let server = rcgen::CertificateParams::new(vec!["localhost".to_owned()])?;
        let certificate = server.signed_by(&key, &rcgen::Issuer::new(ca, ca_key))?;
        std::fs::write(dir.path().join("server.pem"), certificate.pem())?;
        write_secret(&dir.path().join("server.key"), &key.serialize_pem())?;
        write_secret(&dir.path().join("master.key"), "c2l4dGVlbiBieXRlcyB0aW1lcyB0d28gaXMgMzIuLi4=\n")?;
        Ok(Self { dir, port: tagmint_e2e::free_port()? })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The issuer URL, and as AWS names the provider: without the scheme.
    pub fn issuer(&self) -> String {
        format!("https://{}", self.provider())
    }

    pub fn provider(&self) -> String {
        format!("localhost:{}", self.port)
    }
}

fn write_secret(path: &std::path::Path, text: &str) -> TestResult {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    Ok(())
}

/// That something was refused, and not merely failed.
pub trait Refused {
    fn expect_refused(self, what: &str) -> TestResult;
}

/// What the other side said no to.
#[derive(Debug, PartialEq, Eq)]
pub struct Denied {
    pub status: u16,
    pub code: String,
}

impl std::fmt::Display for Denied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "refused with {} {}", self.status, self.code)
    }
}

impl std::error::Error for Denied {}

impl<T> Refused for TestResult<T> {
    fn expect_refused(self, what: &str) -> TestResult {
        match self {
            Ok(_) => Err(format!("{what} was accepted").into()),
            Err(error) => match error.downcast_ref::<Denied>() {
                Some(denied) if denied.status == 403 && denied.code == "AccessDenied" => Ok(()),
                _ => Err(format!("{what} was not refused but failed: {error}").into()),
            },
        }
    }
}
