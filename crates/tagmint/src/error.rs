//! Why a command failed, and with which exit code.

use std::{net::SocketAddr, process::ExitCode};

use tagmint_core::random::RandomUnavailable;
use tagmint_server::{app::StartError, flows::keys::KeysError, x509::CertificateError};
use tagmint_store::{LedgerError, StoreError, VerifyError};

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
    /// `check` found something.
    #[error("{0}")]
    Check(String),
    /// There is no client for the session backend.
    #[error("the session backend's TLS client cannot be made: {0}")]
    BackendClient(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger cannot be opened for writing.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The ledger is not as it was written.
    #[error("the ledger does not verify: {0}")]
    Verify(#[from] VerifyError),
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
        /// The address.
        address: SocketAddr,
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
    /// It cannot be done as things are.
    #[error("{0}")]
    Refused(String),
    /// No secret could be made.
    #[error(transparent)]
    Random(#[from] RandomUnavailable),
}

fn listen_hint(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => "; another program has it, choose another port",
        std::io::ErrorKind::PermissionDenied => "; ports below 1024 need CAP_NET_BIND_SERVICE",
        _ => "",
    }
}

impl CliError {
    /// The stable name of the error's kind, in JSON.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Usage(_) => "usage",
            Self::Config(_) | Self::Check(_) => "config",
            Self::File(_) => "file",
            Self::BackendClient(_) => "session_backend",
            Self::Store(_) => "database",
            Self::Ledger(_) | Self::Verify(_) => "ledger",
            Self::Keys(_) => "keys",
            Self::Start(_) => "start",
            Self::Certificate(_) => "certificate",
            Self::Listen { .. } => "listen",
            Self::Io { .. } => "io",
            Self::NotFound(_) => "not_found",
            Self::Refused(_) => "refused",
            Self::Random(_) => "randomness",
        }
    }

    /// 1 refused or failed, 2 usage, 3 configuration. 4 is kept for what could not be reached.
    pub const fn status(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Config(_) | Self::File(_) | Self::Check(_) | Self::BackendClient(_) => 3,
            _ => 1,
        }
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.status())
    }
}
