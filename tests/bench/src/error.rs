//! Why there is no result.

use std::path::Path;

use tagmint_e2e::GuardError;

/// Why a measurement did not come to its end. A figure that is merely bad is no error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// A process could not be started, or ended early.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The operating system refused something.
    #[error("could not {action}: {source}")]
    Io {
        /// What was tried.
        action: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A connection could not be made or used.
    #[error("the connection to {to}: {problem}")]
    Connection {
        /// Whose connection.
        to: String,
        /// What went wrong.
        problem: String,
    },
    /// Something was answered, written or printed that makes the figures worthless.
    #[error("{0}")]
    Wrong(String),
}

impl BenchError {
    /// An I/O error, with what was tried.
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        |source| Self::Io { action, source }
    }

    /// An I/O error on a file.
    pub(crate) fn file(verb: &str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        Self::io(format!("{verb} {}", path.display()))
    }

    /// Something is not as it must be.
    pub(crate) fn wrong(text: impl Into<String>) -> Self {
        Self::Wrong(text.into())
    }
}
