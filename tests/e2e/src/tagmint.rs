//! A running `tagmint`, as its users run it: the built binary.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::daemon::{self, Daemon};
use crate::environment::binary;
use crate::error::GuardError;

/// Time from the start to the ready line. RSA key generation in a debug build is the slow part.
const READY_LIMIT: Duration = Duration::from_mins(1);
/// Time from SIGTERM to the end before the guard kills.
const STOP_GRACE: Duration = Duration::from_secs(10);

/// A long-running `tagmint` that has printed its ready line: one JSON object on stdout. Dropping it
/// ends it in order (SIGTERM), and by force when that takes over ten seconds.
#[derive(Debug)]
pub struct TagmintProcess {
    daemon: Daemon,
    ready: Value,
    dir: TempDir,
}

impl TagmintProcess {
    /// A command of the built binary, for one-shot use: `.output()` and look at it.
    pub fn command<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Result<Command, GuardError> {
        let mut command = Command::new(binary()?);
        command.args(args);
        Ok(command)
    }

    /// Starts `tagmint ARGS` and waits for its ready line. The arguments must make it print one, so
    /// they include `--format json`.
    pub fn start<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Result<Self, GuardError> {
        Self::start_command(Self::command(args)?)
    }

    /// The same for a command from [`Self::command`] with an environment or directory of its own.
    pub fn start_command(command: Command) -> Result<Self, GuardError> {
        Self::start_within(command, READY_LIMIT)
    }

    fn start_within(mut command: Command, limit: Duration) -> Result<Self, GuardError> {
        let dir = tempfile::Builder::new()
            .prefix("tagmint-e2e-")
            .tempdir()
            .map_err(|e| GuardError::io("make a temporary directory", e))?;
        let name = name(&command);
        let args: Vec<_> = command.get_args().collect();
        tagmint_testkit::ports::reserve_for_dev(&args).map_err(GuardError::NoPort)?;
        let stderr = dir.path().join("stderr");
        // Only a file that was checked to be there is started: the package is never named.
        let (mut daemon, stdout) = Daemon::spawn_piped(&name, &mut command, "tagmint", &stderr)?;
        let first = forward(stdout, &dir.path().join("stdout"))?;
        let line = match first.recv_timeout(limit) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => return Err(daemon.late("the ready line", limit)),
            Err(RecvTimeoutError::Disconnected) => {
                let status = daemon.terminate(STOP_GRACE)?;
                return Err(daemon.ended(status));
            }
        };
        let problem = |problem: String| GuardError::ReadyLine { problem, line: line.clone() };
        let ready: Value = serde_json::from_str(&line).map_err(|e| problem(format!("no JSON ({e})")))?;
        if !ready.is_object() {
            return Err(problem("no JSON object".to_owned()));
        }
        Ok(Self { daemon, ready, dir })
    }

    /// The ready line.
    pub fn ready(&self) -> &Value {
        &self.ready
    }

    /// A text of the ready line, such as `issuer` or `ca_file`; an error when it isn't there.
    pub fn field(&self, name: &str) -> Result<&str, GuardError> {
        self.ready[name]
            .as_str()
            .ok_or_else(|| GuardError::ReadyLine { problem: format!("no text `{name}`"), line: self.ready.to_string() })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.daemon.pid()
    }

    /// What kills it at once (SIGKILL), from any thread..
    pub fn killer(&self) -> impl FnOnce() + Send + 'static {
        self.daemon.killer()
    }

    /// The end of what it wrote to stderr so far.
    pub fn stderr(&self) -> String {
        self.daemon.log()
    }

    /// The end of what it wrote to stdout so far, ready line included.
    pub fn stdout(&self) -> String {
        daemon::tail(&self.dir.path().join("stdout"))
    }

    /// Ends it as a service manager would (SIGTERM) and returns how it ended.
    pub fn stop(mut self) -> Result<ExitStatus, GuardError> {
        self.daemon.terminate(STOP_GRACE)
    }
}

impl Drop for TagmintProcess {
    #[expect(clippy::print_stderr, reason = "the test harness shows it with the failed test")]
    fn drop(&mut self) {
        let _ = self.daemon.terminate(STOP_GRACE);
        if std::thread::panicking() {
            let name = self.daemon.name();
            eprintln!("--- the end of the stderr of {name} ---\n{}\n---", self.stderr());
        }
    }
}

/// `tagmint` with its first argument: `tagmint dev`.
fn name(command: &Command) -> String {
    let first = command.get_args().next().unwrap_or_default();
    format!("tagmint {}", first.to_string_lossy()).trim_end().to_owned()
}

/// Copies stdout to `file` for as long as it is open, so that the process never waits for a reader.
/// The first line also goes to the receiver, which is disconnected when there is none.
fn forward(stdout: ChildStdout, file: &Path) -> Result<Receiver<String>, GuardError> {
    let path = PathBuf::from(file);
    let mut copy = File::create(&path).map_err(|e| GuardError::file("create", &path, e))?;
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut sender = Some(sender);
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = writeln!(copy, "{line}");
            if let Some(sender) = sender.take() {
                let _ = sender.send(line);
            }
        }
    });
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shell in the place of `tagmint`: the guard is what is tested here.
    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn the_ready_line_is_read_and_sigterm_ends_it() {
        let script = r#"trap 'exit 0' TERM; echo '{"issuer": "https://x", "n": 1}'; echo more
            echo talk >&2; while :; do sleep 0.05; done"#;
        let process = TagmintProcess::start_command(shell(script)).unwrap();
        assert_eq!(process.field("issuer").unwrap(), "https://x");
        assert_eq!(process.ready()["n"], 1);
        let error = process.field("n").unwrap_err().to_string();
        assert!(error.starts_with("no text `n` in the ready line"), "{error}");
        assert!(crate::wait_until(READY_LIMIT, || process.stdout().contains("more")));
        assert!(crate::wait_until(READY_LIMIT, || process.stderr().contains("talk")));
        assert_eq!(process.stop().unwrap().code(), Some(0));
    }

    #[test]
    fn an_end_before_the_ready_line_shows_stderr() {
        let error = TagmintProcess::start_command(shell("echo 'no such key' >&2; exit 3")).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("(exit status: 3)") && text.contains("no such key"), "{text}");
    }

    #[test]
    fn a_missing_or_wrong_ready_line_is_an_error() {
        let limit = Duration::from_millis(100);
        let error = TagmintProcess::start_within(shell("exec sleep 600"), limit).unwrap_err();
        assert!(matches!(error, GuardError::Deadline { .. }), "{error}");
        let script = "echo listening; exec sleep 600";
        let error = TagmintProcess::start_command(shell(script)).unwrap_err().to_string();
        assert!(error.starts_with("no JSON") && error.ends_with(": listening"), "{error}");
    }
}
