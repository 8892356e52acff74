//! cargo-deny: licenses, banned crates, sources and security advisories.
//!
//! The advisory database comes from GitHub. `TAGMINT_ADVISORY_DB` names a packed copy for machines that do not reach GitHub.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::process::{self, Failure, Notes};
use crate::tools;
use crate::workspace::Workspace;

/// Names a copy of the database, a `.tar.gz`.
const SNAPSHOT: &str = "TAGMINT_ADVISORY_DB";
/// Seconds that a fetch of the database may take.
const FETCH_LIMIT: &str = "120";
/// Arguments of every check. Without the graph a warning is six lines, not six hundred.
const CHECK: &[&str] = &["check", "--hide-inclusion-graph"];

/// Licenses, bans and sources. Needs no database.
pub(crate) fn check(workspace: &Workspace) -> Result<Notes, Failure> {
    let notes = tools::DENY.ensure(workspace)?;
    process::run(deny(workspace, &[CHECK, &["bans", "licenses", "sources"]].concat()))?;
    Ok(notes)
}

/// Advisories. Where no database can be had, a note says so.
pub(crate) fn check_advisories(workspace: &Workspace) -> Result<Notes, Failure> {
    tools::DENY.ensure(workspace)?;
    let note = if let Some(snapshot) = std::env::var_os(SNAPSHOT).map(PathBuf::from) {
        unpack(workspace, &snapshot)?;
        Some(format!("checked with the copy of the database that {SNAPSHOT} names"))
    } else if let Err(failure) = fetch(workspace) {
        return Ok(vec![format!(
            "NOT CHECKED: the database could not be fetched, and {SNAPSHOT} names no copy ({failure})"
        )]);
    } else {
        None
    };
    process::run(deny(workspace, &[&["--offline"], CHECK, &["advisories"]].concat()))?;
    Ok(note.into_iter().collect())
}

fn deny(workspace: &Workspace, args: &[&str]) -> std::process::Command {
    let mut command = workspace.cargo(&["deny"]);
    command.args(args);
    command
}

/// Fetches the database from GitHub, with a limit on the time.
fn fetch(workspace: &Workspace) -> Result<(), Failure> {
    let mut command = workspace.command("timeout");
    command.args([FETCH_LIMIT, "cargo", "deny", "fetch", "db"]);
    // Of git's and cargo-deny's words the last line is the reason.
    process::capture(command).map(drop).map_err(|failure| {
        let text = failure.to_string();
        Failure::new(text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default())
    })
}

/// Puts the copy where cargo-deny expects the database, unless it is there already.
fn unpack(workspace: &Workspace, snapshot: &Path) -> Result<(), Failure> {
    let marker = workspace.path("target/xtask/advisory-snapshot");
    let identity = identity(snapshot)?;
    if fs::read_to_string(&marker).is_ok_and(|text| text == identity) {
        return Ok(());
    }
    let databases = workspace.path("target/xtask/advisory-dbs");
    if databases.exists() {
        fs::remove_dir_all(&databases).map_err(|e| io("remove", &databases, &e))?;
    }
    let directory = workspace.path(&expected_directory(workspace)?);
    fs::create_dir_all(&directory).map_err(|e| io("create", &directory, &e))?;
    let mut tar = workspace.command("tar");
    tar.arg("--extract").arg("--gzip").arg("--file").arg(snapshot);
    tar.arg("--directory").arg(&directory);
    process::run(tar)?;
    commit(workspace, &directory)?;
    fs::write(&marker, identity).map_err(|e| io("write", &marker, &e))
}

/// Makes a repository of the unpacked copy. Its commit has the age of the files, which cargo-deny
/// compares with `maximum-db-staleness`.
fn commit(workspace: &Workspace, directory: &Path) -> Result<(), Failure> {
    let date = format!("@{} +0000", modified(&directory.join("crates"))?);
    let steps: [&[&str]; 3] = [&["init", "--quiet"], &["add", "--all"], &["commit", "--quiet", "--message", "copy"]];
    for step in steps {
        let mut git = workspace.command("git");
        // Nothing of the user's or the machine's configuration matters here.
        git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        for role in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{role}_NAME"), "xtask").env(format!("GIT_{role}_EMAIL"), "xtask");
            git.env(format!("GIT_{role}_DATE"), &date);
        }
        git.current_dir(directory).args(step);
        process::run(git)?;
    }
    Ok(())
}

/// The directory of the database. Its name has a hash that only cargo-deny knows: it names the
/// directory when it finds none.
fn expected_directory(workspace: &Workspace) -> Result<String, Failure> {
    let output = process::output(&mut deny(workspace, &["--offline", "check", "advisories"]))?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    directory_in(&text)
        .ok_or_else(|| Failure::new(format!("cargo-deny did not name the directory of its database:\n{text}")))
}

/// The quoted word of an error message that is the database's directory.
fn directory_in(message: &str) -> Option<String> {
    message
        .split(['"', '\'', '`'])
        .find(|word| word.contains("/advisory-db-") && !word.contains(char::is_whitespace))
        .map(str::to_owned)
}

/// What tells one copy from another.
fn identity(path: &Path) -> Result<String, Failure> {
    let size = fs::metadata(path).map_err(|e| io("look at", path, &e))?.len();
    Ok(format!("{size} bytes, modified {}", modified(path)?))
}

/// A file's modification time in Unix seconds.
fn modified(path: &Path) -> Result<u64, Failure> {
    let time = fs::metadata(path)
        .and_then(|data| data.modified())
        .unwrap_or(SystemTime::UNIX_EPOCH)
        .duration_since(UNIX_EPOCH);
    time.map(|age| age.as_secs()).map_err(|_| Failure::new(format!("{} is older than 1970", path.display())))
}

fn io(verb: &str, path: &Path, error: &std::io::Error) -> Failure {
    let path = PathBuf::from(path);
    Failure::new(format!("could not {verb} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_is_read_from_the_error() {
        let message = "[ERROR] failed to get HEAD timestamp: [\"-C\", \
            \"target/xtask/advisory-dbs/advisory-db-3157b0e258782691\", \"show\"]\n\
            fatal: cannot change to 'target/xtask/advisory-dbs/advisory-db-3157b0e258782691'";
        assert_eq!(directory_in(message).as_deref(), Some("target/xtask/advisory-dbs/advisory-db-3157b0e258782691"));
        assert_eq!(directory_in("advisories ok"), None);
    }
}
