//! Starting programs.

use std::cell::RefCell;
use std::fmt;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Why a chore failed, for the person who reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure(String);

impl Failure {
    /// A failure with this text.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What a chore says when it did not fail: nothing, or lines worth reading.
pub(crate) type Notes = Vec<String>;

thread_local! {
    /// Where the programs that this thread runs write; none for our own output.
    static LOG: RefCell<Option<(PathBuf, File)>> = const { RefCell::new(None) };
}

/// How much of a log a failure repeats, in lines.
const TAIL: usize = 20;

/// Calls `chore` while the programs that this thread [`run`]s write into a file.
pub(crate) fn log_to<T>(path: PathBuf, chore: impl FnOnce() -> T) -> T {
    let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
    // Without a file the output goes where that of others goes.
    let file = folder.and_then(|()| File::create(&path)).ok();
    LOG.set(file.map(|file| (path, file)));
    let done = chore();
    LOG.set(None);
    done
}

/// Runs a program to its end with its output on ours, or in the thread's log.
pub(crate) fn run(mut command: Command) -> Result<(), Failure> {
    let log = LOG.with_borrow(|log| {
        let (path, file) = log.as_ref()?;
        Some((path.clone(), file.try_clone().ok()?, file.try_clone().ok()?))
    });
    let log = log.map(|(path, out, err)| {
        command.stdout(out).stderr(err);
        path
    });
    let status = command.stdin(Stdio::null()).status().map_err(|e| start_failure(&command, &e))?;
    if status.success() {
        return Ok(());
    }
    let tail = log.map(|path| format!(":\n{}", tail(&path))).unwrap_or_default();
    Err(Failure::new(format!("`{}` failed ({status}){tail}", display(&command))))
}

/// The last lines of a file.
fn tail(path: &Path) -> String {
    let text = String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}

/// Runs a program to its end and returns what it wrote, whether it failed or not.
pub(crate) fn output(command: &mut Command) -> Result<Output, Failure> {
    command.stdin(Stdio::null()).output().map_err(|e| start_failure(command, &e))
}

/// Runs a program to its end and returns its stdout; a failure carries its stderr.
pub(crate) fn capture(mut command: Command) -> Result<String, Failure> {
    let output = output(&mut command)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let (program, status) = (display(&command), output.status);
    Err(Failure::new(format!("`{program}` failed ({status}):\n{}", stderr.trim_end())))
}

/// Whether a program can be started and says yes.
pub(crate) fn succeeds(mut command: Command) -> bool {
    output(&mut command).is_ok_and(|output| output.status.success())
}

fn start_failure(command: &Command, error: &std::io::Error) -> Failure {
    let program = command.get_program().to_string_lossy();
    if error.kind() == ErrorKind::NotFound {
        Failure::new(format!("the program `{program}` is not installed"))
    } else {
        Failure::new(format!("could not start `{program}`: {error}"))
    }
}

/// The command as one would type it.
fn display(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let program = program.file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_failure_names_the_command_and_shows_stderr() {
        let failure = capture(shell("echo broken >&2; exit 4")).unwrap_err().to_string();
        assert_eq!(failure, "`sh -c echo broken >&2; exit 4` failed (exit status: 4):\nbroken");
        assert!(run(shell("exit 1")).is_err());
        assert_eq!(capture(shell("echo out")).unwrap(), "out\n");
    }

    #[test]
    fn a_log_takes_the_output_and_a_failure_repeats_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("new/log");
        let failure = log_to(log.clone(), || run(shell("echo out; echo err >&2; exit 3"))).unwrap_err().to_string();
        assert!(failure.ends_with("failed (exit status: 3):\nout\nerr"), "{failure}");
        assert_eq!(fs::read_to_string(log).unwrap(), "out\nerr\n");
    }

    #[test]
    fn a_missing_program_is_named() {
        let failure = run(Command::new("xtask-no-such-program")).unwrap_err().to_string();
        assert_eq!(failure, "the program `xtask-no-such-program` is not installed");
    }
}
