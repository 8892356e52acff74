//! Texts of a policy that may hold policy variables and wildcards (IAM user guide, "Variables and tags").
//!
//! `${key}` stands for the value of a single-valued key, `${key, 'default'}` for the default where the request lacks it, and `${*}`, `${?}`,
//! `${$}` for these characters without their meaning. All of that in documents of version 2012-10-17 only; in older ones it is plain text.

use serde::{Serialize, Serializer};

use crate::{
    arn,
    context::Context,
    pattern::{self, Token},
};

/// A policy's text, taken apart once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    source: String,
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Tokens(Vec<Token>),
    Variable { key: String, default: Option<String> },
}

/// A variable that the request cannot fill: such a text matches nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the variable `${{{0}}}` has no single value in the request")]
pub struct Unresolved(pub String);

impl Template {
    /// Takes a text apart. `variables` says whether the document's version knows policy variables. A `${` that is never closed, or that
    /// holds no name, is plain text.
    pub fn parse(text: &str, variables: bool) -> Self {
        let mut segments = Vec::new();
        let mut tokens = Vec::new();
        let mut rest = text;
        while let Some(character) = rest.chars().next() {
            if variables && let Some((variable, after)) = read_variable(rest) {
                match variable {
                    Read::Literal(character) => tokens.push(Token::Char(character)),
                    Read::Variable(segment) => {
                        if !tokens.is_empty() {
                            segments.push(Segment::Tokens(std::mem::take(&mut tokens)));
                        }
                        segments.push(segment);
                    }
                }
                rest = after;
            } else {
                tokens.push(pattern::wild(character));
                rest = &rest[character.len_utf8()..];
            }
        }
        if !tokens.is_empty() {
            segments.push(Segment::Tokens(tokens));
        }
        Self { source: text.to_owned(), segments }
    }

    /// The text as it stands in the policy.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// How many of an ARN's six fields the text leaves out; none where it isn't an ARN. What a variable holds adds no field.
    pub fn missing_arn_fields(&self) -> usize {
        if !self.source.starts_with("arn:") {
            return 0;
        }
        let tokens = self.segments.iter().flat_map(|segment| match segment {
            Segment::Tokens(tokens) => tokens.as_slice(),
            Segment::Variable { .. } => &[],
        });
        let fields = tokens.filter(|token| **token == Token::Char(':')).count() + 1;
        arn::FIELDS.saturating_sub(fields)
    }

    /// Fills in the variables. What a request brings has no wildcards: its `*` and `?` are characters.
    pub fn resolve(&self, context: &Context) -> Result<Vec<Token>, Unresolved> {
        let mut resolved = Vec::with_capacity(self.source.len());
        for segment in &self.segments {
            match segment {
                Segment::Tokens(tokens) => resolved.extend_from_slice(tokens),
                Segment::Variable { key, default } => {
                    let value = context.single(key).or(default.as_deref()).ok_or_else(|| Unresolved(key.clone()))?;
                    resolved.extend(value.chars().map(Token::Char));
                }
            }
        }
        Ok(resolved)
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.source)
    }
}

enum Read {
    Literal(char),
    Variable(Segment),
}

/// Reads `${…}` at the beginning of a text, and returns what comes behind it.
fn read_variable(text: &str) -> Option<(Read, &str)> {
    let inside = text.strip_prefix("${")?;
    for literal in ['*', '?', '$'] {
        if let Some(after) = inside.strip_prefix(literal).and_then(|after| after.strip_prefix('}')) {
            return Some((Read::Literal(literal), after));
        }
    }
    let name_end = inside.find(['}', ','])?;
    let key = inside[..name_end].trim();
    let fits = !key.is_empty() && !key.contains(['{', '$', '\'', '"']);
    if !fits {
        return None;
    }
    let (default, after) = match inside[name_end..].strip_prefix(',') {
        None => (None, &inside[name_end + 1..]),
        Some(default) => {
            let quoted = default.trim_start().strip_prefix('\'')?;
            let (default, after) = quoted.split_once('\'')?;
            (Some(default.to_owned()), after.trim_start().strip_prefix('}')?)
        }
    };
    Some((Read::Variable(Segment::Variable { key: key.to_owned(), default }), after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn resolve(text: &str, variables: bool) -> Option<String> {
        let context = Context::new()
            .with("aws:PrincipalTag/team", "red*")
            .with_many("many", ["a", "b"])
            .with_many("list", ["a"])
            .with("empty", "");
        Template::parse(text, variables).resolve(&context).ok().map(|tokens| pattern::to_text(&tokens))
    }

    #[test]
    fn variables_are_filled_in() {
        let cases = [
            ("a/${aws:PrincipalTag/team}/b", Some("a/red*/b")),
            ("${AWS:principaltag/TEAM}", Some("red*")),
            ("${none}", None),
            ("${none, 'company-wide'}", Some("company-wide")),
            ("${none,''}", Some("")),
            ("${aws:PrincipalTag/team, 'x'}", Some("red*")),
            ("${many}", None),
            ("${many, 'd'}", Some("d")),
            ("${list}", None),
            ("${list, 'd'}", Some("d")),
            ("${empty}", Some("")),
            ("${*}${?}${$}", Some("*?$")),
            ("${", Some("${")),
            ("${}", Some("${}")),
            ("$x{y}", Some("$x{y}")),
            ("${a, b}", Some("${a, b}")),
            ("${$}{none}", Some("${none}")),
        ];
        for (text, expected) in cases {
            assert_eq!(resolve(text, true).as_deref(), expected, "{text}");
        }
        assert_eq!(resolve("${none}", false).as_deref(), Some("${none}"), "version 2008-10-17 has no variables");
    }

    #[test]
    fn what_the_request_brings_is_no_wildcard() {
        let context = Context::new().with("tag", "*");
        let tokens = Template::parse("${tag}/?${*}", true).resolve(&context).unwrap();
        assert_eq!(tokens, [Token::Char('*'), Token::Char('/'), Token::One, Token::Char('*')]);
    }

    #[test]
    fn missing_fields_of_arns() {
        let cases = [
            ("arn:aws:s3:::bucket/*", 0),
            ("arn:aws:s3:::a:b", 0),
            ("arn:aws:sqs", 3),
            ("arn:*", 4),
            ("arn:aws:sqs:${aws:PrincipalTag/a:b}", 2),
            ("arn:aws:sqs:${none, 'a:b'}:1", 1),
            ("*", 0),
            ("arn", 0),
        ];
        for (text, expected) in cases {
            assert_eq!(Template::parse(text, true).missing_arn_fields(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_plain_text_stays(text in "[${}*?,' a-c:/]{0,20}") {
            let template = Template::parse(&text, true);
            prop_assert_eq!(template.source(), &text);
            let _ = template.resolve(&Context::new());
            let plain = Template::parse(&text, false).resolve(&Context::new()).unwrap();
            prop_assert_eq!(pattern::to_text(&plain), text);
        }
    }
}
