//! The call's parameters (service model of STS), and what the role allows of them.

use super::{
    DEFAULT_DURATION_SECONDS, Role, StsCode, StsError, WebIdentityRequest,
    checks::{Checks, shown},
};
use crate::{
    arn::RoleArn,
    policy::{Kind, Policy},
};

/// Longest token, in characters.
const MAX_TOKEN_LEN: usize = 20_000;
/// Longest session policy, in characters.
const MAX_POLICY_LEN: usize = 2048;

/// Checks all parameters, and reads the role's ARN.
pub(super) fn check<'a>(request: &WebIdentityRequest<'a>, checks: &mut Checks) -> Result<RoleArn<'a>, StsError> {
    length("request-token", "webIdentityToken", request.token, 4, MAX_TOKEN_LEN, checks)?;
    length("request-role-arn", "roleArn", request.role_arn, 20, 2048, checks)?;
    let Some(role_arn) = RoleArn::parse(request.role_arn) else {
        return Err(checks.fail(
            "request-role-arn",
            "the ARN of a role",
            shown(request.role_arn),
            "pass the role's ARN, as arn:aws:iam::123456789012:role/NAME",
            StsCode::ValidationError.with("Request ARN is invalid"),
        ));
    };
    session_name(request.role_session_name, checks)?;
    if let Some(seconds) = request.duration_seconds {
        let bound = if seconds < 900 {
            Some("greater than or equal to 900")
        } else if seconds > 43_200 {
            Some("less than or equal to 43200")
        } else {
            None
        };
        if let Some(bound) = bound {
            let error = StsCode::ValidationError.with(format!(
                "1 validation error detected: Value '{seconds}' at 'durationSeconds' failed to satisfy constraint: Member must have \
                 value {bound}"
            ));
            let fix = "ask for a session of 900 to 43200 seconds";
            return Err(checks.fail("request-duration", "900 to 43200 seconds", seconds.to_string(), fix, error));
        }
        checks.pass("request-duration", "900 to 43200 seconds", seconds.to_string());
    }
    if let Some(policy) = request.policy {
        length("request-policy", "policy", policy, 1, MAX_POLICY_LEN, checks)?;
        if let Err(error) = Policy::parse_as(Kind::Session, policy) {
            // The words of AWS's policy parser aren't published; the code is (service model).
            let refusal = StsCode::MalformedPolicyDocument.with("Syntax errors in policy.");
            let fix = "correct the session policy";
            return Err(checks.fail(
                "request-policy",
                "a policy without principals and incomplete ARNs",
                error.to_string(),
                fix,
                refusal,
            ));
        }
    }
    provider_id(request.provider_id, checks)?;
    Ok(role_arn)
}

fn session_name(name: &str, checks: &mut Checks) -> Result<(), StsError> {
    length("request-session-name", "roleSessionName", name, 2, 64, checks)?;
    if is_session_name(name) {
        return Ok(());
    }
    let error = StsCode::ValidationError.with(format!(
        "1 validation error detected: Value '{}' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular \
         expression pattern: [\\w+=,.@-]*",
        shown(name)
    ));
    let fix = "use letters, digits and _+=,.@- alone";
    Err(checks.fail("request-session-name", "[\\w+=,.@-]*", shown(name), fix, error))
}

/// `[\w+=,.@-]*` (service model, `roleSessionNameType` and `sourceIdentityType`).
pub(super) fn is_session_name(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b))
}

/// `ProviderId` is for OAuth 2.0 access tokens of Login with Amazon and Facebook. Recorded: Login with Amazon's refusal of a JWT, and that
/// of any other name, Google's included. Facebook's is put beside the first.
fn provider_id(id: Option<&str>, checks: &mut Checks) -> Result<(), StsError> {
    let Some(id) = id else { return Ok(()) };
    let error = match id {
        "www.amazon.com" => StsCode::InvalidIdentityToken.with("Provided Token is not a Login With Amazon token"),
        "graph.facebook.com" => StsCode::InvalidIdentityToken.with("Provided Token is not a Facebook token"),
        _ => StsCode::AccessDenied.with(
            "Unrecognized OAuth provider. Do not include a provider parameter when submitting OpenIDConnect ID tokens",
        ),
    };
    Err(checks.fail(
        "request-provider-id",
        "no ProviderId with an OIDC token",
        shown(id),
        "leave ProviderId out",
        error,
    ))
}

/// A session may be as long as the role allows. STS says so after the trust policy.
pub(super) fn check_duration(asked: Option<i64>, role: &Role, checks: &mut Checks) -> Result<i64, StsError> {
    let seconds = asked.unwrap_or(DEFAULT_DURATION_SECONDS);
    let expected = format!("at most the role's {} seconds", role.max_session_seconds);
    if seconds > role.max_session_seconds {
        let error = StsCode::ValidationError
            .with("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.");
        let fix = "ask for less, or raise the role's MaxSessionDuration";
        return Err(checks.fail("session-duration", expected, seconds.to_string(), fix, error));
    }
    checks.pass("session-duration", expected, seconds.to_string());
    Ok(seconds)
}

fn length(
    check: &'static str,
    name: &str,
    value: &str,
    min: usize,
    max: usize,
    checks: &mut Checks,
) -> Result<(), StsError> {
    let len = value.chars().count();
    let expected = format!("{min} to {max} characters");
    let bound = if len < min {
        format!("greater than or equal to {min}")
    } else if len > max {
        format!("less than or equal to {max}")
    } else {
        checks.pass(check, expected, format!("{len} characters"));
        return Ok(());
    };
    // Only what isn't secret is repeated.
    let value = if name == "webIdentityToken" { String::new() } else { shown(value) };
    let error = StsCode::ValidationError.with(format!(
        "1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint: Member must have length {bound}"
    ));
    let fix = format!("pass {min} to {max} characters");
    Err(checks.fail(check, expected, format!("{len} characters"), fix, error))
}
