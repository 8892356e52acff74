//! A first look at an expression's text, before a parser sees it: where its brackets, strings and
//! tokens are.
//!
//! It bounds what the parser is given, and finds the end of `${…}` in templates, where an expression
//! may itself hold braces and strings.

use super::{expression::ExpressionError, limits};

/// What a look at an expression's text found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scan {
    /// The byte offset of the `}` that closes the expression, where one was looked for.
    pub(super) end: Option<usize>,
}

/// Scans `text` as CEL and refuses what is over [`limits`]. With `until_brace`, stops at the first
/// `}` that closes nothing.
pub(super) fn scan(text: &str, until_brace: bool) -> Result<Scan, ExpressionError> {
    let bytes = text.as_bytes();
    let (mut at, mut depth, mut tokens) = (0_usize, 0_usize, 0_usize);
    while let Some(&byte) = bytes.get(at) {
        tokens += 1;
        at = match byte {
            b' ' | b'\t' | b'\r' | b'\n' | b'\x0c' => {
                tokens -= 1;
                at + 1
            }
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                tokens -= 1;
                bytes[at..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |line| at + line)
            }
            b'"' | b'\'' => skip_string(bytes, at, false)?,
            b'(' | b'[' | b'{' => {
                depth += 1;
                if depth > limits::MAX_BRACKETS {
                    return Err(ExpressionError::Brackets);
                }
                at + 1
            }
            b'}' if until_brace && depth == 0 => return Ok(Scan { end: Some(at) }),
            b')' | b']' | b'}' => {
                depth = depth.saturating_sub(1);
                at + 1
            }
            _ if is_word(byte) => {
                let length = bytes[at..].iter().position(|b| !is_word(*b));
                let end = length.map_or(bytes.len(), |length| at + length);
                match (&bytes[at..end], bytes.get(end)) {
                    (prefix, Some(b'"' | b'\'')) if is_string_prefix(prefix) => {
                        skip_string(bytes, end, prefix.iter().any(|b| matches!(b, b'r' | b'R')))?
                    }
                    _ => end,
                }
            }
            b'&' | b'|' | b'=' | b'!' | b'<' | b'>' => {
                let pair = &bytes[at..bytes.len().min(at + 2)];
                at + if matches!(pair, b"&&" | b"||" | b"==" | b"!=" | b"<=" | b">=") { 2 } else { 1 }
            }
            _ => at + 1,
        };
        if tokens > limits::MAX_TOKENS {
            return Err(ExpressionError::Tokens);
        }
    }
    Ok(Scan { end: None })
}

/// Part of a name or a number.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// `r`, `b` and `br` before a quote: raw strings and bytes.
fn is_string_prefix(prefix: &[u8]) -> bool {
    matches!(prefix.to_ascii_lowercase().as_slice(), b"r" | b"b" | b"br")
}

/// The offset after the string whose quote is at `start`.
fn skip_string(bytes: &[u8], start: usize, raw: bool) -> Result<usize, ExpressionError> {
    let quote = bytes[start];
    let triple = bytes[start..].starts_with(&[quote; 3]);
    let mut at = start + if triple { 3 } else { 1 };
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' if !raw => at += 2,
            b'\n' | b'\r' if !triple => break,
            _ if byte == quote && !triple => return Ok(at + 1),
            _ if byte == quote && bytes[at..].starts_with(&[quote; 3]) => return Ok(at + 3),
            _ => at += 1,
        }
    }
    Err(ExpressionError::UnclosedString)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_closing_brace_outside_strings_and_brackets() {
        let cases = [
            ("a} b", Some(1)),
            ("{'a': 1}['a']} x", Some(13)),
            (r#""}" + '}'} x"#, Some(9)),
            (r#""\"}"} x"#, Some(5)),
            (r#"r"\"} x"#, Some(4)),
            (r#""""a"}"""} x"#, Some(9)),
            ("abr'}'} x", Some(6)),
            ("a // }\n} x", Some(7)),
            ("a", None),
            ("é} x", Some(2)),
        ];
        for (text, end) in cases {
            assert_eq!(scan(text, true).unwrap().end, end, "{text}");
        }
    }

    #[test]
    fn unclosed_strings_are_errors() {
        for text in ["\"a", "'a\n'", "'''a''", "\"a\\\"", "r'", "\"\"\""] {
            assert!(matches!(scan(text, true), Err(ExpressionError::UnclosedString)), "{text}");
        }
    }

    #[test]
    fn brackets_in_strings_are_text() {
        assert!(scan(&format!("a.matches('{}')", "(".repeat(99)), false).is_ok());
        assert!(matches!(scan(&"(".repeat(17), false), Err(ExpressionError::Brackets)));
        assert!(scan(&"()".repeat(17), false).is_ok());
    }

    #[test]
    fn tokens_are_counted() {
        assert!(scan(&vec!["a"; 200].join("&&"), false).is_ok());
        assert!(matches!(scan(&vec!["a"; 202].join("&&"), false), Err(ExpressionError::Tokens)));
    }
}
