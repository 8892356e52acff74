//! `cargo xtask test`: the list of its steps.

use crate::process::{self, Failure, Notes};
use crate::report::{self, Mode, Step, When};
use crate::workspace::Workspace;
use crate::{architecture, debian, deny, disk, judge, migrations, npm, python, root, sizes, terraform, tools};

/// The crate that compiles the AWS SDK and needs system packages: left out of a fast run.
const E2E: &str = "tagmint-e2e";

/// All steps, cheap ones first.
const STEPS: &[Step] = &[
    Step { name: "disk", full_only: false, when: When::InOrder, run: disk::check },
    Step { name: "packages", full_only: true, when: When::Beside, run: |w, _| debian::install(w) },
    Step { name: "python", full_only: true, when: When::Beside, run: |w, _| python::prepare(w) },
    Step { name: "clients", full_only: true, when: When::Beside, run: |w, _| npm::install_clients(w) },
    Step { name: "judge", full_only: true, when: When::Beside, run: |w, _| judge::install(w) },
    Step { name: "root", full_only: true, when: When::Beside, run: |w, _| root::prepare(w) },
    Step { name: "format", full_only: false, when: When::InOrder, run: format },
    Step { name: "migrations", full_only: false, when: When::InOrder, run: |w, _| migrations::check(w) },
    Step { name: "sizes", full_only: false, when: When::InOrder, run: |w, _| sizes::check(w) },
    Step { name: "architecture", full_only: false, when: When::InOrder, run: |w, _| architecture::check(w) },
    Step { name: "clippy", full_only: false, when: When::InOrder, run: clippy },
    Step { name: "build", full_only: false, when: When::InOrder, run: build },
    Step { name: "tests", full_only: false, when: When::Prepared, run: tests },
    Step { name: "docs", full_only: true, when: When::InOrder, run: docs },
    Step { name: "machete", full_only: true, when: When::InOrder, run: machete },
    Step { name: "deny", full_only: true, when: When::InOrder, run: |w, _| deny::check(w) },
    Step { name: "advisories", full_only: true, when: When::InOrder, run: |w, _| deny::check_advisories(w) },
];

/// Which steps to run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    mode: Mode,
    /// Only these; all that the mode has when empty.
    names: Vec<&'static str>,
}

impl Selection {
    /// Reads the arguments after `test`.
    pub(crate) fn parse(args: &[&str]) -> Result<Self, String> {
        let mut selection = Self { mode: Mode::Full, names: Vec::new() };
        for &arg in args {
            if arg == "--fast" {
                selection.mode = Mode::Fast;
            } else if let Some(step) = STEPS.iter().find(|step| step.name == arg) {
                selection.names.push(step.name);
            } else {
                return Err(format!("`{arg}` is neither --fast nor a step"));
            }
        }
        Ok(selection)
    }

    fn has(&self, step: &Step) -> bool {
        if self.names.is_empty() { self.mode == Mode::Full || !step.full_only } else { self.names.contains(&step.name) }
    }
}

/// Runs the chosen steps.
pub(crate) fn run(workspace: &Workspace, selection: &Selection) -> Result<(), Failure> {
    let steps: Vec<&Step> = STEPS.iter().filter(|step| selection.has(step)).collect();
    report::run_steps(workspace, selection.mode, &steps)
}

/// The steps for the help text.
pub(crate) fn step_help() -> String {
    let names: Vec<_> = STEPS.iter().map(|step| step.name).collect();
    format!("\nsteps of test: {}\n", names.join(" "))
}

/// `cargo ARGS --workspace`, without the end-to-end crate where it is not wanted.
fn cargo_workspace(workspace: &Workspace, subcommand: &[&str], with_e2e: bool) -> std::process::Command {
    let mut command = workspace.cargo(subcommand);
    command.arg("--workspace");
    if !with_e2e {
        command.args(["--exclude", E2E]);
    }
    command
}

fn format(workspace: &Workspace, _: Mode) -> Result<Notes, Failure> {
    process::run(workspace.cargo(&["fmt", "--all", "--", "--check"]))
        .map_err(|failure| Failure::new(format!("{failure}: run `cargo fmt --all`")))?;
    Ok(Vec::new())
}

fn clippy(workspace: &Workspace, mode: Mode) -> Result<Notes, Failure> {
    let mut command = cargo_workspace(workspace, &["clippy"], mode == Mode::Full);
    command.args(["--all-targets", "--", "--deny", "warnings"]);
    process::run(command)?;
    Ok(Vec::new())
}

/// One build of everything that the tests run, so that each crate is compiled once.
fn build(workspace: &Workspace, mode: Mode) -> Result<Notes, Failure> {
    let notes = tools::NEXTEST.ensure(workspace)?;
    process::run(cargo_workspace(workspace, &["nextest", "run", "--no-run"], mode == Mode::Full))?;
    Ok(notes)
}

fn tests(workspace: &Workspace, mode: Mode) -> Result<Notes, Failure> {
    let mut command = cargo_workspace(workspace, &["nextest", "run"], mode == Mode::Full);
    if mode == Mode::Fast {
        process::run(command)?;
        return Ok(Vec::new());
    }
    command.env("TAGMINT_E2E_PYTHON", python::interpreter(workspace));
    command.env("TAGMINT_E2E_CLIENTS", npm::clients(workspace));
    command.env(judge::DIRECTORY, judge::installed(workspace));
    if let Some(plugins) = terraform::plugins() {
        command.env(terraform::PLUGINS, plugins);
    }
    // The steps after this one need these tools.
    tools::ensure_during(workspace, &[tools::MACHETE, tools::DENY], || process::run(command))
}

fn docs(workspace: &Workspace, _: Mode) -> Result<Notes, Failure> {
    let mut command = cargo_workspace(workspace, &["doc", "--no-deps"], true);
    command.env("RUSTDOCFLAGS", "--deny warnings");
    process::run(command)?;
    Ok(Vec::new())
}

fn machete(workspace: &Workspace, _: Mode) -> Result<Notes, Failure> {
    let notes = tools::MACHETE.ensure(workspace)?;
    process::run(workspace.cargo(&["machete"]))?;
    Ok(notes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(args: &[&str]) -> Vec<&'static str> {
        let selection = Selection::parse(args).unwrap();
        STEPS.iter().filter(|step| selection.has(step)).map(|step| step.name).collect()
    }

    #[test]
    fn fast_leaves_out_what_needs_the_system() {
        assert_eq!(
            names(&["--fast"]),
            ["disk", "format", "migrations", "sizes", "architecture", "clippy", "build", "tests"]
        );
        assert_eq!(names(&[]).len(), STEPS.len());
    }

    #[test]
    fn named_steps_run_alone() {
        assert_eq!(names(&["tests", "format"]), ["format", "tests"]);
        let problem = Selection::parse(&["--quick"]).unwrap_err();
        assert_eq!(problem, "`--quick` is neither --fast nor a step");
    }
}
