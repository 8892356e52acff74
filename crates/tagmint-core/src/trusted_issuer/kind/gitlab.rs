//! GitLab CI: what the claims of its ID tokens say, and that they agree.
//!
//! Attributes are the platform's own claims under their own names; ids are texts of digits, whichever way GitLab writes them (`runner_id` is a number),
//! `ref_protected` and `environment_protected` booleans. Derived from them are
//! - `branch` and `tag`: `ref`, by `ref_type`;
//! - `merge_request`: N of a `ref` or `ref_path` that is `refs/merge-requests/N/head`, `/merge` or `/train`. Most merge-request pipelines
//!   have the source branch there instead, and are known by `pipeline_source == "merge_request_event"`.
//!
//! In a merge-request pipeline of a fork `project_id`, `project_path` and `ref` are the fork's, even where the pipeline runs in the
//! parent project; `job_project_id` is then the parent's. So `project_id` is what to bind.
//!
//! A token is refused whose subject disagrees with its claims: `project_path:P` with `project_path`, and `ref_type:T` and `ref:R`, where the
//! subject has them, with the claims of those names. A project may have chosen other parts for its subject; they are not looked at.

use super::{Claim, Kind, OtherClaims, Scope};
use crate::trusted_issuer::{
    TokenAlgorithm, TokenError,
    claims::{Reader, number_in_ref},
};

/// Source: GitLab Docs, "OpenID Connect (OIDC) Authentication Using ID Tokens", "Token payload".
pub(super) const KIND: Kind = Kind {
    name: "gitlab",
    title: "GitLab CI/CD",
    default_issuer: Some("https://gitlab.com"),
    issuers: &["https://gitlab.com", "https://<host of the instance>"],
    algorithms: &[TokenAlgorithm::Rs256],
    has_nbf: true,
    audience_list: false,
    subjects: &[
        "project_path:<group>/<project>:ref_type:branch:ref:<branch>",
        "project_path:<group>/<project>:ref_type:tag:ref:<tag>",
        "<the components that the project chose>",
    ],
    claims: &[
        Claim::id("project_id", Scope::Repository, "The project's id. It stays through renames and transfers")
            .required(),
        Claim::id("namespace_id", Scope::Owner, "The id of the group or user that the project belongs to").required(),
        Claim::named("project_path", Scope::Repository, Some("project_id"), "`my-group/my-project`").required(),
        Claim::named("namespace_path", Scope::Owner, Some("namespace_id"), "`my-group`").required(),
        Claim::fixed("project_visibility", "`public`, `internal` or `private`"),
        Claim::id("job_project_id", Scope::Other, "The id of the project that the job runs in"),
        Claim::named("job_project_path", Scope::Other, Some("job_project_id"), "The project that the job runs in"),
        Claim::id("job_namespace_id", Scope::Other, "The id of that project's group or user"),
        Claim::named("job_namespace_path", Scope::Other, Some("job_namespace_id"), "That project's group or user"),
        Claim::fixed("pipeline_source", "The event: `push`, `merge_request_event`, `schedule`, `web`, …"),
        Claim::shapeable("ref", "The branch or tag. For a merge request the source branch").glob(),
        Claim::fixed("ref_type", "`branch` or `tag`"),
        Claim::shapeable("ref_path", "`refs/heads/main`").glob(),
        Claim::flag("ref_protected", "Whether the branch or tag is protected"),
        Claim::shapeable("branch", "`ref`, where `ref_type` is `branch`").derived().glob(),
        Claim::shapeable("tag", "`ref`, where `ref_type` is `tag`").derived().glob(),
        Claim::integer(
            "merge_request",
            "The number, where the ref is `refs/merge-requests/N/head`, `/merge` or `/train`",
        )
        .derived(),
        Claim::shapeable("environment", "The job's environment"),
        Claim::flag("environment_protected", "Whether the environment is protected"),
        Claim::fixed("environment_action", "`start`, `prepare`, `stop`, …"),
        Claim::fixed("deployment_tier", "`production`, `staging`, …"),
        Claim::id("user_id", Scope::Other, "The id of the user who started the job"),
        Claim::named("user_login", Scope::Other, Some("user_id"), "The user who started the job"),
        Claim::fixed("user_access_level", "That user's role in the project: `guest`, `developer`, `maintainer`, …"),
        Claim::workflow("ci_config_ref_uri", "The pipeline's configuration file and ref").glob(),
        Claim::fixed("ci_config_sha", "The commit of the pipeline's configuration file"),
        Claim::number("pipeline_id", "The pipeline's id"),
        Claim::number("job_id", "The job's id"),
        Claim::number("runner_id", "The runner's id"),
        Claim::fixed("runner_environment", "`gitlab-hosted` or `self-hosted`"),
        Claim::fixed("sha", "The commit"),
    ],
    others: OtherClaims::Dropped,
    derive,
    sample: include_str!("samples/gitlab.json"),
};

fn derive(reader: &mut Reader<'_>, subject: &str) -> Result<(), TokenError> {
    check(reader, subject)?;
    let git_ref = reader.text("ref")?.unwrap_or_default();
    let merge_request = [git_ref, reader.text("ref_path")?.unwrap_or_default()]
        .into_iter()
        .find_map(|text| number_in_ref(text, "refs/merge-requests/", &["head", "merge", "train"]));
    match (merge_request, reader.text("ref_type")?) {
        (Some(number), _) => reader.add("merge_request", number),
        (None, Some("branch")) if !git_ref.is_empty() => reader.add("branch", git_ref),
        (None, Some("tag")) if !git_ref.is_empty() => reader.add("tag", git_ref),
        (None, _) => {}
    }
    Ok(())
}

/// Checks that subject and claims agree.
fn check(reader: &Reader<'_>, subject: &str) -> Result<(), TokenError> {
    let mut parts = subject.split(':');
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        // What comes after a part that is not known here may be out of step.
        let Some(claim) = ["project_path", "ref_type", "ref"].into_iter().find(|known| *known == name) else { break };
        if reader.text(claim)? != Some(value) {
            return Err(TokenError::Contradiction { first: "sub", second: claim });
        }
    }
    Ok(())
}
