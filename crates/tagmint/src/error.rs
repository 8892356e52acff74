//! Why a command failed, and with which exit code.

use std::process::ExitCode;

use tagmint_aws::{connection::ConnectionError, failure::Failure, policies::Unread, prove::ProveError};
use tagmint_core::{
    ledger::{LedgerFault, archive::ArchiveFault},
    random::RandomUnavailable,
    sealing::SealingError,
};
use tagmint_server::{app::StartError, flows::keys::KeysError, x509::CertificateError};
use tagmint_store::{ArchiveError, Fault, LedgerError, StoreError, VerifyError};

use crate::config::{ConfigError, files::FileError};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The arguments make no sense together.
    #[error("{0}")]
    Usage(String),
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file that the configuration names cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// `check` found something in the configuration or in the files that it names, or a passed socket contradicts it.
    #[error("{0}")]
    Check(String),
    /// `check` found nothing wrong with the configuration, but the database does not answer as it should.
    #[error("{0}")]
    Unusable(String),
    /// Something belongs to two worlds.
    #[error(
        "this issuer and the one of {} share what must belong to one of them: {parts}; `tagmint check --against {}` says more",
        other.display(), other.display()
    )]
    Shared {
        /// The configuration of the other.
        other: std::path::PathBuf,
        /// What they share.
        parts: String,
    },
    /// There is no client for the session backend.
    #[error("the session backend's TLS client cannot be made: {0}")]
    BackendClient(String),
    /// There is no client for an alarm sink.
    #[error("the TLS client of the alarm sink `{name}` cannot be made: {cause}")]
    SinkClient {
        /// The sink's name.
        name: String,
        /// Why.
        cause: String,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger cannot be opened for writing.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The ledger is not as it was written.
    #[error("the ledger does not verify: {0}")]
    Verify(#[from] VerifyError),
    /// A file is no archive of the ledger that can be relied on.
    #[error("the archive {}: {fault}", file.display())]
    Archive {
        /// The file.
        file: std::path::PathBuf,
        /// The fault in it.
        fault: ArchiveFault,
    },
    /// An archive was not recorded.
    #[error(transparent)]
    ArchiveRecord(#[from] ArchiveError),
    /// The ledger does not hold a head that was noted before.
    #[error("{message}")]
    NotHeld {
        /// The row that was noted.
        seq: i64,
        /// How many rows were checked and found good in themselves.
        rows: u64,
        /// What was found instead.
        message: String,
    },
    /// The keys cannot be read or changed so.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The issuer does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// No certificate could be made.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}{}", listen_hint(source))]
    Listen {
        /// The address, or the unix socket.
        address: tagmint_server::serve::Address,
        /// Why.
        source: std::io::Error,
    },
    /// A file or stream failed.
    #[error("{what}: {source}")]
    Io {
        /// What was read or written.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// Something that was named is not there.
    #[error("{0}")]
    NotFound(String),
    /// A file of the command line failed.
    #[error("could not {verb} {}: {source}", file.display())]
    NamedFile {
        /// The attempt, as `write`.
        verb: &'static str,
        /// The file.
        file: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The command after `--` cannot be run.
    #[error("`{program}` cannot be run: {source}")]
    Program {
        /// The program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// The issuer answered with a problem.
    #[error("{message}")]
    Problem {
        /// The problem's own code, as `no-rule`.
        code: String,
        /// Whether the issuer failed, and did not refuse.
        outage: bool,
        /// Its message.
        message: String,
    },
    /// Tests of rules failed.
    #[error("{failed} of {tests} tests failed")]
    Tests {
        /// How many failed.
        failed: usize,
        /// How many there are.
        tests: usize,
    },
    /// The rules grant nothing.
    #[error("refused: {message}")]
    Denied {
        /// The code of the reason, as `no_rule`.
        code: &'static str,
        /// The reason.
        message: String,
    },
    /// A replay found rows with another outcome.
    #[error("{0}")]
    Changed(String),
    /// It cannot be done as things are.
    #[error("{0}")]
    Refused(String),
    /// The keys of a CI platform cannot be fetched from here.
    #[error(transparent)]
    Upstream(#[from] tagmint_server::upstream::NoClient),
    /// A variable of the environment names no proxy.
    #[error(transparent)]
    Outbound(#[from] tagmint_core::outbound::InvalidVariable),
    /// Something did not answer.
    #[error("{0}")]
    Unreachable(String),
    /// There is no way to AWS with these settings.
    #[error(transparent)]
    Aws(#[from] ConnectionError),
    /// No secret could be made.
    #[error(transparent)]
    Random(#[from] RandomUnavailable),
    /// Certificates cannot be ordered.
    #[error(transparent)]
    Acme(#[from] tagmint_server::acme::ManagerError),
    /// The stand-in for AWS does not start.
    #[cfg(feature = "localaws")]
    #[error(transparent)]
    Localaws(#[from] tagmint_localaws::aws::StartError),
}

impl From<ProveError> for CliError {
    fn from(error: ProveError) -> Self {
        match error {
            ProveError::Stopped { failure: Failure::Unreachable { .. }, .. } => Self::Unreachable(error.to_string()),
            ProveError::Stopped { .. } | ProveError::Interrupted { .. } => Self::Refused(error.to_string()),
            ProveError::Random(error) => Self::Random(error),
        }
    }
}

impl From<Unread> for CliError {
    fn from(unread: Unread) -> Self {
        if unread.is_unreachable() { Self::Unreachable(unread.to_string()) } else { Self::Refused(unread.to_string()) }
    }
}

fn listen_hint(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => "; another program has it, choose another port",
        std::io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need a socket unit (docs/systemd.md) or CAP_NET_BIND_SERVICE"
        }
        _ => "",
    }
}

impl CliError {
    /// A file of the command line that failed.
    pub fn file(verb: &'static str, file: &std::path::Path, source: std::io::Error) -> Self {
        Self::NamedFile { verb, file: file.to_owned(), source }
    }

    /// The stable name of the error's kind, in JSON; for an issuer's answer the problem's own code.
    pub fn code(&self) -> &str {
        match self {
            Self::Problem { code, .. } => code,
            Self::Tests { .. } => "tests_failed",
            Self::Denied { code, .. } => code,
            Self::Changed(_) => "changed",
            Self::Usage(_) => "usage",
            Self::Config(_) | Self::Check(_) => "config",
            Self::File(_) => "file",
            Self::Shared { .. } => "isolation",
            Self::BackendClient(_) => "session_backend",
            Self::SinkClient { .. } => "alarm_sink",
            Self::Store(_) | Self::Unusable(_) => "database",
            Self::Ledger(_)
            | Self::Verify(_)
            | Self::Archive { .. }
            | Self::ArchiveRecord(_)
            | Self::NotHeld { .. } => "ledger",
            Self::Keys(_) => "keys",
            Self::Start(_) => "start",
            Self::Certificate(_) => "certificate",
            Self::Listen { .. } => "listen",
            Self::Io { .. } | Self::NamedFile { .. } => "io",
            Self::Program { .. } => "program",
            Self::NotFound(_) => "not_found",
            Self::Refused(_) => "refused",
            Self::Upstream(_) => "provider_client",
            Self::Outbound(_) => "outbound",
            Self::Unreachable(_) => "unreachable",
            Self::Aws(_) => "aws",
            Self::Random(_) => "randomness",
            Self::Acme(_) => "acme",
            #[cfg(feature = "localaws")]
            Self::Localaws(_) => "localaws",
        }
    }

    /// 1 refused or failed, 2 usage, 3 configuration, 4 something could not be reached; of a command that cannot be run what shells answer:
    /// 127 not found, 126 otherwise.
    pub fn status(&self) -> u8 {
        match self {
            Self::Program { source, .. } if source.kind() == std::io::ErrorKind::NotFound => 127,
            Self::Program { .. } => 126,
            Self::Usage(_) | Self::Aws(ConnectionError::NoRegion | ConnectionError::Endpoint { .. }) => 2,
            Self::Unreachable(_) | Self::Problem { outage: true, .. } => 4,
            Self::Config(_)
            | Self::File(_)
            | Self::Check(_)
            | Self::Shared { .. }
            | Self::BackendClient(_)
            | Self::SinkClient { .. }
            | Self::Outbound(_)
            | Self::Start(StartError::MockBackend | StartError::AnonymousMinting)
            | Self::Ledger(LedgerError::Seal { .. }) => 3,
            Self::Store(error)
            | Self::Ledger(LedgerError::Store(error))
            | Self::Verify(VerifyError::Store(error))
            | Self::Keys(KeysError::Store(error))
            | Self::Start(StartError::Keys(KeysError::Store(error)))
                if is_configuration(error) =>
            {
                3
            }
            _ => 1,
        }
    }

    /// The first bad row of a ledger that does not verify, where one can be named, and how many rows before it are good.
    pub fn ledger_row(&self) -> Option<(Option<i64>, u64)> {
        match self {
            Self::Verify(VerifyError::Fault { fault, rows }) => {
                let seq = match fault {
                    LedgerFault::Dropped { expected, .. } | LedgerFault::ArchiveMissing { expected, .. } => {
                        Some(*expected)
                    }
                    LedgerFault::Unchained { seq }
                    | LedgerFault::Altered { seq }
                    | LedgerFault::Column { seq, .. }
                    | LedgerFault::Format { seq, .. }
                    | LedgerFault::ArchiveRecord { seq } => Some(*seq),
                    // The rows agree with the head up to the lesser of both.
                    LedgerFault::Cut { expected, found } => Some((*expected).min(*found) + 1),
                    LedgerFault::Seal => None,
                };
                Some((seq, *rows))
            }
            Self::Verify(VerifyError::HeadMissing { .. }) => Some((None, 0)),
            Self::NotHeld { seq, rows, .. } => Some((Some(*seq), *rows)),
            _ => None,
        }
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.status())
    }
}

/// Whether the database is sound, and the configuration names the wrong one, the wrong folder or the wrong key file.
const fn is_configuration(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::NoFolder { .. }
            | StoreError::Missing { .. }
            | StoreError::Foreign { .. }
            | StoreError::OtherStamp { .. }
            | StoreError::OtherKeyFile { .. }
            | StoreError::Database { fault: Fault::NotADatabase, .. }
            | StoreError::Sealing { cause: SealingError::Unsealing, .. }
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_wrong_configuration_has_one_code_whoever_finds_it() {
        let database: Arc<str> = "k.db".into();
        let foreign = || StoreError::Foreign { database: Arc::clone(&database) };
        let fault = |fault| StoreError::Database {
            database: Arc::clone(&database),
            doing: "open the database",
            fault,
            cause: "x".into(),
        };
        for error in [
            CliError::Store(foreign()),
            CliError::Store(fault(Fault::NotADatabase)),
            CliError::Store(StoreError::NoFolder { database: Arc::clone(&database), folder: "x".to_owned() }),
            CliError::Store(StoreError::Missing { database: Arc::clone(&database) }),
            CliError::Store(StoreError::OtherKeyFile { database: Arc::clone(&database) }),
            CliError::Ledger(LedgerError::Store(foreign())),
            CliError::Ledger(LedgerError::Seal { database: Arc::clone(&database) }),
            CliError::Keys(KeysError::Store(foreign())),
            CliError::Start(StartError::Keys(KeysError::Store(foreign()))),
            CliError::Start(StartError::MockBackend),
            CliError::Start(StartError::AnonymousMinting),
            CliError::Check("x".to_owned()),
        ] {
            assert_eq!(error.status(), 3, "{error}");
        }
        for error in [
            CliError::Store(fault(Fault::DiskFull)),
            CliError::Store(fault(Fault::Locked)),
            CliError::Ledger(LedgerError::HeadMissing { database: Arc::clone(&database) }),
            CliError::Verify(VerifyError::Fault { fault: LedgerFault::Seal, rows: 3 }),
            CliError::Unusable("x".to_owned()),
        ] {
            assert_eq!(error.status(), 1, "{error}");
        }
    }

    #[test]
    fn the_first_bad_row_is_named() {
        let row = |fault| CliError::Verify(VerifyError::Fault { fault, rows: 4 }).ledger_row();
        assert_eq!(row(LedgerFault::Dropped { expected: 5, found: 7 }), Some((Some(5), 4)));
        assert_eq!(row(LedgerFault::Altered { seq: 5 }), Some((Some(5), 4)));
        assert_eq!(row(LedgerFault::Cut { expected: 9, found: 4 }), Some((Some(5), 4)));
        assert_eq!(row(LedgerFault::Cut { expected: 3, found: 4 }), Some((Some(4), 4)));
        assert_eq!(row(LedgerFault::Seal), Some((None, 4)));
        assert_eq!(CliError::Refused(String::new()).ledger_row(), None);
    }
}
