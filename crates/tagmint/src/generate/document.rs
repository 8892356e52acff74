//! TOML with comments, as people write it. Values keep their order.

use std::fmt::{self, Write as _};

/// Where a comment behind a value begins.
const COMMENT_COLUMN: usize = 52;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    /// A string.
    Text(String),
    /// An integer.
    Integer(i64),
    /// A boolean.
    Flag(bool),
    /// A list.
    List(Vec<Item>),
    /// An inline table.
    Table(Vec<(String, Item)>),
}

impl From<&str> for Item {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Item {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&String> for Item {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<i64> for Item {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<bool> for Item {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl<T: Into<Item>, const N: usize> From<[T; N]> for Item {
    fn from(items: [T; N]) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

/// An inline table.
pub(crate) fn table<T: Into<Item>, const N: usize>(members: [(&str, T); N]) -> Item {
    Item::Table(members.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect())
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::Integer(number) => number.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", items.join(", "))
            }
            Self::Table(members) if members.is_empty() => f.write_str("{}"),
            Self::Table(members) => {
                let members: Vec<String> =
                    members.iter().map(|(key, value)| format!("{} = {value}", bare_or_quoted(key))).collect();
                write!(f, "{{ {} }}", members.join(", "))
            }
        }
    }
}

/// A string: literal where that spares escapes.
fn quoted(text: &str) -> String {
    let literal = text.contains(['"', '\\']) && !text.contains('\'') && !text.chars().any(char::is_control);
    if literal { format!("'{text}'") } else { basic(text) }
}

fn basic(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            control if control.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

fn bare_or_quoted(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if bare { key.to_owned() } else { basic(key) }
}

/// A document that is being written.
#[derive(Debug, Default)]
pub(crate) struct Document(String);

impl Document {
    /// Lines of comment.
    pub(crate) fn comment(&mut self, text: &str) -> &mut Self {
        for line in text.lines() {
            self.0.push_str(if line.is_empty() { "#" } else { "# " });
            self.0.push_str(line);
            self.0.push('\n');
        }
        self
    }

    /// A line as it is.
    pub(crate) fn line(&mut self, text: &str) -> &mut Self {
        self.0.push_str(text);
        self.0.push('\n');
        self
    }

    /// An empty line.
    pub(crate) fn blank(&mut self) -> &mut Self {
        self.0.push('\n');
        self
    }

    /// `[header]`, after an empty line.
    pub(crate) fn table(&mut self, header: &str) -> &mut Self {
        self.blank().line(&format!("[{header}]"))
    }

    /// A key with its value.
    pub(crate) fn set(&mut self, key: &str, value: impl Into<Item>) -> &mut Self {
        let value = value.into();
        self.line(&format!("{} = {value}", bare_or_quoted(key)))
    }

    /// A key with its value, and a comment behind it.
    pub(crate) fn set_noted(&mut self, key: &str, value: impl Into<Item>, comment: &str) -> &mut Self {
        let pair = format!("{} = {}", bare_or_quoted(key), value.into());
        let room = COMMENT_COLUMN.saturating_sub(pair.chars().count()).max(2);
        self.line(&format!("{pair}{}# {comment}", " ".repeat(room)))
    }

    /// The text.
    pub(crate) fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_back_as_they_were() {
        let texts = ["plain", "a \"b\"", "it's", "\"it's\"", "back\\slash", "a\nb\tc\u{1}", "${sub}", "ü", ""];
        for text in texts {
            let item = Item::from(text);
            let read: toml::Table = format!("key = {item}").parse().unwrap_or_else(|error| panic!("{item}: {error}"));
            assert_eq!(read["key"].as_str(), Some(text), "{item}");
        }
        let nested = table([("a b", Item::from(["x", "y"])), ("n", Item::from(3)), ("f", true.into())]);
        let read: toml::Table = format!("key = {nested}").parse().unwrap();
        assert_eq!(read["key"]["a b"][1].as_str(), Some("y"));
        assert_eq!((read["key"]["n"].as_integer(), read["key"]["f"].as_bool()), (Some(3), Some(true)));
    }

    #[test]
    fn a_document_is_laid_out() {
        let mut document = Document::default();
        document.comment("One.\n\nTwo.").set("a", 1).table("b").set_noted("c", "x", "why");
        assert_eq!(
            document.finish(),
            format!("# One.\n#\n# Two.\na = 1\n\n[b]\nc = \"x\"{}# why\n", " ".repeat(COMMENT_COLUMN - 7))
        );
    }
}
