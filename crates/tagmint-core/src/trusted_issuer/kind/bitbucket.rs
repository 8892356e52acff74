//! Bitbucket Pipelines: what the claims of its OIDC tokens say, and that they agree.
//!
//! Attributes are the platform's own claims under their own names. Its UUIDs are in braces, which AWS takes in no session tag, so each is
//! also derived without them: `workspace_id`, `repository_id`, `environment_id`, `pipeline_id` and `step_id`.
//!
//! A token is refused whose subject names another repository, deployment environment or step than the claims, because a rule would get
//! another answer from `sub` than from the claim beside it. A subject without an environment says nothing of it. A subject of another form
//! is refused: Bitbucket has no others.

use super::{Claim, Kind, OtherClaims, Scope};
use crate::trusted_issuer::{TokenAlgorithm, TokenError, claims::Reader};

/// Source: Atlassian Support, "Integrate Pipelines with resource servers using OIDC".
pub(super) const KIND: Kind = Kind {
    name: "bitbucket",
    title: "Bitbucket Pipelines",
    default_issuer: None,
    issuers: &["https://api.bitbucket.org/2.0/workspaces/<workspace>/pipelines-config/identity/oidc"],
    algorithms: &[TokenAlgorithm::Rs256],
    has_nbf: false,
    audience_list: true,
    subjects: &[
        "{<repository UUID>}:{<step UUID>}",
        "{<repository UUID>}:{<deployment environment UUID>}:{<step UUID>}",
    ],
    // Those without braces come first: warnings propose the first id.
    claims: &[
        Claim::text_id("repository_id", Scope::Repository, "`repositoryUuid` without braces").required().derived(),
        Claim::text_id("repositoryUuid", Scope::Repository, "The repository's UUID, in braces").required(),
        Claim::text_id("workspace_id", Scope::Owner, "`workspaceUuid` without braces").required().derived(),
        Claim::text_id("workspaceUuid", Scope::Owner, "The workspace's UUID, in braces").required(),
        Claim::shapeable("branchName", "The branch").glob(),
        Claim::text_id("environment_id", Scope::Other, "`deploymentEnvironmentUuid` without braces").derived(),
        Claim::text_id("deploymentEnvironmentUuid", Scope::Other, "The deployment environment's UUID, in braces"),
        Claim::text_id("pipeline_id", Scope::Other, "`pipelineUuid` without braces").derived(),
        Claim::text_id("pipelineUuid", Scope::Other, "The UUID of the pipeline's run, in braces"),
        Claim::text_id("step_id", Scope::Other, "`stepUuid` without braces").derived(),
        Claim::text_id("stepUuid", Scope::Other, "The UUID of the step's run, in braces"),
    ],
    others: OtherClaims::Dropped,
    derive,
    sample: include_str!("samples/bitbucket.json"),
};

/// The claims with UUIDs, and the attributes without braces.
const UUIDS: [(&str, &str); 5] = [
    ("repositoryUuid", "repository_id"),
    ("workspaceUuid", "workspace_id"),
    ("deploymentEnvironmentUuid", "environment_id"),
    ("pipelineUuid", "pipeline_id"),
    ("stepUuid", "step_id"),
];

fn derive(reader: &mut Reader<'_>, subject: &str) -> Result<(), TokenError> {
    check(reader, subject)?;
    for (claim, attribute) in UUIDS {
        if let Some(uuid) = reader.text(claim)? {
            let bare = uuid.strip_prefix('{').and_then(|uuid| uuid.strip_suffix('}'));
            reader.add(attribute, bare.unwrap_or(uuid));
        }
    }
    Ok(())
}

/// Checks that subject and claims agree.
fn check(reader: &Reader<'_>, subject: &str) -> Result<(), TokenError> {
    let (repository, environment, step) = match subject.split(':').collect::<Vec<_>>()[..] {
        [repository, step] => (repository, None, step),
        [repository, environment, step] => (repository, Some(environment), step),
        _ => return Err(TokenError::claim("sub", "is not of the form `{repository}:{step}`")),
    };
    let named =
        [("repositoryUuid", Some(repository)), ("deploymentEnvironmentUuid", environment), ("stepUuid", Some(step))];
    for (claim, in_subject) in named {
        if in_subject.is_some() && reader.text(claim)? != in_subject {
            return Err(TokenError::Contradiction { first: "sub", second: claim });
        }
    }
    Ok(())
}
