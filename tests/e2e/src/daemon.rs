//! One child process with a log file, ended when its owner goes.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::error::GuardError;
use crate::leash::Leash;
use crate::wait::wait_until;

/// How many lines of a log go into a message.
const TAIL_LINES: usize = 60;

/// A process that runs in the foreground as a child of the test. Dropping it kills it and waits for
/// its end.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    child: Child,
    log: PathBuf,
    /// After `child`: it must outlive the daemon's end.
    leash: Leash,
}

impl Daemon {
    /// Starts `command` with stdout and stderr in the file `log`.
    ///
    /// `package` is the Debian package that brings the program; an error names it when the program
    /// is missing.
    pub fn spawn(name: &str, command: &mut Command, package: &'static str, log: &Path) -> Result<Self, GuardError> {
        let file = create(log)?;
        let copy = file.try_clone().map_err(|e| GuardError::file("open", log, e))?;
        command.stdout(file).stderr(copy);
        Self::spawn_inner(name, command, package, log)
    }

    /// Starts `command` with stderr in the file `log`, and hands out its stdout as a pipe.
    pub fn spawn_piped(
        name: &str,
        command: &mut Command,
        package: &'static str,
        log: &Path,
    ) -> Result<(Self, ChildStdout), GuardError> {
        command.stdout(Stdio::piped()).stderr(create(log)?);
        let mut daemon = Self::spawn_inner(name, command, package, log)?;
        let stdout = daemon.child.stdout.take().expect("stdout was asked to be a pipe");
        Ok((daemon, stdout))
    }

    fn spawn_inner(name: &str, command: &mut Command, package: &'static str, log: &Path) -> Result<Self, GuardError> {
        let leash = Leash::new()?;
        let child = command.stdin(Stdio::null()).spawn().map_err(|e| start_error(command, package, e))?;
        let mut daemon = Self { name: name.to_owned(), child, log: log.to_owned(), leash };
        let pid = daemon.pid();
        daemon.leash.hold(pid)?;
        Ok(daemon)
    }

    /// The name that the owner gave it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The last lines of its log.
    pub fn log(&self) -> String {
        tail(&self.log)
    }

    /// An error when the process has ended by itself.
    pub fn check_alive(&mut self) -> Result<(), GuardError> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.ended(status)),
            Err(e) => Err(GuardError::io(format!("look at {}", self.name), e)),
        }
    }

    /// Waits until `ready` says yes; an error when the process ends first or `limit` passes.
    pub fn wait_ready(
        &mut self,
        what: &str,
        limit: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> Result<(), GuardError> {
        let mut result = Ok(());
        let in_time = wait_until(limit, || {
            result = self.check_alive();
            result.is_err() || ready()
        });
        result?;
        if in_time { Ok(()) } else { Err(self.late(what, limit)) }
    }

    /// Asks the process to end (SIGTERM), waits up to `grace`, then kills it. Returns how it ended.
    pub fn terminate(&mut self, grace: Duration) -> Result<ExitStatus, GuardError> {
        let failed = |name: &str, e| GuardError::io(format!("end {name}"), e);
        if let Some(status) = self.child.try_wait().map_err(|e| failed(&self.name, e))? {
            return Ok(status);
        }
        kill_process(Pid::from_child(&self.child), Signal::TERM).map_err(|e| failed(&self.name, e.into()))?;
        wait_until(grace, || !matches!(self.child.try_wait(), Ok(None)));
        // Not an error when it is gone already.
        let _ = self.child.kill();
        self.child.wait().map_err(|e| failed(&self.name, e))
    }

    /// What kills the process at once (SIGKILL), from any thread. The owner must not have waited for its end yet: the id may be another's then.
    pub fn killer(&self) -> impl FnOnce() + Send + 'static {
        let pid = Pid::from_child(&self.child);
        move || {
            // Not an error when it is gone already.
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    /// The error for a process that ended.
    pub(crate) fn ended(&self, status: ExitStatus) -> GuardError {
        GuardError::Ended { name: self.name.clone(), status: status.to_string(), log: self.log() }
    }

    /// The error for a process that took too long.
    pub(crate) fn late(&self, what: &str, limit: Duration) -> GuardError {
        GuardError::Deadline { what: what.to_owned(), limit, log: self.log() }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command to its end, with its output in the file `log`.
pub(crate) fn run(
    name: &str,
    command: &mut Command,
    package: &'static str,
    log: &Path,
    limit: Duration,
) -> Result<(), GuardError> {
    let mut daemon = Daemon::spawn(name, command, package, log)?;
    finish(&mut daemon, limit)
}

/// Waits for a process that ends by itself; an error when it fails or takes longer than `limit`.
pub(crate) fn finish(daemon: &mut Daemon, limit: Duration) -> Result<(), GuardError> {
    let mut status = None;
    wait_until(limit, || {
        status = daemon.child.try_wait().ok().flatten();
        status.is_some()
    });
    match status {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(daemon.ended(status)),
        None => Err(daemon.late(&format!("the end of {}", daemon.name), limit)),
    }
}

/// The last lines of a file; an empty or unreadable file is said so.
pub(crate) fn tail(path: &Path) -> String {
    let text = match std::fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(e) => return format!("({} can't be read: {e})", path.display()),
    };
    if text.trim().is_empty() {
        return format!("({} is empty)", path.display());
    }
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

fn create(log: &Path) -> Result<File, GuardError> {
    File::create(log).map_err(|e| GuardError::file("create", log, e))
}

fn start_error(command: &Command, package: &'static str, source: std::io::Error) -> GuardError {
    let program = command.get_program().to_string_lossy().into_owned();
    if source.kind() == ErrorKind::NotFound {
        GuardError::MissingProgram { program, package }
    } else {
        GuardError::io(format!("start {program}"), source)
    }
}

#[cfg(test)]
mod tests;
