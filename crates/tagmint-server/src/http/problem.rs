//! Problems: the one place that maps a flow's error to what the caller sees (RFC 9457, and RFC 6749 §5.2 for `/oauth2/*`).
//!
//! What the caller reads and what the log says are two things: the log has the whole error, the caller what helps a rightful one.

use std::time::Duration;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tagmint_core::{id::RequestId, rules::DenialReason};

use crate::{
    backend::BackendError,
    flows::{authenticate::AuthenticateError, mint::MintError, session::OpenSessionError},
    limits::TooMany,
};

/// A kind of problem, with its stable code. The reference page is made from [`CATALOGUE`].
#[derive(Debug, PartialEq, Eq)]
pub struct ProblemKind {
    /// The end of `type`: `urn:tagmint:problem:CODE`.
    pub code: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The `title`.
    pub title: &'static str,
    /// What it means and what to do; the `detail` where nothing more precise is known.
    pub meaning: &'static str,
    /// The OAuth error of the same meaning.
    pub oauth: &'static str,
}

macro_rules! problems {
    ($($name:ident = $code:literal, $status:literal, $oauth:literal, $title:literal, $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            pub const $name: ProblemKind = ProblemKind { code: $code, status: $status, title: $title, meaning: $meaning, oauth: $oauth };
        )*
        /// Every kind of problem that the issuer answers with.
        pub const CATALOGUE: &[ProblemKind] = &[$($name),*];
    };
}

problems! {
    MALFORMED_BODY = "malformed-body", 400, "invalid_request", "The body is not what this route takes",
        "The request body is not valid JSON (or form data), has an unknown or repeated member, or a value of the wrong type. The detail names it.";
    MALFORMED_REQUEST = "malformed-request", 400, "invalid_request", "The request is malformed",
        "A header or query parameter is malformed, missing or repeated. The detail names it.";
    CREDENTIAL_MISSING = "credential-missing", 401, "invalid_client", "A credential is needed",
        "Send `Authorization: Bearer <session or bearer>`.";
    CREDENTIAL_INVALID = "credential-invalid", 401, "invalid_client", "The credential is not valid",
        "The session or bearer is malformed, unknown, expired, revoked, or belongs to another environment. Open a new session or ask the operator for a new bearer.";
    AUTH_TOKEN_REFUSED = "auth-token-refused", 401, "invalid_grant", "The session backend refused the auth token",
        "The session backend does not accept this auth token. Get a new one from it.";
    SESSION_REQUIRED = "session-required", 403, "invalid_client", "This needs a session",
        "The route works for sessions alone, and a bearer was presented. Open a session with `POST /v1/sessions`.";
    NOT_ALLOWED = "not-allowed", 403, "invalid_target", "The rules do not allow this",
        "No rule lets this identity have such a token, or the rule that applies does not allow a field of the request. `rule` names it, the detail says what it does not allow.";
    TOKEN_NOT_ACCEPTABLE = "token-not-acceptable", 403, "invalid_request", "AWS would refuse this token",
        "The rule gave claims that make a token that AWS refuses, so it was not signed. The detail names the claim and the limit.";
    NOT_FOUND = "not-found", 404, "invalid_request", "There is nothing here",
        "The path is not one of this issuer's; `/openapi.json` lists them.";
    NO_SESSION_BACKEND = "no-session-backend", 404, "invalid_request", "This issuer opens no sessions",
        "The issuer is set up without a session backend. Use a bearer.";
    METHOD_NOT_ALLOWED = "method-not-allowed", 405, "invalid_request", "The method is not allowed here",
        "The path exists, but not for this method; see the `Allow` header.";
    BODY_TOO_LARGE = "body-too-large", 413, "invalid_request", "The body is too large",
        "The request body is larger than the issuer takes.";
    UNSUPPORTED_GRANT_TYPE = "unsupported-grant-type", 400, "unsupported_grant_type", "The grant type is not supported",
        "The token endpoint takes the grant types that the discovery document lists.";
    TOO_MANY_REQUESTS = "too-many-requests", 429, "temporarily_unavailable", "Too many requests",
        "The caller's address or credential has used up its rate, or too many credentials that prove nothing came from the address. Wait as long as `Retry-After` says.";
    INTERNAL = "internal", 500, "server_error", "Something went wrong on our side",
        "An error that should not happen. The log has it under the request id.";
    BACKEND_UNAVAILABLE = "backend-unavailable", 503, "temporarily_unavailable", "The session backend is out of order",
        "The session backend cannot be reached or does not answer as agreed. No session was opened. Try again later.";
    LEDGER_UNAVAILABLE = "ledger-unavailable", 503, "temporarily_unavailable", "The ledger cannot be written",
        "No token leaves without its row in the ledger, so none was released. The log says why the ledger cannot be written (disk full, read-only, locked).";
    DATABASE_UNAVAILABLE = "database-unavailable", 503, "temporarily_unavailable", "The database does not answer",
        "The issuer's database cannot be read or written now. The log says why.";
    NO_SIGNING_KEY = "no-signing-key", 503, "temporarily_unavailable", "No key may sign yet",
        "A signing key has to be published for the JWKS max-age before it signs, and none has been for so long: a compromised key was withdrawn. `Retry-After` says when one may sign.";
    STALE_KEYS = "stale-keys", 503, "temporarily_unavailable", "The signing keys are out of date",
        "The keys could not be read from the database for so long that another node may have rotated them. The log says why.";
    BODY_TIMEOUT = "body-timeout", 408, "invalid_request", "The body did not arrive in time",
        "The request body took longer to arrive than the issuer waits.";
    TIMEOUT = "timeout", 503, "temporarily_unavailable", "The request took too long",
        "The issuer gave up on the request. Try again.";
    SHUTTING_DOWN = "shutting-down", 503, "temporarily_unavailable", "The issuer is shutting down",
        "The issuer finishes what it has begun and takes nothing new. Try again.";
}

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
    oauth: bool,
    /// A more precise OAuth error than the kind's.
    oauth_error: Option<&'static str>,
}

