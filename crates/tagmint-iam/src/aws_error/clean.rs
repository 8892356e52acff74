//! A log's text without what terminals, runners and serializers put into it.

/// One line: escapes, timestamps, frames and entities are taken out, and blanks are single.
pub(super) fn text(log: &str) -> String {
    let plain = without_escapes(log);
    let lines: Vec<&str> = plain.lines().map(bare).collect();
    let joined = decoded(&lines.join(" "));
    joined.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Without the control sequences of ECMA-48, as `ESC [31m`, and of titles and links (`ESC ]`).
fn without_escapes(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\u{1b}' => match rest.next() {
                Some('[') => {
                    while rest.next_if(|c| !('\u{40}'..='\u{7e}').contains(c)).is_some() {}
                    rest.next();
                }
                Some(']') => {
                    while rest.next_if(|c| *c != '\u{7}' && *c != '\u{1b}').is_some() {}
                    rest.next();
                }
                _ => {}
            },
            '\r' => plain.push('\n'),
            '\n' | '\t' => plain.push(character),
            control if control.is_control() => {}
            character => plain.push(character),
        }
    }
    plain
}

/// A line without a runner's columns, a timestamp and the frame of Terraform's errors.
fn bare(line: &str) -> &str {
    // `JOB<tab>STEP<tab>TIME TEXT`, as `gh run view --log` prints it.
    let mut line = match line.rsplit_once('\t') {
        Some((_, last)) if starts_with_time(last) => last,
        _ => line,
    };
    line = line.trim();
    if starts_with_time(line) {
        let time = line.find(|c: char| c.is_whitespace()).unwrap_or(line.len());
        line = line[time..].trim_start();
        // GitLab counts its lines and names the stream: `00O `, `01E+`.
        let mut characters = line.chars();
        let count = [characters.next(), characters.next()].iter().all(|c| c.is_some_and(|c| c.is_ascii_digit()));
        if count && matches!(characters.next(), Some('O' | 'E')) {
            line = line.get(3..).unwrap_or_default().trim_start_matches('+');
        }
    }
    let frame = |c: char| c.is_whitespace() || matches!(c, '│' | '╷' | '╵' | '|' | '┃' | '╎');
    line.trim_matches(frame)
}

/// RFC 3339, as `2026-01-31T12:00:00.0000000Z`.
fn starts_with_time(text: &str) -> bool {
    let shape = b"dddd-dd-ddTdd:dd:dd";
    let text = text.trim_start_matches('\u{feff}').as_bytes();
    text.len() >= shape.len()
        && shape
            .iter()
            .zip(text)
            .all(|(wanted, byte)| if *wanted == b'd' { byte.is_ascii_digit() } else { wanted == byte })
}

/// What XML, JSON and debug output write differently.
fn decoded(text: &str) -> String {
    const WRITTEN: [(&str, &str); 18] = [
        ("&apos;", "'"),
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
        ("\\u0027", "'"),
        ("\\u0026", "&"),
        ("\\u003c", "<"),
        ("\\u003e", ">"),
        ("\\n", " "),
        ("\\r", " "),
        ("\\t", " "),
        ("\\", ""),
        ("\u{2019}", "'"),
        ("\u{2018}", "'"),
    ];
    WRITTEN.iter().fold(
        text.to_owned(),
        |text, (written, meant)| {
            if text.contains(written) { text.replace(written, meant) } else { text }
        },
    )
}
