//! The second judge on policy evaluation: a package of npm's, asked by a test of `tagmint-iam`.

use std::fs;

use crate::process::{self, Failure, Notes};
use crate::workspace::Workspace;

/// The package's description, with the script that asks it.
const SOURCE: &str = "tests/judge";
/// Where it is installed.
const INSTALLED: &str = "target/xtask/judge";
/// What npm needs to install it.
const PACKAGE: [&str; 2] = ["package.json", "package-lock.json"];
/// What asks it.
const SCRIPT: &str = "judge.mjs";

/// Installs the judge and compares its verdicts with ours.
pub(crate) fn compare(workspace: &Workspace) -> Result<Notes, Failure> {
    let notes = install(workspace)?;
    let mut command = workspace.cargo(&["test", "--package", "tagmint-iam", "--test", "second_opinion"]);
    command.args(["--", "--nocapture"]);
    command.env("TAGMINT_JUDGE_DIR", workspace.path(INSTALLED));
    process::run(command)?;
    Ok(notes)
}

/// Installs the package when it is missing or of another version. The script is copied every time: Node looks for packages beside it.
fn install(workspace: &Workspace) -> Result<Notes, Failure> {
    let installed = workspace.path(INSTALLED);
    fs::create_dir_all(&installed).map_err(|e| Failure::new(format!("could not make {INSTALLED}: {e}")))?;
    copy(workspace, SCRIPT)?;
    // npm writes this file last.
    let is_complete = installed.join("node_modules/.package-lock.json").is_file();
    let mut is_same = true;
    for name in PACKAGE {
        is_same &= read(workspace, SOURCE, name)? == read(workspace, INSTALLED, name).unwrap_or_default();
    }
    if is_complete && is_same {
        return Ok(Vec::new());
    }
    println!("    {INSTALLED} is missing or old: installing it from {SOURCE}");
    for name in PACKAGE {
        copy(workspace, name)?;
    }
    let mut npm = workspace.command("npm");
    npm.current_dir(&installed);
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"]);
    process::run(npm)?;
    Ok(vec![format!("made {INSTALLED}")])
}

fn copy(workspace: &Workspace, name: &str) -> Result<(), Failure> {
    let text = read(workspace, SOURCE, name)?;
    fs::write(workspace.path(INSTALLED).join(name), text)
        .map_err(|e| Failure::new(format!("could not write {INSTALLED}/{name}: {e}")))
}

fn read(workspace: &Workspace, directory: &str, name: &str) -> Result<String, Failure> {
    fs::read_to_string(workspace.path(directory).join(name))
        .map_err(|e| Failure::new(format!("could not read {directory}/{name}: {e}")))
}
