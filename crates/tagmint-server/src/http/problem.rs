//! Problems: the one place that maps a flow's error to what the caller sees (RFC 9457, and RFC 6749 §5.2 for `/oauth2/*`).
//!
//! What the caller reads and what the log says are two things: the log has the whole error, the caller what helps a rightful one.

mod catalogue;

use std::time::Duration;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tagmint_core::{id::RequestId, rules::DenialReason, sanitize, trusted_issuer::TokenError};

pub use self::catalogue::*;
use crate::{
    backend::BackendError,
    flows::{
        authenticate::AuthenticateError, aws_credentials::CredentialsError, client::ClientError,
        identify::IdentifyError, mint::MintError, revoke::RevokeError, session::OpenSessionError,
    },
    limits::TooMany,
    sts::{Fault, StsError},
    upstream::UpstreamError,
};

/// What a caller reads of a problem (RFC 9457): `application/problem+json`.
#[derive(utoipa::ToSchema, serde::Serialize)]
pub struct ProblemDocument {
    /// The kind: `urn:tagmint:problem:CODE`.
    r#type: String,
    /// The kind in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What is wrong and what to do.
    detail: String,
    /// The rule that decided, where one did.
    rule: Option<String>,
    /// The request's id, as in `x-request-id` and the log.
    request_id: String,
}

/// In whose words a problem is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Style {
    /// RFC 9457.
    #[default]
    Problem,
    /// RFC 6749 §5.2.
    OAuth,
    /// As the AWS SDKs' container credentials provider reads errors.
    Container,
}

/// A problem to answer with. It travels in the response's extensions until the request's id is known to it.
#[derive(Debug, Clone)]
pub struct Problem {
    kind: &'static ProblemKind,
    more: Box<More>,
}

#[derive(Debug, Clone, Default)]
struct More {
    detail: Option<String>,
    rule: Option<String>,
    retry_after: Option<Duration>,
    /// What the log says and the caller does not read.
    log: Option<String>,
    allow: Option<HeaderValue>,
    style: Style,
    /// A more precise OAuth error than the kind's.
    oauth_error: Option<&'static str>,
}

impl Problem {
    /// A problem of this kind, with the kind's meaning as its detail.
    pub fn new(kind: &'static ProblemKind) -> Self {
        Self { kind, more: Box::default() }
    }

    /// Says more precisely what is wrong and what to do. A detail may quote what strangers wrote: credentials in it are redacted, and control
    /// characters are escaped.
    #[must_use]
    pub fn detail(mut self, detail: impl AsRef<str>) -> Self {
        self.more.detail = Some(sanitize::text(detail.as_ref()).into_owned());
        self
    }

    /// Adds a sentence to what is said already.
    #[must_use]
    pub(super) fn also(self, sentence: &str) -> Self {
        let detail = format!("{} {sentence}", self.more.detail.as_deref().unwrap_or(self.kind.meaning));
        self.detail(detail)
    }

    /// Names the rule that decided.
    #[must_use]
    fn rule(mut self, rule: Option<String>) -> Self {
        self.more.rule = rule;
        self
    }

    /// Tells an OAuth client more precisely what was wrong.
    #[must_use]
    pub(super) fn oauth_error(mut self, error: &'static str) -> Self {
        self.more.oauth_error = Some(error);
        self
    }

