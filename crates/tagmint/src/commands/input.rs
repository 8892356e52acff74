//! Files that commands read: tokens, policies, certificates, credentials.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use tagmint_iam::document;
use zeroize::Zeroizing;

use crate::{error::CliError, redact};

/// Largest file that is read, in bytes.
const LARGEST_FILE: u64 = 1_048_576;

/// A token. No error repeats the argument: it could be the token itself. `flag` is the option, with its dashes.
pub(super) fn token(flag: &'static str, file: &Path) -> Result<Zeroizing<String>, CliError> {
    if file.to_string_lossy().starts_with("eyJ") {
        return Err(CliError::Usage(format!(
            "{flag} takes a file with the token, or - for stdin, not the token itself"
        )));
    }
    secret_text(flag, file)
}

/// A token as people save it: in quotes, behind `Bearer`, within an answer in JSON, in UTF-16. No error repeats the argument.
pub(super) fn token_as_saved(flag: &'static str, file: &Path) -> Result<Zeroizing<String>, CliError> {
    if file.to_string_lossy().starts_with("eyJ") {
        // The error is the same.
        return token(flag, file);
    }
    let failed = |error: io::Error| CliError::Usage(format!("{flag}: {error}"));
    let mut bytes = Zeroizing::new(Vec::new());
    if file == Path::new("-") {
        io::stdin().lock().take(LARGEST_FILE).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        File::open(file).map_err(failed)?.take(LARGEST_FILE).read_to_end(&mut bytes).map_err(failed)?;
    }
    let text = document::text(&bytes).map_err(|error| CliError::Usage(format!("{flag}: {error}")))?;
    let text = Zeroizing::new(text);
    Ok(Zeroizing::new(document::token(&text)))
}

/// A secret in a file of its own, or on stdin. No error repeats the argument: it could be the secret itself.
pub(super) fn secret_text(flag: &'static str, file: &Path) -> Result<Zeroizing<String>, CliError> {
    let failed = |error: io::Error| CliError::Usage(format!("{flag}{}: {error}", shown(file)));
    let mut text = Zeroizing::new(String::new());
    if file == Path::new("-") {
        io::stdin().lock().take(LARGEST_FILE).read_to_string(&mut text).map_err(failed)?;
    } else {
        File::open(file).map_err(failed)?.take(LARGEST_FILE).read_to_string(&mut text).map_err(failed)?;
    }
    Ok(Zeroizing::new(text.trim().to_owned()))
}

/// A path as errors repeat it: not where it may be a secret that was typed in the place of one.
fn shown(file: &Path) -> String {
    let text = file.to_string_lossy();
    if text == "-" || redact::looks_like_a_secret(&text) || text.starts_with("eyJ") {
        String::new()
    } else {
        format!(" {text}")
    }
}

/// Any other file, whole; `-` for stdin.
pub(super) fn file(what: &'static str, file: &Path) -> Result<Vec<u8>, CliError> {
    let failed = |error: String| CliError::Usage(format!("{what} {}: {error}", file.display()));
    let mut bytes = Vec::new();
    let opened: Box<dyn Read> = if file == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(file).map_err(|error| failed(error.to_string()))?)
    };
    opened.take(LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(|error| failed(error.to_string()))?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len > LARGEST_FILE) {
        return Err(failed(format!("is larger than {LARGEST_FILE} bytes")));
    }
    Ok(bytes)
}
