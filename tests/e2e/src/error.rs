//! What can go wrong while a guard starts, watches or ends a process.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why a guard could not do its work. The text is meant for the person who reads a failed test.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// A program is not installed.
    #[error(
        "the program `{program}` is not installed: install it with \
         `apt-get install --no-install-recommends {package}`"
    )]
    MissingProgram {
        /// The program's name, as it is looked up in `PATH`.
        program: String,
        /// The Debian package that brings it.
        package: &'static str,
    },
    /// A file that only a preparation makes is not there.
    #[error("{what} is not at {path}: {fix}", path = path.display())]
    NotPrepared {
        /// What was looked for.
        what: &'static str,
        /// Where it was looked for.
        path: PathBuf,
        /// What to do.
        fix: &'static str,
    },
    /// The operating system refused something.
    #[error("could not {action}: {source}")]
    Io {
        /// What was tried, such as `write /tmp/x/ceph.conf`.
        action: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A process ended although it should not have, or ended with a failure.
    #[error("{name} ended early ({status}); the end of its log:\n{log}")]
    Ended {
        /// The process, by the name its guard gave it.
        name: String,
        /// Its exit status in words.
        status: String,
        /// The last lines that it logged.
        log: String,
    },
    /// Something did not happen in time.
    #[error("{what} did not happen within {} s; the end of the log:\n{log}", limit.as_secs_f64())]
    Deadline {
        /// What was waited for.
        what: String,
        /// How long.
        limit: Duration,
        /// The last lines logged by the process that was waited for.
        log: String,
    },
    /// The ready line of `tagmint` is not what it should be.
    #[error("{problem} in the ready line of tagmint: {line}")]
    ReadyLine {
        /// What is wrong with it.
        problem: String,
        /// The line as it was read.
        line: String,
    },
    /// No port could be reserved.
    #[error("cannot reserve a port: {0}")]
    NoPort(#[source] std::io::Error),
}

impl GuardError {
    /// An I/O error, with what was tried.
    pub(crate) fn io(action: impl Into<String>, source: std::io::Error) -> Self {
        Self::Io { action: action.into(), source }
    }

    /// An I/O error on a file.
    pub(crate) fn file(verb: &str, path: &Path, source: std::io::Error) -> Self {
        Self::io(format!("{verb} {}", path.display()), source)
    }
}
