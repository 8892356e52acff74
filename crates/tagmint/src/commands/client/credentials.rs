//! `tagmint credentials`.

use secrecy::ExposeSecret;
use serde_json::json;

use super::{args::RoleArgs, session};
use crate::{
    error::CliError,
    output::{self, Output},
};

/// Prints what a `credential_process` prints (AWS SDKs and Tools reference guide, "Process credential provider").
pub async fn run(args: RoleArgs, output: Output) -> Result<(), CliError> {
    let credentials = session::open(&args, output).await?;
    let answer = json!({
        "Version": 1,
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key.expose_secret(),
        "SessionToken": credentials.session_token.expose_secret(),
        "Expiration": credentials.expires_at.to_string(),
    });
    output::write_line(&answer.to_string())
}
