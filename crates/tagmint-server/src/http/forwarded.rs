//! The `Forwarded` header (RFC 7239 §4).

/// The values of all its `host` parameters; none where the header is not of its form.
pub(super) fn hosts(header: &[u8]) -> Option<Vec<String>> {
    let text = std::str::from_utf8(header).ok()?;
    let mut hosts = Vec::new();
    for element in split(text, ',')? {
        for pair in split(element, ';')?.into_iter().map(str::trim).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=')?;
            if name.trim().eq_ignore_ascii_case("host") {
                hosts.push(unquoted(value.trim())?);
            }
        }
    }
    Some(hosts)
}

/// The parts between separators that stand in no quoted string; none where a string does not end.
fn split(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, character) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if quoted && character == '\\' {
            escaped = true;
        } else if character == '"' {
            quoted = !quoted;
        } else if character == separator && !quoted {
            parts.push(text.get(start..at)?);
            start = at + separator.len_utf8();
        }
    }
    parts.push(text.get(start..)?);
    (!quoted && !escaped).then_some(parts)
}

/// A token or a quoted string (RFC 9110 §5.6.4), without its quotes.
fn unquoted(value: &str) -> Option<String> {
    let Some(inner) = value.strip_prefix('"') else { return (!value.contains('"')).then(|| value.to_owned()) };
    let mut text = String::new();
    let mut characters = inner.strip_suffix('"')?.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => text.push(characters.next()?),
            '"' => return None,
            other => text.push(other),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_of_every_element_are_read() {
        for (header, expected) in [
            ("", Some(vec![])),
            ("for=192.0.2.43, for=198.51.100.17;by=203.0.113.60;proto=http;host=a.example", Some(vec!["a.example"])),
            (
                "Host=\"a.example:80\",host=b.example;host=c.example",
                Some(vec!["a.example:80", "b.example", "c.example"]),
            ),
            ("for=\"x;host=no.example,\";host=a.example", Some(vec!["a.example"])),
            ("for=\"x\\\"\";host=\"a\\.example\"", Some(vec!["a.example"])),
            ("host=\"a.example", None),
            ("host=\"a\"b\"", None),
            ("host", None),
        ] {
            let found = hosts(header.as_bytes());
            let found: Option<Vec<&str>> = found.as_ref().map(|all| all.iter().map(String::as_str).collect());
            assert_eq!(found, expected, "{header}");
        }
    }
}
