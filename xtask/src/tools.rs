//! Cargo's plug-ins that checks need, in the versions that the project was checked with.

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
        let mut install = workspace.cargo(&["install", "--locked", "--version", version, package]);
        // Its own directory: one in the project's would be thrown away with it.
        install.env_remove("CARGO_TARGET_DIR");
        process::run(install)?;
        Ok(vec![format!("{package} {version} was installed")])
    }
}
