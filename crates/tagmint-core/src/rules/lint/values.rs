//! The checks of what goes into the token.

use super::{
    Found, WarningId,
    alternatives::{Alternative, Test, alternatives},
    conditions::Bound,
    paths::{Flow, Path, Piece, flows, flows_of, path, pieces, push_text},
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

/// Whether the tags hold the repository's id, so that repositories that share the rule stay apart: each tag that is
/// a prefix; where there is none, any fixed one.
pub(super) fn separates_repositories(platform: Platform, rule: &Rule) -> bool {
    let id = platform.repository().id;
    let mut prefixes = rule.tags.iter().filter(|tag| is_prefix(rule, tag)).peekable();
    if prefixes.peek().is_some() {
        return prefixes.all(|tag| holds_id(&tag.value, id));
    }
    rule.tags.iter().any(|tag| matches!(tag.value, TagSource::Fixed(_)) && holds_id(&tag.value, id))
}

/// Whether every value that a request can get for the tag holds `id`. A default alone does not say so: the request
/// may choose something else.
fn holds_id(value: &TagSource, id: &str) -> bool {
    match value {
        TagSource::Fixed(template) => has_whole(&of_parts(template), id),
        TagSource::Chosen { among, .. } => match among {
            Choice::Open => false,
            Choice::OneOf(values) => values.iter().all(|value| has_whole(&of_parts(value), id)),
            Choice::Matches(condition) => alternatives(condition.tree(), true).is_some_and(|ways| {
                ways.iter().all(|way| {
                    way.tests(&Path::Value).any(|test| match test {
                        Test::Same(other) => has_whole(&of_node(other), id),
                        Test::Below(other) => ends_with_separator(other) && has_whole(&of_node(other), id),
                        _ => false,
                    })
                })
            }),
        },
    }
}

/// Whether one of the pieces is the attribute `id`, with no other piece or digit next to it.
fn has_whole(pieces: &[Piece<'_>], id: &str) -> bool {
    let ends = |next: Option<&Piece<'_>>, of: fn(&str) -> Option<char>| match next {
        None => true,
        Some(Piece::Node(_)) => false,
        Some(Piece::Text(text)) => !of(text).is_some_and(|c| c.is_ascii_digit()),
    };
    pieces.iter().enumerate().any(|(at, piece)| {
        let Piece::Node(node) = piece else { return false };
        path(node, None).is_some_and(|path| path.is(id))
            && ends(at.checked_sub(1).map(|at| &pieces[at]), |text| text.chars().last())
            && ends(pieces.get(at + 1), |text| text.chars().next())
    })
}

fn is_prefix(rule: &Rule, tag: &Tag) -> bool {
    let key = tag.key.as_str().to_lowercase();
    let transitive = rule.transitive.iter().any(|it| it.literal() == Some(tag.key.as_str()));
    transitive || PREFIX_WORDS.iter().any(|word| key.contains(word))
}

pub(super) fn check(platform: Platform, taken: &[&Alternative<'_>], found: &mut Found<'_>) {
    let rule = found.rule;
    let mut looking = Looking { platform, taken, found };
    if let Text::Template(template) = &rule.subject {
        // The platform's own subject is put together unambiguously.
        looking.flows("subject", &of_template(template), &[Path::Subject]);
    }
    for (index, audience) in rule.audiences.iter().enumerate() {
        if let Text::Template(template) = audience {
            looking.flows(&format!("audiences[{index}]"), &of_template(template), &[]);
        }
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
    flows_of(&of_parts(template))
}

/// The pieces of a template; none of one without expressions.
fn of_parts(template: &Template) -> Vec<Piece<'_>> {
    let parts = match template {
        Template::Literal(_) => return Vec::new(),
        Template::Parts(parts) => parts,
    };
    let mut all = Vec::new();
    for part in parts {
        match part {
            Part::Text(text) => push_text(text, &mut all),
            Part::Expression(expression) => pieces(expression.tree(), &mut all),
        }
    }
    all
}

fn of_node(node: &cel::IdedExpr) -> Vec<Piece<'_>> {
    let mut all = Vec::new();
    pieces(node, &mut all);
    all
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
            Choice::Open if is_prefix(self.found.rule, tag) => self.found.add(
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
                    // What begins with the job's own id and a slash is its own, or its owner's.
                    Test::Below(other) => {
                        let flowing = flows(other);
                        self.flows(field, &flowing, &[]);
                        let ids = [self.platform.repository().id, self.platform.owner().id];
                        let own = ids.iter().any(|id| has_whole(&of_node(other), id)) || self.one_repository();
                        tight |= !flowing.is_empty() && ends_with_separator(other) && own;
                    }
                    Test::Starts(start) => tight |= start.ends_with('/') && self.one_repository(),
                    Test::Matches(pattern) => {
                        let own = pattern.covers_all() && pattern.has_text() && self.one_repository();
                        tight |= pattern.is_a_list() || own;
                    }
                    test => tight |= test.is_exact(),
                }
            }
            if !tight && is_prefix(self.found.rule, tag) {
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

    /// Whether every alternative is for one repository (of another issuer: one subject), or the few that it names.
    fn one_repository(&self) -> bool {
        let subject =
            |it: &Alternative<'_>| self.platform == Platform::Oidc && it.tests(&Path::Subject).any(Test::is_exact);
        self.taken.iter().all(|it| self.is_one(it) || subject(it))
    }

    /// Texts that others choose, and names that may become others', in `field`.
    fn flows(&mut self, field: &str, flowing: &[Flow], fine: &[Path]) {
        for Flow { path, tame, glued } in flowing {
            let written = path.written();
            if self.platform.is_free_text(path) {
                if self.taken.iter().all(|it| settles(self.platform, it, path, is_listed))
                    || (!*tame && fine.contains(path))
                {
                    continue;
                }
                let in_one_part = *tame || self.taken.iter().all(|it| settles(self.platform, it, path, has_no_slash));
                if in_one_part && !*glued {
                    continue;
                }
                if in_one_part {
                    let text = format!(
                        "`{written}` has no `/` between it and the part beside it, so whoever chooses it can make the two look like others"
                    );
                    let fix = "write `/` between the parts, and right after this one".to_owned();
                    self.found.add(field, WarningId::ShapeableValue, text, fix);
                } else {
                    let who = match self.platform {
                        Platform::Oidc => "whoever may choose it at the provider",
                        _ => "whoever names a branch or starts a job",
                    };
                    self.found.add(
                        field,
                        WarningId::ShapeableValue,
                        format!("`{written}` goes in as it is, and {who} can choose it, with `/` and all"),
                        self.shape_fix(path),
                    );
                }
            } else if let Some((noun, id)) = self.named(path)
                && !self.taken.iter().all(|it| {
                    settles(self.platform, it, path, has_no_slash)
                        || it.attribute(id).any(Test::is_exact)
                        || self.is_one(it)
                })
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
            Path::Subject | Path::Attributes if self.platform != Platform::Oidc => {
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

/// Whether only texts pass that stand in the rule.
fn is_listed(test: &Test<'_>) -> bool {
    test.is_exact()
}

/// Whether a test leaves only texts that the rule's author chose, at least where slashes are.
fn has_no_slash(test: &Test<'_>) -> bool {
    match test {
        Test::OneOf(_) => true,
        Test::Matches(pattern) => !pattern.leaves_slashes_open(),
        _ => false,
    }
}

/// Whether a `tight` test holds of `path`.
fn settles(platform: Platform, alternative: &Alternative<'_>, path: &Path, tight: fn(&Test<'_>) -> bool) -> bool {
    if alternative.tests(path).any(tight) {
        return true;
    }
    // A ref, its branch and its tag are one thing under several names.
    let whole = |name: &str| matches!(name, "ref" | "branch" | "tag" | "ref_path");
    let Path::Attribute(name) = path else { return false };
    platform != Platform::Oidc
        && is_ref(name)
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
