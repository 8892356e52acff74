//! A role session, from the proof to AWS's credentials.

use jiff::SignedDuration;
use secrecy::{ExposeSecret, SecretString};
use tagmint_aws::{
    assume::{Credentials, Question, assume},
    connection::{Connection, Options},
    failure::Failure,
    token::Token,
};
use tagmint_server::sts::{Fault, SESSION_SECONDS, SessionName};

use super::{
    args::{RoleArgs, given},
    issuer::Issuer,
    next,
};
use crate::{error::CliError, output::Output, sts, surroundings};

/// The region where none is named: sessions are good in all, and this one's STS is there for every account.
const FALLBACK_REGION: &str = "us-east-1";
/// The session's name where the token has no id.
const FALLBACK_NAME: &str = "tagmint";

/// Mints and assumes the role.
pub(super) async fn open(args: &RoleArgs, output: Output) -> Result<Credentials, CliError> {
    let role = given(args.role.as_ref());
    let name = given(args.session_name.as_ref()).map(SessionName::parse).transpose();
    let name = name.map_err(|error| CliError::Usage(format!("--session-name: {error}")))?;
    let duration_seconds = args.duration.map(seconds).transpose()?;
    let issuer = Issuer::new(&args.issuer)?;
    let options = Options {
        endpoint_url: None,
        region: args.region.clone(),
        fallback_region: Some(FALLBACK_REGION.to_owned()),
        ca_bundle: surroundings::aws_ca_bundle(),
    };
    // What is wrong with it is known before a token is minted.
    let connection = Connection::from_environment(&options).await?;
    let (token, terms) = issuer.mint(&args.wish, role).await?;
    if let Some(remark) = issuer.remark() {
        output.warn(remark);
    }
    let role = match role {
        Some(role) => role,
        None => only_role(&token)?,
    };
    let name = name.or_else(|| SessionName::parse(token.id()?).ok());
    let question = Question {
        role,
        session_name: name.as_ref().map_or(FALLBACK_NAME, SessionName::as_str),
        duration_seconds,
        token: &SecretString::from(token.expose()),
        terms: &terms,
    };
    assume(&connection, &question).await.map_err(|failure| error(&failure, args, role, &issuer))
}

/// The role that a token is for, where it names one.
fn only_role(token: &Token) -> Result<&str, CliError> {
    let roles = token.roles();
    let message = match roles.as_slice() {
        [role] => return Ok(role),
        [] => "which role? Give --role, or set AWS_ROLE_ARN: the token names none".to_owned(),
        several => format!("which role? Give --role, or set AWS_ROLE_ARN: the token is for {}", several.join(", ")),
    };
    Err(CliError::Usage(message))
}

fn seconds(duration: SignedDuration) -> Result<u32, CliError> {
    let seconds = u32::try_from(duration.as_secs()).ok().filter(|seconds| SESSION_SECONDS.contains(seconds));
    seconds.ok_or_else(|| CliError::Usage("--duration: a role session lasts 15 minutes to 12 hours".to_owned()))
}

/// STS's words without what may be a token, which it repeats where it finds it malformed.
fn error(failure: &Failure, args: &RoleArgs, role: &str, issuer: &Issuer) -> CliError {
    let error = sts::error(failure);
    match error.fault() {
        Some(Fault::Request) => CliError::Refused(format!(
            "{error} (the role {role}). For the causes run: {}",
            next::explain_error(&error.to_string())
        )),
        Some(Fault::Role | Fault::Token) => {
            // A job's ID token is good for one exchange, and that was this one.
            let place = if issuer.is_single_use() { "in a new job" } else { "with credentials that may read the role" };
            CliError::Refused(format!(
                "{error} (the role {role}). To find out why run, {place}: {}",
                next::explain(args, role, issuer.url())
            ))
        }
        None => CliError::Unreachable(error.to_string()),
    }
}

/// The variables that stand for the credentials. Secrets are those whose flag is set.
pub(super) fn variables(credentials: &Credentials, region: Option<&str>) -> Vec<(&'static str, String, bool)> {
    let mut variables = vec![
        ("AWS_ACCESS_KEY_ID", credentials.access_key_id.clone(), true),
        ("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key.expose_secret().to_owned(), true),
        ("AWS_SESSION_TOKEN", credentials.session_token.expose_secret().to_owned(), true),
        ("AWS_CREDENTIAL_EXPIRATION", credentials.expires_at.to_string(), false),
    ];
    if let Some(region) = region {
        variables.extend(["AWS_REGION", "AWS_DEFAULT_REGION"].map(|name| (name, region.to_owned(), false)));
    }
    variables
}
