//! Templates: literal text with `${CEL}` parts.

use super::{
    check::Regexes,
    context::Names,
    expression::{Expression, ExpressionError},
    limits::{MAX_RENDERED, MAX_SOURCE, MAX_TEMPLATE_PARTS},
    scan::scan,
    vocabulary::{CLAIMS, Vocabulary},
};

/// What is wrong with a template.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TemplateError {
    #[error("{0} bytes; a template may have {MAX_SOURCE}")]
    TooLong(usize),
    #[error("more than {MAX_TEMPLATE_PARTS} `${{…}}` in one template")]
    TooManyParts,
    #[error("`${{` without its `}}`; close it, or write `$${{` for the plain text `${{`")]
    Unclosed,
    #[error("in `${{{part}}}`: {error}")]
    Expression { part: String, error: ExpressionError },
}

/// A checked template.
#[derive(Debug)]
pub(super) enum Template {
    /// No `${…}` in it: never touches CEL.
    Literal(String),
    /// At least one expression.
    Parts(Vec<Part>),
}

/// A piece of a template.
#[derive(Debug)]
pub(super) enum Part {
    Text(String),
    /// The value of a claim, by its name.
    Claim(String),
    Expression(Expression),
}

impl Template {
    pub(super) fn compile(
        source: &str,
        vocabulary: &Vocabulary<'_>,
        regexes: &mut Regexes,
    ) -> Result<Self, TemplateError> {
        if source.len() > MAX_SOURCE {
            return Err(TemplateError::TooLong(source.len()));
        }
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = source;
        while let Some(dollar) = rest.find('$') {
            text.push_str(&rest[..dollar]);
            rest = &rest[dollar..];
            if let Some(after) = rest.strip_prefix("$${") {
                text.push_str("${");
                rest = after;
            } else if let Some(after) = rest.strip_prefix("${") {
                let failed = |part: &str, error| TemplateError::Expression {
                    part: super::expression::shortened(part, 80),
                    error,
                };
                let scanned = scan(after, true).map_err(|error| failed(after, error))?;
                let end = scanned.end.ok_or(TemplateError::Unclosed)?;
                let part = &after[..end];
                let expression = if is_name(part) {
                    let known = vocabulary.look_up(part.trim()).map(|_| Part::Claim(part.trim().to_owned()));
                    known.map_err(ExpressionError::UnknownClaim)
                } else {
                    Expression::compile(part, false, vocabulary, regexes).map(Part::Expression)
                };
                if !text.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut text)));
                }
                parts.push(expression.map_err(|error| failed(part, error))?);
                if parts.iter().filter(|part| !matches!(part, Part::Text(_))).count() > MAX_TEMPLATE_PARTS {
                    return Err(TemplateError::TooManyParts);
                }
                rest = &after[end + 1..];
            } else {
                text.push('$');
                rest = &rest[1..];
            }
        }
        text.push_str(rest);
        if parts.is_empty() {
            return Ok(Self::Literal(text));
        }
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        Ok(Self::Parts(parts))
    }

    /// The text of a template without expressions.
    pub(super) fn literal(&self) -> Option<&str> {
        match self {
            Self::Literal(text) => Some(text),
            Self::Parts(_) => None,
        }
    }

    /// The most steps that rendering it can take.
    pub(super) fn steps(&self) -> u64 {
        match self {
            Self::Literal(_) => 0,
            Self::Parts(parts) => parts
                .iter()
                .map(|part| match part {
                    Part::Text(_) => 0,
                    Part::Claim(_) => 1,
                    Part::Expression(expression) => expression.steps(),
                })
                .fold(0, u64::saturating_add),
        }
    }

    pub(super) fn render(&self, names: &Names<'_>) -> Result<String, String> {
        let parts = match self {
            Self::Literal(text) => return Ok(text.clone()),
            Self::Parts(parts) => parts,
        };
        let mut text = String::new();
        for part in parts {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Claim(name) => names.render(name, &mut text)?,
                Part::Expression(expression) => expression.render(names.scope(), &mut text)?,
            }
            if text.len() > MAX_RENDERED {
                return Err(format!("the result is longer than {MAX_RENDERED} bytes"));
            }
        }
        Ok(text)
    }
}

/// Whether an expression is nothing but a name. CEL is not asked then, so that a claim may be called as CEL's words are (`namespace`).
fn is_name(expression: &str) -> bool {
    let name = expression.trim();
    let part = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    !name.is_empty()
        && name.bytes().all(part)
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && !matches!(name, "true" | "false" | "null" | CLAIMS)
}
