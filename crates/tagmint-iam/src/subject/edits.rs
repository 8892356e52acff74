//! Corrections of what people write in place of a subject.

use super::{Edit, FRESH, Platform, reading::Part};

/// A value that ends too early.
pub(super) const MISSING_END: &str = "a subject goes on after that";
const COLON: &str = "its parts are separated by `:`, not by another character";
const SLASH: &str = "its parts are separated by `/`, not by another character";
/// Marks around a value.
const QUOTES: [char; 5] = ['"', '\'', '`', '\u{201c}', '\u{201d}'];

impl Platform {
    /// Every correction of one thing, the platform's own first.
    pub(super) fn all_edits(&self, value: &str, subject: &str, like: bool) -> Vec<Edit> {
        let mut edits = (self.edits)(value, subject);
        edits.extend(plain_edits(value));
        edits.extend(self.keywords(value));
        edits.extend(self.missing_start(value));
        edits.extend(self.by_keywords(value, subject));
        if like {
            edits.extend(missing_end(value));
        }
        edits.retain(|edit| edit.text != value && !edit.text.is_empty() && !edit.text.contains(FRESH));
        edits
    }

    /// The words of the templates, in other letters, as a synonym, or between other separators.
    fn keywords(&self, value: &str) -> Vec<Edit> {
        let mut edits = Vec::new();
        for (wrong, right) in self.synonyms {
            edits.extend(replaced_word(value, wrong, right, "a word of the subject is spelled another way"));
        }
        for literal in self.literals() {
            let word = literal.trim_matches([':', '/']);
            if word.is_empty() || word.contains([':', '/', '{', '}']) {
                continue;
            }
            for found in words(value).filter(|(_, found)| found.eq_ignore_ascii_case(word)) {
                let (at, text) = found;
                if text != word {
                    let fixed = format!("{}{word}{}", &value[..at], &value[at + word.len()..]);
                    edits.push(Edit::new(fixed, "letters' case counts"));
                }
                edits.extend(Self::separators(value, at, word, literal));
            }
        }
        edits
    }

    /// A keyword with the separators of its template.
    fn separators(value: &str, at: usize, word: &str, literal: &str) -> Option<Edit> {
        let separator = |c: char| ":/=.| ".contains(c);
        let (before, behind) = (&value[..at], &value[at + word.len()..]);
        let start = if literal.starts_with([':', '/']) { before.trim_end_matches(separator) } else { before };
        let end = if literal.ends_with([':', '/']) { behind.trim_start_matches(separator) } else { behind };
        let lacks = (literal.starts_with([':', '/']) && (start.len() == before.len() || start.is_empty()))
            || (literal.ends_with([':', '/']) && (end.len() == behind.len() || end.is_empty()));
        if lacks {
            return None;
        }
        let fixed = format!("{start}{literal}{end}");
        let why = if literal.contains(':') { COLON } else { SLASH };
        (fixed != value).then(|| Edit::new(fixed, why))
    }

    /// The word that every subject begins with.
    fn missing_start(&self, value: &str) -> Vec<Edit> {
        let starts = self.forms.iter().filter(|form| form.default).flat_map(|form| form.start);
        let mut edits: Vec<Edit> = Vec::new();
        for template in starts {
            let Some(Part::Literal(first)) = self.parts(template).first().copied() else { continue };
            if !value.starts_with(first) && !edits.iter().any(|edit| edit.text.starts_with(first)) {
                // Part of the beginning may be there, as `serviceaccount:` of `system:serviceaccount:`.
                let tail = (1..first.len()).find(|at| {
                    first.is_char_boundary(*at)
                        && value.starts_with(&first[*at..])
                        && first[..*at].ends_with([':', '/'])
                });
                let text = tail.map_or_else(|| format!("{first}{value}"), |at| format!("{}{value}", &first[..at]));
                edits.push(Edit::new(text, "its beginning is missing"));
            }
        }
        edits
    }

    /// The value's segments found by the words before them, in the template of the token; what is missing is the token's own.
    fn by_keywords(&self, value: &str, subject: &str) -> Option<Edit> {
        let form = self.form_of(subject)?;
        let token = self.read(form, subject)?;
        let parts = self.parts(token.template);
        let mut text = String::new();
        let mut word = "";
        let mut found_any = false;
        for part in parts {
            match part {
                Part::Literal(literal) => {
                    text.push_str(literal);
                    word = literal.trim_end_matches([':', '/']).rsplit([':', '/']).next().unwrap_or_default();
                }
                Part::Field(field) => {
                    // A segment without a word before it cannot be found again.
                    if word.is_empty() {
                        return None;
                    }
                    let own = token.value(field).unwrap_or_default();
                    let given = behind_word(value, word);
                    found_any |= given.is_some();
                    text.push_str(given.unwrap_or(own));
                    word = "";
                }
            }
        }
        found_any.then(|| Edit::new(text, "a part is missing, or stands in another place"))
    }

    fn literals(&self) -> Vec<&'static str> {
        let starts = self.forms.iter().flat_map(|form| form.start.iter().chain(form.then));
        let mut literals: Vec<&'static str> = Vec::new();
        for part in starts.flat_map(|template| self.parts(template)) {
            if let Part::Literal(text) = part
                && !literals.contains(&text)
            {
                literals.push(text);
            }
        }
        literals
    }
}

