//! Secrets that an operator presents, to revoke them.

use std::io::{BufRead, BufReader, Read};

use secrecy::{ExposeSecret, SecretString};
use tagmint_core::{
    environment::Environment,
    issued_secret::{IssuedSecret, SecretHash, SecretKind},
};
use zeroize::Zeroizing;

use crate::{cli::Named, error::CliError};

/// The longest line that is read from stdin, in bytes. A secret has 58 characters.
const LONGEST_LINE: u64 = 4_096;

/// What was named, or the secret on the first line of stdin.
pub(super) fn or_stdin<I>(named: Option<Named<I>>) -> Result<Named<I>, CliError> {
    if let Some(named) = named {
        return Ok(named);
    }
    let mut line = Zeroizing::new(String::new());
    BufReader::new(std::io::stdin().lock().take(LONGEST_LINE))
        .read_line(&mut line)
        .map_err(|source| CliError::Io { what: "the secret on stdin", source })?;
    Ok(Named::Secret(SecretString::from(line.trim())))
}

/// What is stored of a secret. The errors do not repeat it.
pub(super) fn hash(secret: &SecretString, kind: SecretKind, environment: Environment) -> Result<SecretHash, CliError> {
    let secret = IssuedSecret::parse(secret.expose_secret().trim(), environment)
        .map_err(|error| CliError::NotFound(error.to_string()))?;
    match (kind, secret.kind()) {
        (SecretKind::Bearer, SecretKind::Session) => {
            Err(CliError::NotFound("this is the secret of a session: `tagmint session revoke` takes it".to_owned()))
        }
        (SecretKind::Session, SecretKind::Bearer) => {
            Err(CliError::NotFound("this is the secret of a bearer: `tagmint bearer revoke` takes it".to_owned()))
        }
        _ => Ok(secret.hash()),
    }
}
