//! The variables by which other commands use the local issuer: a file of its folder, while it runs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};
use tagmint_core::issued_secret::IssuedSecret;

use super::{ROLE_ARN, files::Layout};
use crate::{
    commands::client::token::write_private,
    error::CliError,
    output::{Output, write_line},
};

/// Where `tagmint localaws` listens in what `tagmint dev` says.
const LOCALAWS: &str = "http://127.0.0.1:4566";

fn file(dir: &Path) -> PathBuf {
    dir.join("env.json")
}

/// Writes the variables, readable by their owner only.
pub(super) fn write(
    dir: &Path,
    url: &str,
    ca_file: &Path,
    config: &Path,
    session: &IssuedSecret,
) -> Result<(), CliError> {
    let (ca_file, config) = (ca_file.display().to_string(), config.display().to_string());
    let variables: Map<String, Value> = [
        ("TAGMINT_URL", url),
        ("TAGMINT_CA_FILE", &ca_file),
        ("TAGMINT_CONFIG", &config),
        ("TAGMINT_CREDENTIAL", session.expose()),
        ("AWS_ROLE_ARN", ROLE_ARN),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", LOCALAWS),
    ]
    .map(|(name, value)| (name.to_owned(), value.into()))
    .into_iter()
    .collect();
    let file = file(dir);
    write_private(&file, Value::Object(variables).to_string().as_bytes())
        .map_err(|source| CliError::file("write", &file, source))
}

/// Prints them for a POSIX shell, or as JSON.
pub(crate) fn show(dir: &Path, output: Output) -> Result<(), CliError> {
    let missing = || {
        let text = format!(
            "no local issuer runs in {}: start one with `tagmint dev`, or name its folder with --dir",
            dir.display()
        );
        CliError::NotFound(text)
    };
    // A local issuer that was killed has left the file, and no lock.
    if !dir.is_dir() || Layout::prepare(dir)?.lock().is_ok() {
        return Err(missing());
    }
    let text = fs::read_to_string(file(dir)).map_err(|_| missing())?;
    let variables: Map<String, Value> = serde_json::from_str(&text).map_err(|_| missing())?;
    if output.is_json() {
        return write_line(&Value::Object(variables).to_string());
    }
    let lines =
        variables.iter().map(|(name, value)| format!("export {name}={}", quoted(value.as_str().unwrap_or_default())));
    write_line(&lines.collect::<Vec<_>>().join("\n"))
}

/// A word of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted() {
        assert_eq!(quoted("/tmp/it's here"), r"'/tmp/it'\''s here'");
    }
}
