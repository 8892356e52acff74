//! The second judge on policy evaluation: a package of npm's, asked by a test of `tagmint-iam`.

use crate::npm;
use crate::process::{self, Failure, Notes};
use crate::workspace::Workspace;

/// The package's description, with the script that asks it.
const SOURCE: &str = "tests/judge";
/// Where it is installed.
const INSTALLED: &str = "target/xtask/judge";
/// What asks it. Copied every time: Node looks for packages beside it.
const SCRIPT: &str = "judge.mjs";

/// Installs the judge and compares its verdicts with ours.
pub(crate) fn compare(workspace: &Workspace) -> Result<Notes, Failure> {
    let notes = npm::install(workspace, SOURCE, INSTALLED)?;
    npm::copy(workspace, SOURCE, INSTALLED, SCRIPT)?;
    let mut command = workspace.cargo(&["test", "--package", "tagmint-iam", "--test", "second_opinion"]);
    command.args(["--", "--nocapture"]);
    command.env("TAGMINT_JUDGE_DIR", workspace.path(INSTALLED));
    process::run(command)?;
    Ok(notes)
}
