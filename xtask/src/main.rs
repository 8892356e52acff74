//! The project's own chores, run as `cargo xtask COMMAND`. `cargo xtask` alone prints the commands.
//!
//! Each module is one chore or one helper:
//!
//! - [`mod@test`] lists the steps of `cargo xtask test`; [`report`] runs them and prints the summary
//! - [`disk`], [`architecture`], [`sizes`] and [`migrations`] are checks of our own
//! - [`fuzz`] runs the fuzz targets
//! - [`package`] makes the Debian package
//! - [`judge`] installs a second opinion on policies
//! - [`deny`], [`debian`], [`npm`], [`python`], [`root`] and [`tools`] bring what other checks need
//! - [`process`] starts programs; [`workspace`] knows the paths

#![allow(clippy::disallowed_methods, reason = "chores read the environment; the seams guard the product")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "talking is what chores do")]

mod architecture;
mod debian;
mod deny;
mod disk;
mod fuzz;
mod judge;
mod migrations;
mod npm;
mod package;
mod process;
mod python;
mod report;
mod root;
mod sizes;
mod terraform;
mod test;
mod tools;
mod workspace;

use std::process::ExitCode;

use process::Failure;
use workspace::Workspace;

/// Printed without a command, with an unknown one, and with `help`.
const HELP: &str = "\
cargo xtask COMMAND

  test [--fast] [STEP…]   every check and test; --fast: without system packages and slow tools,
                          under three minutes once built; STEP…: only these
  bench [ARG…]            build the packaged binary (profile dist) and measure it; ARG… go to tagmint-bench
  fuzz [--seconds N] [TARGET…]
                          replay the fuzz targets' inputs, then look for more, N seconds each (60)
  fuzz --input FILE TARGET
                          run one input
  package [--binary FILE] [--version VERSION] [--out DIR] [--unchecked]
                          make the Debian package of the release, or of the program FILE; --unchecked: without lintian
  docs                    write docs/reference from the code
  migrations [--accept]   check that released migrations did not change; --accept: list new ones
  help                    print this
";

/// Exit code for wrong usage.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let workspace = Workspace::find();
    let result = match args.as_slice() {
        ["test", rest @ ..] => match test::Selection::parse(rest) {
            Ok(selection) => test::run(&workspace, &selection),
            Err(problem) => return usage(&problem),
        },
        ["bench", rest @ ..] => bench(&workspace, rest),
        ["fuzz", rest @ ..] => match fuzz::Job::parse(rest) {
            Ok(job) => fuzz::run(&workspace, &job).map(report::print_notes),
            Err(problem) => return usage(&problem),
        },
        ["package", rest @ ..] => match package::Job::parse(rest) {
            Ok(job) => package::run(&workspace, &job).map(report::print_notes),
            Err(problem) => return usage(&problem),
        },
        ["docs"] => docs(&workspace),
        ["migrations"] => migrations::check(&workspace).map(report::print_notes),
        ["migrations", "--accept"] => migrations::accept(&workspace).map(report::print_notes),
        ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        [] => return usage("a command is missing"),
        [first, ..] => return usage(&format!("`{first}` is no command or has wrong arguments")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn usage(problem: &str) -> ExitCode {
    eprint!("xtask: {problem}\n\n{HELP}{}", test::step_help());
    ExitCode::from(USAGE)
}

/// Builds what is measured, then measures it.
fn bench(workspace: &Workspace, args: &[&str]) -> Result<(), Failure> {
    process::run(workspace.cargo(&["build", "--profile", "dist", "--package", "tagmint"]))?;
    let mut command = workspace.cargo(&["run", "--quiet", "--profile", "dist", "--package", "tagmint-bench", "--"]);
    command.args(args);
    process::run(command)
}

/// Writes the reference pages. A test of the crate `tagmint` fails when they are stale.
fn docs(workspace: &Workspace) -> Result<(), Failure> {
    process::run(workspace.cargo(&["run", "--quiet", "--package", "tagmint", "--", "docs", "--out", "docs/reference"]))
}
