//! What is wrong with a configuration.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use serde::Serialize;

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {source}; name another with --config", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file was read, and something in it is wrong.
    #[error("{}", list(file, problems))]
    Invalid {
        /// The file.
        file: PathBuf,
        /// All that is wrong.
        problems: Vec<ConfigProblem>,
    },
}

fn list(file: &std::path::Path, problems: &[ConfigProblem]) -> String {
    let count = match problems.len() {
        1 => "1 problem".to_owned(),
        several => format!("{several} problems"),
    };
    let lines: Vec<String> = problems.iter().map(|problem| format!("  {problem}")).collect();
    format!("{count} in {}:\n{}", file.display(), lines.join("\n"))
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigProblem {
    /// The key's path, for example `keys.rotate_every` or `rule[0].tags.run`. Empty where the text is not TOML.
    pub path: String,
    /// The line in the file, from 1.
    pub line: Option<usize>,
    /// What is wrong, and what is allowed.
    pub message: String,
}

impl ConfigProblem {
    /// A problem at a key's path.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), line: None, message: message.into() }
    }

    /// Adds the line on which the key stands, or the nearest key around it.
    #[must_use]
    pub(super) fn at_line(mut self, lines: &Lines) -> Self {
        let mut path = self.path.as_str();
        while self.line.is_none() && !path.is_empty() {
            self.line = lines.0.get(path).copied();
            path = path.rfind(['.', '[']).map_or("", |end| &path[..end]);
        }
        self
    }
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "`{}`: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// On which line each key stands, by path.
#[derive(Debug, Default)]
pub(super) struct Lines(pub(super) BTreeMap<String, usize>);

/// The start of a value that may be too long to repeat in a message.
pub(super) fn shortened(value: &str) -> String {
    const MOST: usize = 80;
    tagmint_core::sanitize::shortened(value, MOST)
}
