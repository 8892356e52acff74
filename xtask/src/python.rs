//! A virtual environment with the AWS clients for Python.

use std::fs;
use std::path::PathBuf;

use crate::debian::SYSTEM_PYTHON;
use crate::process::{self, Failure, Notes};
use crate::workspace::Workspace;

/// The packages with their versions.
const REQUIREMENTS: &str = "tests/e2e/requirements.txt";
/// Where the environment lives.
const VENV: &str = "target/xtask/venv";
/// A copy of the requirements inside the environment, written when all of them are installed.
const INSTALLED: &str = "target/xtask/venv/installed-requirements.txt";

/// The environment's Python.
pub(crate) fn interpreter(workspace: &Workspace) -> PathBuf {
    workspace.path(VENV).join("bin/python")
}

/// Makes the environment when it is missing or has other requirements.
pub(crate) fn prepare(workspace: &Workspace) -> Result<Notes, Failure> {
    let wanted = fs::read_to_string(workspace.path(REQUIREMENTS))
        .map_err(|e| Failure::new(format!("could not read {REQUIREMENTS}: {e}")))?;
    let installed = workspace.path(INSTALLED);
    if fs::read_to_string(&installed).is_ok_and(|text| text == wanted) {
        return Ok(Vec::new());
    }
    println!("    {VENV} is missing or old: making it from {REQUIREMENTS}");
    let mut venv = workspace.command(SYSTEM_PYTHON);
    venv.args(["-m", "venv", "--clear", VENV]);
    process::run(venv)?;
    let mut pip = workspace.command(interpreter(workspace));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    pip.args(["--requirement", REQUIREMENTS]);
    process::run(pip)?;
    fs::write(&installed, wanted).map_err(|e| Failure::new(format!("could not write {INSTALLED}: {e}")))?;
    Ok(vec![format!("made {VENV}")])
}
