//! The checks of what goes into the token.

use super::{
    Found, WarningId,
    alternatives::{Alternative, Test, alternatives},
    conditions::Bound,
    paths::{Flow, Path, flows},
    platform::{Platform, is_ref},
};
use crate::rules::{
    compile::toml_key,
    expression::Expression,
    rule::{Choice, Rule, Tag, TagSource, Text},
    template::{Part, Template},
};

/// Words in a tag's key that say that its value begins names in a bucket. A transitive tag counts as well.
const PREFIX_WORDS: &[&str] = &["prefix", "path", "folder", "directory", "tenant", "home"];

/// Whether a fixed tag holds the repository's id, so that repositories that share the rule stay apart.
pub(super) fn separates_repositories(platform: Platform, rule: &Rule) -> bool {
    rule.tags.iter().any(|tag| match &tag.value {
        TagSource::Fixed(template) => of_template(template).iter().any(|flow| flow.path.is(platform.repository().id)),
        TagSource::Chosen { .. } => false,
    })
}

pub(super) fn check(platform: Platform, taken: &[&Alternative<'_>], found: &mut Found<'_>) {
    let rule = found.rule;
    let mut looking = Looking { platform, taken, found };
    if let Text::Template(template) = &rule.subject {
        // The platform's own subject is put together unambiguously.
        looking.flows("subject", &of_template(template), &[Path::Subject]);
    }
    for (index, role) in rule.roles.iter().enumerate() {
        if let Text::Template(template) = role {
            looking.flows(&format!("roles[{index}]"), &of_template(template), &[]);
        }
    }
    for tag in &rule.tags {
        looking.tag(tag);
    }
}

/// The parts whose texts flow into what a template gives.
fn of_template(template: &Template) -> Vec<Flow> {
    let parts = match template {
        Template::Literal(_) => return Vec::new(),
        Template::Parts(parts) => parts,
    };
    let flowing = parts.iter().map(|part| match part {
        Part::Text(_) => Vec::new(),
        Part::Expression(expression) => flows(expression.tree()),
    });
    flowing.flatten().collect()
}

struct Looking<'a, 'f, 'r> {
    platform: Platform,
    taken: &'a [&'a Alternative<'a>],
    found: &'f mut Found<'r>,
}

