//! Which rules a statement of a trust policy can be for, and what the tokens of these rules have in common.

use std::collections::BTreeSet;

use tagmint_core::rules::{Piece, RuleOutline, Shape, TagValues};

use super::{plan::PlanError, settings::RoleSettings};

/// Rules whose tokens have the same tags: one statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    /// The rules' names.
    pub(super) rules: Vec<String>,
    /// What their tokens' audiences are, in the rules' order.
    pub(super) audiences: Vec<String>,
    /// Patterns for their tokens' subjects.
    pub(super) subjects: Vec<String>,
    /// The keys of all their tags, sorted.
    pub(super) tags: BTreeSet<String>,
    /// The keys of those that every token has.
    pub(super) required: BTreeSet<String>,
    /// What is known of the tags that are prefixes of the bucket, in the order of the role's `access`.
    pub(super) prefixes: Vec<Prefix>,
}

/// What is known of a tag whose value is a prefix of the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Prefix {
    pub(super) tag: String,
    /// Patterns that its value fits.
    pub(super) like: Vec<String>,
    /// Patterns that its value must not fit.
    pub(super) unlike: Vec<String>,
}

/// Puts a role's rules together.
pub(super) fn of(role: &RoleSettings, rules: &[RuleOutline], problems: &mut Vec<PlanError>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for rule in rules {
        let group = match single(role, rule) {
            Ok(group) => group,
            Err(found) => {
                problems.extend(found);
                continue;
            }
        };
        let alike = |other: &&mut Group| {
            other.tags == group.tags && other.required == group.required && other.audiences == group.audiences
        };
        match groups.iter_mut().find(alike) {
            Some(other) => other.join(group),
            None => groups.push(group),
        }
    }
    groups
}

impl Group {
    fn join(&mut self, other: Self) {
        self.rules.extend(other.rules);
        add(&mut self.subjects, other.subjects);
        for (prefix, more) in self.prefixes.iter_mut().zip(other.prefixes) {
            add(&mut prefix.like, more.like);
            // What one of the rules may write must not be refused for the other.
            prefix.unlike.retain(|pattern| more.unlike.contains(pattern) || is_depth(pattern));
            for pattern in more.unlike.into_iter().filter(|pattern| is_depth(pattern)) {
                add(&mut prefix.unlike, vec![pattern]);
            }
            let deepest = prefix.unlike.iter().filter(|pattern| is_depth(pattern)).map(String::len).max();
            prefix.unlike.retain(|pattern| !is_depth(pattern) || Some(pattern.len()) == deepest);
        }
    }
}

/// Whether a pattern counts slashes.
fn is_depth(pattern: &str) -> bool {
    pattern.len() > 1 && pattern.split('/').all(|part| part == "*")
}

fn add(list: &mut Vec<String>, more: Vec<String>) {
    for item in more {
        if !list.contains(&item) {
            list.push(item);
        }
    }
}

fn single(role: &RoleSettings, outline: &RuleOutline) -> Result<Group, Vec<PlanError>> {
    let mut problems = Vec::new();
    let name = outline.name.as_str();
    let mut audiences = Vec::new();
    for audience in &outline.audiences {
        match audience.literal() {
            Some(text) => add(&mut audiences, vec![text.to_owned()]),
            None => problems.push(PlanError::Audience { rule: name.to_owned() }),
        }
    }
    audiences.sort();
    if !matches!(outline.subject.pieces().first(), Some(Piece::Text(_))) {
        problems.push(PlanError::Subject { rule: name.to_owned() });
    }
    let mut prefixes = Vec::new();
    for access in &role.access {
        let Some(tag) = outline.tags.iter().find(|tag| tag.key == access.tag) else { continue };
        let told = |why| PlanError::Tag { rule: name.to_owned(), tag: tag.key.clone(), why };
        if !tag.always {
            problems.push(told("is not in every token: fix it, or give it `default` or `required = true`"));
        }
        match &tag.values {
            TagValues::Open => problems.push(told("is open: whoever may use the rule would choose the prefix")),
            TagValues::Condition => prefixes.push(Prefix {
                tag: tag.key.clone(),
                like: vec!["?*".to_owned()],
                unlike: ["*..*", "/*", "*/", "*//*"].map(str::to_owned).to_vec(),
            }),
            TagValues::Shapes(shapes) => prefixes.push(of_shapes(&tag.key, shapes)),
        }
    }
    if prefixes.is_empty() && problems.is_empty() && !role.access.is_empty() {
        let tags = role.access.iter().map(|access| access.tag.clone()).collect();
        problems.push(PlanError::Untagged { rule: name.to_owned(), role: role.name.clone(), tags });
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let keys = |always: bool| outline.tags.iter().filter(move |tag| tag.always || !always).map(|tag| tag.key.clone());
    Ok(Group {
        rules: vec![name.to_owned()],
        audiences,
        subjects: vec![pattern(&outline.subject, "*")],
        tags: keys(false).collect(),
        required: keys(true).collect(),
        prefixes,
    })
}

fn of_shapes(tag: &str, shapes: &[Shape]) -> Prefix {
    let mut like = Vec::new();
    add(&mut like, shapes.iter().map(|shape| pattern(shape, "?*")).collect());
    let slashes = shapes.iter().map(|shape| {
        let texts = shape.pieces().iter().map(|piece| match piece {
            Piece::Text(text) => text.matches('/').count(),
            Piece::Claim(_) | Piece::Expression => 0,
        });
        texts.sum::<usize>()
    });
    // One slash more than the rule writes: a value that brings slashes of its own would lie in somebody else's prefix.
    let depth = "*/".repeat(slashes.max().unwrap_or(0) + 1) + "*";
    Prefix { tag: tag.to_owned(), like, unlike: vec![depth, "*..*".to_owned()] }
}

/// A pattern for a text, with `filler` for what an expression gives.
fn pattern(shape: &Shape, filler: &str) -> String {
    let mut pattern = String::new();
    for piece in shape.pieces() {
        match piece {
            Piece::Text(text) => pattern.extend(text.chars().map(|character| match character {
                // As characters, not as wildcards.
                '*' => "${*}".to_owned(),
                '?' => "${?}".to_owned(),
                '$' => "${$}".to_owned(),
                other => other.to_string(),
            })),
            Piece::Claim(_) | Piece::Expression if pattern.ends_with(filler) => {}
            Piece::Claim(_) | Piece::Expression => pattern.push_str(filler),
        }
    }
    pattern
}
