//! What a command says: data on stdout, talk on stderr.

use std::io::{self, Write};

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use serde_json::json;
use tagmint_aws::render::Rendering;
use tagmint_core::sanitize;

use crate::{config::ConfigError, error::CliError};

/// How data and errors are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// JSON on stdout, errors as JSON on stderr.
    Json,
    /// What `aws render` writes; errors as for people.
    #[value(skip)]
    Rendering(Rendering),
}

/// Where a command writes to.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    format: Format,
}

impl Output {
    /// An output in this format.
    pub const fn new(format: Format) -> Self {
        Self { format }
    }

    /// Whether the output is JSON.
    pub fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Writes a result: one line of JSON, or text.
    pub fn data(self, data: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), CliError> {
        match self.format {
            Format::Json => {
                let line = serde_json::to_string(data)
                    .map_err(|error| CliError::Io { what: "the output", source: error.into() })?;
                write_line(&sanitize::escape_json(&line))
            }
            Format::Text | Format::Rendering(_) => write_line(&text()),
        }
    }

    /// Says something to a person that is no data. Programs are not talked to.
    pub fn talk(self, text: &str) {
        if !self.is_json() {
            tell(text);
        }
    }

    /// Tells an error.
    pub fn error(self, error: &CliError) {
        let message = error.to_string();
        let message = sanitize::lines(&message);
        match self.format {
            Format::Json => {
                let mut told = json!({"code": error.code(), "message": message});
                if let CliError::Config(ConfigError::Invalid { problems, .. }) = error {
                    told["problems"] = json!(problems);
                }
                if let Some((seq, rows_checked)) = error.ledger_row() {
                    told["seq"] = json!(seq);
                    told["rows_checked"] = json!(rows_checked);
                }
                tell(&sanitize::escape_json(&json!({"error": told}).to_string()));
            }
            Format::Text | Format::Rendering(_) => {
                let red = anstyle::AnsiColor::Red.on_default().bold();
                tell(&format!("{red}error:{red:#} {message}"));
            }
        }
    }

    /// Warns of something that does not stop the command.
    pub fn warn(self, message: &str) {
        match self.format {
            Format::Json => tell(&sanitize::escape_json(&json!({"warning": message}).to_string())),
            Format::Text | Format::Rendering(_) => {
                let message = sanitize::lines(message);
                let yellow = anstyle::AnsiColor::Yellow.on_default().bold();
                tell(&format!("{yellow}warning:{yellow:#} {message}"));
            }
        }
    }
}

/// Writes a line to stderr.
fn tell(text: &str) {
    // A closed stderr must not end a command.
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// Writes a line of data. A reader that has gone (`| head`) is no error.
pub fn write_line(text: &str) -> Result<(), CliError> {
    let mut stdout = anstream::stdout().lock();
    let written = writeln!(stdout, "{}", text.trim_end_matches('\n')).and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|source| CliError::Io { what: "stdout", source }),
    }
}

/// A table without lines, so that it can be cut and searched. A cell is one line, whatever a stranger wrote into it.
pub fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.map(str::to_uppercase));
    for row in rows {
        table.add_row(row.map(|cell| sanitize::text(&cell).into_owned()));
    }
    if let Some(first) = table.column_mut(0) {
        first.set_padding((0, 1));
    }
    trimmed(&table)
}

/// Names and values, one pair a line. A secret that is shown to its owner is a value like others.
pub fn pairs(rows: impl IntoIterator<Item = (String, String)>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    for (name, value) in rows {
        table.add_row([name, sanitize::escape_lines(&value).into_owned()]);
    }
    if let Some(first) = table.column_mut(0) {
        first.set_padding((0, 1));
    }
    trimmed(&table)
}

fn trimmed(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_moves_no_cursor_and_forges_no_row() {
        let secret = format!("tmb_test_{}", "a1".repeat(24));
        let rows = [
            ["1".to_owned(), "issuer `\u{1b}[2J\n2  forged\u{202e}` \u{9b}".to_owned()],
            ["2".to_owned(), secret.clone()],
        ];
        let text = table(["seq", "what"], rows);
        assert_eq!(text, "SEQ  WHAT\n1    issuer `\\u{1b}[2J\\n2  forged\\u{202e}` \\u{9b}\n2    tmb_[redacted]");
        assert!(pairs([("bearer".to_owned(), secret.clone())]).contains(&secret), "its owner sees it once");
        assert!(!pairs([("name".to_owned(), "\u{1b}[2J".to_owned())]).contains('\u{1b}'));
    }
}
