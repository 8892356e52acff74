//! Matches: the required values of single claims, as data.

use std::fmt;

use serde_json::Value;

use super::{
    config::{MatchConfig, MatchValue},
    expression::shortened,
    limits,
    vocabulary::{SUBJECT, UnknownClaim, Vocabulary},
};
use crate::{
    identity::VerifiedIdentity,
    trusted_issuer::kind::{Claim, ClaimType},
};

/// An invalid match. Every message includes the fix.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum MatchError {
    #[error(transparent)]
    UnknownClaim(#[from] UnknownClaim),
    #[error("an empty list matches nothing; list the values, or remove the line")]
    Empty,
    #[error("{0} values; {most} are allowed", most = limits::MAX_MATCH_VALUES)]
    TooManyValues(usize),
    #[error("`{0}` is longer than {most} bytes", most = limits::MAX_MATCH_VALUE)]
    TooLong(String),
    #[error(
        "the value `{0}` is a text; write `{{ {0} = true }}` if you ask whether the claim is there, `{{ exact = \"{0}\" }}` if you mean the text"
    )]
    LooksLikeTest(&'static str),
    #[error(
        "`{0}` holds `${{`; a match takes no templates. Write `{{ exact = \"…\" }}` if you mean the text, or use `when`"
    )]
    LooksLikeTemplate(String),
    #[error("`{claim}` is {expected}; write it as {example}")]
    WrongType { claim: String, expected: &'static str, example: &'static str },
    #[error("`{claim}` is a number in decimal digits, and `{value}` is not one")]
    NotAnId { claim: String, value: String },
    #[error(
        "`{value}` holds `*`, and of `{claim}` only whole values can be matched{}; write `{{ exact = \"{value}\" }}` if you mean the character",
        if *.known { ": others could choose a text that fits" } else { ": nothing is known of its form" }
    )]
    NoGlob { claim: String, value: String, known: bool },
    #[error("give exactly one of `present = true`, `absent = true` and `exact = \"…\"`")]
    Test,
    #[error("`{0}` is not a JSON pointer such as `/kubernetes.io/namespace`")]
    Pointer(String),
}

/// A claim, and what it must be.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Match {
    /// The key in the rule's `match`.
    pub(super) name: String,
    at: At,
    pub(super) test: Test,
    /// The claim's entry in the kind's table.
    pub(super) claim: Option<&'static Claim>,
}

/// Where the value is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum At {
    Subject,
    Claim,
    /// Inside a claim, by a JSON pointer (RFC 6901).
    Pointer,
}

/// The required value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    Present,
    Absent,
    /// One of these. Of a list, one of its elements is.
    OneOf(Vec<Pattern>),
}

/// A value, or texts of a form.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Pattern {
    Exact(Value),
    Glob(Glob),
}

/// A text with `*` for any characters but `/`, and `**` for any characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glob(String);

/// A match that did not hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Miss {
    /// The claim, as the rule names it.
    pub claim: String,
    /// The required value, for messages.
    pub expected: String,
    /// The identity's value. None if the claim is absent.
    pub actual: Option<Value>,
}

impl Match {
    /// Checks one entry of a rule's `match`.
    pub(super) fn compile(name: &str, config: &MatchConfig, vocabulary: &Vocabulary<'_>) -> Result<Self, MatchError> {
        let (at, claim) = if name == SUBJECT {
            (At::Subject, None)
        } else if let Some(path) = name.strip_prefix('/') {
            let first = path.split('/').next().unwrap_or_default().replace("~1", "/").replace("~0", "~");
            if first.is_empty() {
                return Err(MatchError::Pointer(shortened(name, 60)));
            }
            vocabulary.look_up(&first)?;
            (At::Pointer, None)
        } else {
            (At::Claim, vocabulary.look_up(name)?)
        };
        // Every subject is a text.
        let is_subject = at == At::Subject;
        let test = match config {
            MatchConfig::Test(asked) => match (asked.present, asked.absent, &asked.exact) {
                (Some(true), None, None) => Test::Present,
                (None, Some(true), None) => Test::Absent,
                (None, None, Some(value)) => Test::OneOf(vec![Pattern::Exact(typed(name, claim, is_subject, value)?)]),
                _ => return Err(MatchError::Test),
            },
            MatchConfig::Values(values) => {
                if values.is_empty() {
                    return Err(MatchError::Empty);
                }
                if values.len() > limits::MAX_MATCH_VALUES {
                    return Err(MatchError::TooManyValues(values.len()));
                }
                let patterns = values.iter().map(|value| pattern(name, claim, is_subject, value));
                Test::OneOf(patterns.collect::<Result<_, _>>()?)
            }
        };
        Ok(Self { name: name.to_owned(), at, test, claim })
    }

