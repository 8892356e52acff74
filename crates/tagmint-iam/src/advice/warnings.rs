//! What is unsafe about a trust policy although the token passes.

use super::{
    Warning,
    claims::{Claims, Maker},
    subject::{Breadth, IDS_SINCE, RepositorySubject, breadth},
};
use crate::{
    condition::{Set, Test},
    evaluate::Decision,
    policy::{Condition, Effect, Policy, Statement},
    provider::OidcProvider,
};

const ASSUME: &str = "sts:AssumeRoleWithWebIdentity";
/// Claims that every accepted token has.
const ALWAYS: [&str; 2] = ["sub", "aud"];
const TAG: &str = "sts:TagSession";
const TAG_KEY: &str = "aws:RequestTag/";

/// Looks at the statements that let the token in.
pub(super) fn of(
    policy: &Policy,
    decisions: &[(String, Decision)],
    provider: Option<&OidcProvider>,
    claims: &Claims,
    opens_without_tags: bool,
) -> Vec<Warning> {
    let Some(provider) = provider else { return Vec::new() };
    let deciding = |wanted: Option<&str>| -> Vec<&Statement> {
        let of_action = decisions.iter().filter(|(action, _)| wanted.is_none_or(|wanted| wanted == action));
        let places = of_action.flat_map(|(_, decision)| decision.decisive.iter().map(|at| at.statement));
        let mut places: Vec<usize> = places.collect();
        places.sort_unstable();
        places.dedup();
        places.into_iter().filter_map(|place| policy.statements.get(place)).collect()
    };
    let mut warnings = Vec::new();
    for statement in deciding(Some(ASSUME)) {
        let look = Look { statement, url: provider.url(), claims };
        warnings.extend([look.subject(), look.names()].into_iter().flatten());
    }
    if opens_without_tags {
        warnings.extend(tag_not_demanded(policy, claims));
    }
    for statement in deciding(None) {
        warnings.extend(for_all_values(statement, provider.url()));
        warnings.extend(not_equals_empty(statement));
    }
    warnings.dedup();
    warnings
}

struct Look<'a> {
    statement: &'a Statement,
    url: &'a str,
    claims: &'a Claims,
}

/// Whether a condition is false without its key and asks for certain texts.
fn demands(condition: &Condition) -> bool {
    let operator = condition.operator;
    names_texts(condition) && !operator.if_exists && operator.set != Some(Set::ForAllValues)
}

/// Whether a condition asks for certain texts where its key is there.
fn names_texts(condition: &Condition) -> bool {
    !condition.operator.negated && condition.operator.test != Test::Null
}

fn null(condition: &Condition, wanted: &str) -> bool {
    condition.operator.test == Test::Null
        && condition.values.iter().all(|value| value.source().eq_ignore_ascii_case(wanted))
}

impl Look<'_> {
    fn on<'s>(&'s self, claim: &'s str) -> impl Iterator<Item = &'s Condition> {
        let key = format!("{}:{claim}", self.url);
        // These two are always there, so what is true without its key never comes to bear.
        let always = ALWAYS.contains(&claim);
        let conditions = self.statement.conditions.iter();
        conditions.filter(move |condition| {
            condition.key.eq_ignore_ascii_case(&key) && (demands(condition) || always && names_texts(condition))
        })
    }

    /// The condition that says most about the subject says how much gets in.
    fn subject(&self) -> Option<Warning> {
        let bound = ["repository_id", "repository", "job_workflow_ref"];
        let elsewhere = self.claims.maker() == Maker::GitHub
            && bound.iter().any(|claim| self.on(claim).any(|condition| width(condition) == Breadth::Narrow));
        if elsewhere {
            return None;
        }
        let widths = self.on("sub").map(|condition| {
            let widest = condition.values.iter().max_by_key(|value| rank(one_width(condition, value.source())));
            (width(condition), widest.map(|value| value.source().to_owned()).unwrap_or_default())
        });
        let narrowest = widths.min_by_key(|(width, _)| rank(*width));
        let key = format!("{}:sub", self.url);
        let (id, text) = match narrowest {
            None | Some((Breadth::All, _)) => (
                "subject-unscoped",
                format!(
                    "the trust policy does not bind the subject: whoever gets a token from {} can assume the role. Add a condition on {key}",
                    self.url
                ),
            ),
            Some((Breadth::Several, value)) => (
                "subject-broad",
                format!(
                    "{value:?} admits every repository or project that fits it, new ones too. Name the ones that may assume the role in {key}"
                ),
            ),
            Some((Breadth::AnyRef, value)) => (
                "subject-any-ref",
                format!(
                    "{value:?} admits every branch, tag, environment and pull request. Name the branch or environment in {key}"
                ),
            ),
            Some((Breadth::Narrow, _)) => return None,
        };
        Some(Warning { id, text })
    }

    /// Names can be taken over by others, ids cannot.
    fn names(&self) -> Option<Warning> {
        let text = match self.claims.maker() {
            Maker::GitHub => {
                let bound = ["repository_id", "repository_owner_id", "enterprise_id"];
                let by_id = bound.iter().any(|claim| self.on(claim).next().is_some());
                let in_subject = |condition: &Condition| {
                    let with_ids =
                        |value: &str| RepositorySubject::parse(value).is_some_and(|subject| subject.binds_ids());
                    condition.values.iter().all(|value| with_ids(value.source()))
                };
                if by_id || self.on("sub").any(in_subject) {
                    return None;
                }
                let id = |claim: &str| self.claims.text(claim).unwrap_or("…").to_owned();
                format!(
                    "the trust policy binds names, which another account can take over when they become free. Bind ids beside them: \
                     \"StringEquals\": {{\"{url}:repository_id\": \"{}\", \"{url}:repository_owner_id\": \"{}\"}} (subjects with ids, as \
                     repositories have them since {IDS_SINCE}, do as well)",
                    id("repository_id"),
                    id("repository_owner_id"),
                    url = self.url,
                )
            }
            Maker::GitLab => "the trust policy binds names, which another group or project can take over when they become free; AWS has no \
                              condition key for GitLab's project_id. Protect the path on GitLab, or exchange the token at an issuer that binds \
                              project_id and ref_protected"
                .to_owned(),
            Maker::Other => return None,
        };
        Some(Warning { id: "names-not-ids", text })
    }
}

