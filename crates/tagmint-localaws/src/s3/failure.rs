//! S3's refusals.

use std::borrow::Cow;

use http::StatusCode;
use s3s::{S3Error, S3ErrorCode};

/// A refusal of S3: code, status, words (API reference of S3, "Error responses").
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}{}", detail.as_ref().map_or(String::new(), |detail| format!(" ({detail})")))]
pub struct S3Failure {
    code: &'static str,
    status: u16,
    message: Cow<'static, str>,
    detail: Option<String>,
}

impl S3Failure {
    /// A refusal.
    pub fn new(status: u16, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, status, message: message.into(), detail: None }
    }

    /// The same with what S3 does not say: where the mistake is, and what to do about it. Clients are not told.
    pub(super) fn with_detail(self, detail: String) -> Self {
        Self { detail: Some(detail), ..self }
    }

    /// The code.
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// The status.
    pub(super) const fn status(&self) -> u16 {
        self.status
    }

    /// The words.
    pub fn message(&self) -> &str {
        &self.message
    }

    pub(super) fn no_such_bucket() -> Self {
        Self::new(404, "NoSuchBucket", "The specified bucket does not exist")
    }

    pub(super) fn no_such_key() -> Self {
        Self::new(404, "NoSuchKey", "The specified key does not exist.")
    }

    pub(super) fn no_such_version() -> Self {
        Self::new(404, "NoSuchVersion", "The specified version does not exist.")
    }

    pub(super) fn no_such_upload() -> Self {
        Self::new(
            404,
            "NoSuchUpload",
            "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
        )
    }

    pub(super) fn denied(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(403, "AccessDenied", message)
    }

    pub(super) fn precondition() -> Self {
        Self::new(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
    }

    pub(super) fn argument(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, "InvalidArgument", message)
    }

    /// What this stand-in doesn't do, though S3 does.
    pub(super) fn not_implemented(what: &str) -> Self {
        Self::new(501, "NotImplemented", format!("tagmint localaws does not implement {what}"))
    }

    /// The disk.
    pub(super) fn io(error: &std::io::Error) -> Self {
        Self::new(500, "InternalError", format!("the object store's disk: {error}"))
    }
}

impl From<std::io::Error> for S3Failure {
    fn from(error: std::io::Error) -> Self {
        Self::io(&error)
    }
}

impl From<tagmint_core::random::RandomUnavailable> for S3Failure {
    fn from(error: tagmint_core::random::RandomUnavailable) -> Self {
        Self::new(500, "InternalError", error.to_string())
    }
}

impl From<S3Failure> for S3Error {
    fn from(failure: S3Failure) -> Self {
        let code = S3ErrorCode::from_bytes(failure.code.as_bytes()).unwrap_or(S3ErrorCode::InternalError);
        let mut error = Self::with_message(code, failure.message);
        if let Ok(status) = StatusCode::from_u16(failure.status) {
            error.set_status_code(status);
        }
        error
    }
}
