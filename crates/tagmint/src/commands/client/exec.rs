//! `tagmint exec`.

use std::{os::unix::process::CommandExt, process::Command};

use super::{
    args::{ExecArgs, given},
    session,
};
use crate::{error::CliError, output::Output};

/// Other sources of AWS credentials, which an SDK might take instead of the given ones.
const OTHER_SOURCES: [&str; 10] = [
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_SECURITY_TOKEN",
];
/// What proves to the issuer who asks: the command has what it is to have, and cannot get more.
const PROOFS: [&str; 4] =
    ["TAGMINT_CREDENTIAL", "TAGMINT_ID_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"];

/// Becomes the command.
pub async fn run(args: ExecArgs, output: Output) -> Result<(), CliError> {
    let Some((program, arguments)) = args.command.split_first() else {
        return Err(CliError::Usage("which command? Write it after `--`".to_owned()));
    };
    let credentials = session::open(&args.role, output).await?;
    let mut command = Command::new(program);
    command.args(arguments);
    for name in OTHER_SOURCES.into_iter().chain(PROOFS) {
        command.env_remove(name);
    }
    for (name, value, _) in session::variables(&credentials, given(args.role.region.as_ref())) {
        command.env(name, value);
    }
    // In the place of this process: signals, terminal and exit code are the command's own.
    let error = command.exec();
    Err(CliError::Program { program: program.display().to_string(), source: error })
}
