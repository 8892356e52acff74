//! `GET /v1/aws/credentials`: what the AWS SDKs' container credentials provider asks for (`AWS_CONTAINER_CREDENTIALS_FULL_URI`).

use std::sync::Arc;

use axum::{
    Extension,
    extract::{RawQuery, State},
    http::{HeaderMap, header::AUTHORIZATION},
    response::Response,
};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use tagmint_core::sanitize;
use utoipa::ToSchema;

use super::{
    body,
    context::RequestContext,
    misplaced,
    problem::{MALFORMED_REQUEST, Problem},
    tokens,
};
use crate::{
    app::App,
    flows::aws_credentials::{CredentialsCommand, CredentialsError, credentials},
    sts::{SESSION_SECONDS, SessionName},
};

/// Path of the credentials below the issuer.
pub const CREDENTIALS_PATH: &str = "/v1/aws/credentials";

/// Credentials of a role session.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerCredentials {
    /// The access key's id.
    access_key_id: String,
    /// The access key's secret.
    secret_access_key: String,
    /// The session token.
    token: String,
    /// When they expire (RFC 3339).
    expiration: String,
}

/// An error, as the SDKs show it.
#[derive(Serialize, ToSchema)]
pub struct ContainerError {
    /// The code, as in `type`.
    code: String,
    /// What is wrong and what to do.
    message: String,
    /// `urn:tagmint:problem:CODE`.
    r#type: String,
    /// The request's id, as in `x-request-id` and the log.
    request_id: String,
}

/// Assumes a role on the caller's behalf, for the AWS SDKs' container credentials provider.
///
/// `Authorization` is the whole value of `AWS_CONTAINER_AUTHORIZATION_TOKEN`: a session, a bearer or the ID token of a CI job, with or
/// without `Bearer` before it. Answers are cached until 5 minutes (or a tenth of their life) before they expire; each still needs a
/// credential that is good and a rule that allows the role. A CI token gets credentials once: it can be shown again, on the same node and
/// before it expires, where its caller left before the answer was there.
#[utoipa::path(get, path = CREDENTIALS_PATH, tag = "aws", security(("bearer" = [])),
    params(
        ("role" = String, Query, description = "the role's ARN, one of the rule's roles"),
        ("session_name" = Option<String>, Query, description = "the session's name: 2 to 64 of letters, digits and `_+=,.@-`; the mint id by default"),
        ("duration_seconds" = Option<u32>, Query, minimum = 900, maximum = 43200, description = "how long the session is to last; STS's hour by default"),
    ),
    responses(
        (status = 200, body = ContainerCredentials),
        (status = 400, description = "a parameter is malformed, or STS does not take the session's name, duration or tags", body = ContainerError),
        (status = 401, description = "the credential is not valid, or the CI token was used already", body = ContainerError),
        (status = 403, description = "the rules do not allow this, or STS refuses the role", body = ContainerError),
        (status = 404, description = "the issuer is set up without AWS", body = ContainerError),
        (status = 502, description = "STS does not take this issuer's token", body = ContainerError),
        (status = 503, description = "STS does not answer, or nothing can be released now", body = ContainerError),
    ))]
pub async fn aws_credentials(
    State(app): State<Arc<App>>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    RawQuery(raw): RawQuery,
) -> Result<Response, Problem> {
    let Question { role, session_name, duration_seconds } = Question::read(raw.as_deref())?;
    let command = CredentialsCommand {
        request_id: context.id,
        remote: context.remote,
        credential: credential(&headers),
        role,
        session_name,
        duration_seconds,
    };
    let found = credentials(&app, command).await.map_err(|error| match error {
        CredentialsError::Mint(error) => tokens::problem(&app, error),
        error => (error, app.clock.now()).into(),
    })?;
    Ok(tokens::private(ContainerCredentials {
        access_key_id: found.access_key_id.clone(),
        secret_access_key: found.secret_access_key.expose_secret().to_owned(),
        token: found.session_token.expose_secret().to_owned(),
        expiration: found.expires_at.to_string(),
    }))
}

/// The query. Unknown parameters are refused: a mistyped one would get other credentials than were asked for.
#[derive(Debug)]
struct Question {
    role: String,
    session_name: Option<SessionName>,
    duration_seconds: Option<u32>,
}

impl Question {
    fn read(raw: Option<&str>) -> Result<Self, Problem> {
        let (mut role, mut session_name, mut duration_seconds) = (None, None, None);
        for (name, value) in body::query(raw)? {
            if ["role", "session_name"].contains(&name.as_str()) {
                misplaced::field(&name, &value)?;
            }
            match name.as_str() {
                "role" => role = Some(value),
                "session_name" => {
                    let name = SessionName::parse(&value);
                    session_name = Some(name.map_err(|error| malformed(&format!("`session_name`: {error}.")))?);
                }
                "duration_seconds" => {
                    let seconds = value.parse().ok().filter(|seconds| SESSION_SECONDS.contains(seconds));
                    duration_seconds = Some(
                        seconds
                            .ok_or_else(|| malformed("`duration_seconds`: give a whole number from 900 to 43200."))?,
                    );
                }
                _ => {
                    let name = sanitize::shortened(&name, 40);
                    return Err(malformed(&format!(
                        "There is no parameter `{name}`; there are `role`, `session_name` and `duration_seconds`."
                    )));
                }
            }
        }
        let role = role.ok_or_else(|| malformed("The parameter `role` is missing: give the ARN of the role."))?;
        Ok(Self { role, session_name, duration_seconds })
    }
}

fn malformed(detail: &str) -> Problem {
    Problem::new(&MALFORMED_REQUEST).detail(detail)
}

/// The credential, with or without `Bearer` before it, if there is exactly one header. It is checked by the flow.
fn credential(headers: &HeaderMap) -> Option<SecretString> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let value = value.to_str().ok()?.trim();
    let bare = match value.split_once(' ') {
        Some((scheme, rest)) => scheme.eq_ignore_ascii_case("bearer").then(|| rest.trim())?,
        None => value,
    };
    Some(SecretString::from(bare))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_the_credential_with_or_without_its_scheme() {
        let read = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, value.parse().unwrap());
            }
            credential(&headers).map(|secret| secret.expose_secret().to_owned())
        };
        for whole in ["abc", " abc ", "Bearer abc", "bearer  abc "] {
            assert_eq!(read(&[whole]), Some("abc".to_owned()), "{whole}");
        }
        for none in [&[][..], &["Basic abc"], &["abc def"], &["abc", "abc"]] {
            assert_eq!(read(none), None, "{none:?}");
        }
    }
}
