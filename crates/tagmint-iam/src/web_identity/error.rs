//! STS's refusals: codes, words, statuses.

use serde::Serialize;

/// A refusal of STS, as its caller sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct StsError {
    /// The code.
    pub code: StsCode,
    /// The words.
    pub message: String,
}

/// Codes of STS's refusals that follow from the request and the documents (service model of STS, `AssumeRoleWithWebIdentity`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum StsCode {
    /// The trust policy, or there is no such role.
    AccessDenied,
    /// Over `exp`.
    #[serde(rename = "ExpiredTokenException")]
    ExpiredToken,
    /// STS stumbled over the token.
    InternalFailure,
    /// Everything else about the token.
    InvalidIdentityToken,
    /// The session policy.
    MalformedPolicyDocument,
    /// A parameter.
    ValidationError,
}

impl StsCode {
    /// The code on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessDenied => "AccessDenied",
            Self::ExpiredToken => "ExpiredTokenException",
            Self::InternalFailure => "InternalFailure",
            Self::InvalidIdentityToken => "InvalidIdentityToken",
            Self::MalformedPolicyDocument => "MalformedPolicyDocument",
            Self::ValidationError => "ValidationError",
        }
    }

    /// The HTTP status that the service model gives it. `InternalFailure` is a server's fault, which clients retry (observed).
    pub const fn http_status(self) -> u16 {
        match self {
            Self::AccessDenied => 403,
            Self::InternalFailure => 500,
            _ => 400,
        }
    }

    pub(super) fn with(self, message: impl Into<String>) -> StsError {
        StsError { code: self, message: message.into() }
    }
}

impl StsError {
    /// The HTTP status.
    pub const fn http_status(&self) -> u16 {
        self.code.http_status()
    }

    /// No usable key for the token. Two blanks, as STS writes it (recorded).
    pub(super) fn no_key() -> Self {
        StsCode::InvalidIdentityToken.with(
            "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation \
             for requirements",
        )
    }

    /// The audience is not one of the provider's client ids (public reports from 2022 to June 2026, of `aud` and of `azp`).
    pub(super) fn wrong_audience() -> Self {
        StsCode::InvalidIdentityToken.with("Incorrect token audience")
    }

    /// A claim that says nothing (recorded for an empty array as `aud`).
    pub(super) fn empty_claim(name: &str) -> Self {
        StsCode::InvalidIdentityToken.with(format!("Claim is not allowed to be empty: {name}"))
    }

    /// One of AWS's own claims in another form (recorded for `principal_tags` with plain strings).
    pub(super) fn wrong_form(name: &str) -> Self {
        StsCode::InvalidIdentityToken.with(format!("{name} passed in claim is not in correct format."))
    }

    /// The signature, an empty `azp`, and whatever STS doesn't say more about (recorded).
    pub(super) fn not_validated() -> Self {
        StsCode::InvalidIdentityToken.with(
            "The web identity token provided could not be validated. See the AssumeRoleWithWebIdentity documentation for requirements.",
        )
    }

    /// The token's form (recorded for `crit`).
    pub(super) fn not_a_jwt() -> Self {
        StsCode::InvalidIdentityToken
            .with("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
    }

    /// A claim that isn't there (recorded).
    pub(super) fn missing_claim(name: &str) -> Self {
        StsCode::InvalidIdentityToken.with(format!("Missing a required claim: {name}"))
    }

    /// A claim that is `null` where STS takes its text (recorded for `sub`).
    pub(super) fn stumbled() -> Self {
        StsCode::InternalFailure.with("Unknown error validating third-party token")
    }

    /// The trust policy, whatever the cause (recorded).
    pub(super) fn denied() -> Self {
        StsCode::AccessDenied.with("Not authorized to perform sts:AssumeRoleWithWebIdentity")
    }
}
