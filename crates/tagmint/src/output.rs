//! What a command says: data on stdout, talk on stderr.

use std::{
    io::{self, Write},
    path::Path,
};

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};
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
    /// What `ledger export` writes; errors as for people.
    #[value(skip)]
    Export(ExportFormat),
}

/// How the ledger is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// Rows as they were hashed.
    JsonLines,
    /// Events of the Open Cybersecurity Schema Framework.
    Ocsf,
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
            Format::Text => write_line(&coloured(&text())),
            Format::Rendering(_) | Format::Export(_) => write_line(&text()),
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
            Format::Text | Format::Rendering(_) | Format::Export(_) => {
                let red = AnsiColor::Red.on_default().bold();
                tell(&format!("{red}error:{red:#} {message}"));
            }
        }
    }

    /// Warns of something that does not stop the command.
    pub fn warn(self, message: &str) {
        match self.format {
            Format::Json => tell(&sanitize::escape_json(&json!({"warning": message}).to_string())),
            Format::Text | Format::Rendering(_) | Format::Export(_) => {
                let message = sanitize::lines(message);
                let yellow = AnsiColor::Yellow.on_default().bold();
                tell(&format!("{yellow}warning:{yellow:#} {message}"));
            }
        }
    }
}

/// Writes a line to stderr, whatever the format.
pub fn write_note(text: &str) {
    tell(text);
}

/// Asks on stderr: the answer comes on the same line.
pub fn prompt(text: &str) {
    let mut stderr = anstream::stderr();
    // A closed stderr must not end a command.
    let _ = write!(stderr, "{text}").and_then(|()| stderr.flush());
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

/// Whether the value of `--out` names stdout.
pub fn is_stdout(file: &Path) -> bool {
    file == Path::new("-")
}

/// Colours the mark that a line begins with. The terminal's stream takes colours out where they are not wanted.
fn coloured(text: &str) -> String {
    let line = |line: &str| {
        let body = line.trim_start();
        let mark = ["✓", "✗", "!", "?", "–", "ok", "WRONG", "FAILED"]
            .into_iter()
            .find(|mark| body.strip_prefix(mark).is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')));
        let Some(mark) = mark else { return line.to_owned() };
        let style = match mark {
            "✓" | "ok" => AnsiColor::Green.on_default(),
            "✗" | "WRONG" | "FAILED" => AnsiColor::Red.on_default().bold(),
            "–" => Style::new().dimmed(),
            _ => AnsiColor::Yellow.on_default().bold(),
        };
        let indent = &line[..line.len() - body.len()];
        format!("{indent}{style}{mark}{style:#}{}", &body[mark.len()..])
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// A table without lines, so that it can be cut and searched. A cell is one line, whatever a stranger wrote into it. On a
/// terminal its columns are wrapped to the terminal's width.
pub fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header.map(str::to_uppercase));
    for row in rows {
        table.add_row(row.map(|cell| sanitize::text(&cell).into_owned()));
    }
    // Ids are copied: they stay whole.
    let first = usize::from(header[0].is_empty());
    for index in 0..=first {
        if let Some(column) = table.column_mut(index) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    if let Some(first) = table.column_mut(0) {
        first.set_padding((0, 1));
    }
    trimmed(&table)
}

/// Names and values, one pair a line. A secret that is shown to its owner is a value like others.
pub fn pairs(rows: impl IntoIterator<Item = (String, String)>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
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
    fn marks_are_coloured_and_words_that_begin_like_them_are_not() {
        let plain = "✓ a\n  ✗ b\n! c\nok    key\nokay\n– d\nWRONG x\n!important";
        let text = coloured(plain);
        assert_eq!(anstream::adapter::strip_str(&text).to_string(), plain);
        let styled: Vec<bool> = text.lines().map(|line| line.contains('\u{1b}')).collect();
        assert_eq!(styled, [true, true, true, true, false, true, true, false]);
    }
}
