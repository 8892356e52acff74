//! The seam to AWS STS: `AssumeRoleWithWebIdentity` on a caller's behalf, and the credentials that come of it.
//!
//! Limits are those of the STS API reference ("AssumeRoleWithWebIdentity").

use std::{fmt, ops::RangeInclusive};

use futures::future::BoxFuture;
use jiff::Timestamp;
use secrecy::SecretString;
use tagmint_core::{jws, rules::SessionTerms};

/// How long a session may last, in seconds (`DurationSeconds`). The role's own maximum may be shorter.
pub const SESSION_SECONDS: RangeInclusive<u32> = 900..=43_200;

/// The longest message of STS that is passed on, in characters.
const LONGEST_MESSAGE: usize = 300;

/// Assumes roles with tokens of this issuer. A seam: STS is somebody else's program.
pub trait WebIdentitySts: Send + Sync + fmt::Debug {
    /// Asks for credentials. Implementations bound their own time.
    fn assume_role<'a>(&'a self, request: &'a AssumeRole) -> BoxFuture<'a, Result<SessionCredentials, StsError>>;
}

/// What STS is asked for.
#[derive(Debug, Clone)]
pub struct AssumeRole {
    /// The role's ARN.
    pub role: String,
    /// The session's name, which CloudTrail shows.
    pub session_name: SessionName,
    /// How long the session is to last, in seconds: one of [`SESSION_SECONDS`]. Default: what STS gives, an hour.
    pub duration_seconds: Option<u32>,
    /// The minted JWT.
    pub token: SecretString,
    /// What the session is held to, and which role it assumes at once.
    pub terms: SessionTerms,
}

/// A `RoleSessionName`: 2 to 64 of letters, digits and `_+=,.@-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionName(String);

/// The text is no session name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a session name has 2 to 64 characters, of letters, digits and `_+=,.@-`")]
pub struct InvalidSessionName;

impl SessionName {
    /// Checks a name.
    ///
    /// # Errors
    ///
    /// When it is too short, too long, or has other characters.
    pub fn parse(text: &str) -> Result<Self, InvalidSessionName> {
        let fits = (2..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte));
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidSessionName) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Credentials of a role session.
#[derive(Debug, Clone)]
pub struct SessionCredentials {
    /// `AccessKeyId`: an identifier, no secret.
    pub access_key_id: String,
    /// `SecretAccessKey`.
    pub secret_access_key: SecretString,
    /// `SessionToken`.
    pub session_token: SecretString,
    /// When they expire.
    pub expires_at: Timestamp,
    /// STS's id of the request. None where its answer has none.
    pub sts_request_id: Option<String>,
}

/// Why there are no credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StsError {
    /// STS answered with an error that says something about the request. Make it with [`StsError::refused`].
    #[error("STS refused: {code}: {message}")]
    Refused {
        /// STS's error code, as `AccessDenied`.
        code: String,
        /// STS's words, without secrets.
        message: String,
    },
    /// STS could not be reached, was out of order or too busy, or took too long.
    #[error("STS did not answer as it should: {0}")]
    Outage(String),
}

/// What a refusal of STS is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The role: its trust policy does not take the token.
    Role,
    /// The request: session name, duration, the size of the tags.
    Request,
    /// The token: the OIDC provider in IAM, or how STS gets at this issuer's documents.
    Token,
}

impl StsError {
    /// A refusal in STS's own words. What may be a token, because STS repeats values that it finds malformed, is taken out.
    pub fn refused(code: &str, message: &str) -> Self {
        Self::Refused { code: code.chars().take(64).collect(), message: harmless(message) }
    }

    /// An outage, for the log. What may be a token is taken out.
    pub fn outage(cause: &str) -> Self {
        Self::Outage(harmless(cause))
    }

    /// What a refusal is about; none where it is an outage.
    pub fn fault(&self) -> Option<Fault> {
        let Self::Refused { code, .. } = self else { return None };
        Some(match code.as_str() {
            "ValidationError" | "MalformedPolicyDocument" | "PackedPolicyTooLarge" => Fault::Request,
            "InvalidIdentityToken"
            | "IDPCommunicationError"
            | "IDPRejectedClaim"
            | "ExpiredTokenException"
            | "ExpiredToken" => Fault::Token,
            _ => Fault::Role,
        })
    }
}

/// One line of bounded length without anything that looks like a JWT.
fn harmless(text: &str) -> String {
    jws::without_tokens(text).chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_names_are_those_of_sts() {
        for good in ["ab", "mnt_01JABCDEFGHJKMNPQRSTVWXYZ0", "a+b=c,d.e@f-g", &"x".repeat(64)] {
            assert_eq!(SessionName::parse(good).map(|name| name.as_str().to_owned()), Ok(good.to_owned()));
        }
        for bad in ["", "a", "a b", "a/b", "é1", "a\n", &"x".repeat(65)] {
            assert_eq!(SessionName::parse(bad), Err(InvalidSessionName), "{bad}");
        }
    }

    #[test]
    fn a_message_never_repeats_a_token() {
        let echoed =
            "1 validation error: Value 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln' at 'webIdentityToken'\nfailed";
        let error = StsError::refused("ValidationError", echoed);
        assert_eq!(
            error.to_string(),
            "STS refused: ValidationError: 1 validation error: Value '…' at 'webIdentityToken' failed"
        );
        let cut = StsError::outage(&format!("{}eyJhbGciOiJF", "x".repeat(295)));
        assert!(!cut.to_string().contains("eyJ"));
        let long = StsError::refused("AccessDenied", &"x".repeat(5_000));
        assert!(matches!(long, StsError::Refused { message, .. } if message.chars().count() == LONGEST_MESSAGE));
    }

    #[test]
    fn a_refusal_says_whose_fault_it_is() {
        let fault = |code| StsError::refused(code, "x").fault();
        assert_eq!(fault("AccessDenied"), Some(Fault::Role));
        assert_eq!(fault("RegionDisabledException"), Some(Fault::Role));
        assert_eq!(fault("ValidationError"), Some(Fault::Request));
        assert_eq!(fault("InvalidIdentityToken"), Some(Fault::Token));
        assert_eq!(StsError::outage("x").fault(), None);
    }
}
