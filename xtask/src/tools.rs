//! Cargo's plug-ins that checks need, in the versions that the project was checked with.

use std::thread;

use crate::process::{self, Failure, Notes};
use crate::workspace::Workspace;

/// One plug-in.
pub(crate) struct Tool {
    /// The package, which is also the program's name.
    package: &'static str,
    /// The subcommand, as in `cargo SUBCOMMAND`.
    subcommand: &'static str,
    /// The version to install when there is none.
    version: &'static str,
}

/// Checks licenses, bans, sources and advisories.
pub(crate) const DENY: Tool = Tool { package: "cargo-deny", subcommand: "deny", version: "0.20.2" };

/// Finds dependencies that nothing uses.
pub(crate) const MACHETE: Tool = Tool { package: "cargo-machete", subcommand: "machete", version: "0.9.2" };

/// Runs the tests, each in a process of its own.
pub(crate) const NEXTEST: Tool = Tool { package: "cargo-nextest", subcommand: "nextest", version: "0.9.143" };

/// The output of [`ensure_during`].
const LOG: &str = "target/xtask/tools.log";

/// Calls `chore`, and installs missing tools in the meantime. Tests leave a third of the processors' time to them.
pub(crate) fn ensure_during(
    workspace: &Workspace,
    tools: &[Tool],
    chore: impl FnOnce() -> Result<(), Failure>,
) -> Result<Notes, Failure> {
    thread::scope(|scope| {
        let installed = scope.spawn(|| {
            process::log_to(workspace.path(LOG), || {
                tools.iter().map(|tool| tool.ensure(workspace)).collect::<Result<Vec<Notes>, Failure>>()
            })
        });
        let done = chore();
        let notes = installed.join().expect("tools return their failures");
        done?;
        Ok(notes?.concat())
    })
}

impl Tool {
    /// Installs the tool for the user when it is missing. Another version that is there is used as
    /// it is, and mentioned.
    pub(crate) fn ensure(&self, workspace: &Workspace) -> Result<Notes, Failure> {
        let Self { package, subcommand, version } = self;
        if let Ok(text) = process::capture(workspace.cargo(&[subcommand, "--version"])) {
            // `cargo-nextest 0.9.143 (commit and date)`, `cargo-deny 0.20.2`, `0.9.2`
            let found = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
            let found = found.unwrap_or_default();
            return Ok(if found == *version {
                Vec::new()
            } else {
                vec![format!("{package} {found} is used; {version} is the one known to work")]
            });
        }
        println!("    {package} is missing: installing {version}, which takes some minutes once");
        // At the lowest priority: tests may run at the same time.
        let mut install = workspace.command("nice");
        install.args(["-n", "19", "cargo", "install", "--locked", "--version", version, package]);
        // Its own directory: one in the project's would be thrown away with it.
        install.env_remove("CARGO_TARGET_DIR");
        process::run(install)?;
        Ok(vec![format!("{package} {version} was installed")])
    }
}
