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

use super::{Claim, Kind, OtherClaims, Scope};
use crate::trusted_issuer::{
    TokenAlgorithm, TokenError,
    claims::{Reader, is_id, number_in_ref},
};

/// Source: GitHub Docs, "OpenID Connect reference"; the discovery document's `claims_supported` of 2026.
pub(super) const KIND: Kind = Kind {
    name: "github",
    title: "GitHub Actions",
    default_issuer: Some("https://token.actions.githubusercontent.com"),
    issuers: &[
        "https://token.actions.githubusercontent.com",
        "https://token.actions.githubusercontent.com/<enterprise slug>",
        "https://<GitHub Enterprise Server host>/_services/token",
    ],
    algorithms: &[TokenAlgorithm::Rs256],
    has_nbf: true,
    audience_list: false,
    subjects: &[
        "repo:<owner>/<repository>:ref:refs/heads/<branch>",
        "repo:<owner>/<repository>:ref:refs/tags/<tag>",
        "repo:<owner>/<repository>:pull_request",
        "repo:<owner>/<repository>:environment:<environment>",
        "repo:<owner>@<owner id>/<repository>@<repository id>:…",
        "<what the organization or repository chose>",
    ],
    claims: &[
        Claim::id("repository_id", Scope::Repository, "The repository's id. It stays through renames and transfers")
            .required(),
        Claim::id("repository_owner_id", Scope::Owner, "The id of the user or organization that owns the repository")
            .required(),
        Claim::named("repository", Scope::Repository, Some("repository_id"), "`octo-org/octo-repo`").required(),
        Claim::named("repository_owner", Scope::Owner, Some("repository_owner_id"), "`octo-org`").required(),
        Claim::fixed("repository_visibility", "`public`, `private` or `internal`"),
        Claim::fixed(
            "event_name",
            "The event: `push`, `pull_request`, `pull_request_target`, `workflow_dispatch`, `schedule`, …",
        ),
        Claim::shapeable("ref", "`refs/heads/main`").glob(),
        Claim::fixed("ref_type", "`branch` or `tag`"),
        Claim::flag("ref_protected", "Whether branch protection or a ruleset covers the ref"),
        Claim::shapeable("branch", "What follows `refs/heads/` in `ref`").derived().glob(),
        Claim::shapeable("tag", "What follows `refs/tags/` in `ref`").derived().glob(),
        Claim::integer("pull_request", "The number, where `ref` is `refs/pull/N/merge` or `refs/pull/N/head`")
            .derived(),
        Claim::shapeable("head_ref", "The source branch of a pull request").glob(),
        Claim::shapeable("base_ref", "The target branch of a pull request").glob(),
        Claim::shapeable("environment", "The job's environment. Its protection rules were kept"),
        Claim::shapeable("workflow", "The workflow's name"),
        Claim::workflow(
            "workflow_ref",
            "The workflow's file and ref: `octo-org/octo-repo/.github/workflows/ci.yml@refs/heads/main`",
        )
        .glob(),
        Claim::fixed("workflow_sha", "The commit of the workflow's file"),
        Claim::workflow("job_workflow_ref", "The reusable workflow that the job is in, of any repository").glob(),
        Claim::fixed("job_workflow_sha", "The commit of the reusable workflow"),
        Claim::named("actor", Scope::Other, Some("actor_id"), "The account that started the run"),
        Claim::id("actor_id", Scope::Other, "The id of the account that started the run"),
        Claim::number("run_id", "The run's id"),
        Claim::number("run_number", "The run's number in its workflow"),
        Claim::number("run_attempt", "The attempt's number, from 1"),
        Claim::number("check_run_id", "The job's id"),
        Claim::fixed("sha", "The commit"),
        Claim::fixed("runner_environment", "`github-hosted` or `self-hosted`"),
        Claim::named("enterprise", Scope::Owner, Some("enterprise_id"), "The enterprise's slug"),
        Claim::id("enterprise_id", Scope::Owner, "The enterprise's id"),
        Claim::fixed("subject_form", "`names`, `ids` or `custom`: how `sub` is written").derived(),
    ],
    others: OtherClaims::Prefixed("repo_property_"),
    derive,
    sample: include_str!("samples/github.json"),
};

fn derive(reader: &mut Reader<'_>, subject: &str) -> Result<(), TokenError> {
    let form = check(reader, subject)?;
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
    Ok(())
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
