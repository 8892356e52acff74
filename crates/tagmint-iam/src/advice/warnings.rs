//! What is unsafe about a trust policy although the token passes.

use super::{
    Warning,
    claims::{Claims, Maker},
    known_keys,
    subject::{IDS_SINCE, RepositorySubject, spelling},
};
use crate::{
    condition::{Set, Test},
    evaluate::Decision,
    policy::{Condition, Effect, Policy, Statement},
    provider::OidcProvider,
    subject::{Breadth, Platform, breadth, breadth_of_claim, never_matches},
    web_identity::provider_keys,
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
        warnings.extend(demanding_nothing(statement, provider.url()));
        warnings.extend(for_all_values(statement, provider.url()));
        warnings.extend(not_equals_empty(statement, provider.url()));
    }
    let denials = policy.statements.iter().filter(|statement| statement.effect == Effect::Deny);
    let token = claims.text("sub").unwrap_or_default();
    for statement in deciding(None).into_iter().chain(denials) {
        warnings.extend(never_matching(statement, provider.url(), token));
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

    /// The condition that says most about who gets in: on the subject, or on a claim that binds as it does.
    fn subject(&self) -> Option<Warning> {
        let token = self.claims.text("sub").unwrap_or_default();
        let platform = Platform::of(self.url, token);
        let of_subject =
            self.on("sub").map(|condition| widest(condition, |value, like| breadth(self.url, token, value, like)));
        let claims = platform.into_iter().flat_map(Platform::binding_claims);
        let of_claims = claims.flat_map(|claim| {
            let judge =
                move |value: &str, like| breadth_of_claim(self.url, token, claim, value, like).unwrap_or(Breadth::All);
            self.on(claim).map(move |condition| widest(condition, judge)).collect::<Vec<_>>()
        });
        let narrowest = of_subject.chain(of_claims).min_by_key(|(breadth, _)| *breadth);
        let exact = |claims: &[&str]| claims.iter().any(|claim| self.on(claim).any(names_exactly));
        let key = format!("{}:sub", self.url);
        let url = self.url;
        let words = platform.map(|platform| (platform.name, &platform.words));
        let project = words.map_or("subject", |(_, words)| words.project);
        let (id, text) = match narrowest {
            None => (
                "subject-unscoped",
                format!(
                    "the trust policy does not bind the subject: whoever gets a token from {url} can assume the role. Add a condition on {key}"
                ),
            ),
            Some((Breadth::All, value)) => (
                "subject-unscoped",
                words.map_or_else(
                    || {
                        format!(
                            "{value:?} does not bind the subject: whoever gets a token from {url} can assume the role. Name the subjects in {key}"
                        )
                    },
                    |(_, words)| {
                        let project = words.project;
                        format!(
                            "{value:?} does not bind the subject to a {project}: whoever gets a token from {url} can assume the role. Name the \
                             {project} in {key}"
                        )
                    },
                ),
            ),
            Some((Breadth::Several, value)) => {
                if platform.is_some_and(|platform| exact(platform.project_claims())) {
                    return None;
                }
                let text = format!(
                    "{value:?} admits every {project} that fits it, new ones too. Name the ones that may assume the role in {key}"
                );
                ("subject-broad", text)
            }
            Some((Breadth::AnyRef, value)) => {
                if platform.is_some_and(|platform| exact(platform.ref_claims())) {
                    return None;
                }
                let (refs, name) = words.map_or(("", "subject"), |(_, words)| (words.refs, words.name_ref));
                ("subject-any-ref", format!("{value:?} admits every {refs}. Name the {name} in {key}"))
            }
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
                if !provider_keys::has(self.url, "repository_id") {
                    let text = format!(
                        "the trust policy binds names, which another repository can take over when they become free; AWS has no condition key for \
                         repository_id of {}. Reserve the names on the server, or exchange the token at an issuer that binds repository_id",
                        self.url
                    );
                    return Some(Warning { id: "names-not-ids", text });
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
            Maker::GitLab if provider_keys::has(self.url, "project_id") => {
                if ["project_id", "namespace_id"].iter().any(|claim| self.on(claim).next().is_some()) {
                    return None;
                }
                let id = self.claims.scalar("project_id").unwrap_or_else(|| "…".to_owned());
                format!(
                    "the trust policy binds names, which another group or project can take over when they become free. Bind the id beside them: \
                     \"StringEquals\": {{\"{}:project_id\": \"{id}\"}}",
                    self.url
                )
            }
            Maker::GitLab => "the trust policy binds names, which another group or project can take over when they become free; AWS has no \
                              condition key for project_id of a self-managed GitLab. Protect the path on GitLab, or exchange the token at an \
                              issuer that binds project_id and ref_protected"
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
fn widest(condition: &Condition, judge: impl Fn(&str, bool) -> Breadth) -> (Breadth, String) {
    let like = condition.operator.test == Test::StringLike;
    let judged = condition.values.iter().map(|value| (judge(value.source(), like), value.source()));
    let widest = judged.max_by_key(|(breadth, _)| *breadth);
    widest.map_or((Breadth::Narrow, String::new()), |(breadth, value)| (breadth, value.to_owned()))
}

/// Whether a condition names its values without wildcards.
fn names_exactly(condition: &Condition) -> bool {
    let like = condition.operator.test == Test::StringLike;
    !condition.values.is_empty() && condition.values.iter().all(|value| !like || !value.source().contains(['*', '?']))
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
        let exists = known_keys::exists(&condition.key, url);
        condition.operator.set == Some(Set::ForAllValues)
            && exists
            && !there(&condition.key)
            && !guarded(&condition.key)
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

/// Conditions that are true without their key, on keys that no request has.
fn demanding_nothing(statement: &Statement, url: &str) -> Vec<Warning> {
    let vain = statement.conditions.iter().filter(|condition| {
        let operator = condition.operator;
        let true_without = operator.set == Some(Set::ForAllValues)
            || operator.if_exists
            || operator.negated && operator.set != Some(Set::ForAnyValue)
            || null(condition, "true");
        // Keys of AWS's own that this action lacks are not judged here.
        let is_claim = condition.key.split_once(':').is_some_and(|(issuer, _)| issuer.contains('.'));
        true_without && is_claim && !known_keys::exists(&condition.key, url)
    });
    vain.map(|condition| {
        let for_all = condition.operator.set == Some(Set::ForAllValues);
        Warning {
            id: if for_all { "for-all-values" } else { "key-never-sent" },
            text: format!(
                "{} on {} demands nothing: it is true for a request without the key, and {}",
                condition.operator,
                condition.key,
                known_keys::reason(&condition.key, url)
            ),
        }
    })
    .collect()
}

/// Values of a condition on the subject that match no subject: in an Allow they admit no caller, in a denial or a negated condition
/// they exclude no caller.
fn never_matching(statement: &Statement, url: &str, token: &str) -> Vec<Warning> {
    let key = format!("{url}:sub");
    let on_subject = statement.conditions.iter().filter(|condition| condition.key.eq_ignore_ascii_case(&key));
    on_subject
        .flat_map(|condition| {
            let Some(spelling) = spelling(condition.operator.test) else { return Vec::new() };
            let excludes = condition.operator.negated || statement.effect == Effect::Deny;
            let flaws = condition.values.iter().filter_map(|value| never_matches(url, token, value.source(), spelling));
            flaws
                .map(|flaw| {
                    let effect = if excludes { " It excludes nobody as it is" } else { "" };
                    let stop = if excludes { "." } else { "" };
                    let text = format!("{} on {key}: {}{stop}{effect}", condition.operator, flaw.warning());
                    Warning { id: "pattern-never-matches", text }
                })
                .collect()
        })
        .collect()
}

/// `StringNotEquals ""` looks as if it demanded a value.
fn not_equals_empty(statement: &Statement, url: &str) -> Vec<Warning> {
    let traps = statement.conditions.iter().filter(|condition| {
        let operator = condition.operator;
        operator.negated
            && known_keys::exists(&condition.key, url)
            && condition.values.iter().any(|value| value.source().is_empty())
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
