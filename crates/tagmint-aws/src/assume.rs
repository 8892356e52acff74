//! `AssumeRoleWithWebIdentity`: a JWT for credentials of a role session. The call is unsigned; the token is the proof.

use std::fmt;

use aws_sdk_sts::{
    operation::{RequestId as _, assume_role::AssumeRoleOutput},
    types,
};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use tagmint_core::rules::SessionTerms;

use crate::{
    connection::{Connection, Service, SessionKeys},
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
    /// The policies that limit the session, and the role that it assumes next.
    pub terms: &'a SessionTerms,
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
    /// STS's id of the request, as CloudTrail shows it. None where the answer has none.
    pub request_id: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// The longest session that a session can open, in seconds (IAM user guide, "Role chaining").
const CHAINED_SECONDS: u32 = 3_600;

/// Asks STS; where the terms name a second role, for a session of that, with the first one.
///
/// # Errors
///
/// When STS refuses or cannot be reached, or its answer has no credentials.
pub async fn assume(connection: &Connection, question: &Question<'_>) -> Result<Credentials, Failure> {
    let terms = question.terms;
    let mut call = connection
        .sts()
        .assume_role_with_web_identity()
        .role_arn(question.role)
        .role_session_name(question.session_name)
        .web_identity_token(question.token.expose_secret());
    if terms.assume_then.is_none() {
        call = call
            .set_duration_seconds(question.duration_seconds.and_then(|seconds| i32::try_from(seconds).ok()))
            .set_policy(terms.policy.clone())
            .set_policy_arns(policy_arns(terms));
        let answer = call.send().await.map_err(|error| Failure::of(&connection.named(Service::Sts), &error))?;
        let request_id = answer.request_id().map(str::to_owned);
        return answer
            .credentials()
            .and_then(|keys| read(keys, request_id))
            .ok_or_else(|| Failure::incomplete("credentials"));
    }
    // The first session lives as short as STS allows: it is used once.
    let call = call.duration_seconds(900);
    let answer = call.send().await.map_err(|error| Failure::of(&connection.named(Service::Sts), &error))?;
    let first = answer.credentials().ok_or_else(|| Failure::incomplete("credentials"))?;
    let second = SecondSession { name: question.session_name, seconds: question.duration_seconds, terms };
    let answer = assume_second(connection, SessionKeys::new(first).into_credentials(), &second).await?;
    let request_id = answer.request_id().map(str::to_owned);
    answer.credentials().and_then(|keys| read(keys, request_id)).ok_or_else(|| Failure::incomplete("credentials"))
}

/// Assumes a second role with the keys of a first session. STS carries the source identity and the transitive tags over.
///
/// # Errors
///
/// When STS refuses or cannot be reached.
pub(crate) async fn assume_second(
    connection: &Connection,
    first: aws_credential_types::Credentials,
    second: &SecondSession<'_>,
) -> Result<AssumeRoleOutput, Failure> {
    let call = connection
        .sts()
        .assume_role()
        .set_role_arn(second.terms.assume_then.clone())
        .role_session_name(second.name)
        .set_duration_seconds(second.seconds.and_then(|seconds| i32::try_from(seconds.min(CHAINED_SECONDS)).ok()))
        .set_policy(second.terms.policy.clone())
        .set_policy_arns(policy_arns(second.terms));
    let signed = call.customize().config_override(aws_sdk_sts::config::Builder::new().credentials_provider(first));
    signed.send().await.map_err(|error| Failure::of(&connection.named(Service::Sts), &error))
}

/// The session that a rule with `assume_then` leads to.
#[derive(Debug)]
pub(crate) struct SecondSession<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// Its duration in seconds; at most an hour is requested. Default: an hour.
    pub(crate) seconds: Option<u32>,
    /// The role, and the policies that limit the session.
    pub(crate) terms: &'a SessionTerms,
}

pub(crate) fn policy_arns(terms: &SessionTerms) -> Option<Vec<types::PolicyDescriptorType>> {
    let arn = |arn: &String| types::PolicyDescriptorType::builder().arn(arn).build();
    (!terms.policy_arns.is_empty()).then(|| terms.policy_arns.iter().map(arn).collect())
}

/// None where a part is missing: stand-ins leave some out.
fn read(keys: &types::Credentials, request_id: Option<String>) -> Option<Credentials> {
    let expires_at = Timestamp::from_second(keys.expiration().secs()).ok()?;
    let whole = [keys.access_key_id(), keys.secret_access_key(), keys.session_token()];
    // They become lines of files, variables and headers.
    let printable = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    whole.iter().all(printable).then(|| Credentials {
        access_key_id: keys.access_key_id().to_owned(),
        secret_access_key: SecretString::from(keys.secret_access_key()),
        session_token: SecretString::from(keys.session_token()),
        expires_at,
        request_id,
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
        let credentials = read(&keys("very-secret"), None).unwrap();
        assert_eq!(credentials.expires_at.to_string(), "2026-09-21T14:13:20Z");
        assert!(!format!("{credentials:?}").contains("very"));
        for broken in ["", "a\nAWS_PROFILE=x", "a b", "é"] {
            assert!(read(&keys(broken), None).is_none(), "{broken:?}");
        }
    }
}
