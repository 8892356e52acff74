//! Templates of subjects: their parts, the segments of a text that has the form, and a text made of segments.

use std::collections::HashSet;

use super::{Field, Form, Platform};

/// A part of a template.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    Literal(&'static str),
    Field(&'static Field),
}

/// A template with the text of each of its segments; none for those that a `*` at the end covers.
pub(super) struct Reading {
    pub(super) template: &'static str,
    pub(super) values: Vec<(&'static Field, Option<String>)>,
}

impl Platform {
    /// A template's parts. A name that the platform has no segment for is text.
    pub(super) fn parts(&self, template: &'static str) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut rest = template;
        while let Some(open) = rest.find('<') {
            let (text, behind) = rest.split_at(open);
            if !text.is_empty() {
                parts.push(Part::Literal(text));
            }
            let Some((name, after)) = behind[1..].split_once('>') else { break };
            parts.extend(self.field(name).map(Part::Field));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest));
        }
        parts
    }

    /// Takes a text apart by the first template of a form that it has. The text may be a pattern, whose wildcards are part of the segments.
    pub(super) fn read(&self, form: &Form, text: &str) -> Option<Reading> {
        form.start.iter().find_map(|template| self.read_by(template, text))
    }

    fn read_by(&self, template: &'static str, text: &str) -> Option<Reading> {
        let parts = self.parts(template);
        let chars: Vec<char> = text.chars().collect();
        let mut values = Vec::new();
        let mut failed = HashSet::new();
        align(&parts, &chars, 0, 0, &mut values, &mut failed).then_some(Reading { template, values })
    }

    /// A text of a template, with a value for each segment.
    pub(super) fn render(&self, template: &'static str, value: impl Fn(&'static Field) -> String) -> String {
        let parts = self.parts(template).into_iter();
        parts
            .map(|part| match part {
                Part::Literal(text) => text.to_owned(),
                Part::Field(field) => value(field),
            })
            .collect()
    }

    /// A template for people, as `repo:OWNER/REPO:pull_request`.
    pub(super) fn shown(&self, template: &'static str) -> String {
        self.render(template, |field| field.name.rsplit('.').next().unwrap_or(field.name).to_uppercase())
    }

    /// The words before the values of a customized subject, as `repo`, `job_workflow_ref`; none where a word is not known.
    pub(super) fn keys<'t>(form: &Form, text: &'t str) -> Option<Vec<&'t str>> {
        let templates = form.start.iter().chain(form.then).map(|template| template.split(':'));
        let mut keys = Vec::new();
        let mut pieces = text.split(':');
        while let Some(key) = pieces.next() {
            let mut template = templates.clone().find(|template| template.clone().next() == Some(key))?;
            template.next();
            keys.push(key);
            pieces.by_ref().take(template.count()).for_each(drop);
        }
        Some(keys)
    }
}

impl Reading {
    pub(super) fn value(&self, field: &Field) -> Option<&str> {
        self.values.iter().find(|(own, _)| *own == field).and_then(|(_, value)| value.as_deref())
    }
}

/// Lays a text along a template's parts: literals as they are, segments as short as possible.
fn align(
    parts: &[Part],
    text: &[char],
    part: usize,
    at: usize,
    values: &mut Vec<(&'static Field, Option<String>)>,
    failed: &mut HashSet<(usize, usize)>,
) -> bool {
    let Some(first) = parts.get(part) else { return at == text.len() };
    if failed.contains(&(part, at)) {
        return false;
    }
    let depth = values.len();
    match first {
        Part::Literal(literal) => {
            let literal: Vec<char> = literal.chars().collect();
            if text[at..].starts_with(&literal) && align(parts, text, part + 1, at + literal.len(), values, failed) {
                return true;
            }
            // A `*` at the end of the segment before covers what is left of the template.
            if at == text.len() && at > 0 && text[at - 1] == '*' {
                let left = parts[part..].iter().filter_map(|part| match part {
                    Part::Field(field) => Some((*field, None)),
                    Part::Literal(_) => None,
                });
                values.extend(left);
                return true;
            }
        }
        Part::Field(field) => {
            let fits = |c: char| field.chars.has(c) || c == '*' || c == '?';
            let longest = text[at..].iter().take_while(|c| fits(**c)).count();
            for len in 1..=longest {
                values.push((field, Some(text[at..at + len].iter().collect())));
                if align(parts, text, part + 1, at + len, values, failed) {
                    return true;
                }
                values.truncate(depth);
            }
        }
    }
    failed.insert((part, at));
    false
}
