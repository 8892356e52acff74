//! What dpkg reads of the package.

use std::fs;
use std::path::Path;

use super::on;
use super::stamp::Stamp;
use super::tree::Tree;
use crate::process::{self, Failure};
use crate::workspace::Workspace;

/// The fields that stand, and the scripts that dpkg runs.
const SOURCES: &str = "deploy/debian";
/// Scripts that dpkg runs (Debian Policy §6).
const SCRIPTS: &[&str] = &["postinst", "prerm", "postrm"];

/// Writes the folder `DEBIAN` of the tree. `work` is a folder for intermediate files.
pub(super) fn write(
    workspace: &Workspace,
    tree: &Tree,
    work: &Path,
    stamp: &Stamp,
    architecture: &str,
) -> Result<(), Failure> {
    let files = tree.files()?;
    let mut sums = workspace.command("md5sum");
    sums.current_dir(tree.path("")).arg("--").args(&files);
    let sums = process::capture(sums)?;
    let source = workspace.path(SOURCES);
    let fields = fs::read_to_string(source.join("control")).map_err(|error| on("read", &source, &error))?;
    let (version, size) = (&stamp.version, installed_size(tree)?);
    // Certificates for what it asks over TLS; `kill` for the reload of its unit.
    let depends = format!("{}, ca-certificates, procps", libraries(workspace, tree, work)?);
    let computed =
        format!("Version: {version}\nArchitecture: {architecture}\nInstalled-Size: {size}\nDepends: {depends}\n");
    // `Description`, which has many lines, stays the last one.
    let (before, description) = fields
        .split_once("Description:")
        .ok_or_else(|| Failure::new(format!("{SOURCES}/control has no Description")))?;
    tree.write("DEBIAN/control", format!("{before}{computed}Description:{description}").as_bytes(), 0o644)?;
    tree.write("DEBIAN/md5sums", sums.as_bytes(), 0o644)?;
    for script in SCRIPTS {
        let path = source.join(script);
        let text = fs::read(&path).map_err(|error| on("read", &path, &error))?;
        tree.write(&format!("DEBIAN/{script}"), &text, 0o755)?;
    }
    Ok(())
}

/// The packages that the program's shared libraries come from, with the versions that its symbols need.
fn libraries(workspace: &Workspace, tree: &Tree, work: &Path) -> Result<String, Failure> {
    // It reads this file, if only for the names in it.
    let debian = work.join("debian");
    fs::create_dir_all(&debian).map_err(|error| on("make", &debian, &error))?;
    let control = debian.join("control");
    let text = "Source: tagmint\n\nPackage: tagmint\nArchitecture: any\n";
    fs::write(&control, text).map_err(|error| on("write", &control, &error))?;
    let mut shlibdeps = workspace.command("dpkg-shlibdeps");
    shlibdeps.current_dir(work).args(["-O", "-e"]).arg(tree.binary());
    let said = process::capture(shlibdeps)
        .map_err(|failure| Failure::new(format!("{failure} (dpkg-shlibdeps is in the package dpkg-dev)")))?;
    let depends = said.lines().find_map(|line| line.strip_prefix("shlibs:Depends="));
    depends.map(str::to_owned).ok_or_else(|| Failure::new(format!("dpkg-shlibdeps tells no dependencies: {said}")))
}

/// KiB, each file counted in whole ones (Debian Policy §5.6.20).
fn installed_size(tree: &Tree) -> Result<u64, Failure> {
    let mut size = 0;
    for file in tree.files()? {
        let path = tree.path("").join(file);
        size += fs::metadata(&path).map_err(|error| on("read", &path, &error))?.len().div_ceil(1024);
    }
    Ok(size)
}
