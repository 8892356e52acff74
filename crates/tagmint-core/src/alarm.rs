//! Alarms: what is wrong with an issuer, or soon will be, and whom to tell when.
//!
//! [`conditions`] looks at what was observed and says which alarms stand; [`book`] remembers them and says which notices are due. Both are
//! pure: what is observed, remembered and sent is the server's.

pub mod book;
pub mod conditions;
mod notice;

use std::{fmt, str::FromStr};

use serde::Serialize;

pub use self::notice::{Notice, NoticeEvent};

/// What can be wrong. Each has its section in `docs/alarms.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AlarmKind {
    /// There is no certificate to serve, or it has expired or is not valid yet: STS cannot fetch the key set.
    CertificateUnservable,
    /// The certificate ends soon and was not renewed.
    CertificateExpiring,
    /// Renewals of the certificate fail, one after the other.
    CertificateRenewalFailing,
    /// The certificate on disk or in the store cannot be used; the old one is served.
    CertificateUnusable,
    /// Another certificate is served than the one on disk or in the store.
    CertificateNotTakenUp,
    /// No key signs: nothing is minted.
    SigningKeyMissing,
    /// The signing key should have been followed by another one.
    SigningKeyOverdue,
    /// The next signing key should have been published.
    SigningKeyNoSuccessor,
    /// The signing keys cannot be read from the database.
    SigningKeysUnread,
    /// Writes to the ledger fail: nothing is minted.
    LedgerFailing,
    /// The ledger in the database is not the one that this issuer wrote: nothing is minted.
    LedgerRolledBack,
    /// The database takes no writes: nothing is minted.
    DatabaseUnwritable,
    /// The disk of the database is nearly full.
    DiskNearlyFull,
    /// The session backend does not answer: no sessions are opened.
    SessionBackendDown,
    /// The keys of a CI platform could not be fetched for long.
    ProviderKeysStale,
    /// A CI token that may be reused came from several networks.
    CiTokenFromSeveralNetworks,
    /// The system's clock was set.
    ClockStepped,
}

impl AlarmKind {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::CertificateUnservable,
        Self::CertificateExpiring,
        Self::CertificateRenewalFailing,
        Self::CertificateUnusable,
        Self::CertificateNotTakenUp,
        Self::SigningKeyMissing,
        Self::SigningKeyOverdue,
        Self::SigningKeyNoSuccessor,
        Self::SigningKeysUnread,
        Self::LedgerFailing,
        Self::LedgerRolledBack,
        Self::DatabaseUnwritable,
        Self::DiskNearlyFull,
        Self::SessionBackendDown,
        Self::ProviderKeysStale,
        Self::CiTokenFromSeveralNetworks,
        Self::ClockStepped,
    ];

    /// Its stable id, in notices, metrics and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CertificateUnservable => "certificate-unservable",
            Self::CertificateExpiring => "certificate-expiring",
            Self::CertificateRenewalFailing => "certificate-renewal-failing",
            Self::CertificateUnusable => "certificate-unusable",
            Self::CertificateNotTakenUp => "certificate-not-taken-up",
            Self::SigningKeyMissing => "signing-key-missing",
            Self::SigningKeyOverdue => "signing-key-overdue",
            Self::SigningKeyNoSuccessor => "signing-key-no-successor",
            Self::SigningKeysUnread => "signing-keys-unread",
            Self::LedgerFailing => "ledger-failing",
            Self::LedgerRolledBack => "ledger-rolled-back",
            Self::DatabaseUnwritable => "database-unwritable",
            Self::DiskNearlyFull => "disk-nearly-full",
            Self::SessionBackendDown => "session-backend-down",
            Self::ProviderKeysStale => "provider-keys-stale",
            Self::CiTokenFromSeveralNetworks => "ci-token-from-several-networks",
            Self::ClockStepped => "clock-stepped",
        }
    }
}

impl fmt::Display for AlarmKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names nothing that stands in an alarm.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not known here; a newer version may have written it")]
pub struct UnknownName(pub String);

impl FromStr for AlarmKind {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| UnknownName(text.to_owned()))
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Callers notice nothing yet: there is time until the working day.
    Warning,
    /// Callers notice, or will within hours.
    Critical,
}

impl Severity {
    /// The name, in notices, metrics and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Severity {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Warning, Self::Critical]
            .into_iter()
            .find(|severity| severity.as_str() == text)
            .ok_or_else(|| UnknownName(text.to_owned()))
    }
}

/// Something that is wrong now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// What.
    pub kind: AlarmKind,
    /// Of which of several things, such as a provider's name.
    pub subject: Option<String>,
    /// How bad it is.
    pub severity: Severity,
    /// What was seen, in words. Holds no secret.
    pub text: String,
    /// What to do.
    pub fix: String,
}
