//! CircleCI: what the claims of its OIDC tokens say, and that they agree.
//!
//! CircleCI's own claims are named `oidc.circleci.com/project-id`, which templates and conditions cannot write. All attributes are
//! derived:
//! - each of those claims without the prefix, with `_` for `-`: `project_id`, `vcs_ref`, …;
//! - `organization_id` and `user_id`, from `sub`;
//! - `branch` and `tag`: the rest of `vcs_ref` after `refs/heads/` or `refs/tags/`.
//!
//! In a build of a fork's pull request `project_id` is the project's, and `vcs_origin` the fork. Such a build gets a token only if the
//! project passes secrets to builds of forks.
//!
//! A token is refused that contradicts itself, because a rule would get another answer from `sub` or the issuer than from the claim
//! beside it: the organization in `sub` is that of `oidc.circleci.com/org-id` and of an issuer that ends in `/org/…`, the project that of
//! `oidc.circleci.com/project-id`, and origin and ref, where `sub` has them, are the claims of those names. Every subject begins with
//! `org/…/project/…/user/…`; another one is refused.

use super::{Claim, Kind, OtherClaims, Scope};
use crate::trusted_issuer::{TokenAlgorithm, TokenError, claims::Reader};

const ORGANIZATION: &str = "oidc.circleci.com/org-id";
const PROJECT: &str = "oidc.circleci.com/project-id";
const ORIGIN: &str = "oidc.circleci.com/vcs-origin";
const REF: &str = "oidc.circleci.com/vcs-ref";

/// Source: CircleCI Docs, "Using OpenID Connect tokens in jobs". `org-id` and the ids of pipeline, workflow and job are not on that page;
/// PyPI's trusted publishing lists them (`warehouse/oidc/models/circleci.py`).
pub(super) const KIND: Kind = Kind {
    name: "circleci",
    title: "CircleCI",
    default_issuer: None,
    issuers: &["https://oidc.circleci.com/org/<organization id>", "https://oidc.circleci.com"],
    algorithms: &[TokenAlgorithm::Rs256],
    has_nbf: false,
    audience_list: false,
    subjects: &[
        "org/<organization id>/project/<project id>/user/<user id>",
        "org/<organization id>/project/<project id>/user/<user id>/vcs-origin/<repository>/vcs-ref/<ref>",
    ],
    claims: &[
        Claim::text_id("project_id", Scope::Repository, "The project's UUID").required().derived(),
        Claim::text_id("organization_id", Scope::Owner, "The organization's UUID").required().derived(),
        Claim::named(
            "vcs_origin",
            Scope::Repository,
            Some("project_id"),
            "The repository or fork with the change: `github.com/octo-org/octo-repo`",
        )
        .derived(),
        Claim::shapeable("vcs_ref", "`refs/heads/main`").derived().glob(),
        Claim::shapeable("branch", "What follows `refs/heads/` in `vcs_ref`").derived().glob(),
        Claim::shapeable("tag", "What follows `refs/tags/` in `vcs_ref`").derived().glob(),
        Claim::json("context_ids", "The UUIDs of the contexts that the job uses, as a list").derived(),
        Claim::flag("ssh_rerun", "Whether a person reran the job with SSH access to it").derived(),
        Claim::text_id("user_id", Scope::Other, "The UUID of the user who caused the job to run").required().derived(),
        Claim::text_id("pipeline_definition_id", Scope::Other, "The UUID of the pipeline's definition").derived(),
        Claim::text_id("pipeline_id", Scope::Other, "The UUID of the pipeline's run").derived(),
        Claim::text_id("workflow_id", Scope::Other, "The UUID of the workflow's run").derived(),
        Claim::text_id("job_id", Scope::Other, "The job's UUID").derived(),
    ],
    others: OtherClaims::Dropped,
    derive,
    sample: include_str!("samples/circleci.json"),
};

fn derive(reader: &mut Reader<'_>, subject: &str) -> Result<(), TokenError> {
    let (organization, user) = check(reader, subject)?;
    for claim in KIND.claims {
        let name = format!("oidc.circleci.com/{}", claim.name.replace('_', "-"));
        reader.add_renamed(&name, claim.value, claim.name)?;
    }
    reader.add("organization_id", organization);
    reader.add("user_id", user);
    if let Some(git_ref) = reader.text(REF)? {
        if let Some(branch) = git_ref.strip_prefix("refs/heads/") {
            reader.add("branch", branch);
        } else if let Some(tag) = git_ref.strip_prefix("refs/tags/") {
            reader.add("tag", tag);
        }
    }
    Ok(())
}

/// Checks that subject, issuer and claims agree. Gives the ids of the organization and the user.
fn check<'s>(reader: &Reader<'_>, subject: &'s str) -> Result<(&'s str, &'s str), TokenError> {
    let contradiction = |first, second| Err(TokenError::Contradiction { first, second });
    let form = || TokenError::claim("sub", "is not of the form `org/…/project/…/user/…`");
    let rest = subject.strip_prefix("org/").ok_or_else(form)?;
    let (organization, rest) = rest.split_once("/project/").ok_or_else(form)?;
    let (project, rest) = rest.split_once("/user/").ok_or_else(form)?;
    let (user, change) = rest.split_once('/').unwrap_or((rest, ""));
    if organization.is_empty() || user.is_empty() {
        return Err(form());
    }
    if project != reader.required(PROJECT)? {
        return contradiction("sub", PROJECT);
    }
    if reader.text(ORGANIZATION)?.is_some_and(|id| id != organization) {
        return contradiction("sub", ORGANIZATION);
    }
    if reader.required("iss")?.split_once("/org/").is_some_and(|(_, id)| id != organization) {
        return contradiction("sub", "iss");
    }
    if let Some(change) = change.strip_prefix("vcs-origin/") {
        let origin = reader.text(ORIGIN)?.unwrap_or_default();
        let Some(git_ref) = change.strip_prefix(origin).and_then(|rest| rest.strip_prefix("/vcs-ref/")) else {
            return contradiction("sub", ORIGIN);
        };
        if git_ref != reader.text(REF)?.unwrap_or_default() {
            return contradiction("sub", REF);
        }
    }
    Ok((organization, user))
}
