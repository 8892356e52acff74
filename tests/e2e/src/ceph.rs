//! A throw-away Ceph RGW on loopback: real S3, STS and a part of IAM, from Debian's packages.
//!
//! Where it differs from AWS (seen with Ceph 16.2), as far as every test must know; `tests/ceph_judge/reasons.json` has what it decides
//! otherwise:
//! - The provider's URL must equal `iss` without the scheme, byte for byte. TLS is verified.
//! - Of a JWKS only the first key is used, `kid` is ignored, and the key needs an `x5c`. Use RS256.
//! - Policies must be compact JSON: a `+` of the form encoding is not decoded.
//! - `${aws:PrincipalTag/K}` in a resource ARN is malformed; as a whole condition value it works.
//! - Errors of STS and IAM are XML that the SDKs don't recognise (code "Unknown"); STS refuses with
//!   a bare `AccessDenied`, and the reason is in [`CephGuard::log`] with [`CephOptions::verbose`].
//! - There is no `GetCallerIdentity`.
//! - Clients send checksums only when asked: `request_checksum_calculation = when_required`.

mod cluster;
mod config;

use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::daemon::{self, Daemon};
use crate::error::GuardError;
use crate::ports::free_port;
use cluster::{Cluster, STEP};
use config::ClusterConfig;

/// The region that RGW's single zone group stands for.
const REGION: &str = "us-east-1";

/// How a [`CephGuard`] is to be started.
#[derive(Debug, Clone, Default)]
pub struct CephOptions {
    /// A PEM file of certificate authorities. radosgw, and nothing else on the machine, trusts them
    /// besides the system's own when it fetches an issuer's documents.
    pub ca_file: Option<PathBuf>,
    /// Log every check of a token and every step of a policy. Tests of STS want this: the reason of
    /// a refusal is nowhere else.
    pub verbose: bool,
}

/// The keys of the administrator, who may do everything.
#[derive(Debug, Clone)]
pub struct AdminKeys {
    /// The access key id.
    pub access_key_id: String,
    /// The secret access key. Random, and void when the guard is dropped.
    pub secret_access_key: String,
}

impl AdminKeys {
    fn generate() -> Result<Self, GuardError> {
        Ok(Self { access_key_id: random_hex(10)?.to_uppercase(), secret_access_key: random_hex(20)? })
    }
}

/// A running Ceph cluster of one monitor, one OSD that keeps everything in memory, and one RGW.
/// Nothing listens beyond 127.0.0.1. Dropping it ends the three daemons and removes their files.
#[derive(Debug)]
pub struct CephGuard {
    // Dropped from top to bottom: clients before servers, the directory last.
    rgw: Daemon,
    osd: Daemon,
    mon: Daemon,
    endpoint: String,
    admin: AdminKeys,
    dir: TempDir,
}

impl CephGuard {
    /// Starts a fresh cluster and waits until S3, STS and IAM answer.
    pub fn start(options: &CephOptions) -> Result<Self, GuardError> {
        let dir = tempfile::Builder::new()
            .prefix("tagmint-ceph-")
            .tempdir()
            .map_err(|e| GuardError::io("make a temporary directory", e))?;
        cluster::check_rados()?;
        let config = ClusterConfig {
            dir: dir.path(),
            fsid: uuid()?,
            mon_port: free_port()?,
            rgw_port: free_port()?,
            sts_key: random_hex(8)?,
            verbose: options.verbose,
        };
        let cluster = Cluster::new(dir.path(), config.write()?);

        let osd_id = uuid()?;
        let mut mkfs = cluster.make_osd(&osd_id)?;
        let mon = cluster.start_mon(&config)?;
        daemon::finish(&mut mkfs, STEP)?;
        cluster.register_osd(&osd_id)?;
        let osd = cluster.spawn("osd", "ceph-osd", "ceph-osd", &["--foreground", "--id", "0"])?;
        let mut rgw = cluster.spawn_rgw(options.ca_file.as_deref())?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, config.rgw_port));
        rgw.wait_ready("radosgw's start", STEP, || TcpStream::connect(address).is_ok())
            .map_err(|e| with_log(e, &cluster.log("client.rgw")))?;
        let admin = AdminKeys::generate()?;
        cluster.create_admin(None, &admin)?;
        Ok(Self { rgw, osd, mon, endpoint: format!("http://{address}"), admin, dir })
    }

    /// The URL of S3, STS and IAM alike, without a slash at its end. S3 wants path style.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The keys of the administrator.
    pub fn admin(&self) -> &AdminKeys {
        &self.admin
    }

    /// Makes a tenant's administrator. A tenant is Ceph's account: its name stands where AWS's ARNs have the account's number, and its roles,
    /// providers and buckets are its own.
    pub fn create_tenant(&self, tenant: &str) -> Result<AdminKeys, GuardError> {
        let admin = AdminKeys::generate()?;
        Cluster::new(self.dir.path(), self.dir.path().join("ceph.conf")).create_admin(Some(tenant), &admin)?;
        Ok(admin)
    }

    /// The region to sign for.
    pub fn region(&self) -> &'static str {
        REGION
    }

    /// The environment that makes AWS's clients (boto3, the CLI, the SDKs) the administrator of this
    /// cluster.
    pub fn aws_env(&self) -> [(&'static str, String); 8] {
        [
            ("AWS_ENDPOINT_URL", self.endpoint.clone()),
            ("AWS_ACCESS_KEY_ID", self.admin.access_key_id.clone()),
            ("AWS_SECRET_ACCESS_KEY", self.admin.secret_access_key.clone()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_DEFAULT_REGION", REGION.to_owned()),
            ("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required".to_owned()),
            ("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ]
    }

    /// The end of radosgw's log, for the message of a failed test.
    pub fn log(&self) -> String {
        daemon::tail(&self.dir.path().join("client.rgw.log"))
    }

    /// The ids of the three processes: radosgw, the OSD, the monitor.
    pub fn pids(&self) -> [u32; 3] {
        [self.rgw.pid(), self.osd.pid(), self.mon.pid()]
    }

    /// The directory with the cluster's files, which goes with the guard.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for CephGuard {
    /// The daemons and the directory go by themselves; a failed test gets to see the log before.
    #[expect(clippy::print_stderr, reason = "the test harness shows it with the failed test")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the end of radosgw's log ---\n{}\n---", self.log());
        }
    }
}

/// Adds the daemon's own log file to an error that has only what the daemon printed.
fn with_log(error: GuardError, file: &Path) -> GuardError {
    let more = |log: String| format!("{log}\n{}", daemon::tail(file));
    match error {
        GuardError::Ended { name, status, log } => GuardError::Ended { name, status, log: more(log) },
        GuardError::Deadline { what, limit, log } => GuardError::Deadline { what, limit, log: more(log) },
        other => other,
    }
}

/// A random UUID from the kernel.
fn uuid() -> Result<String, GuardError> {
    let path = Path::new("/proc/sys/kernel/random/uuid");
    let text = fs::read_to_string(path).map_err(|e| GuardError::file("read", path, e))?;
    Ok(text.trim().to_owned())
}

/// `bytes` random bytes in hexadecimal.
fn random_hex(bytes: usize) -> Result<String, GuardError> {
    let path = Path::new("/dev/urandom");
    let mut buffer = vec![0; bytes];
    fs::File::open(path)
        .and_then(|mut file| file.read_exact(&mut buffer))
        .map_err(|e| GuardError::file("read", path, e))?;
    Ok(buffer.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}")))
}
