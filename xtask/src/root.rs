//! A bare Debian or Ubuntu in a folder, in which the package is installed by the end-to-end tests.

use std::fs;

use crate::process::{self, Failure, Notes};
use crate::workspace::Workspace;

/// Where it lives.
const ROOT: &str = "target/xtask/root";
/// What a host has beyond the least that there is.
const INCLUDED: &str = "ca-certificates,curl,iproute2,man-db,procps,systemd,systemd-sysv";

/// Makes it when it is missing, of the same release as this machine and from the same mirror.
pub(crate) fn prepare(workspace: &Workspace) -> Result<Notes, Failure> {
    let root = workspace.path(ROOT);
    if root.is_dir() {
        return Ok(Vec::new());
    }
    let (mirror, release) = source(workspace)?;
    println!("    {ROOT} is missing: making it");
    let unfinished = workspace.path(&format!("{ROOT}.unfinished"));
    // In a mount namespace: what an end in between leaves mounted goes with it, so that removing the folder removes nothing else.
    let script = r#"rm -rf "$3" && mkdir -p "$3" && debootstrap --variant=minbase --include="$4" "$1" "$3" "$2""#;
    let mut debootstrap = workspace.command("unshare");
    debootstrap.args(["--mount", "sh", "-c", script, "sh", &release, &mirror]).arg(&unfinished).arg(INCLUDED);
    process::capture(debootstrap)?;
    fs::rename(&unfinished, &root).map_err(|e| Failure::new(format!("could not rename {ROOT}.unfinished: {e}")))?;
    Ok(vec![format!("made {ROOT} of {release}")])
}

/// The mirror that this machine's system comes from, and the system's code name.
fn source(workspace: &Workspace) -> Result<(String, String), Failure> {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let release = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let release = release.ok_or_else(|| Failure::new("/etc/os-release has no VERSION_CODENAME"))?;
    let mut targets = workspace.command("apt-get");
    targets.args(["indextargets", "--format", "$(CODENAME) $(COMPONENT) $(REPO_URI)", "Identifier: Packages"]);
    let targets = process::capture(targets)?;
    let wanted = format!("{release} main ");
    let mirror = targets.lines().find_map(|line| line.strip_prefix(&wanted));
    let mirror = mirror.ok_or_else(|| Failure::new(format!("apt has no mirror of {release}: run `apt-get update`")))?;
    Ok((mirror.to_owned(), release.to_owned()))
}
