//! Starting programs.

use std::fmt;
use std::io::ErrorKind;
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

/// Runs a program to its end with its output on ours.
pub(crate) fn run(mut command: Command) -> Result<(), Failure> {
    let status = command.stdin(Stdio::null()).status().map_err(|e| start_failure(&command, &e))?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("`{}` failed ({status})", display(&command)))) }
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
    let program = std::path::Path::new(command.get_program());
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
    fn a_missing_program_is_named() {
        let failure = run(Command::new("xtask-no-such-program")).unwrap_err().to_string();
        assert_eq!(failure, "the program `xtask-no-such-program` is not installed");
    }
}
