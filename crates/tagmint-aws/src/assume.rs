//! `AssumeRoleWithWebIdentity`: a JWT for credentials of a role session. The call is unsigned; the token is the proof.

use std::fmt;

use aws_sdk_sts::types;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use crate::{
    connection::{Connection, Service},
    failure::Failure,
};

/// What STS is asked for.
#[derive(Debug)]
pub struct Question<'a> {
    /// The role's ARN.
    pub role: &'a str,
    /// The session's name: 2 to 64 of letters, digits and `_+=,.@-`.
    pub session_name: &'a str,
    /// How long the session is to last, in seconds: 900 to 43,200, at most the role's maximum. Default: an hour.
    pub duration_seconds: Option<u32>,
    /// The JWT.
    pub token: &'a SecretString,
}

/// Credentials of a role session.
pub struct Credentials {
    /// `AccessKeyId`: an identifier, no secret.
    pub access_key_id: String,
    /// `SecretAccessKey`.
    pub secret_access_key: SecretString,
    /// `SessionToken`.
    pub session_token: SecretString,
    /// When they expire.
    pub expires_at: Timestamp,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// Asks STS.
///
/// # Errors
///
/// When STS refuses or cannot be reached, or its answer has no credentials.
pub async fn assume(connection: &Connection, question: &Question<'_>) -> Result<Credentials, Failure> {
    let call = connection
        .sts()
        .assume_role_with_web_identity()
        .role_arn(question.role)
        .role_session_name(question.session_name)
        .set_duration_seconds(question.duration_seconds.and_then(|seconds| i32::try_from(seconds).ok()))
        .web_identity_token(question.token.expose_secret());
    let answer = call.send().await.map_err(|error| Failure::of(&connection.named(Service::Sts), &error))?;
    answer.credentials().and_then(read).ok_or_else(|| Failure::incomplete("credentials"))
}

/// None where a part is missing: stand-ins leave some out.
fn read(keys: &types::Credentials) -> Option<Credentials> {
    let expires_at = Timestamp::from_second(keys.expiration().secs()).ok()?;
    let whole = [keys.access_key_id(), keys.secret_access_key(), keys.session_token()];
    // They become lines of files, variables and headers.
    let printable = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    whole.iter().all(printable).then(|| Credentials {
        access_key_id: keys.access_key_id().to_owned(),
        secret_access_key: SecretString::from(keys.secret_access_key()),
        session_token: SecretString::from(keys.session_token()),
        expires_at,
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_sts::primitives::DateTime;

    use super::*;

    fn keys(secret: &str) -> types::Credentials {
        types::Credentials::builder()
            .access_key_id("ASIAEXAMPLE")
            .secret_access_key(secret)
            .session_token("very/secret+token=")
            .expiration(DateTime::from_secs(1_790_000_000))
            .build()
            .unwrap()
    }

    #[test]
    fn credentials_are_whole_and_do_not_print() {
        let credentials = read(&keys("very-secret")).unwrap();
        assert_eq!(credentials.expires_at.to_string(), "2026-09-21T14:13:20Z");
        assert!(!format!("{credentials:?}").contains("very"));
        for broken in ["", "a\nAWS_PROFILE=x", "a b", "é"] {
            assert!(read(&keys(broken)).is_none(), "{broken:?}");
        }
    }
}
