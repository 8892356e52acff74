//! The one place that reads the process's environment and asks the system for limits. Command line flags have their variables in `cli`.

use std::path::{Path, PathBuf};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use secrecy::SecretString;
use tagmint_server::settings::Limits;

/// systemd's folder of credentials (`LoadCredential=`).
pub fn credentials_directory() -> Option<PathBuf> {
    variable("CREDENTIALS_DIRECTORY")
}

/// The folder for a user's data: `$XDG_DATA_HOME`, else `~/.local/share`; none without a home.
pub fn data_home() -> Option<PathBuf> {
    let absolute = |path: &PathBuf| path.is_absolute();
    variable("XDG_DATA_HOME").filter(absolute).or_else(|| Some(variable("HOME").filter(absolute)?.join(".local/share")))
}

/// A bundle of certificate authorities for AWS (`AWS_CA_BUNDLE`). Its other variables the SDK reads by itself.
pub fn aws_ca_bundle() -> Option<PathBuf> {
    variable("AWS_CA_BUNDLE")
}

/// A session or bearer to mint with (`TAGMINT_CREDENTIAL`).
pub fn credential() -> Option<SecretString> {
    text("TAGMINT_CREDENTIAL").map(SecretString::from)
}

/// The ID token of a CI job, where the platform keeps it in a variable (`TAGMINT_ID_TOKEN`, by GitLab's `id_tokens`).
pub fn id_token() -> Option<SecretString> {
    text("TAGMINT_ID_TOKEN").map(SecretString::from)
}

/// Where a GitHub job asks for its ID token, and the secret that it shows there: there with `permissions: id-token: write` alone.
pub fn github_runtime() -> Option<(String, SecretString)> {
    Some((text("ACTIONS_ID_TOKEN_REQUEST_URL")?, text("ACTIONS_ID_TOKEN_REQUEST_TOKEN")?.into()))
}

/// Whether this is a job of GitHub Actions, whose runner reads `::add-mask::` on stdout.
pub fn is_github_job() -> bool {
    text("GITHUB_ACTIONS").is_some_and(|value| value == "true")
}

/// The file whose lines become variables of a GitHub job's later steps.
pub fn github_env() -> Option<PathBuf> {
    variable("GITHUB_ENV")
}

fn text(name: &str) -> Option<String> {
    variable(name)?.into_os_string().into_string().ok()
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

/// Open files that connections must leave: the database and its log, the listeners, certificates, questions to the session backend.
const RESERVED_FILES: u64 = 64;

/// Lowers the most connections to what the limit of open files allows: when all are taken, the database must still open its own.
pub fn leave_files_for_the_database(open_files: Option<u64>, limits: &mut Limits) {
    let room = open_files.and_then(|most| usize::try_from(most.saturating_sub(RESERVED_FILES)).ok());
    if let Some(room) = room.filter(|room| *room < limits.connections) {
        tracing::warn!(
            configured = limits.connections,
            allowed = room,
            "fewer connections than `limits.connections`: the limit of open files is low"
        );
        limits.connections = room.max(1);
    }
}

/// The path in full, so that it can be pasted elsewhere.
pub fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_the_database() {
        let after = |open_files| {
            let mut limits = Limits { connections: 1_000, ..Limits::default() };
            leave_files_for_the_database(open_files, &mut limits);
            limits.connections
        };
        assert_eq!([after(None), after(Some(1_064)), after(Some(1_063)), after(Some(10))], [1_000, 1_000, 999, 1]);
    }
}
