//! The claims that a rule's matches bind.

use serde_json::Value;

use super::{Found, WarningId};
use crate::{
    rules::{
        matching::{Match, Pattern, Test},
        rule::{Rule, Tag, TagSource},
        template::{Part, Template},
        vocabulary::SUBJECT,
    },
    trusted_issuer::{
        IssuerKind,
        kind::{Claim, Meaning, OtherClaims, Scope},
    },
};

/// Words in a tag's key that say that its value begins names in a bucket. A transitive tag counts as well.
const PREFIX_WORDS: &[&str] = &["prefix", "path", "folder", "directory", "tenant", "home"];

/// The claims that are bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // independent of each other
pub(super) struct Bound {
    /// The repository, by its id or by a subject that is one.
    pub(super) repository_id: bool,
    repository_name: bool,
    owner_id: bool,
    owner_name: bool,
    /// The repository, by a name that its owner gives once.
    only_name: bool,
    workflow: bool,
    /// Something else of an issuer of which no more is known.
    other: bool,
}

impl Bound {
    fn by(rule: &Rule, kind: IssuerKind) -> Self {
        let has_ids = id_of(kind, Scope::Repository).is_some();
        let mut bound = Self::default();
        for it in rule.matches.iter().filter(|it| narrows(it)) {
            let exact = it.exact();
            if it.name == SUBJECT {
                match exact {
                    Some(values) if !has_ids || values.iter().all(|value| names_by_id(kind, value)) => {
                        bound.repository_id = true;
                    }
                    _ => bound.repository_name = true,
                }
                continue;
            }
            match it.claim.map(|claim| claim.meaning) {
                Some(Meaning::Id(Scope::Repository)) => bound.repository_id |= exact.is_some(),
                Some(Meaning::Name { scope: Scope::Repository, id: None }) => bound.only_name |= exact.is_some(),
                Some(Meaning::Id(Scope::Owner) | Meaning::Name { scope: Scope::Owner, id: None }) => {
                    bound.owner_id |= exact.is_some();
                }
                Some(Meaning::Name { scope: Scope::Repository, .. }) => bound.repository_name = true,
                Some(Meaning::Name { scope: Scope::Owner, .. }) => bound.owner_name = true,
                Some(Meaning::Workflow) => bound.workflow = true,
                Some(Meaning::Id(Scope::Other) | Meaning::Name { .. } | Meaning::Shapeable | Meaning::Issuer) => {}
                // What an issuer of no known kind calls its claims says who it is.
                None => bound.other |= kind.table().others == OtherClaims::Kept || it.name.starts_with('/'),
            }
        }
        // Every owner may have one of this name.
        let of_owner = |claim: &Claim| {
            matches!(claim.meaning, Meaning::Id(Scope::Owner) | Meaning::Name { scope: Scope::Owner, .. })
        };
        let has_owners = kind.table().claims.iter().any(of_owner);
        bound.repository_id |= bound.only_name && (bound.owner_id || !has_owners);
        bound
    }
}

/// The id of the kind's repositories or owners.
fn id_of(kind: IssuerKind, scope: Scope) -> Option<&'static Claim> {
    kind.table().claims.iter().find(|claim| claim.meaning == Meaning::Id(scope))
}

/// Whether a match asks for certain values.
fn narrows(it: &Match) -> bool {
    let universal = |pattern: &Pattern| matches!(pattern, Pattern::Glob(glob) if glob.is_universal());
    matches!(&it.test, Test::OneOf(patterns) if !patterns.iter().any(universal))
}

/// Whether a subject has the repository's id in it, at its place.
fn names_by_id(kind: IssuerKind, subject: &Value) -> bool {
    let has_id =
        |form: &&&str| ["<repository id>", "<repository UUID>", "<project id>"].iter().any(|id| form.contains(id));
    let with_id = kind.table().subjects.iter().filter(has_id);
    subject
        .as_str()
        .is_some_and(|text| with_id.into_iter().any(|form| crate::trusted_issuer::kind::is_of_form(form, text)))
}

/// Looks at the matches, and tells what they bind.
pub(super) fn check(kind: IssuerKind, found: &mut Found<'_>) -> Bound {
    let rule = found.rule;
    let bound = Bound::by(rule, kind);
    names(rule, bound, kind, found);
    repository(rule, bound, kind, found);
    if kind == IssuerKind::GITHUB {
        pull_request_target(rule, found);
    }
    if kind == IssuerKind::GITLAB {
        unprotected_ref(rule, found);
    }
    bound
}

/// Names that are relied on without their id.
fn names(rule: &Rule, bound: Bound, kind: IssuerKind, found: &mut Found<'_>) {
    let exactly = |id: &str| rule.matches.iter().any(|it| it.name == id && it.exact().is_some());
    for it in rule.matches.iter().filter(|it| narrows(it)) {
        let id = match it.claim.map(|claim| claim.meaning) {
            Some(Meaning::Name { scope: Scope::Repository, id: Some(id) }) if !bound.repository_id => id,
            Some(Meaning::Name { scope: Scope::Owner, id: Some(id) }) if !(bound.owner_id || bound.repository_id) => id,
            Some(Meaning::Name { scope: Scope::Other, id: Some(id) }) if !exactly(id) => id,
            None if it.name == SUBJECT && !bound.repository_id => match id_of(kind, Scope::Repository) {
                Some(claim) => claim.name,
                None => continue,
            },
            _ => continue,
        };
        let text = format!(
            "`{}` is a name, and another owner can take the name later (after a rename, a transfer or a deletion)",
            it.name
        );
        found.add("match", WarningId::NameWithoutId, text, bind(id));
    }
}

