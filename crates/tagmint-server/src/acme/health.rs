//! How the certificate is doing: what metrics, `readyz`, `tagmint check` and alarms read.

use std::fmt;

use jiff::Timestamp;

use crate::tls::CertificateFacts;

/// The state of the certificate on the public listener.
///
/// Where TLS ends at a proxy everything is empty; with `tls.mode = "files"` only `served` is filled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CertificateHealth {
    /// Whether this issuer orders its certificates itself (`tls.mode = "acme"`).
    pub ordered_here: bool,
    /// What new connections are shown; none before the first certificate: handshakes fail.
    pub served: Option<CertificateFacts>,
    /// The newest certificate in the store. It differs from `served` for a refresh interval at most, unless it cannot be used.
    pub stored: Option<CertificateFacts>,
    /// When the next renewal is tried: the moment that the schedule gives, or after failures the end of the pause.
    pub next_renewal_at: Option<Timestamp>,
    /// Why no certificate came of the last attempt; none once one did.
    pub last_failure: Option<RenewalFailure>,
    /// Attempts of this process since its start, those that failed included.
    pub attempts: u64,
    /// Attempts of this process since its start of which no certificate came.
    pub failures: u64,
}

/// An attempt of which no certificate came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenewalFailure {
    /// When it failed, by whichever node.
    pub at: Timestamp,
    /// What kind of failure it was.
    pub kind: FailureKind,
    /// What went wrong and what to do, for the operator.
    pub problem: String,
    /// How many attempts have failed since the last certificate, this one included.
    pub consecutive: u32,
}

/// Kinds of failure, in words that may stand on a public page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The ACME server could not be reached, or answered with a failure of its own.
    Unreachable,
    /// The ACME server wants to be left alone for a while (RFC 8555 §6.6).
    RateLimited,
    /// The ACME server could not convince itself that the names are ours: DNS, port 80, a firewall.
    Validation,
    /// The ACME server refused for another reason.
    Refused,
    /// The ACME server's answer or certificate cannot be used.
    BadAnswer,
    /// This issuer could not do its part: the database, the key file.
    Internal,
}

impl FailureKind {
    /// Its name in the store and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::RateLimited => "rate_limited",
            Self::Validation => "validation",
            Self::Refused => "refused",
            Self::BadAnswer => "bad_answer",
            Self::Internal => "internal",
        }
    }

    /// The kind of this name.
    pub fn parse(name: &str) -> Option<Self> {
        use FailureKind::{BadAnswer, Internal, RateLimited, Refused, Unreachable, Validation};
        [Unreachable, RateLimited, Validation, Refused, BadAnswer, Internal]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "the ACME server could not be reached",
            Self::RateLimited => "the ACME server's rate limit is reached",
            Self::Validation => "the ACME server could not validate the names: look at DNS and at port 80",
            Self::Refused => "the ACME server refused",
            Self::BadAnswer => "the ACME server's answer cannot be used",
            Self::Internal => "the issuer could not do its part",
        })
    }
}