impl Looking<'_, '_, '_> {
    fn tag(&mut self, tag: &Tag) {
        let field = format!("tags.{}", toml_key(tag.key.as_str()));
        let (among, default) = match &tag.value {
            TagSource::Fixed(template) => return self.flows(&field, &of_template(template), &[]),
            TagSource::Chosen { among, default, .. } => (among, default),
        };
        if let Some(default) = default {
            self.flows(&format!("{field}.default"), &of_template(default), &[]);
        }
        match among {
            Choice::Open if self.is_prefix(tag) => self.found.add(
                &field,
                WarningId::OpenPrefix,
                "a request may put anything here, and so choose another's prefix".to_owned(),
                prefix_fix(self.platform),
            ),
            Choice::Open => {}
            Choice::OneOf(values) => {
                for (index, value) in values.iter().enumerate() {
                    self.flows(&format!("{field}.one_of[{index}]"), &of_template(value), &[]);
                }
            }
            Choice::Matches(condition) => self.matches(&format!("{field}.matches"), tag, condition),
        }
    }

    fn matches(&mut self, field: &str, tag: &Tag, condition: &Expression) {
        let Some(ways) = alternatives(condition.tree(), true) else {
            return self.found.add(
                field,
                WarningId::UncheckedCondition,
                "the condition has too many alternatives (`||`, `? :`) to look at each".to_owned(),
                "use `in [\"a\", \"b\"]` instead of `||`".to_owned(),
            );
        };
        for way in &ways {
            let mut tight = false;
            for test in way.tests(&Path::Value) {
                match test {
                    Test::Same(other) => {
                        self.flows(field, &flows(other), &[]);
                        tight = true;
                    }
                    // What begins with the job's own id and a slash is its own.
                    Test::Below(other) => {
                        let flowing = flows(other);
                        self.flows(field, &flowing, &[]);
                        tight |= !flowing.is_empty() && ends_with_separator(other);
                    }
                    Test::Starts(start) => tight |= start.ends_with('/') && self.one_repository(),
                    Test::Matches(pattern) => {
                        let own = !pattern.leaves_slashes_open() || self.one_repository();
                        tight |= pattern.covers_all() && pattern.has_text() && own;
                    }
                    test => tight |= test.is_exact(),
                }
            }
            if !tight && self.is_prefix(tag) {
                self.found.add(
                    field,
                    WarningId::OpenPrefix,
                    "a request may choose another's prefix: the condition does not hold the whole value, from its start to a `/` or its end"
                        .to_owned(),
                    prefix_fix(self.platform),
                );
            }
        }
    }

    /// Whether every alternative is for one repository, or the few that it names.
    fn one_repository(&self) -> bool {
        self.taken.iter().all(|alternative| Bound::by(self.platform, alternative).repository_id)
    }

    fn is_prefix(&self, tag: &Tag) -> bool {
        let key = tag.key.as_str().to_lowercase();
        let transitive = self.found.rule.transitive.iter().any(|it| it.literal() == Some(tag.key.as_str()));
        transitive || PREFIX_WORDS.iter().any(|word| key.contains(word))
    }

    /// Texts that others choose, and names that may become others', in `field`.
    fn flows(&mut self, field: &str, flowing: &[Flow], fine: &[Path]) {
        for Flow { path, tame } in flowing {
            let written = path.written();
            if self.platform.is_free_text(path) {
                if !*tame && !fine.contains(path) && !self.taken.iter().all(|it| settles(it, path)) {
                    self.found.add(
                        field,
                        WarningId::ShapeableValue,
                        format!("`{written}` goes in as it is, and whoever names a branch or starts a job can choose it, with `/` and all"),
                        self.shape_fix(path),
                    );
                }
            } else if let Some((noun, id)) = self.named(path)
                && !self
                    .taken
                    .iter()
                    .all(|it| settles(it, path) || it.attribute(id).any(Test::is_exact) || self.is_one(it))
            {
                self.found.add(
                    field,
                    WarningId::NameWithoutId,
                    format!("`{written}` names the {noun} in the token, and a name can become somebody else's"),
                    format!("use `identity.attributes.{id}`"),
                );
            }
        }
    }

    fn is_one(&self, alternative: &Alternative<'_>) -> bool {
        Bound::by(self.platform, alternative).repository_id
    }

    fn shape_fix(&self, path: &Path) -> String {
        match path {
            Path::Subject | Path::Attributes => {
                format!("use an id, such as `identity.attributes.{}`", self.platform.repository().id)
            }
            _ => format!(
                "write `${{slug({0})}}`, or `${{segment({0})}}` to refuse what is not one plain part",
                path.written()
            ),
        }
    }

    /// Noun and id of what `path` names.
    fn named(&self, path: &Path) -> Option<(&'static str, &'static str)> {
        if self.platform == Platform::Oidc {
            return None;
        }
        let things = [self.platform.repository(), self.platform.owner()];
        things.into_iter().find(|thing| path.is(thing.name)).map(|thing| (thing.noun, thing.id))
    }
}

/// Whether the condition leaves of `path` only texts that the rule's author chose, at least where slashes are.
fn settles(alternative: &Alternative<'_>, path: &Path) -> bool {
    let tight = |test: &Test<'_>| match test {
        Test::OneOf(_) => true,
        Test::Matches(pattern) => !pattern.leaves_slashes_open(),
        _ => false,
    };
    if alternative.tests(path).any(tight) {
        return true;
    }
    // A ref, its branch and its tag are one thing under several names.
    let whole = |name: &str| matches!(name, "ref" | "branch" | "tag" | "ref_path");
    let Path::Attribute(name) = path else { return false };
    is_ref(name)
        && whole(name)
        && alternative.all().any(|(other, test)| matches!(other, Path::Attribute(other) if whole(other)) && tight(test))
}

/// Whether what `node` gives ends with a literal `/`.
fn ends_with_separator(node: &cel::IdedExpr) -> bool {
    use cel::common::ast::{Expr, LiteralValue, operators};
    match &node.expr {
        Expr::Literal(LiteralValue::String(text)) => text.inner().ends_with('/'),
        Expr::Call(call) if call.func_name == operators::ADD => call.args.last().is_some_and(ends_with_separator),
        _ => false,
    }
}

fn prefix_fix(platform: Platform) -> String {
    format!(
        "fix it with a template such as `ci/${{identity.attributes.{}}}`, or use a regular expression from `^` to `$`",
        platform.repository().id
    )
}