    /// Whether it holds of `identity`.
    pub(super) fn holds(&self, identity: &VerifiedIdentity) -> bool {
        let value = match self.at {
            At::Subject => {
                let Test::OneOf(patterns) = &self.test else { return self.test == Test::Present };
                return patterns.iter().any(|pattern| pattern.takes_text(&identity.subject));
            }
            At::Claim => identity.attributes.get(&self.name),
            At::Pointer => pointed_at(identity, &self.name),
        };
        match (&self.test, value.filter(|value| !value.is_null())) {
            (Test::Present, value) => value.is_some(),
            (Test::Absent, value) => value.is_none(),
            (Test::OneOf(_), None) => false,
            (Test::OneOf(patterns), Some(Value::Array(elements))) => {
                elements.iter().any(|element| patterns.iter().any(|pattern| pattern.takes(element)))
            }
            (Test::OneOf(patterns), Some(value)) => patterns.iter().any(|pattern| pattern.takes(value)),
        }
    }

    /// Why it does not hold of `identity`, if it does not.
    pub(super) fn miss(&self, identity: &VerifiedIdentity) -> Option<Miss> {
        if self.holds(identity) {
            return None;
        }
        let actual = match self.at {
            At::Subject => Some(Value::from(identity.subject.as_str())),
            At::Claim => identity.attributes.get(&self.name).cloned(),
            At::Pointer => pointed_at(identity, &self.name).cloned(),
        };
        let actual = actual.filter(|value| !value.is_null());
        Some(Miss { claim: self.name.clone(), expected: self.test.to_string(), actual })
    }

    /// The only values that it takes, where it takes no others.
    pub(super) fn exact(&self) -> Option<Vec<&Value>> {
        let Test::OneOf(patterns) = &self.test else { return None };
        let value = |pattern: &'_ Pattern| match pattern {
            Pattern::Exact(_) => true,
            Pattern::Glob(_) => false,
        };
        patterns.iter().all(value).then(|| {
            let values = patterns.iter().filter_map(|pattern| match pattern {
                Pattern::Exact(value) => Some(value),
                Pattern::Glob(_) => None,
            });
            values.collect()
        })
    }

    /// Whether whatever `self` takes, `broader` takes too.
    pub(super) fn is_within(&self, broader: &Self) -> bool {
        if self.name != broader.name {
            return false;
        }
        match (&self.test, &broader.test) {
            (Test::Present | Test::OneOf(_), Test::Present) | (Test::Absent, Test::Absent) => true,
            (Test::OneOf(narrow), Test::OneOf(broad)) => narrow.iter().all(|narrow| {
                broad.contains(narrow)
                    || matches!(narrow, Pattern::Exact(value) if broad.iter().any(|it| it.takes(value)))
            }),
            _ => false,
        }
    }
}

/// A JSON pointer into the attributes. The attributes are an object, so a pointer begins with a claim's name.
fn pointed_at<'v>(identity: &'v VerifiedIdentity, pointer: &str) -> Option<&'v Value> {
    let (first, rest) = pointer[1..].split_once('/').map_or((&pointer[1..], ""), |(first, rest)| (first, rest));
    let claim = identity.attributes.get(&first.replace("~1", "/").replace("~0", "~"))?;
    if rest.is_empty() && !pointer[1..].contains('/') { Some(claim) } else { claim.pointer(&format!("/{rest}")) }
}

/// A listed value: exact, or a glob where the claim's form allows one.
fn pattern(name: &str, claim: Option<&Claim>, is_subject: bool, value: &MatchValue) -> Result<Pattern, MatchError> {
    if let MatchValue::Text(written) = value {
        for word in ["present", "absent"] {
            if written == word {
                return Err(MatchError::LooksLikeTest(word));
            }
        }
        let shown = || shortened(written, 80);
        if written.contains("${") {
            return Err(MatchError::LooksLikeTemplate(shown()));
        }
        if written.contains('*') {
            if claim.is_some_and(|claim| claim.glob) {
                check_length(written)?;
                return Ok(Pattern::Glob(Glob(written.clone())));
            }
            return Err(MatchError::NoGlob { claim: name.to_owned(), value: shown(), known: claim.is_some() });
        }
    }
    typed(name, claim, is_subject, value).map(Pattern::Exact)
}

fn check_length(text: &str) -> Result<(), MatchError> {
    let fits = text.len() <= limits::MAX_MATCH_VALUE;
    if fits { Ok(()) } else { Err(MatchError::TooLong(shortened(text, 40))) }
}

