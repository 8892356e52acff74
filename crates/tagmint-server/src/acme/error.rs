//! What goes wrong between us and an ACME server.

use std::fmt;

use jiff::SignedDuration;
use tagmint_core::{random::RandomUnavailable, signing_key::SigningError};
use tagmint_store::StoreError;

use super::FailureKind;

/// The most text of the server's that is kept, in characters.
const MOST_TEXT: usize = 500;
/// What every type of problem of ACME begins with (RFC 8555 §6.7).
const NAMESPACE: &str = "urn:ietf:params:acme:error:";

/// Why no certificate came of an attempt.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    /// No answer: no such name, nobody listening, a certificate that is not trusted, too slow.
    #[error("{url}: {cause}; is the server reachable from here (`curl {url}`)?")]
    Transport {
        /// What was asked.
        url: String,
        /// What went wrong.
        cause: String,
    },
    /// The server refused.
    #[error("{url}: {problem}{}", .problem.advice())]
    Problem {
        /// What was asked.
        url: String,
        /// What it says.
        problem: ServerProblem,
    },
    /// The server could not validate a name.
    #[error("`{name}` could not be validated: {problem}{}", .problem.advice())]
    Validation {
        /// The name.
        name: String,
        /// What the server says.
        problem: ServerProblem,
    },
    /// The server failed the whole order.
    #[error("the order failed: {0}{advice}", advice = .0.advice())]
    Order(ServerProblem),
    /// The order has stood still for too long.
    #[error("the order was still {status} after {minutes} minutes; it is given up")]
    Stuck {
        /// Its last state.
        status: String,
        /// How long it was waited for.
        minutes: i64,
    },
    /// An answer that cannot be used.
    #[error("{url}: the answer cannot be used: {cause}")]
    Answer {
        /// What was asked.
        url: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The certificate is not the one that was ordered.
    #[error("the certificate that the server issued cannot be used: {0}")]
    Certificate(String),
    /// The server validates by other ways alone.
    #[error(
        "the server does not offer the challenge http-01 for `{0}`: a wildcard, or a policy of its own; use another server"
    )]
    NoHttp01(String),
    /// The server does not offer the configured profile.
    #[error("the server does not offer the profile `{wanted}` of `tls.acme.profile`; it offers {offered}")]
    Profile {
        /// The configured one.
        wanted: String,
        /// What the server names.
        offered: String,
    },
    /// The server wants an account that is tied to a customer.
    #[error("the server wants an external account binding: set `tls.acme.eab` to what it gave you")]
    BindingRequired,
    /// The server cannot change an account's key.
    #[error("the server offers no change of account keys (`keyChange` in its directory)")]
    NoKeyChange,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key could not be made or read.
    #[error("a key could not be made or read: {0}")]
    Key(String),
    /// No randomness.
    #[error(transparent)]
    Random(#[from] RandomUnavailable),
}

impl From<SigningError> for AcmeError {
    fn from(error: SigningError) -> Self {
        Self::Key(error.to_string())
    }
}

impl From<rcgen::Error> for AcmeError {
    fn from(error: rcgen::Error) -> Self {
        Self::Key(error.to_string())
    }
}

impl AcmeError {
    /// In words for a public page.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Transport { .. } => FailureKind::Unreachable,
            Self::Problem { problem, .. } | Self::Order(problem) if problem.is_rate_limit() => FailureKind::RateLimited,
            Self::Problem { problem, .. } if problem.status >= 500 => FailureKind::Unreachable,
            Self::Validation { .. } => FailureKind::Validation,
            Self::Problem { .. }
            | Self::Order(_)
            | Self::NoHttp01(_)
            | Self::Profile { .. }
            | Self::BindingRequired
            | Self::NoKeyChange => FailureKind::Refused,
            Self::Stuck { .. } | Self::Answer { .. } | Self::Certificate(_) => FailureKind::BadAnswer,
            Self::Store(_) | Self::Key(_) | Self::Random(_) => FailureKind::Internal,
        }
    }

    /// How long the server wants to be left alone.
    pub fn retry_after(&self) -> Option<SignedDuration> {
        match self {
            Self::Problem { problem, .. } | Self::Validation { problem, .. } | Self::Order(problem) => {
                problem.retry_after
            }
            _ => None,
        }
    }

    /// Whether the order has come to nothing: another one is needed.
    pub(super) fn ends_order(&self) -> bool {
        match self {
            Self::Problem { problem, .. } => {
                problem.status < 500 && !problem.is_rate_limit() && !problem.is_bad_nonce()
            }
            Self::Validation { .. }
            | Self::Order(_)
            | Self::Stuck { .. }
            | Self::Certificate(_)
            | Self::NoHttp01(_) => true,
            _ => false,
        }
    }

    /// Whether the server says that it does not know our account.
    pub(super) fn is_unknown_account(&self) -> bool {
        matches!(self, Self::Problem { problem, .. } if problem.is("accountDoesNotExist"))
    }
}

