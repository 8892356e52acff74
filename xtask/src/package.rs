//! `cargo xtask package`: a Debian package of the program and what belongs to it.
//!
//! - [`stamp`] knows its version and the time that its files carry
//! - [`tree`] lays its files out
//! - [`licenses`] collects the notices of the libraries in the program
//! - [`control`] writes what dpkg reads
//!
//! The same commit, program and tools give the same bytes.

mod control;
mod licenses;
mod stamp;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{self, Failure, Notes};
use crate::workspace::Workspace;
use stamp::Stamp;
use tree::Tree;

/// Where packages are put unless `--out` says otherwise.
const OUT: &str = "target/package";

/// What is to be packaged.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Job {
    /// A program that is built already; none to build one.
    binary: Option<PathBuf>,
    /// The version of the package; none for that of the commit.
    version: Option<String>,
    /// The folder for the package.
    out: Option<PathBuf>,
    /// Leaves lintian out.
    unchecked: bool,
}

impl Job {
    /// Reads the arguments after `package`.
    pub(crate) fn parse(args: &[&str]) -> Result<Self, String> {
        let mut job = Self::default();
        let mut args = args.iter();
        while let Some(&arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} wants a value"));
            match arg {
                "--binary" => job.binary = Some(value()?.into()),
                "--version" => job.version = Some(stamp::checked(value()?)?),
                "--out" => job.out = Some(value()?.into()),
                "--unchecked" => job.unchecked = true,
                _ => return Err(format!("package has no argument `{arg}`")),
            }
        }
        Ok(job)
    }
}

/// Builds the package, has lintian look at it, and tells where it is.
pub(crate) fn run(workspace: &Workspace, job: &Job) -> Result<Notes, Failure> {
    let stamp = Stamp::of(workspace, job.version.as_deref())?;
    let binary = match &job.binary {
        Some(binary) => fs::canonicalize(binary).map_err(|error| on("find", binary, &error))?,
        None => build(workspace)?,
    };
    let out = job.out.clone().unwrap_or_else(|| workspace.path(OUT));
    let architecture = architecture(workspace)?;
    let name = format!("tagmint_{}_{architecture}", stamp.version);
    // Beside the package, so that two builds of different packages do not meet.
    let work = out.join(format!("{name}.work"));
    if work.exists() {
        fs::remove_dir_all(&work).map_err(|error| on("remove", &work, &error))?;
    }
    let root = work.join("root");
    let tree = Tree::lay_out(workspace, &root, &binary, &stamp)?;
    control::write(workspace, &tree, &work, &stamp, &architecture)?;
    let package = out.join(format!("{name}.deb"));
    let mut dpkg_deb = stamp.dated(workspace.command("dpkg-deb"));
    // One thread: the compressor's output depends on it.
    dpkg_deb.args(["--root-owner-group", "-Zxz", "-z3", "--threads-max=1", "--build"]).args([&root, &package]);
    process::capture(dpkg_deb)?;
    fs::remove_dir_all(&work).map_err(|error| on("remove", &work, &error))?;
    if !job.unchecked {
        lint(workspace, &package)?;
    }
    Ok(vec![workspace.relative(&package)])
}

/// Builds the program as it is released.
fn build(workspace: &Workspace) -> Result<PathBuf, Failure> {
    process::run(workspace.cargo(&["build", "--profile", "dist", "--locked", "--package", "tagmint"]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.path("target"), PathBuf::from);
    Ok(workspace.path("").join(target).join("dist/tagmint"))
}

/// Debian's name of this machine's architecture, such as `amd64`.
fn architecture(workspace: &Workspace) -> Result<String, Failure> {
    let mut dpkg = workspace.command("dpkg");
    dpkg.arg("--print-architecture");
    Ok(process::capture(dpkg)?.trim().to_owned())
}

/// Debian's own check of packages. A warning is a failure too, and nothing is excepted.
fn lint(workspace: &Workspace, package: &Path) -> Result<(), Failure> {
    let mut lintian: Command = workspace.command("lintian");
    lintian.args(["--fail-on", "error,warning", "--tag-display-limit", "0", "--allow-root"]).arg(package);
    let output = process::output(&mut lintian)
        .map_err(|failure| Failure::new(format!("{failure}: apt-get install --no-install-recommends lintian")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(Failure::new(format!("lintian finds fault with the package:\n{}", String::from_utf8_lossy(&said).trim_end())))
}

/// A failure with a file.
fn on(verb: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("could not {verb} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read() {
        assert_eq!(Job::parse(&[]).unwrap(), Job::default());
        let job =
            Job::parse(&["--binary", "x/tagmint", "--version", "1.2.3", "--out", "there", "--unchecked"]).unwrap();
        let expected = Job {
            binary: Some("x/tagmint".into()),
            version: Some("1.2.3".to_owned()),
            out: Some("there".into()),
            unchecked: true,
        };
        assert_eq!(job, expected);
    }

    #[test]
    fn wrong_arguments_are_named() {
        assert_eq!(Job::parse(&["--binary"]).unwrap_err(), "--binary wants a value");
        assert_eq!(Job::parse(&["--quick"]).unwrap_err(), "package has no argument `--quick`");
        assert!(Job::parse(&["--version", "one two"]).unwrap_err().contains("`one two`"));
    }
}