/// A value of the claim's type.
fn typed(name: &str, claim: Option<&Claim>, is_subject: bool, value: &MatchValue) -> Result<Value, MatchError> {
    if let MatchValue::Text(text) = value {
        check_length(text)?;
    }
    let wrong = |expected, example| MatchError::WrongType { claim: name.to_owned(), expected, example };
    let kind = if is_subject { Some(ClaimType::String) } else { claim.map(|claim| claim.value) };
    match (kind, value) {
        (Some(ClaimType::Id), MatchValue::Text(text)) => {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            let not_an_id = || MatchError::NotAnId { claim: name.to_owned(), value: shortened(text, 40) };
            if digits { Ok(Value::from(text.as_str())) } else { Err(not_an_id()) }
        }
        (Some(ClaimType::Id), MatchValue::Integer(number)) if *number >= 0 => Ok(Value::from(number.to_string())),
        (Some(ClaimType::Id), _) => Err(wrong("a number in decimal digits", "\"123\"")),
        (None | Some(ClaimType::Json | ClaimType::String), MatchValue::Text(text)) => Ok(Value::from(text.as_str())),
        (None | Some(ClaimType::Json | ClaimType::Integer), MatchValue::Integer(number)) => Ok(Value::from(*number)),
        (None | Some(ClaimType::Json | ClaimType::Boolean), MatchValue::Boolean(flag)) => Ok(Value::from(*flag)),
        (Some(ClaimType::String), _) => Err(wrong("a text", "\"…\"")),
        (Some(ClaimType::Integer), _) => Err(wrong("a number", "123")),
        (Some(ClaimType::Boolean), _) => Err(wrong("true or false", "true or false, without quotes")),
    }
}

impl Pattern {
    fn takes(&self, value: &Value) -> bool {
        match self {
            Self::Exact(exact) => exact == value,
            Self::Glob(glob) => value.as_str().is_some_and(|text| glob.takes(text)),
        }
    }

    fn takes_text(&self, text: &str) -> bool {
        match self {
            Self::Exact(exact) => exact.as_str() == Some(text),
            Self::Glob(glob) => glob.takes(text),
        }
    }
}

impl Glob {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `text` is of this form. Takes time in proportion to the product of the two lengths at most.
    pub(super) fn takes(&self, text: &str) -> bool {
        let (glob, text): (Vec<char>, Vec<char>) = (self.0.chars().collect(), text.chars().collect());
        // reached[t]: the pattern up to here takes the first t characters.
        let mut reached = vec![false; text.len() + 1];
        reached[0] = true;
        let mut at = 0;
        while let Some(&character) = glob.get(at) {
            if character == '*' {
                let any = glob.get(at + 1) == Some(&'*');
                at += if any { 2 } else { 1 };
                for end in 1..=text.len() {
                    reached[end] |= reached[end - 1] && (any || text[end - 1] != '/');
                }
            } else {
                at += 1;
                for end in (1..=text.len()).rev() {
                    reached[end] = reached[end - 1] && text[end - 1] == character;
                }
                reached[0] = false;
            }
        }
        reached[text.len()]
    }

    /// Whether it takes every text, or every one without `/`.
    pub(super) fn is_universal(&self) -> bool {
        self.0.bytes().all(|b| b == b'*')
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Present => f.write_str("present"),
            Self::Absent => f.write_str("absent"),
            Self::OneOf(patterns) => {
                for (index, pattern) in patterns.iter().enumerate() {
                    if index > 0 {
                        f.write_str(" or ")?;
                    }
                    pattern.fmt(f)?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(value) => value.fmt(f),
            Self::Glob(Glob(text)) => write!(f, "{text:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_a_part_and_two_for_everything() {
        let takes = |glob: &str, text: &str| Glob(glob.to_owned()).takes(text);
        for (glob, text) in [
            ("refs/heads/*", "refs/heads/main"),
            ("refs/heads/release/*", "refs/heads/release/1.2"),
            ("refs/heads/**", "refs/heads/a/b"),
            ("refs/*/main", "refs/heads/main"),
            ("*a*a*", "banana"),
            ("*", ""),
            ("v*.*", "v1.2"),
            ("é*", "éa"),
        ] {
            assert!(takes(glob, text), "{glob} {text}");
        }
        for (glob, text) in [
            ("refs/heads/*", "refs/heads/a/b"),
            ("refs/heads/*", "refs/tags/a"),
            ("refs/heads/*", "xrefs/heads/a"),
            ("refs/heads/main", "refs/heads/main2"),
            ("a*", ""),
            ("a*b", "ab/b"),
        ] {
            assert!(!takes(glob, text), "{glob} {text}");
        }
        let long = "a*".repeat(100);
        assert!(!takes(&format!("{long}b"), &"a".repeat(4096)));
    }
}
