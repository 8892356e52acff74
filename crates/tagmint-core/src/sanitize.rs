//! Text of strangers, made fit to show and to keep: credentials are redacted, control and invisible characters are escaped.
//!
//! Every edge goes through here: answers, log lines, ledger rows, notifications and terminals. A credential that was sent in the wrong field
//! must not stay in a log or in an append-only ledger, and a text must not move a terminal's cursor or forge a line.

mod invisible;
mod secrets;

use std::{borrow::Cow, fmt::Write};

pub use self::{
    invisible::{first_invisible, is_invisible},
    secrets::{SecretLike, find_secret, looks_like_a_secret, redact},
};

/// Redacts and escapes a text that stands in one line.
pub fn text(text: &str) -> Cow<'_, str> {
    match redact(text) {
        Cow::Borrowed(text) => escape(text),
        Cow::Owned(text) => Cow::Owned(escape(&text).into_owned()),
    }
}

/// Redacts and escapes a text that may have lines and tabs of its own.
pub fn lines(text: &str) -> Cow<'_, str> {
    match redact(text) {
        Cow::Borrowed(text) => escape_lines(text),
        Cow::Owned(text) => Cow::Owned(escape_lines(&text).into_owned()),
    }
}

/// At most `most` characters of a text, redacted and escaped. The whole text is redacted first: the beginning of a credential that was cut
/// would not be recognised any more.
pub fn shortened(text: &str, most: usize) -> String {
    let clean = self::text(text);
    let mut start: String = clean.chars().take(most).collect();
    if start.len() < clean.len() {
        start.push('…');
    }
    start
}

/// The text with every control and invisible character written out: a line break as `\n`, ESC as `\u{1b}`.
pub fn escape(text: &str) -> Cow<'_, str> {
    escaped(text, is_deceptive, |clean, character| clean.extend(character.escape_default()))
}

/// Like [`escape`], but line breaks and tabs stay.
pub fn escape_lines(text: &str) -> Cow<'_, str> {
    let deceptive = |character| is_deceptive(character) && !matches!(character, '\n' | '\t');
    escaped(text, deceptive, |clean, character| clean.extend(character.escape_default()))
}

/// JSON whose strings hold no control or invisible characters any more: they are written as `\uXXXX` (RFC 8259 §7), which means the same.
///
/// A JSON writer escapes the characters below U+0020. It does not escape DEL, the C1 controls and those that change the direction of text.
pub fn escape_json(json: &str) -> Cow<'_, str> {
    let deceptive = |character| is_deceptive(character) && !matches!(character, '\n' | '\t' | '\r');
    escaped(json, deceptive, |clean, character| {
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to a string cannot fail.
            let _ = write!(clean, "\\u{unit:04x}");
        }
    })
}

/// Whether a reader does not see the character, or takes it for something else. Spaces of other widths are only spaces.
fn is_deceptive(character: char) -> bool {
    is_invisible(character) && !(character.is_whitespace() && !character.is_control() && !is_line_break(character))
}

/// LINE SEPARATOR and PARAGRAPH SEPARATOR begin a line in some viewers.
const fn is_line_break(character: char) -> bool {
    matches!(character, '\u{2028}' | '\u{2029}')
}

fn escaped(text: &str, deceptive: impl Fn(char) -> bool, write: impl Fn(&mut String, char)) -> Cow<'_, str> {
    if !text.chars().any(&deceptive) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if deceptive(character) { write(&mut clean, character) } else { clean.push(character) }
    }
    Cow::Owned(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_invisible_characters_are_written_out() {
        for (text, shown) in [
            ("plain", "plain"),
            ("é 日本 ✓ a\u{a0}b", "é 日本 ✓ a\u{a0}b"),
            ("a\nb", "a\\nb"),
            ("a\r\nb\tc", "a\\r\\nb\\tc"),
            ("\u{1b}[2J\u{7}", "\\u{1b}[2J\\u{7}"),
            ("\u{9b}2J\u{7f}", "\\u{9b}2J\\u{7f}"),
            ("a\u{202e}b\u{2066}c", "a\\u{202e}b\\u{2066}c"),
            ("a\u{200b}b\u{feff}", "a\\u{200b}b\\u{feff}"),
            ("a\u{2028}b\u{85}c", "a\\u{2028}b\\u{85}c"),
            ("\u{e0041}\u{115f}", "\\u{e0041}\\u{115f}"),
        ] {
            assert_eq!(escape(text), shown, "{text:?}");
            assert!(!shown.chars().any(is_deceptive));
        }
        assert_eq!(escape_lines("a\n\tb\r\u{1b}"), "a\n\tb\\r\\u{1b}");
    }

    #[test]
    fn escaped_json_means_the_same() {
        let value = serde_json::json!({"a\u{9b}": ["\u{7f}\u{202e}\u{e0041}", "é\n"]});
        let json = serde_json::to_string(&value).unwrap();
        let escaped = escape_json(&json);
        assert!(!escaped.chars().any(is_deceptive), "{escaped}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), value);
    }

    #[test]
    fn a_credential_is_redacted_before_its_text_is_cut() {
        let secret = format!("{}tmb_test_{}", "x".repeat(90), "a1B2".repeat(12));
        assert_eq!(shortened(&secret, 96), format!("{}tmb_[r…", "x".repeat(90)));
        assert_eq!(shortened("a\nb", 100), "a\\nb");
    }
}
