//! The one place that reads the process's environment and asks the system for limits. Command line flags have their variables in `cli`.

use std::path::{Path, PathBuf};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// systemd's folder of credentials (`LoadCredential=`).
pub fn credentials_directory() -> Option<PathBuf> {
    variable("CREDENTIALS_DIRECTORY")
}

/// The folder for a user's data: `$XDG_DATA_HOME`, else `~/.local/share`; none without a home.
pub fn data_home() -> Option<PathBuf> {
    let absolute = |path: &PathBuf| path.is_absolute();
    variable("XDG_DATA_HOME").filter(absolute).or_else(|| Some(variable("HOME").filter(absolute)?.join(".local/share")))
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Raises the soft limit of open files to the hard one, and returns it; none where there is no limit or it stays.
pub fn raise_open_files() -> Option<u64> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).ok()?;
    maximum
}

/// The path in full, so that it can be pasted elsewhere.
pub fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
