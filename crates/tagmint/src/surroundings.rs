//! The one place that reads the process's environment and asks the system for limits. Command line flags have their variables in `cli`.

use std::{
    ffi::OsString,
    io,
    os::unix::net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use listenfd::ListenFd;
use rustix::{
    net::sockopt,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};
use secrecy::SecretString;
use tagmint_core::outbound::{InvalidVariable, Outbound};
use tagmint_server::{serve::Listener, settings::Limits};

/// systemd's folder of credentials (`LoadCredential=`).
pub fn credentials_directory() -> Option<PathBuf> {
    variable("CREDENTIALS_DIRECTORY")
}

/// A socket that the service manager opened.
#[derive(Debug)]
pub struct PassedListener {
    /// What the service manager calls it (`FileDescriptorName=`).
    pub name: String,
    /// The socket.
    pub listener: Listener,
}

/// The sockets that the service manager passes to this process (`LISTEN_FDS`, `LISTEN_FDNAMES`; sd_listen_fds(3)). They can be taken once.
///
/// # Errors
///
/// When one is no TCP or unix socket that listens.
pub fn passed_listeners() -> io::Result<Vec<PassedListener>> {
    // The variables may be meant for a parent process.
    if !is_for_this_process("LISTEN_PID") {
        return Ok(Vec::new());
    }
    let names = text("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':').filter(|name| !name.is_empty());
    let mut passed = ListenFd::from_env();
    let mut listeners = Vec::new();
    for index in 0..passed.len() {
        let name = names.next().unwrap_or("unknown").to_owned();
        let failed = |error| {
            io::Error::other(format!("`{name}`: {error}; a listening TCP or unix socket is needed (`ListenStream=`)"))
        };
        // An error leaves the socket in its place.
        let (listener, listens): (Listener, _) = if let Ok(Some(tcp)) = passed.take_tcp_listener(index) {
            let listens = sockopt::socket_acceptconn(&tcp)?;
            (tcp.into(), listens)
        } else if let Some(unix) = passed.take_unix_listener(index).map_err(failed)? {
            let listens = sockopt::socket_acceptconn(&unix)?;
            (unix.into(), listens)
        } else {
            continue;
        };
        if !listens {
            return Err(failed(io::Error::other("it does not listen")));
        }
        listeners.push(PassedListener { name, listener });
    }
    Ok(listeners)
}

/// Where the service manager listens for news (`NOTIFY_SOCKET`; sd_notify(3)): a path, or an abstract address after `@`.
///
/// # Errors
///
/// When it is no such address.
pub fn notify_address() -> io::Result<Option<SocketAddr>> {
    let Some(address) = variable("NOTIFY_SOCKET") else { return Ok(None) };
    match address.as_os_str().as_encoded_bytes() {
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name).map(Some),
        [b'/', ..] => SocketAddr::from_pathname(&address).map(Some),
        _ => Err(io::Error::new(io::ErrorKind::Unsupported, format!("`{}` is no unix socket", address.display()))),
    }
}

/// The time within which the service manager's watchdog wants to hear from this process (`WATCHDOG_USEC`; sd_watchdog_enabled(3)).
pub fn watchdog() -> Option<Duration> {
    let mine = variable("WATCHDOG_PID").is_none() || is_for_this_process("WATCHDOG_PID");
    let microseconds = text("WATCHDOG_USEC")?.parse().ok().filter(|microseconds| mine && *microseconds > 0)?;
    Some(Duration::from_micros(microseconds))
}

/// The number of a group, given by its name in /etc/group or by itself.
///
/// # Errors
///
/// When the file has no such name, or cannot be read.
pub fn group(name: &str) -> io::Result<u32> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let groups = std::fs::read_to_string("/etc/group")?;
    // group(5): name:password:number:members
    let number = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
    });
    number.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("there is no group `{name}` in /etc/group")))
}

fn is_for_this_process(variable: &str) -> bool {
    text(variable).and_then(|pid| pid.parse().ok()) == Some(std::process::id())
}

/// These variables, as far as they are set.
pub fn variables(names: &[&str]) -> Vec<(OsString, OsString)> {
    names.iter().filter_map(|name| Some(((*name).into(), variable(name)?.into_os_string()))).collect()
}

/// The folder for a user's data: `$XDG_DATA_HOME`, else `~/.local/share`; none without a home.
pub fn data_home() -> Option<PathBuf> {
    let absolute = |path: &PathBuf| path.is_absolute();
    variable("XDG_DATA_HOME").filter(absolute).or_else(|| Some(variable("HOME").filter(absolute)?.join(".local/share")))
}

/// The configuration file that commands read (`TAGMINT_CONFIG`), for completions: elsewhere the command line reads it.
pub fn config_file() -> Option<OsString> {
    variable("TAGMINT_CONFIG").map(PathBuf::into_os_string)
}

/// A bundle of certificate authorities for AWS (`AWS_CA_BUNDLE`). Its other variables the SDK reads by itself.
pub fn aws_ca_bundle() -> Option<PathBuf> {
    variable("AWS_CA_BUNDLE")
}

/// How requests leave this process by its environment (`HTTPS_PROXY` and its like).
///
/// # Errors
///
/// When a variable holds no proxy.
pub fn outbound() -> Result<Outbound, InvalidVariable> {
    Outbound::from_environment(text)
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

/// Whether this is a job of a CI system. GitHub and GitLab, as most others, set `CI`; the rest have variables of their own.
pub fn is_ci_job() -> bool {
    let others = ["TF_BUILD", "JENKINS_URL", "TEAMCITY_VERSION", "CODEBUILD_BUILD_ID"];
    is_github_job()
        || text("CI").is_some_and(|value| !["", "0", "false"].contains(&value.to_lowercase().as_str()))
        || others.iter().any(|name| text(name).is_some_and(|value| !value.is_empty()))
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

/// Keeps other processes of this user from reading this process's memory (ptrace(2), `/proc/PID/mem`), and the kernel from writing it into a core
/// dump: there are bearer tokens and private keys in it. A program that is executed in its place loses this (prctl(2), `PR_SET_DUMPABLE`).
pub fn hide_memory() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "this process's memory cannot be hidden from others: PR_SET_DUMPABLE failed");
    }
}

/// Allows no core dump at all, for this process and those that it starts. For a server, which starts none that is not its own.
pub fn forbid_core_dumps() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "core dumps cannot be forbidden: RLIMIT_CORE cannot be set");
    }
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
    fn groups_are_found_by_name_and_number() {
        assert_eq!((group("root").unwrap(), group("33").unwrap()), (0, 33));
        assert!(group("no-such-group").unwrap_err().to_string().contains("no-such-group"));
    }

    #[test]
    fn no_memory_lands_in_a_core_dump() {
        hide_memory();
        forbid_core_dumps();
        #[cfg(target_os = "linux")]
        assert_eq!(rustix::process::dumpable_behavior().unwrap(), rustix::process::DumpableBehavior::NotDumpable);
        assert_eq!(getrlimit(Resource::Core), Rlimit { current: Some(0), maximum: Some(0) });
    }

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
