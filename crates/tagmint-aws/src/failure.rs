//! Why a call did not do what was asked.

use std::error::Error;

use aws_sdk_sts::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};
use quick_xml::{Reader, events::Event};
use tagmint_core::jws;

/// What answers that cannot be read are called.
const UNREADABLE: &str = "an answer that cannot be read";

/// Why a call did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The service said no.
    #[error("{status} {code}{}", if message.is_empty() { String::new() } else { format!(": {message}") })]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The service's code, as `AccessDenied`.
        code: String,
        /// The service's words, without the full stop; empty where there are none.
        message: String,
    },
    /// No answer: no connection, no TLS, no end.
    #[error("{service} cannot be reached: {cause}")]
    Unreachable {
        /// The service and its endpoint.
        service: String,
        /// What went wrong.
        cause: String,
    },
    /// Nothing was sent: nobody's credentials were found.
    #[error("there are no AWS credentials (set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE): {cause}")]
    NoCredentials {
        /// Why there are none.
        cause: String,
    },
    /// Nothing was sent: a parameter makes no request.
    #[error("nothing could be sent to {service}: {cause}")]
    Unsent {
        /// The service and its endpoint.
        service: String,
        /// What is wrong.
        cause: String,
    },
}

impl Failure {
    /// Reads the SDK's error. `service` names the service and its endpoint.
    pub fn of<E>(service: &str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        let service = service.to_owned();
        let unsent = match error {
            SdkError::ConstructionFailure(_) => true,
            SdkError::DispatchFailure(failure) => failure.is_user(),
            _ => false,
        };
        let Some(response) = error.raw_response() else {
            let cause = causes(error);
            return if unsent { Self::Unsent { service, cause } } else { Self::Unreachable { service, cause } };
        };
        let status = response.status().as_u16();
        let told = error.as_service_error().map(ProvideErrorMetadata::meta);
        // Ceph's STS and IAM answer in a form that the SDK does not know.
        let body = read(response.body().bytes().unwrap_or_default());
        let code = told.and_then(|told| told.code()).filter(|code| *code != "Unknown").map(str::to_owned);
        let message = told.and_then(|told| told.message()).map(str::to_owned);
        Self::Refused {
            status,
            code: code.or(body.code).unwrap_or_else(|| UNREADABLE.to_owned()),
            message: message.or(body.message).unwrap_or_default().trim_end_matches('.').to_owned(),
        }
    }

    /// Reads the answer to a call that the SDK did not make.
    pub(crate) fn answered(status: u16, body: &[u8]) -> Self {
        let Body { code, message } = read(body);
        let message = message.unwrap_or_default().trim_end_matches('.').to_owned();
        Self::Refused { status, code: code.unwrap_or_else(|| UNREADABLE.to_owned()), message }
    }

    /// An answer that has not what was asked for.
    pub fn incomplete(what: &str) -> Self {
        Self::Refused { status: 200, code: UNREADABLE.to_owned(), message: format!("it has no {what}") }
    }

    /// The service's code, where it answered.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            Self::Unreachable { .. } | Self::NoCredentials { .. } | Self::Unsent { .. } => None,
        }
    }

    /// Whether access was refused, and nothing else went wrong.
    pub fn is_access_denied(&self) -> bool {
        matches!(self, Self::Refused { status: 403, code, .. } if code == "AccessDenied")
    }

    /// Status and code, without the service's words: for a column of a table.
    pub fn short(&self) -> String {
        match self {
            Self::Refused { status, code, .. } => format!("{status} {code}"),
            Self::Unreachable { .. } | Self::NoCredentials { .. } | Self::Unsent { .. } => self.to_string(),
        }
    }
}

/// An error with what caused it. The SDK's may repeat the whole request: what may be a token is taken out.
pub fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        // Some errors repeat their cause.
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    jws::without_tokens(&text)
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Body {
    code: Option<String>,
    message: Option<String>,
}

/// The first `Code` and `Message` of an error's XML.
fn read(body: &[u8]) -> Body {
    Body { code: element(body, "Code"), message: element(body, "Message") }
}

/// The text of the first element of this name that has one, in an answer's XML.
pub(crate) fn element(body: &[u8], name: &str) -> Option<String> {
    let mut reader = Reader::from_str(std::str::from_utf8(body).ok()?);
    let mut within = false;
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => within = start.local_name().as_ref() == name.as_bytes(),
            Event::End(_) => within = false,
            Event::Text(text) if within => {
                if let Ok(text) = text.decode() {
                    return Some(text.into_owned());
                }
            }
            Event::Eof => return None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_read_in_every_form() {
        let both = |code: &str, message: &str| Body { code: Some(code.to_owned()), message: Some(message.to_owned()) };
        let aws = "<ErrorResponse xmlns=\"x\"><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>";
        let ceph = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>no</Message></Error>";
        assert_eq!(read(aws.as_bytes()), both("AccessDenied", "no"));
        assert_eq!(read(ceph.as_bytes()), both("AccessDenied", "no"));
        for strange in ["", "not XML", "<a><b>", "<Code></Code>", "{\"Code\": 1}"] {
            assert_eq!(read(strange.as_bytes()), Body::default(), "{strange}");
        }
        assert_eq!(read(&[0xff, 0xfe]), Body::default());
    }

    #[test]
    fn causes_repeat_no_token() {
        let error = std::io::Error::other("request: Action=X&WebIdentityToken=eyJhbGciOiJ.eyJzdWIiOi.c2ln-_&y=1");
        assert_eq!(causes(&error), "request: Action=X&WebIdentityToken=…&y=1");
    }

    #[test]
    fn only_a_403_access_denied_is_a_refusal_of_access() {
        let refused = |status, code: &str| {
            Failure::Refused { status, code: code.to_owned(), message: String::new() }.is_access_denied()
        };
        assert!(refused(403, "AccessDenied"));
        for (status, code) in [(404, "NoSuchKey"), (403, "InvalidAccessKeyId"), (400, "AccessDenied"), (200, "x")] {
            assert!(!refused(status, code), "{status} {code}");
        }
        let unreachable = Failure::Unreachable { service: "S3".to_owned(), cause: "x".to_owned() };
        assert!(!unreachable.is_access_denied());
        assert_eq!(unreachable.code(), None);
    }
}
