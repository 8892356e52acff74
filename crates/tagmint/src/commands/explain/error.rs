//! `tagmint explain --error`: what AWS printed.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read},
    path::Path,
};

use serde_json::json;
use tagmint_iam::{
    aws_error::{self, Explained},
    document,
};

use crate::{error::CliError, output::Output};

/// The longest log that is read, in bytes.
const LONGEST: u64 = 16 * 1_048_576;

/// Explains a text: the argument itself, the file that it names, or stdin.
pub(super) fn run(argument: &OsStr, output: Output) -> Result<(), CliError> {
    let found = aws_error::explain(&text(argument)?);
    output.data(&json!({"errors": found}), || render(&found))?;
    if found.is_empty() {
        let message = "no error of AWS is known in this text. Give the lines around it, or explain the token: tagmint explain --token FILE --role ARN \
                       --fetch";
        return Err(CliError::Refused(message.to_owned()));
    }
    Ok(())
}

fn text(argument: &OsStr) -> Result<String, CliError> {
    let failed = |error: io::Error| CliError::Usage(format!("--error: {error}"));
    let mut bytes = Vec::new();
    if argument == "-" {
        io::stdin().lock().take(LONGEST).read_to_end(&mut bytes).map_err(failed)?;
    } else if Path::new(argument).is_file() {
        File::open(argument).map_err(failed)?.take(LONGEST).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        return Ok(argument.to_string_lossy().into_owned());
    }
    // A log may have other bytes in it, or be cut within a character.
    Ok(document::text(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned()))
}

fn render(found: &[Explained]) -> String {
    let parts: Vec<String> = found.iter().map(one).collect();
    if parts.is_empty() { "nothing that is known".to_owned() } else { parts.join("\n\n") }
}

fn one(error: &Explained) -> String {
    let code =
        if error.code.is_empty() || error.message == error.code { String::new() } else { format!("{}: ", error.code) };
    let mut lines = vec![
        format!("{code}{}", error.message),
        error.means.to_owned(),
        String::new(),
        "Likely causes, the likeliest first".to_owned(),
    ];
    for (index, cause) in error.causes.iter().enumerate() {
        lines.push(format!("  {}. {}", index + 1, cause.cause));
        lines.push(format!("     Fix: {}", cause.fix));
    }
    lines.push("Next".to_owned());
    lines.extend(error.next.iter().map(|next| format!("  {next}")));
    lines.push(format!("  see {}", error.docs));
    lines.join("\n")
}
