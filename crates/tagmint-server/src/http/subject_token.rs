//! Faults that a credential picked up on its way into a request: a line break from a file, quotes from JSON, an unexpanded variable.

/// Words that a program writes where it has no value.
const NO_VALUE: [&str; 6] = ["null", "undefined", "None", "nil", "[object Object]", "NULL"];
/// Members under which platforms answer with a token.
const MEMBERS: [&str; 5] = ["value", "id_token", "access_token", "token", "jwt"];

/// Describes an oddity in a credential's text, and its fix: the end of a sentence whose subject is the credential.
/// Repeats nothing of the text.
pub(super) fn oddity(text: &str) -> Option<String> {
    let say = |what: &str| Some(what.to_owned());
    if text.is_empty() {
        return say("is empty");
    }
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return say("holds nothing but white space");
    }
    if text.ends_with(['\n', '\r']) {
        return say("ends with a line break: remove it");
    }
    if text.starts_with(['\n', '\r']) {
        return say("begins with a line break: remove it");
    }
    if trimmed.len() < text.len() {
        return say("has white space at an end: remove it");
    }
    if text.starts_with('\u{feff}') {
        return say("begins with a byte order mark (BOM): remove it");
    }
    for (quote, name) in [('"', "double quotes"), ('\'', "single quotes"), ('`', "backquotes"), ('“', "curly quotes")]
    {
        let end = if quote == '“' { '”' } else { quote };
        if text.starts_with(quote) || text.ends_with(end) {
            return Some(format!("stands in {name}: remove them"));
        }
    }
    if let Some(json) = json(text) {
        return Some(json);
    }
    if NO_VALUE.contains(&text) {
        return Some(format!("is the text `{text}`: the program that sends it had no token"));
    }
    let lower: String = text.chars().take(24).collect::<String>().to_ascii_lowercase();
    for scheme in ["authorization:", "bearer", "basic", "token"] {
        let rest = lower.strip_prefix(scheme);
        if rest
            .is_some_and(|rest| scheme.ends_with(':') || rest.starts_with([' ', '\t', '+']) || rest.starts_with("%20"))
        {
            let shown =
                if scheme.ends_with(':') { "the name of a header" } else { "the name of an authentication scheme" };
            return Some(format!("begins with {shown} (`{scheme}`): remove it"));
        }
    }
    if text.starts_with('$') || text.starts_with("{{") || (text.starts_with('%') && text.ends_with('%')) {
        return say("is the name of a variable that was not expanded: check the quotes around it");
    }
    if text.starts_with('<') && text.ends_with('>') {
        return say("is a placeholder: put the token there");
    }
    if text.starts_with('@') {
        return say(
            "begins with `@`: the name of a file was sent and not its content (curl: `--data-urlencode subject_token@FILE`)",
        );
    }
    if text.starts_with(['/', '~']) || text.starts_with("./") || lower.starts_with("file:") {
        return say("is the path of a file: send its content");
    }
    if text.contains("***") {
        return say("is masked (`***`): it was taken from a log");
    }
    if is_encoded(text) {
        return say("is URL-encoded twice: encode it once");
    }
    inner(text)
}

/// Describes a part within a text that no token has.
fn inner(text: &str) -> Option<String> {
    if text.contains(['\n', '\r']) {
        return Some("holds a line break: join its lines".to_owned());
    }
    if text.contains(char::is_whitespace) {
        return Some("holds white space: remove it".to_owned());
    }
    if let Some((name, _)) =
        text.split_once('=').filter(|(name, _)| ["token", "subject_token", "id_token"].contains(name))
    {
        return Some(format!("begins with `{name}=`: remove that"));
    }
    let foreign = text.chars().find(|character| !character.is_ascii_graphic())?;
    Some(format!("holds U+{:04X}, which no token has", u32::from(foreign)))
}

/// A whole answer of a platform in the place of the token in it.
fn json(text: &str) -> Option<String> {
    if !text.starts_with(['{', '[']) || text.starts_with("{{") {
        return None;
    }
    let members = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).unwrap_or_default();
    let member = MEMBERS.into_iter().find(|name| members.get(*name).is_some_and(serde_json::Value::is_string));
    Some(match member {
        Some(name) => format!("is a JSON document: send the value of its member `{name}`"),
        None => "is a JSON document: send the token that it holds".to_owned(),
    })
}

/// Whether it holds `%` and two hexadecimal digits.
fn is_encoded(text: &str) -> bool {
    let is_hex = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_hexdigit);
    text.match_indices('%').any(|(at, _)| is_hex(at + 1) && is_hex(at + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_to_a_token_is_named() {
        let token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl";
        for good in [token, "tmb_test_abc", "tms_prod_0A", "eyJ.eyJ.a-_"] {
            assert_eq!(oddity(good), None, "{good}");
        }
        for (text, said) in [
            (String::new(), "is empty"),
            (" \n".to_owned(), "nothing but white space"),
            (format!("{token}\n"), "ends with a line break"),
            (format!("{token}\r\n"), "ends with a line break"),
            (format!("\n{token}"), "begins with a line break"),
            (format!("{token} "), "white space at an end"),
            (format!("\u{feff}{token}"), "byte order mark"),
            (format!("\"{token}\""), "stands in double quotes"),
            (format!("'{token}'"), "stands in single quotes"),
            (format!("\"{token}"), "double quotes"),
            (format!("“{token}”"), "curly quotes"),
            (format!("Bearer {token}"), "`bearer`"),
            (format!("bearer%20{token}"), "`bearer`"),
            (format!("Authorization: Bearer {token}"), "the name of a header"),
            (format!("token {token}"), "`token`"),
            (format!("{{\"count\":1,\"value\":\"{token}\"}}"), "its member `value`"),
            (format!("{{\"id_token\":\"{token}\"}}"), "its member `id_token`"),
            ("{\"url\": \"https://sts\"}".to_owned(), "is a JSON document"),
            ("null".to_owned(), "is the text `null`"),
            ("undefined".to_owned(), "is the text `undefined`"),
            ("$ID_TOKEN".to_owned(), "was not expanded"),
            ("${{ steps.x.outputs.token }}".to_owned(), "was not expanded"),
            ("%ID_TOKEN%".to_owned(), "was not expanded"),
            ("{{ token }}".to_owned(), "was not expanded"),
            ("<token>".to_owned(), "placeholder"),
            ("@token.jwt".to_owned(), "begins with `@`"),
            ("/var/run/secrets/token".to_owned(), "path of a file"),
            ("***".to_owned(), "masked"),
            (token.replace('.', "%2E"), "URL-encoded twice"),
            (format!("{token}%0A"), "URL-encoded twice"),
            (token.replacen('.', ".\n", 1), "holds a line break"),
            (token.replacen('.', ". ", 1), "holds white space"),
            (format!("token={token}"), "begins with `token=`"),
            (format!("{token}é"), "U+00E9"),
        ] {
            let found = oddity(&text).unwrap_or_else(|| panic!("{text:?}"));
            assert!(found.contains(said), "{text:?}: {found}");
            assert!(!found.contains("eyJ"), "{found}");
        }
    }
}