/// For a policy that lets the token in without its tags as well: whether it deals with tags at all.
fn tag_not_demanded(policy: &Policy, claims: &Claims) -> Option<Warning> {
    let allows_tags = policy.statements.iter().any(|statement| {
        statement.effect == Effect::Allow
            && !statement.action.negated
            && statement.action.names.iter().any(|name| name.eq_ignore_ascii_case(TAG))
    });
    let tags = claims.tag_keys();
    if tags.is_empty() && !allows_tags {
        return None;
    }
    let tag = tags.first().copied().unwrap_or("KEY");
    let text = format!(
        "the trust policy allows tags and demands none: a token without them opens a session, too. Add \"Null\": \
         {{\"aws:RequestTag/{tag}\": \"false\"}} to the statement that allows {ASSUME}"
    );
    Some(Warning { id: "tag-not-demanded", text })
}

/// The values of a condition are alternatives: the widest counts.
fn width(condition: &Condition) -> Breadth {
    let widths = condition.values.iter().map(|value| one_width(condition, value.source()));
    widths.max_by_key(|width| rank(*width)).unwrap_or(Breadth::Narrow)
}

fn one_width(condition: &Condition, value: &str) -> Breadth {
    breadth(value, condition.operator.test == Test::StringLike)
}

const fn rank(breadth: Breadth) -> u8 {
    match breadth {
        Breadth::Narrow => 0,
        Breadth::AnyRef => 1,
        Breadth::Several => 2,
        Breadth::All => 3,
    }
}

/// Set operators are for keys that a request has in any case.
fn for_all_values(statement: &Statement, url: &str) -> Vec<Warning> {
    let always = ALWAYS.map(|claim| format!("{url}:{claim}"));
    let there = |key: &str| always.iter().any(|always| always.eq_ignore_ascii_case(key));
    let guarded = |key: &str| {
        // Where one tag is demanded, there are keys of tags.
        let tag_keys = key.eq_ignore_ascii_case("aws:TagKeys");
        let is_tag = |key: &str| key.get(..TAG_KEY.len()).is_some_and(|start| start.eq_ignore_ascii_case(TAG_KEY));
        let same =
            |condition: &&Condition| condition.key.eq_ignore_ascii_case(key) || tag_keys && is_tag(&condition.key);
        statement.conditions.iter().filter(same).any(|condition| demands(condition) || null(condition, "false"))
    };
    let open = statement.conditions.iter().filter(|condition| {
        condition.operator.set == Some(Set::ForAllValues) && !there(&condition.key) && !guarded(&condition.key)
    });
    open.map(|condition| Warning {
        id: "for-all-values",
        text: format!(
            "{} on {} is true for a request without the key. Add \"Null\": {{\"{}\": \"false\"}} to the statement",
            condition.operator, condition.key, condition.key
        ),
    })
    .collect()
}

/// `StringNotEquals ""` looks as if it demanded a value.
fn not_equals_empty(statement: &Statement) -> Vec<Warning> {
    let traps = statement.conditions.iter().filter(|condition| {
        let operator = condition.operator;
        operator.negated && condition.values.iter().any(|value| value.source().is_empty())
    });
    traps
        .map(|condition| Warning {
            id: "string-not-equals-empty",
            text: format!(
                "{} on {} with \"\" does not demand the key: it is true for a request without it. Write \"Null\": {{\"{}\": \"false\"}}",
                condition.operator, condition.key, condition.key
            ),
        })
        .collect()
}