impl Problem {
    /// A problem of this kind, with the kind's meaning as its detail.
    pub fn new(kind: &'static ProblemKind) -> Self {
        Self { kind, more: Box::default() }
    }

    /// Says more precisely what is wrong and what to do.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.more.detail = Some(detail.into());
        self
    }

    /// Names the rule that decided.
    #[must_use]
    fn rule(mut self, rule: Option<String>) -> Self {
        self.more.rule = rule;
        self
    }

    /// Tells an OAuth client more precisely what was wrong.
    #[must_use]
    fn oauth_error(mut self, error: &'static str) -> Self {
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
        self.more.log = Some(error.to_string());
        self
    }

    /// Renders as OAuth error JSON.
    #[must_use]
    pub fn oauth(mut self) -> Self {
        self.more.oauth = true;
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
        let More { detail, rule, retry_after, allow, oauth, oauth_error, log: _ } = *self.more;
        let detail = detail.as_deref().unwrap_or(self.kind.meaning);
        let mut body = Map::new();
        if oauth {
            body.insert("error".to_owned(), json!(oauth_error.unwrap_or(self.kind.oauth)));
            body.insert("error_description".to_owned(), json!(detail));
        } else {
            body.insert("type".to_owned(), json!(format!("urn:tagmint:problem:{}", self.kind.code)));
            body.insert("title".to_owned(), json!(self.kind.title));
            body.insert("status".to_owned(), json!(self.kind.status));
            body.insert("detail".to_owned(), json!(detail));
        }
        if let Some(rule) = rule {
            body.insert("rule".to_owned(), json!(rule));
        }
        body.insert("request_id".to_owned(), json!(id));
        let status = match StatusCode::from_u16(self.kind.status) {
            // RFC 6749 §5.2 knows 400 and, for clients that fail to authenticate, 401.
            Ok(StatusCode::FORBIDDEN) if oauth => StatusCode::BAD_REQUEST,
            Ok(status) => status,
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let media_type = if oauth { "application/json" } else { "application/problem+json" };
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

impl From<(MintError, Timestamp)> for Problem {
    /// The time is for `Retry-After`.
    fn from((error, now): (MintError, Timestamp)) -> Self {
        let log = error.to_string();
        let wait_until = |moment: Option<Timestamp>| {
            let seconds = moment.map_or(60, |moment| moment.duration_since(now).as_secs()).max(1);
            Duration::from_secs(u64::try_from(seconds).unwrap_or(60))
        };
        let problem = match error {
            MintError::Unauthenticated(error) => return error.into(),
            MintError::TooMany(too_many) => return too_many.into(),
            MintError::Denied(denial) => Self::new(&NOT_ALLOWED)
                .detail(sentence(&denial.public_message()))
                .oauth_error(match denial.reason {
                    // RFC 8707 §2: the target is what was not acceptable; RFC 8693 §2.2.2: anything else that policy refuses.
                    DenialReason::AudienceNotAllowed { .. } | DenialReason::RoleNotAllowed { .. } => "invalid_target",
                    _ => "invalid_request",
                })
                .rule(denial.rule.as_ref().map(ToString::to_string)),
            MintError::Unsignable { rule, error } => {
                Self::new(&TOKEN_NOT_ACCEPTABLE).detail(sentence(&error.to_string())).rule(Some(rule))
            }
            MintError::NoSigningKey(from) => Self::new(&NO_SIGNING_KEY).retry_after(wait_until(from)),
            MintError::StaleKeys(_) => Self::new(&STALE_KEYS).retry_after(Duration::from_secs(5)),
            MintError::Ledger(_) => Self::new(&LEDGER_UNAVAILABLE).retry_after(Duration::from_secs(5)),
            MintError::Store(_) => Self::new(&DATABASE_UNAVAILABLE).retry_after(Duration::from_secs(5)),
            MintError::Signing(_) | MintError::Random(_) => Self::new(&INTERNAL),
        };
        if problem.kind.status < 500 { problem } else { problem.log_as(&log) }
    }
}

impl From<TooMany> for Problem {
    fn from(too_many: TooMany) -> Self {
        let what = match too_many.bucket {
            "credential" => "The limit for this credential is reached; try again later.",
            "failed_authentication" => {
                "Too many credentials that prove nothing came from this address; try again later."
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
            OpenSessionError::Backend(BackendError::Refused) => Self::new(&AUTH_TOKEN_REFUSED),
            OpenSessionError::Backend(BackendError::Outage(_)) => {
                Self::new(&BACKEND_UNAVAILABLE).retry_after(Duration::from_secs(5))
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_statuses_are_http() {
        let mut codes: Vec<&str> = CATALOGUE.iter().map(|kind| kind.code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), CATALOGUE.len());
        assert!(CATALOGUE.iter().all(|kind| StatusCode::from_u16(kind.status).is_ok() && kind.meaning.ends_with('.')));
    }
}
