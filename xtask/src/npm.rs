//! Packages of npm's that tests ask: installed from a lock file, outside of the source tree.

use std::fs;

use crate::process::{self, Failure, Notes};
use crate::workspace::Workspace;

/// What npm needs to install them.
const PACKAGE: [&str; 2] = ["package.json", "package-lock.json"];

/// The clients that the end-to-end tests drive: their description, and where they are installed.
const CLIENTS: (&str, &str) = ("tests/clients", "target/xtask/clients");

/// Installs the clients that the end-to-end tests drive.
pub(crate) fn install_clients(workspace: &Workspace) -> Result<Notes, Failure> {
    let (source, installed) = CLIENTS;
    install(workspace, source, installed)
}

/// Where [`install_clients`] installs.
pub(crate) fn clients(workspace: &Workspace) -> std::path::PathBuf {
    workspace.path(CLIENTS.1)
}

/// Installs what `source` describes into `target` when it is missing there or of another version.
pub(crate) fn install(workspace: &Workspace, source: &str, target: &str) -> Result<Notes, Failure> {
    let installed = workspace.path(target);
    fs::create_dir_all(&installed).map_err(|e| Failure::new(format!("could not make {target}: {e}")))?;
    // npm writes this file last.
    let is_complete = installed.join("node_modules/.package-lock.json").is_file();
    let mut is_same = true;
    for name in PACKAGE {
        is_same &= read(workspace, source, name)? == read(workspace, target, name).unwrap_or_default();
    }
    if is_complete && is_same {
        return Ok(Vec::new());
    }
    println!("    {target} is missing or old: installing it from {source}");
    for name in PACKAGE {
        copy(workspace, source, target, name)?;
    }
    let mut npm = workspace.command("npm");
    npm.current_dir(&installed);
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"]);
    process::run(npm)?;
    Ok(vec![format!("made {target}")])
}

/// Copies a file from one directory of the workspace to another.
pub(crate) fn copy(workspace: &Workspace, source: &str, target: &str, name: &str) -> Result<(), Failure> {
    let text = read(workspace, source, name)?;
    fs::write(workspace.path(target).join(name), text)
        .map_err(|e| Failure::new(format!("could not write {target}/{name}: {e}")))
}

fn read(workspace: &Workspace, directory: &str, name: &str) -> Result<String, Failure> {
    fs::read_to_string(workspace.path(directory).join(name))
        .map_err(|e| Failure::new(format!("could not read {directory}/{name}: {e}")))
}
