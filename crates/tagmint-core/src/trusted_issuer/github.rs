//! GitHub Actions: what the claims of its ID tokens say, and that they agree.
//!
//! Attributes are the platform's own claims under their own names. Derived from them are
//! - `branch` and `tag`: the rest of `ref` after `refs/heads/` or `refs/tags/`;
//! - `pull_request`: N of a `ref` that is `refs/pull/N/merge` or `refs/pull/N/head`;
//! - `subject_form`: `names` for `repo:OWNER/REPO:…`, `ids` for `repo:OWNER@ID/REPO@ID:…`, `custom` for a subject that the organisation
//!   or repository put together itself.
//!
//! A token is refused whose claims disagree about where it comes from, because a rule would get another answer from `sub` than from the
//! claim beside it:
//! - `repository` begins with `repository_owner` and a slash;
//! - a subject that begins with `repo:`, also a custom one, names `repository` and, where it has ids, `repository_owner_id` and
//!   `repository_id`;
//! - a subject that ends in `:environment:E` has the claim `environment`, and one that ends in `:ref:R` has the claim `ref`, with that value.
//!
//! Names are compared without regard to case, as GitHub does. Nothing is concluded from `job_workflow_ref`, `workflow_ref`, `actor` and
//! `head_ref`, which legitimately are of other repositories and owners (reusable and required workflows, forks), nor from an
//! `environment` that the subject does not mention (a custom subject).

use serde_json::{Map, Value};

use super::{
    TokenError,
    claims::{Reader, is_id, number_in_ref},
};

/// The attributes that are made here.
pub(super) const DERIVED: &[&str] = &["branch", "tag", "pull_request", "subject_form"];

const TEXTS: &[&str] = &[
    "repository",
    "repository_owner",
    "repository_visibility",
    "ref",
    "ref_type",
    "sha",
    "event_name",
    "environment",
    "job_workflow_ref",
    "job_workflow_sha",
    "workflow",
    "workflow_ref",
    "workflow_sha",
    "actor",
    "head_ref",
    "base_ref",
    "runner_environment",
    "enterprise",
];
const IDS: &[&str] = &[
    "repository_id",
    "repository_owner_id",
    "run_id",
    "run_number",
    "run_attempt",
    "actor_id",
    "check_run_id",
    "enterprise_id",
];
const FLAGS: &[&str] = &["ref_protected"];
/// Begins the names of the claims that are made of a repository's custom properties.
const PROPERTY: &str = "repo_property_";

/// The attributes that a token may have; those of custom claims aside.
pub(super) fn attribute_names() -> impl Iterator<Item = &'static str> {
    [TEXTS, IDS, FLAGS, DERIVED].into_iter().flatten().copied()
}

/// What rules see of a token. `further` names claims beside those known here.
pub(super) fn attributes(
    claims: &Map<String, Value>,
    subject: &str,
    further: Option<&[String]>,
) -> Result<Map<String, Value>, TokenError> {
    let mut reader = Reader::new(claims);
    for name in ["repository", "repository_owner"] {
        reader.required(name)?;
    }
    for name in ["repository_id", "repository_owner_id"] {
        reader.required_id(name)?;
    }
    reader.add_texts(TEXTS)?;
    reader.add_ids(IDS)?;
    reader.add_flags(FLAGS)?;
    reader.add_unchanged(|name| {
        name.starts_with(PROPERTY) || further.is_some_and(|names| names.iter().any(|n| n == name))
    });
    let form = check(&reader, subject)?;
    reader.add("subject_form", form.as_str());
    if let Some(git_ref) = reader.text("ref")? {
        if let Some(branch) = git_ref.strip_prefix("refs/heads/") {
            reader.add("branch", branch);
        } else if let Some(tag) = git_ref.strip_prefix("refs/tags/") {
            reader.add("tag", tag);
        } else if let Some(number) = number_in_ref(git_ref, "refs/pull/", &["merge", "head"]) {
            reader.add("pull_request", number);
        }
    }
    Ok(reader.finish())
}

/// How a subject is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Names,
    Ids,
    Custom,
}

impl Form {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Names => "names",
            Self::Ids => "ids",
            Self::Custom => "custom",
        }
    }
}

/// Where a subject says that the job belongs.
struct Repository<'a> {
    owner: &'a str,
    name: &'a str,
    /// The owner's id and the repository's.
    ids: Option<(&'a str, &'a str)>,
}

impl<'a> Repository<'a> {
    /// Reads `OWNER/REPO` or `OWNER@ID/REPO@ID`; neither name can hold an `@`.
    fn parse(text: &'a str) -> Option<Self> {
        let (owner, name) = text.split_once('/')?;
        match (owner.split_once('@'), name.split_once('@')) {
            (None, None) => Some(Self { owner, name, ids: None }),
            (Some((owner, owner_id)), Some((name, id))) if is_id(owner_id) && is_id(id) => {
                Some(Self { owner, name, ids: Some((owner_id, id)) })
            }
            _ => None,
        }
    }
}

/// Checks that claims and subject agree, and tells the subject's form.
fn check(reader: &Reader<'_>, subject: &str) -> Result<Form, TokenError> {
    let contradiction = |first, second| Err(TokenError::Contradiction { first, second });
    let (repository, owner) = (reader.required("repository")?, reader.required("repository_owner")?);
    let in_claims = Repository::parse(repository).filter(|parts| parts.ids.is_none() && !parts.name.contains('/'));
    let Some(in_claims) = in_claims else {
        return Err(TokenError::claim("repository", "is not of the form OWNER/NAME"));
    };
    if !in_claims.owner.eq_ignore_ascii_case(owner) {
        return contradiction("repository", "repository_owner");
    }
    let mut parts = subject.split(':');
    let (Some("repo"), Some(named)) = (parts.next(), parts.next()) else { return Ok(Form::Custom) };
    let Some(named) = Repository::parse(named) else { return contradiction("sub", "repository") };
    if !(named.owner.eq_ignore_ascii_case(in_claims.owner) && named.name.eq_ignore_ascii_case(in_claims.name)) {
        return contradiction("sub", "repository");
    }
    if let Some((owner_id, id)) = named.ids {
        if owner_id != reader.required_id("repository_owner_id")? {
            return contradiction("sub", "repository_owner_id");
        }
        if id != reader.required_id("repository_id")? {
            return contradiction("sub", "repository_id");
        }
    }
    let form = if named.ids.is_some() { Form::Ids } else { Form::Names };
    match parts.collect::<Vec<_>>()[..] {
        ["pull_request"] => Ok(form),
        ["environment", value] => {
            let environment = reader.text("environment")?.unwrap_or_default();
            if is_same(value, environment) { Ok(form) } else { contradiction("sub", "environment") }
        }
        ["ref", value] => {
            if is_same_ref(value, reader.text("ref")?.unwrap_or_default()) {
                Ok(form)
            } else {
                contradiction("sub", "ref")
            }
        }
        _ => Ok(Form::Custom),
    }
}

/// Environments are the same whose names differ in case alone.
fn is_same(in_subject: &str, environment: &str) -> bool {
    !environment.is_empty() && unescaped(in_subject).to_lowercase() == unescaped(environment).to_lowercase()
}

/// A ref keeps its case. One with a literal `%3A` in it stands as it is.
fn is_same_ref(in_subject: &str, reference: &str) -> bool {
    in_subject == reference || unescaped(in_subject) == reference
}

/// A colon inside a value stands as `%3A` in a subject.
fn unescaped(value: &str) -> String {
    value.replace("%3A", ":").replace("%3a", ":")
}
