//! The Debian package and `deploy/install.sh`, in a Debian of their own: a folder that is entered, or that systemd is booted in.

#[path = "install/authority.rs"]
mod authority;
#[path = "install/cloud.rs"]
mod cloud;
#[path = "install/machine.rs"]
mod machine;
#[path = "install/package.rs"]
mod package;
#[path = "install/running.rs"]
mod running;
#[path = "install/script.rs"]
mod script;
#[path = "install/shipped.rs"]
mod shipped;

use std::path::PathBuf;

type Error = Box<dyn std::error::Error + Send + Sync>;
type TestResult<T = ()> = Result<T, Error>;

/// The project's checkout.
fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}
