//! The second judge on policy evaluation: a package of npm's, asked by a test of `tagmint-iam`.

use std::path::PathBuf;

use crate::npm;
use crate::process::{Failure, Notes};
use crate::workspace::Workspace;

/// Names the installed judge to the test.
pub(crate) const DIRECTORY: &str = "TAGMINT_JUDGE_DIR";
/// The package's description, with the script that asks it.
const SOURCE: &str = "tests/judge";
/// Where it is installed.
const INSTALLED: &str = "target/xtask/judge";
/// What asks it. Copied every time: Node looks for packages beside it.
const SCRIPT: &str = "judge.mjs";

/// Installs the judge.
pub(crate) fn install(workspace: &Workspace) -> Result<Notes, Failure> {
    let notes = npm::install(workspace, SOURCE, INSTALLED)?;
    npm::copy(workspace, SOURCE, INSTALLED, SCRIPT)?;
    Ok(notes)
}

/// Where [`install`] installs.
pub(crate) fn installed(workspace: &Workspace) -> PathBuf {
    workspace.path(INSTALLED)
}
