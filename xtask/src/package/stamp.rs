//! Which version a package is, and from when.

use std::process::Command;

use crate::process::{self, Failure};
use crate::workspace::Workspace;

/// The environment variable by which tools that write times take one from outside
/// (<https://reproducible-builds.org/specs/source-date-epoch/>).
const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// A package's version and time.
#[derive(Debug)]
pub(super) struct Stamp {
    /// As dpkg compares it.
    pub(super) version: String,
    /// Unix seconds: `SOURCE_DATE_EPOCH`, or the time of the last commit.
    epoch: i64,
}

impl Stamp {
    /// The stamp of the checkout, with another version if one is given.
    pub(super) fn of(workspace: &Workspace, version: Option<&str>) -> Result<Self, Failure> {
        let set = std::env::var(EPOCH).ok();
        let epoch = match &set {
            Some(text) => text.clone(),
            None => git(workspace, &["log", "-1", "--format=%ct"])
                .map_err(|failure| Failure::new(format!("{failure}: outside a git checkout set {EPOCH}")))?,
        };
        let epoch =
            epoch.parse().map_err(|_| Failure::new(format!("{EPOCH} is `{epoch}`, not a number of seconds")))?;
        let version = match version {
            Some(version) => version.to_owned(),
            None => Self::version_of(workspace)?,
        };
        Ok(Self { version, epoch })
    }

    /// The workspace's version for its release, and for other commits one that comes before it and after that of earlier commits.
    fn version_of(workspace: &Workspace) -> Result<String, Failure> {
        let released = env!("CARGO_PKG_VERSION");
        if git(workspace, &["tag", "--points-at", "HEAD"])?.lines().any(|tag| tag == format!("v{released}")) {
            return Ok(released.to_owned());
        }
        let mut show = git_command(workspace, &["show", "--no-patch", "--date=format-local:%Y%m%d%H%M%S"]);
        show.env("TZ", "UTC").arg("--format=%cd.g%h");
        Ok(format!("{released}~{}", process::capture(show)?.trim()))
    }

    /// A command whose outputs carry the stamp's time.
    pub(super) fn dated(&self, mut command: Command) -> Command {
        command.env(EPOCH, self.epoch.to_string());
        command
    }

    /// The time as Debian's changelogs have it.
    pub(super) fn date(&self, workspace: &Workspace) -> Result<String, Failure> {
        let mut date = workspace.command("date");
        date.env("LC_ALL", "C").args(["--utc", "--rfc-email", "--date", &format!("@{}", self.epoch)]);
        Ok(process::capture(date)?.trim().to_owned())
    }
}

/// A version that dpkg takes, without epoch and revision (Debian Policy §5.6.12).
pub(super) fn checked(version: &str) -> Result<String, String> {
    let known = |c: char| c.is_ascii_alphanumeric() || ".+~".contains(c);
    if version.starts_with(|c: char| c.is_ascii_digit()) && version.chars().all(known) {
        Ok(version.to_owned())
    } else {
        Err(format!("`{version}` is no version: a digit, then letters, digits, and . + ~"))
    }
}

fn git(workspace: &Workspace, args: &[&str]) -> Result<String, Failure> {
    Ok(process::capture(git_command(workspace, args))?.trim().to_owned())
}

fn git_command(workspace: &Workspace, args: &[&str]) -> Command {
    let mut git = workspace.command("git");
    git.args(args);
    git
}
