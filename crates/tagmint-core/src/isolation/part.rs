//! What is compared, and why.

use std::fmt;

use serde::{Serialize, Serializer};

/// A kind of thing that belongs to one world alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// `prod` or `test`.
    Environment,
    /// The hosts of the issuer URL and of its certificate.
    Host,
    /// Whose tokens are taken for new ones.
    TrustedIssuer,
    /// The audiences for which CI jobs ask their platforms.
    ProviderAudience,
    /// Audiences of tokens other than AWS.
    TokenAudience,
    /// Roles of tokens, by ARN.
    Role,
    /// The bucket.
    Bucket,
    /// The AWS account.
    Account,
    /// Tokens without proof.
    AnonymousMinting,
    /// Who vouches for sessions.
    SessionBackend,
    /// The database: its file and its stamp.
    Database,
    /// The folder of the database, where the process writes.
    StateFolder,
    /// The key file: its path and what it holds.
    KeyFile,
    /// The signing keys, by `kid`.
    SigningKey,
    /// The certificate's key.
    TlsKey,
    /// The account at the ACME server.
    AcmeAccount,
    /// Sessions and bearers, by how they begin.
    Credential,
    /// Addresses, ports and sockets.
    Listen,
    /// Who is told of alarms.
    AlarmSink,
}

/// What it means when two worlds share a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gravity {
    /// It is refused.
    Refused,
    /// It can be meant.
    Warned,
}

impl Part {
    /// All parts, in the order in which they are told.
    pub const ALL: [Self; 19] = [
        Self::Environment,
        Self::Host,
        Self::TrustedIssuer,
        Self::ProviderAudience,
        Self::TokenAudience,
        Self::Role,
        Self::Bucket,
        Self::Account,
        Self::AnonymousMinting,
        Self::SessionBackend,
        Self::Database,
        Self::StateFolder,
        Self::KeyFile,
        Self::SigningKey,
        Self::TlsKey,
        Self::AcmeAccount,
        Self::Credential,
        Self::Listen,
        Self::AlarmSink,
    ];

    /// Its name, for people and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::Host => "host",
            Self::TrustedIssuer => "trusted issuer",
            Self::ProviderAudience => "CI audience",
            Self::TokenAudience => "token audience",
            Self::Role => "role",
            Self::Bucket => "bucket",
            Self::Account => "AWS account",
            Self::AnonymousMinting => "anonymous minting",
            Self::SessionBackend => "session backend",
            Self::Database => "database",
            Self::StateFolder => "state folder",
            Self::KeyFile => "key file",
            Self::SigningKey => "signing key",
            Self::TlsKey => "TLS key",
            Self::AcmeAccount => "ACME account",
            Self::Credential => "credential",
            Self::Listen => "listen address",
            Self::AlarmSink => "alarm sink",
        }
    }

    /// What it means when it is shared.
    pub const fn gravity(self) -> Gravity {
        match self {
            // One account for both is a decision; two machines may each have their port 443; relying parties other than AWS look at `iss`;
            // one on-call rota may serve both.
            Self::Account | Self::Listen | Self::TokenAudience | Self::AlarmSink => Gravity::Warned,
            _ => Gravity::Refused,
        }
    }

    /// Why it matters.
    pub const fn why(self) -> &'static str {
        match self {
            Self::Environment => "two of one environment take each other's sessions and bearers for well-formed ones",
            Self::Host => "AWS knows an issuer by its host: one host is one OIDC provider, one key set",
            Self::TrustedIssuer => "who takes the other's tokens for new ones lets every caller of the other in",
            Self::ProviderAudience => "a CI job's token for the one is taken by the other",
            Self::TokenAudience => {
                "whoever takes such tokens must look at `iss`, or takes test's for prod's; `sts.amazonaws.com` is not counted: STS does"
            }
            Self::Role => "a token of the one opens what the other's roles reach",
            Self::Bucket => "the one's prefixes, sweeps and lifecycle rules touch the other's data",
            Self::Account => "in one account the names of roles and buckets alone keep the worlds apart",
            Self::AnonymousMinting => "who proves nothing gets tokens of a test issuer, never of prod's",
            Self::SessionBackend => "who can open a session at the one can at the other",
            Self::Database => "sessions, keys and ledger of the one would be the other's",
            Self::StateFolder => "the process of the one writes where the other keeps its keys and its ledger",
            Self::KeyFile => "whoever reads the one's key file opens the other's signing keys",
            Self::SigningKey => "a key that both publish signs tokens that pass as either's",
            Self::TlsKey => "whoever has the one's TLS key can stand in for the other's key set",
            Self::AcmeAccount => "a leaked account key of the one revokes and orders certificates of the other",
            Self::Credential => "a leaked credential of the one is refused by the other before any look-up",
            Self::Listen => "on one machine the second one does not start, or answers in the first one's place",
            Self::AlarmSink => "a notice must be told apart by its issuer alone",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
