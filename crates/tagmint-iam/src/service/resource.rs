//! A resource type's ARN, and which patterns of a policy can mean one.

/// A resource type of a service.
#[derive(Debug)]
pub struct ResourceType {
    name: &'static str,
    shape: Vec<Part>,
    keys: Vec<&'static str>,
}

/// A piece of a resource type's ARN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Char(char),
    /// A variable such as `${BucketName}`: neither colon nor slash.
    Word,
    /// A variable such as `${ObjectName}`, which may hold both.
    Path,
}

/// A piece of a policy's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wild {
    Char(char),
    One,
    Many,
}

impl ResourceType {
    pub(super) fn new(name: &'static str, arn: &'static str, keys: Vec<&'static str>) -> Self {
        Self { name, shape: shape(arn), keys }
    }

    /// Its name: `bucket`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn keys(&self) -> &[&'static str] {
        &self.keys
    }

    /// Whether some ARN is of this type and fits a policy's text. A variable of the policy stands for any text, and so do the fields that
    /// an ARN leaves out.
    pub(super) fn overlaps(&self, text: &str) -> bool {
        let pattern = wild(text);
        // Which beginnings of the pattern fit the shape up to the part at hand; `Many` is passed without taking anything.
        let skip = |reached: &mut [bool]| {
            for (at, token) in pattern.iter().enumerate() {
                if reached[at] && *token == Wild::Many {
                    reached[at + 1] = true;
                }
            }
        };
        let mut reached = vec![false; pattern.len() + 1];
        reached[0] = true;
        skip(&mut reached);
        for part in &self.shape {
            let step = |reached: &[bool]| {
                let mut next = vec![false; pattern.len() + 1];
                for (at, token) in pattern.iter().enumerate().filter(|(at, _)| reached[*at]) {
                    match (token, part) {
                        (Wild::Many, _) => next[at] = true,
                        (Wild::Char(given), Part::Char(wanted)) if given != wanted => {}
                        (Wild::Char(':' | '/'), Part::Word) => {}
                        _ => next[at + 1] = true,
                    }
                }
                skip(&mut next);
                next
            };
            let mut next = step(&reached);
            if !matches!(part, Part::Char(_)) {
                // A variable takes as many characters as the pattern has; a path may be empty.
                if *part == Part::Path {
                    next.iter_mut().zip(&reached).for_each(|(there, before)| *there |= before);
                }
                loop {
                    let more = step(&next);
                    let before = next.clone();
                    next.iter_mut().zip(more).for_each(|(there, more)| *there |= more);
                    if next == before {
                        break;
                    }
                }
            }
            reached = next;
        }
        reached[pattern.len()]
    }
}

fn shape(arn: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = arn;
    while let Some(character) = rest.chars().next() {
        if let Some((variable, after)) = rest.strip_prefix("${").and_then(|inside| inside.split_once('}')) {
            let path = variable.ends_with("Path") || matches!(variable, "ObjectName" | "OidcProviderName");
            parts.push(if path { Part::Path } else { Part::Word });
            rest = after;
        } else {
            parts.push(Part::Char(character));
            rest = &rest[character.len_utf8()..];
        }
    }
    parts
}

fn wild(text: &str) -> Vec<Wild> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        if let Some((inside, after)) = rest.strip_prefix("${").and_then(|inside| inside.split_once('}')) {
            tokens.push(match inside {
                "*" | "?" | "$" => Wild::Char(inside.chars().next().unwrap_or('$')),
                _ => Wild::Many,
            });
            rest = after;
            continue;
        }
        tokens.push(match character {
            '*' => Wild::Many,
            '?' => Wild::One,
            other => Wild::Char(other),
        });
        rest = &rest[character.len_utf8()..];
    }
    let fields = tokens.iter().filter(|token| **token == Wild::Char(':')).count();
    if text.starts_with("arn:") && fields < crate::arn::FIELDS - 1 {
        tokens.push(Wild::Many);
    }
    tokens
}
