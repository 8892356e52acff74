//! Secrets that were typed where they do not belong: an error that repeats its input must not repeat them.

use std::borrow::Cow;

use tagmint_core::{issued_secret::SecretKind, jws};

/// A secret begins with one of these.
const PREFIXES: [&str; 2] = [SecretKind::Session.prefix(), SecretKind::Bearer.prefix()];
/// So many characters after the prefix are no word of a message any more.
const LEAST: usize = 8;

/// Whether a text has the beginning of a session's or bearer's secret.
pub fn looks_like_a_secret(text: &str) -> bool {
    let text = text.trim_start().to_ascii_lowercase();
    PREFIXES.iter().any(|prefix| text.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('_')))
}

/// The text without what may be a secret: of `tms_test_…` only `tms_[redacted]` is left, of a JWT nothing.
pub fn secrets(text: &str) -> Cow<'_, str> {
    if text.contains("eyJ") { Cow::Owned(issued(&jws::without_tokens(text)).into_owned()) } else { issued(text) }
}

/// The text without what may be a session or bearer.
fn issued(text: &str) -> Cow<'_, str> {
    let mut clean = String::new();
    let mut rest = text;
    while let Some((start, end)) = find(rest) {
        clean.push_str(&rest[..start]);
        clean.push_str("[redacted]");
        rest = &rest[end..];
    }
    if clean.is_empty() && rest.len() == text.len() {
        return Cow::Borrowed(text);
    }
    clean.push_str(rest);
    Cow::Owned(clean)
}

/// Where the first secret's part after the prefix begins and ends, in bytes.
fn find(text: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    loop {
        let start = PREFIXES
            .iter()
            .filter_map(|prefix| Some(from + text[from..].find(&format!("{prefix}_"))? + prefix.len() + 1))
            .min()?;
        let length = text[start..].bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
        if length >= LEAST {
            return Some((start, start + length));
        }
        from = start;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_taken_out_of_messages() {
        let secret = format!("tmb_test_{}", "a1".repeat(24));
        for (text, expected) in [
            ("nothing here".to_owned(), "nothing here"),
            (format!("invalid value '{secret}' for '<ID>'"), "invalid value 'tmb_[redacted]' for '<ID>'"),
            ("sent eyJhbGciOiJ.eyJzdWIiOi.c2ln to it".to_owned(), "sent … to it"),
            (format!("{secret},{secret}"), "tmb_[redacted],tmb_[redacted]"),
            (format!("--x={}", secret.replace("tmb", "tms")), "--x=tms_[redacted]"),
            ("those begin with `tms_` (session) or `tmb_`".to_owned(), "those begin with `tms_` (session) or `tmb_`"),
            ("tms_ and tmb_0123456789é".to_owned(), "tms_ and tmb_[redacted]é"),
        ] {
            assert_eq!(secrets(&text), expected);
        }
    }

    #[test]
    fn the_beginning_tells_a_secret() {
        assert!(["tms_test_x", " tmb_", "TMB_PROD_"].into_iter().all(looks_like_a_secret));
        assert!(!["", "nightly", "tm", "tmsx", "ses_01", "a tms_test_x"].into_iter().any(looks_like_a_secret));
    }
}