    /// Tells when to try again.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.more.retry_after = Some(wait);
        self
    }

    /// Keeps the methods that a path has.
    #[must_use]
    pub fn allow(mut self, allow: Option<HeaderValue>) -> Self {
        self.more.allow = allow;
        self
    }

    /// Keeps an error for the log.
    #[must_use]
    fn log_as(mut self, error: &dyn std::fmt::Display) -> Self {
        self.more.log = Some(sanitize::text(&error.to_string()).into_owned());
        self
    }

    /// Renders as OAuth error JSON.
    #[must_use]
    pub fn oauth(mut self) -> Self {
        self.more.style = Style::OAuth;
        self
    }

    /// Renders as `{"code", "message"}`, for the AWS SDKs.
    #[must_use]
    pub fn container(mut self) -> Self {
        self.more.style = Style::Container;
        self
    }

    /// Writes what happened on our side to the log.
    pub fn log(&self, id: RequestId) {
        if let Some(error) = &self.more.log {
            if self.kind.status >= 500 {
                tracing::error!(request_id = %id, code = self.kind.code, %error, "request failed");
            } else {
                tracing::info!(request_id = %id, code = self.kind.code, %error, "request refused");
            }
        }
    }

    /// The response.
    pub fn render(self, id: RequestId) -> Response {
        let More { detail, rule, retry_after, allow, style, oauth_error, log: _ } = *self.more;
        let detail = detail.as_deref().unwrap_or(self.kind.meaning);
        let mut body = Map::new();
        // RFC 6749 §5.2 and the SDKs have few errors or none; the kind says it more precisely.
        body.insert("type".to_owned(), json!(format!("urn:tagmint:problem:{}", self.kind.code)));
        match style {
            Style::Problem => {
                body.insert("title".to_owned(), json!(self.kind.title));
                body.insert("status".to_owned(), json!(self.kind.status));
                body.insert("detail".to_owned(), json!(detail));
            }
            Style::OAuth => {
                body.insert("error".to_owned(), json!(oauth_error.unwrap_or(self.kind.oauth)));
                body.insert("error_description".to_owned(), json!(detail));
            }
            Style::Container => {
                body.insert("code".to_owned(), json!(self.kind.code));
                body.insert("message".to_owned(), json!(detail));
            }
        }
        if let Some(rule) = rule {
            body.insert("rule".to_owned(), json!(rule));
        }
        body.insert("request_id".to_owned(), json!(id));
        let oauth = style == Style::OAuth;
        let status = match StatusCode::from_u16(self.kind.status) {
            // RFC 6749 §5.2 knows 400 and, for clients that fail to authenticate, 401.
            Ok(StatusCode::FORBIDDEN) if oauth => StatusCode::BAD_REQUEST,
            // RFC 8693 §2.2.2: a subject token that is not good is an invalid request.
            Ok(StatusCode::UNAUTHORIZED) if oauth && self.kind.oauth == "invalid_request" => StatusCode::BAD_REQUEST,
            Ok(status) => status,
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let media_type = if style == Style::Problem { "application/problem+json" } else { "application/json" };
        let mut response = (status, Value::Object(body).to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            let challenge = match (oauth, self.kind == &CREDENTIAL_MISSING) {
                (true, _) => "Basic realm=\"tagmint\"",
                (false, true) => "Bearer",
                (false, false) => "Bearer error=\"invalid_token\"",
            };
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(wait) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)));
        }
        if let Some(allow) = allow {
            headers.insert(header::ALLOW, allow);
        }
        response
    }
}