/// What a server says when it refuses (RFC 7807, RFC 8555 §6.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerProblem {
    /// The HTTP status; 0 where the problem stands in another object.
    pub status: u16,
    /// The type, `urn:ietf:params:acme:error:dns` and the like.
    pub kind: Option<String>,
    /// The server's words, bounded, with what it says of single names.
    pub detail: String,
    /// How long it wants to be left alone.
    pub retry_after: Option<SignedDuration>,
}

impl ServerProblem {
    /// Whether it is of this type, named without the namespace.
    pub fn is(&self, name: &str) -> bool {
        self.kind.as_deref().and_then(|kind| kind.strip_prefix(NAMESPACE)) == Some(name)
    }

    /// Whether the server's rate limit is reached.
    pub fn is_rate_limit(&self) -> bool {
        self.is("rateLimited") || self.status == 429
    }

    pub(super) fn is_bad_nonce(&self) -> bool {
        self.is("badNonce")
    }

    /// Reads the body of an answer that is an error.
    pub(super) fn read(status: u16, body: &[u8], retry_after: Option<SignedDuration>) -> Self {
        if let Ok(problem) = serde_json::from_slice::<instant_acme::Problem>(body) {
            return Self { status, retry_after, ..Self::from(&problem) };
        }
        // A proxy's page, mostly: its beginning tells whose.
        let text: String = String::from_utf8_lossy(body).chars().take(80).collect();
        Self { status, kind: None, detail: bounded(&format!("no problem document but {text:?}")), retry_after }
    }

    fn advice(&self) -> &'static str {
        const ADVICE: &[(&str, &str)] = &[
            ("dns", "; look at the name's A, AAAA and CAA records"),
            ("connection", "; is port 80 open to everybody, in every firewall, on each address that DNS gives?"),
            ("unauthorized", "; does the name lead to this issuer, with nothing in front that answers on port 80?"),
            ("caa", "; let the name's CAA record allow the CA"),
            ("rateLimited", "; nothing helps but waiting; the staging server has wider limits"),
            ("externalAccountRequired", "; set `tls.acme.eab`"),
            ("invalidContact", "; mend `tls.acme.contact`"),
            ("unsupportedContact", "; mend `tls.acme.contact`"),
            ("invalidProfile", "; mend `tls.acme.profile`"),
            ("rejectedIdentifier", "; the server does not issue for this name"),
            ("accountDoesNotExist", "; it is registered anew with the next attempt"),
        ];
        ADVICE.iter().find(|(name, _)| self.is(name)).map_or("", |(_, advice)| advice)
    }
}

impl From<&instant_acme::Problem> for ServerProblem {
    fn from(problem: &instant_acme::Problem) -> Self {
        let mut detail = problem.detail.clone().unwrap_or_default();
        for part in &problem.subproblems {
            detail.push_str("; ");
            detail.push_str(&part.to_string());
        }
        Self {
            status: problem.status.unwrap_or_default(),
            kind: problem.r#type.as_deref().map(bounded),
            detail: bounded(&detail),
            retry_after: None,
        }
    }
}

impl fmt::Display for ServerProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.status != 0 {
            write!(f, "{} ", self.status)?;
        }
        if let Some(kind) = &self.kind {
            write!(f, "{}: ", kind.strip_prefix(NAMESPACE).unwrap_or(kind))?;
        }
        f.write_str(&self.detail)?;
        if let Some(wait) = self.retry_after {
            write!(f, " (Retry-After: {} s)", wait.as_secs())?;
        }
        Ok(())
    }
}

/// The server's text, on one line and not for ever.
pub(super) fn bounded(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST_TEXT).collect()
}