fn repository(rule: &Rule, bound: Bound, kind: IssuerKind, found: &mut Found<'_>) {
    if bound.repository_id || bound.repository_name || bound.other {
        return;
    }
    let id = id_of(kind, Scope::Repository).map(|claim| claim.name);
    let not_analysed = if rule.when.is_some() { " (`when` is not analysed)" } else { "" };
    if !(bound.owner_id || bound.owner_name || bound.workflow) {
        let text = format!("every token of `{}` may use this rule{not_analysed}", rule.from.as_str());
        return found.add("match", WarningId::NothingBound, text, bind(id.unwrap_or(SUBJECT)));
    }
    let by_owner = bound.owner_id || bound.owner_name;
    if by_owner && id.is_some_and(|id| is_separated(rule, id)) {
        return;
    }
    let fix = match id {
        Some(id) => format!("{}, or give each its own prefix with a tag made of `${{{id}}}`", bind(id)),
        None => bind(SUBJECT),
    };
    if bound.workflow {
        let text =
            format!("a reusable workflow is bound, and every repository that may call it gets the token{not_analysed}");
        found.add("match", WarningId::WorkflowWithoutRepository, text, fix);
    } else {
        let text = format!("everything of this owner may use this rule{not_analysed}");
        found.add("match", WarningId::OwnerWithoutRepository, text, fix);
    }
}

/// Whether the tags hold `id`, so that repositories that share the rule stay apart: each tag that is a prefix; where there is none,
/// any fixed one.
fn is_separated(rule: &Rule, id: &str) -> bool {
    let mut prefixes = rule.tags.iter().filter(|tag| is_prefix(rule, tag)).peekable();
    if prefixes.peek().is_some() {
        return prefixes.all(|tag| holds_id(&tag.value, id));
    }
    rule.tags.iter().any(|tag| matches!(tag.value, TagSource::Fixed(_)) && holds_id(&tag.value, id))
}

/// Whether a tag's value begins names in a bucket.
pub(super) fn is_prefix(rule: &Rule, tag: &Tag) -> bool {
    let key = tag.key.as_str().to_lowercase();
    let transitive = rule.transitive.iter().any(|it| it.literal() == Some(tag.key.as_str()));
    transitive || PREFIX_WORDS.iter().any(|word| key.contains(word))
}

/// Whether every value that a request can get for the tag holds `id`, with no digit next to it.
fn holds_id(value: &TagSource, id: &str) -> bool {
    use crate::rules::rule::Choice;
    match value {
        TagSource::Fixed(template) => has_whole(template, id),
        TagSource::Chosen { among: Choice::OneOf(values), .. } => values.iter().all(|value| has_whole(value, id)),
        TagSource::Chosen { .. } => false,
    }
}

fn has_whole(template: &Template, id: &str) -> bool {
    let Template::Parts(parts) = template else { return false };
    let apart = |part: Option<&Part>, end: fn(&str) -> Option<char>| match part {
        None => true,
        Some(Part::Text(text)) => !end(text).is_some_and(|c| c.is_ascii_digit()),
        Some(_) => false,
    };
    parts.iter().enumerate().any(|(at, part)| {
        matches!(part, Part::Claim(name) if name == id)
            && apart(at.checked_sub(1).map(|at| &parts[at]), |text| text.chars().last())
            && apart(parts.get(at + 1), |text| text.chars().next())
    })
}

/// `pull_request_target` runs with the base's ref, environment access and rights, on a stranger's request.
fn pull_request_target(rule: &Rule, found: &mut Found<'_>) {
    let all = |it: &Match, fits: &dyn Fn(&str) -> bool| {
        it.exact().is_some_and(|values| values.iter().all(|value| value.as_str().is_some_and(fits)))
    };
    let said_or_excluded = rule.matches.iter().any(|it| match it.name.as_str() {
        "event_name" => narrows(it),
        "ref_type" => all(it, &|text| text != "branch"),
        "ref" => match &it.test {
            Test::OneOf(patterns) => !patterns.iter().any(|pattern| {
                pattern.to_string().starts_with("\"refs/heads") || !pattern.to_string().starts_with("\"refs/")
            }),
            Test::Absent => true,
            Test::Present => false,
        },
        "branch" => it.test == Test::Absent,
        "tag" | "pull_request" => it.test != Test::Absent,
        "head_ref" | "base_ref" => all(it, &str::is_empty),
        SUBJECT => all(it, &|text| text.contains(":ref:refs/tags/")),
        _ => false,
    });
    if !said_or_excluded {
        let text = "`pull_request_target` passes too: it has the base's branch and environments, while a stranger's pull request starts it";
        let fix = "match the events, for example `event_name = [\"push\", \"workflow_dispatch\"]`";
        found.add("match", WarningId::PullRequestTarget, text.to_owned(), fix.to_owned());
    }
}

/// GitLab: anyone who can push to the project can create a branch of any name, unless the name is protected.
fn unprotected_ref(rule: &Rule, found: &mut Found<'_>) {
    let names_a_ref = rule.matches.iter().any(|it| match it.name.as_str() {
        "ref" | "branch" | "tag" | "ref_path" => narrows(it),
        SUBJECT => it
            .exact()
            .is_some_and(|values| values.iter().any(|value| value.as_str().is_some_and(|it| it.contains(":ref:")))),
        _ => false,
    });
    let protected =
        rule.matches.iter().any(|it| it.name == "ref_protected" && it.exact() == Some(vec![&Value::Bool(true)]));
    if names_a_ref && !protected {
        let text = "a branch or tag is bound by its name, and where that is not protected every developer of the project can push to it";
        found.add("match", WarningId::UnprotectedRef, text.to_owned(), "add `ref_protected = true`".to_owned());
    }
}

fn bind(claim: &str) -> String {
    format!("add `{claim} = \"…\"` to `match`")
}