impl IntoResponse for Problem {
    /// A bare status; [`observe`](super::context::observe) puts the rendered problem in its place.
    fn into_response(self) -> Response {
        let mut response =
            StatusCode::from_u16(self.kind.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<AuthenticateError> for Problem {
    fn from(error: AuthenticateError) -> Self {
        let problem = match &error {
            AuthenticateError::Missing => Self::new(&CREDENTIAL_MISSING),
            AuthenticateError::NotASession => Self::new(&SESSION_REQUIRED),
            AuthenticateError::Store(_) => Self::new(&DATABASE_UNAVAILABLE),
            AuthenticateError::Invalid(_)
            | AuthenticateError::Unknown
            | AuthenticateError::Expired(_)
            | AuthenticateError::Revoked(_) => Self::new(&CREDENTIAL_INVALID).detail(sentence(&error.to_string())),
        };
        // A refused mint has its line already; elsewhere a refusal is the caller's affair.
        if problem.kind.status < 500 { problem } else { problem.log_as(&error) }
    }
}

impl From<IdentifyError> for Problem {
    fn from(error: IdentifyError) -> Self {
        let text = sentence(&error.to_string());
        match error {
            IdentifyError::Credential(error) => error.into(),
            IdentifyError::CiTokenNotTaken => Self::new(&CI_TOKEN_NOT_TAKEN),
            IdentifyError::CiTokenWanted => Self::new(&CI_TOKEN_WANTED),
            IdentifyError::Spent(_) => Self::new(&CI_TOKEN_SPENT).detail(text),
            IdentifyError::CiToken(UpstreamError::Token(TokenError::Audience(_) | TokenError::AudienceList(_))) => {
                Self::new(&CI_TOKEN_AUDIENCE).detail(text)
            }
            IdentifyError::CiToken(_) => Self::new(&CI_TOKEN_INVALID).detail(text),
            IdentifyError::UpstreamOutage(_) => {
                Self::new(&PROVIDER_UNAVAILABLE).retry_after(Duration::from_secs(5)).log_as(&text)
            }
        }
    }
}

impl From<ClientError> for Problem {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Unauthenticated(error) => error.into(),
            ClientError::TooMany(too_many) => too_many.into(),
        }
    }
}

impl From<RevokeError> for Problem {
    fn from(error: RevokeError) -> Self {
        match error {
            RevokeError::UnsupportedTokenType => Self::new(&UNSUPPORTED_TOKEN_TYPE),
            RevokeError::Client(error) => error.into(),
        }
    }
}

impl From<(MintError, Timestamp)> for Problem {
    /// The time is for `Retry-After`.
    fn from((error, now): (MintError, Timestamp)) -> Self {
        let log = error.to_string();
        let wait_until = |moment: Option<Timestamp>| {
            let seconds = moment.map_or(60, |moment| moment.duration_since(now).as_secs()).max(1);
            Duration::from_secs(u64::try_from(seconds).unwrap_or(60))
        };
        let problem = match error {
            MintError::Unauthenticated(error) | MintError::Upstream(error) => return error.into(),
            MintError::TooMany(too_many) => return too_many.into(),
            MintError::Denied(denial, hint) => Self::new(&NOT_ALLOWED)
                .detail(hint.map_or_else(
                    || sentence(&denial.public_message()),
                    |hint| format!("{} {}", sentence(&denial.public_message()), sentence(&hint)),
                ))
                .oauth_error(match denial.reason {
                    // RFC 8707 §2: the target is what was not acceptable; RFC 8693 §2.2.2: anything else that policy refuses.
                    DenialReason::AudienceNotAllowed { .. } | DenialReason::RoleNotAllowed { .. } => "invalid_target",
                    _ => "invalid_request",
                })
                .rule(denial.rule.as_ref().map(ToString::to_string)),
            MintError::Unsignable { rule, error } => {
                Self::new(&TOKEN_NOT_ACCEPTABLE).detail(sentence(&error.to_string())).rule(Some(rule))
            }
            MintError::NoSigningKey(why) => {
                Self::new(&NO_SIGNING_KEY).detail(sentence(&why.to_string())).retry_after(wait_until(why.until()))
            }
            MintError::StaleKeys(_) => Self::new(&STALE_KEYS).retry_after(Duration::from_secs(5)),
            MintError::Ledger(_) => Self::new(&LEDGER_UNAVAILABLE).retry_after(Duration::from_secs(5)),
            MintError::Store(_) => Self::new(&DATABASE_UNAVAILABLE).retry_after(Duration::from_secs(5)),
            MintError::Signing(_) | MintError::Random(_) => Self::new(&INTERNAL),
        };
        if problem.kind.status < 500 { problem } else { problem.log_as(&log) }
    }
}

impl From<StsError> for Problem {
    fn from(error: StsError) -> Self {
        let kind = match error.fault() {
            Some(Fault::Request) => &STS_INVALID_REQUEST,
            Some(Fault::Role) => &STS_REFUSED,
            Some(Fault::Token) => &STS_TOKEN_REJECTED,
            None => return Self::new(&STS_UNAVAILABLE).retry_after(Duration::from_secs(5)).log_as(&error),
        };
        Self::new(kind).detail(sentence(&error.to_string())).log_as(&error)
    }
}

impl From<(CredentialsError, Timestamp)> for Problem {
    /// The time is for `Retry-After`.
    fn from((error, now): (CredentialsError, Timestamp)) -> Self {
        match error {
            CredentialsError::NotSetUp => Self::new(&AWS_NOT_SET_UP),
            CredentialsError::Mint(error) => (error, now).into(),
            CredentialsError::Sts(error) => error.into(),
            CredentialsError::Busy => Self::new(&STS_UNAVAILABLE).retry_after(Duration::from_secs(1)).log_as(&error),
            CredentialsError::Lost => Self::new(&INTERNAL).log_as(&error),
        }
    }
}

impl From<TooMany> for Problem {
    fn from(too_many: TooMany) -> Self {
        let what = match too_many.bucket {
            "credential" => "The limit for this credential is reached; try again later.",
            "failed_authentication" => {
                "Too many credentials that prove nothing came from this address; try again later."
            }
            "failed_authentication_network" => {
                "Too many credentials that prove nothing came from this network; try again later."
            }
            "session_opens" => {
                "Sessions of this subject are opened too fast; try again later, or go on with a session that is open."
            }
            "sessions_per_subject" => {
                "The subject has as many open sessions as it may have. Go on with one of them, end one (`DELETE /v1/sessions/current`), or wait until the first ends."
            }
            "anonymous_minting_address" => {
                "The limit for requests without a credential is reached for this address; try again later, or show a credential."
            }
            "anonymous_minting_total" => {
                "The limit for requests without a credential is reached; try again later, or show one."
            }
            _ => "The limit for this address is reached; try again later.",
        };
        Self::new(&TOO_MANY_REQUESTS).detail(what).retry_after(too_many.retry_after)
    }
}

impl From<OpenSessionError> for Problem {
    fn from(error: OpenSessionError) -> Self {
        let problem = match &error {
            OpenSessionError::NoBackend => Self::new(&NO_SESSION_BACKEND),
            // Its flow has logged it.
            OpenSessionError::Backend(BackendError::Refused) => return Self::new(&AUTH_TOKEN_REFUSED),
            OpenSessionError::Backend(BackendError::Outage(_)) => {
                Self::new(&BACKEND_UNAVAILABLE).retry_after(Duration::from_secs(5))
            }
            OpenSessionError::TooMany(too_many) => return (*too_many).into(),
            OpenSessionError::TooManySessions { retry_after, .. } => {
                return TooMany { bucket: "sessions_per_subject", retry_after: *retry_after }.into();
            }
            OpenSessionError::Ledger(_) => Self::new(&LEDGER_UNAVAILABLE).retry_after(Duration::from_secs(5)),
            OpenSessionError::Store(_) => Self::new(&DATABASE_UNAVAILABLE).retry_after(Duration::from_secs(5)),
            OpenSessionError::Random(_) => Self::new(&INTERNAL),
        };
        problem.log_as(&error)
    }
}

/// An error's words as a sentence.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", characters.as_str())
}