/// The text between a word with its separator and the next separator of the same kind.
fn behind_word<'a>(value: &'a str, word: &str) -> Option<&'a str> {
    let (at, _) = words(value).find(|(_, found)| *found == word)?;
    let behind = &value[at + word.len()..];
    let separator = behind.chars().next().filter(|c| [':', '/'].contains(c))?;
    let text = behind[1..].split(separator).next()?;
    (!text.is_empty()).then_some(text)
}

/// The words of a text, with their places.
pub(super) fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut start = 0;
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-')).filter_map(move |word| {
        let at = text[start..].find(word).map_or(start, |offset| start + offset);
        start = at + word.len();
        (!word.is_empty()).then_some((at, word))
    })
}

fn replaced_word(value: &str, wrong: &str, right: &str, why: &'static str) -> Option<Edit> {
    let (at, found) = words(value).find(|(_, word)| word.eq_ignore_ascii_case(wrong))?;
    Some(Edit::new(format!("{}{right}{}", &value[..at], &value[at + found.len()..]), why))
}

/// Corrections that have nothing to do with a platform.
fn plain_edits(value: &str) -> Vec<Edit> {
    let mut edits = vec![
        Edit::new(value.trim(), "blanks count"),
        Edit::new(value.trim_matches(QUOTES), "quotation marks count"),
        Edit::new(value.replace('\\', ""), "a backslash is a character like any other"),
        Edit::new(value.replace(".*", "*"), "a pattern is not a regular expression"),
        Edit::new(value.replace("**", "*"), "`**` is no more than `*`"),
        Edit::new(value.trim_start_matches('^').trim_end_matches('$'), "a pattern is not a regular expression"),
        Edit::new(value.replace("::", ":"), "a `:` is doubled"),
        Edit::new(value.replace("//", "/"), "a `/` is doubled"),
        Edit::new(value.replace('/', ":"), COLON),
        Edit::new(value.replace(':', "/"), SLASH),
        Edit::new(value.strip_suffix("/*").map_or_else(|| value.to_owned(), |rest| format!("{rest}:*")), COLON),
        Edit::new(value.strip_suffix(":*").map_or_else(|| value.to_owned(), |rest| format!("{rest}/*")), SLASH),
        Edit::new(value.trim_end_matches([':', '/']), "it ends with a separator"),
        Edit::new(value.trim_start_matches([':', '/']), "it begins with a separator"),
    ];
    for prefix in ["sub:", "subject:", "sub=", "https://", "http://"] {
        edits.extend(
            value
                .strip_prefix(prefix)
                .map(|rest| Edit::new(rest, "it begins with what does not belong to the subject")),
        );
    }
    edits.extend(decoded(value).map(|text| Edit::new(text, "a subject is not URL-encoded")));
    let spaced: String = value.chars().filter(|c| !c.is_whitespace()).collect();
    edits.push(Edit::new(spaced, "blanks count"));
    edits
}

/// The end that is missing.
fn missing_end(value: &str) -> Vec<Edit> {
    let separators: &[&str] = if value.ends_with([':', '/']) { &[""] } else { &[":", "/"] };
    let ends = separators.iter().map(|separator| Edit::new(format!("{value}{separator}*"), MISSING_END));
    ends.collect()
}

/// Without percent-encoding, `%3A` aside: GitHub writes a `:` within a value so.
fn decoded(value: &str) -> Option<String> {
    let mut text = String::new();
    let mut rest = value;
    while let Some(at) = rest.find('%') {
        text.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 3);
        let byte =
            code.and_then(|code| u8::from_str_radix(code, 16).ok()).filter(|byte| byte.is_ascii() && *byte != b':');
        match byte {
            Some(byte) if !byte.is_ascii_control() => {
                text.push(char::from(byte));
                rest = &rest[at + 3..];
            }
            _ => {
                text.push('%');
                rest = &rest[at + 1..];
            }
        }
    }
    text.push_str(rest);
    (text != value).then_some(text)
}

/// A git ref in the forms that people write it in, as the ref that a subject has; `tag` says what a bare name is taken for.
pub(super) fn full_refs(text: &str) -> Vec<String> {
    let text = text.trim_start_matches('/');
    for (wrong, right) in [
        ("refs/head/", "refs/heads/"),
        ("refs/tag/", "refs/tags/"),
        ("ref/heads/", "refs/heads/"),
        ("ref/tags/", "refs/tags/"),
        ("refs:heads:", "refs/heads/"),
        ("refs:tags:", "refs/tags/"),
        ("refs/branches/", "refs/heads/"),
        ("heads/", "refs/heads/"),
        ("tags/", "refs/tags/"),
        ("head/", "refs/heads/"),
        ("tag/", "refs/tags/"),
        ("branch/", "refs/heads/"),
        ("branch:", "refs/heads/"),
        ("branches/", "refs/heads/"),
        ("tag:", "refs/tags/"),
        ("origin/", "refs/heads/"),
    ] {
        if let Some(name) = text.strip_prefix(wrong) {
            return vec![format!("{right}{name}")];
        }
    }
    if text.starts_with("refs/heads/") || text.starts_with("refs/tags/") || text.starts_with("refs/pull/") {
        return vec![text.to_owned()];
    }
    let name = text.strip_prefix("refs/").unwrap_or(text);
    vec![format!("refs/heads/{name}"), format!("refs/tags/{name}")]
}
