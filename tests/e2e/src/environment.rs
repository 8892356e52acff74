//! What the tests take from the environment of their process, in one place.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::error::GuardError;

/// Names the `tagmint` to test. Default: the one next to the test program, as cargo builds it.
const BINARY: &str = "TAGMINT_BIN";
/// Names a directory whose `node_modules` has the packages of `tests/clients`. `cargo xtask test` installs them.
const CLIENTS: &str = "TAGMINT_E2E_CLIENTS";
/// Names a Python with the packages of `requirements.txt`. `cargo xtask test` sets it.
const PYTHON: &str = "TAGMINT_E2E_PYTHON";
/// Names a directory with Terraform's AWS provider, for machines that do not reach Terraform's registry.
const TERRAFORM_PLUGINS: &str = "TAGMINT_TERRAFORM_PLUGINS";

/// The `tagmint` binary under test: `TAGMINT_BIN`, or the one in the target directory that this
/// test program was built into (`target/debug` or `target/release`).
pub(crate) fn binary() -> Result<PathBuf, GuardError> {
    let path = match variable(BINARY) {
        Some(path) => path,
        // target/PROFILE/deps/TEST -> target/PROFILE/tagmint
        None => std::env::current_exe()
            .map_err(|e| GuardError::io("find the path of this test program", e))?
            .ancestors()
            .nth(2)
            .unwrap_or(Path::new("."))
            .join("tagmint"),
    };
    let fix = "build it with `cargo build -p tagmint`, or name one in TAGMINT_BIN";
    prepared("the tagmint binary", path, fix)
}

/// The `node_modules` with the clients of `tests/clients`: below `TAGMINT_E2E_CLIENTS`, or where `cargo xtask test` installs them.
pub fn node_modules() -> Result<PathBuf, GuardError> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = variable(CLIENTS).unwrap_or_else(|| root.join("target/xtask/clients")).join("node_modules");
    let fix = "`cargo xtask test clients` installs them; or name a directory where `npm ci` did in TAGMINT_E2E_CLIENTS";
    prepared("the clients from npm", path, fix)
}

/// The search path of programs, with the directory of the AWS command before all others.
pub fn search_path() -> Result<OsString, GuardError> {
    let python = python()?;
    let first = python.parent().unwrap_or(Path::new("/")).to_owned();
    let rest = variable("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(first).chain(std::env::split_paths(&rest)))
        .map_err(|e| GuardError::io("put the directory of the AWS command into PATH", std::io::Error::other(e)))
}

/// The Python interpreter that has boto3 and the AWS CLI: `TAGMINT_E2E_PYTHON`, or the virtual
/// environment that `cargo xtask test` keeps. The CLI is `aws` in the same directory.
pub fn python() -> Result<PathBuf, GuardError> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = variable(PYTHON).unwrap_or_else(|| root.join("target/xtask/venv/bin/python"));
    let fix = "`cargo xtask test` makes it; or name a Python with boto3 in TAGMINT_E2E_PYTHON";
    prepared("the Python with boto3", path, fix)
}

/// The bare Debian that `cargo xtask test` makes with debootstrap.
pub fn debian_root() -> Result<PathBuf, GuardError> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/xtask/root");
    prepared("the bare Debian", path, "`cargo xtask test packages root` makes it")
}

/// A Terraform, and where it finds the AWS provider.
#[derive(Debug)]
pub struct Terraform {
    /// The program.
    pub program: PathBuf,
    /// The directory for `terraform init -plugin-dir`; none to ask Terraform's registry.
    pub plugins: Option<PathBuf>,
}

/// Terraform from `PATH`, with the providers of the directory in `TAGMINT_TERRAFORM_PLUGINS`.
pub fn terraform() -> Result<Terraform, GuardError> {
    let path = variable("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join("terraform")).find(|program| program.exists());
    let fix = "install Terraform 1.x, which Debian does not package, so that it is on the PATH";
    let program = prepared("terraform", found.unwrap_or_else(|| PathBuf::from("terraform")), fix)?;
    Ok(Terraform { program, plugins: variable(TERRAFORM_PLUGINS) })
}

/// The path, if something is there.
fn prepared(what: &'static str, path: PathBuf, fix: &'static str) -> Result<PathBuf, GuardError> {
    if path.exists() { Ok(path) } else { Err(GuardError::NotPrepared { what, path, fix }) }
}

/// A path in a variable of the environment; an empty one counts as unset.
#[expect(clippy::disallowed_methods, reason = "this is the one place of the end-to-end tests")]
fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
