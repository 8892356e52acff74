//! Guards for tests that drive the built binary against real daemons.
//!
//! A guard owns what it starts: the processes end and their directory goes when it is dropped, also
//! when the test panics, and when the test process itself is killed. A missing program is an error
//! that names the Debian package to install, never a skipped test.
//!
//! | guard | owns |
//! |---|---|
//! | [`CephGuard`] | a Ceph cluster of one monitor, one OSD and one RGW: real S3, STS and IAM |
//! | [`TagmintProcess`] | one running `tagmint` |
//! | [`Pebble`] | an ACME server with a DNS server of its own, behind an [`AcmeProxy`] that breaks what a test wants broken |
//! | [`Daemon`] | any other process with a log file |
//!
//! [`python`] names the interpreter that has boto3 and the AWS CLI, [`node_modules`] the clients from npm, and [`search_path`] finds the AWS
//! command and the system's programs.
//!
//! ```ignore
//! use tagmint_e2e::{CephGuard, CephOptions, GuardError, TagmintProcess};
//!
//! # fn main() -> Result<(), GuardError> {
//! let issuer = TagmintProcess::start(["dev", "--listen", "127.0.0.1:0", "--format", "json"])?;
//! let ceph = CephGuard::start(&CephOptions {
//!     ca_file: Some(issuer.field("ca_file")?.into()),
//!     verbose: true,
//! })?;
//! let mut proof = TagmintProcess::command(["prove", "--format", "json"])?;
//! let output = proof.envs(ceph.aws_env()).output().expect("tagmint starts");
//! assert!(output.status.success(), "radosgw says:\n{}", ceph.log());
//! # Ok(()) }
//! ```

mod acme_proxy;
mod ceph;
mod daemon;
mod environment;
mod error;
mod leash;
mod pebble;
mod ports;
mod tagmint;
mod wait;

pub use acme_proxy::{AcmeFault, AcmeProxy, AcmeRequest, AcmeStep, Moment, RenewalWindow};
pub use ceph::{AdminKeys, CephGuard, CephOptions};
pub use daemon::Daemon;
pub use environment::{Terraform, debian_root, node_modules, python, search_path, terraform};
pub use error::GuardError;
pub use pebble::{ExternalAccount, Pebble, PebbleOptions, UNWANTED_REUSE};
pub use ports::free_port;
pub use tagmint::TagmintProcess;
pub use wait::wait_until;
