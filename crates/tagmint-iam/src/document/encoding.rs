//! From bytes to text, and what people's tools put around it.

use super::DocumentError;

/// UTF-8, or UTF-16 as PowerShell's `>` writes it; a byte order mark is taken off.
pub fn text(bytes: &[u8]) -> Result<String, DocumentError> {
    let utf16 = |bytes: &[u8], read: fn([u8; 2]) -> u16| {
        let (units, rest) = bytes.as_chunks::<2>();
        let units: Vec<u16> = units.iter().map(|unit| read(*unit)).collect();
        // An odd byte at the end is the line break that another tool added.
        if rest.len() > 1 { None } else { String::from_utf16(&units).ok() }
    };
    let text = match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        // JSON and tokens begin with a character of ASCII: a zero next to it is the other half.
        [first, 0, ..] if *first != 0 => utf16(bytes, u16::from_le_bytes),
        [0, second, ..] if *second != 0 => utf16(bytes, u16::from_be_bytes),
        bytes => String::from_utf8(bytes.to_vec()).ok(),
    };
    text.filter(|text| !text.contains('\0')).ok_or(DocumentError::Encoding)
}

/// A text without what stands around it: blanks, invisible characters, a Markdown fence, quotes.
pub(super) fn bare(text: &str) -> &str {
    let invisible = |c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}' | '\u{200e}');
    let mut text = text.trim_matches(invisible);
    if let Some(fenced) = text.strip_prefix("```") {
        let body = fenced.split_once('\n').map_or("", |(_, body)| body);
        text = body.split("```").next().unwrap_or(body).trim_matches(invisible);
    }
    // Double quotes are a JSON string's, which is read as one.
    for (open, close) in [('\'', '\''), ('\u{201c}', '\u{201d}'), ('\u{2018}', '\u{2019}'), ('`', '`')] {
        if let Some(inner) = text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close)) {
            text = inner.trim_matches(invisible);
        }
    }
    // Quotes around a document whose own quotes are not escaped: no JSON string, and no JSON without them.
    match text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).map(|inner| inner.trim_matches(invisible)) {
        Some(inner) if inner.starts_with('{') && inner.contains('"') && !inner.contains("\\\"") => inner,
        Some(inner) if starts_encoded(inner) => inner,
        _ => text,
    }
}

fn starts_encoded(text: &str) -> bool {
    ["%7b", "%5b", "%22", "%0a", "%20", "%257b"]
        .iter()
        .any(|start| text.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start)))
}

/// A URL-encoded document, as IAM's API gives it (RFC 3986); none where the text is none.
pub(super) fn url_decoded(text: &str) -> Option<String> {
    if !starts_encoded(text) {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                bytes.push(hex(*high)? << 4 | hex(*low)?);
                rest = after;
            }
            // Wrapped lines.
            (byte, after) if byte.is_ascii_whitespace() => rest = after,
            (byte, after) => {
                // Forms write a blank as a plus sign, and an encoded document has a plus sign of its own as %2B.
                bytes.push(if *byte == b'+' { b' ' } else { *byte });
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

/// A document whose quotes are escaped though it is not within a string, as it stands in logs and shell scripts.
pub(super) fn unescaped(text: &str) -> Option<String> {
    if !text.starts_with(['{', '[']) || !text.contains("\\\"") {
        return None;
    }
    let quoted = format!("\"{}\"", text.replace('\r', "").replace('\n', "\\n").replace('\t', "\\t"));
    serde_json::from_str(&quoted).ok()
}
