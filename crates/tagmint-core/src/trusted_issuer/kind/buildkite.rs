//! Buildkite: what the claims of its OIDC tokens say, and that they agree.
//!
//! Attributes are the platform's own claims under their own names. Derived from them are
//! - `tag`: `build_tag`, where the build has a tag;
//! - `branch`: `build_branch`, where it has none. Buildkite makes the ref in `sub` in the same way.
//!
//! The ids of the organization and the pipeline are in a token only if the job asks for them (`--claim organization_id,pipeline_id`).
//! `agent_tag:NAME` is a tag that the operator of the agent gave it.
//!
//! A token is refused whose subject names another organization or pipeline than `organization_slug` and `pipeline_slug`, because a rule
//! would get another answer from `sub` than from the claim beside it. A job can choose an id as its subject (`--subject-claim`); such a
//! subject is not looked at. Neither is the ref in `sub`: Buildkite's own example has a branch there, and a tag in `build_tag`.

use super::{Claim, Kind, OtherClaims, Scope};
use crate::trusted_issuer::{TokenAlgorithm, TokenError, claims::Reader};

/// Source: Buildkite Docs, "buildkite-agent oidc", "Claims" and "Optional claims".
pub(super) const KIND: Kind = Kind {
    name: "buildkite",
    title: "Buildkite",
    default_issuer: Some("https://agent.buildkite.com"),
    issuers: &["https://agent.buildkite.com"],
    algorithms: &[TokenAlgorithm::Rs256],
    has_nbf: true,
    audience_list: false,
    subjects: &[
        "organization:<organization>:pipeline:<pipeline>:ref:refs/heads/<branch>:commit:<commit>:step:<step key>",
        "organization:<organization>:pipeline:<pipeline>:ref:refs/tags/<tag>:commit:<commit>:step:<step key>",
        "<the id that the job chose with --subject-claim>",
    ],
    claims: &[
        Claim::text_id("pipeline_id", Scope::Repository, "The pipeline's UUID, with `--claim pipeline_id`"),
        Claim::text_id("organization_id", Scope::Owner, "The organization's UUID, with `--claim organization_id`"),
        Claim::named("pipeline_slug", Scope::Repository, Some("pipeline_id"), "`super-duper-app`").required(),
        Claim::named("organization_slug", Scope::Owner, Some("organization_id"), "`acme-inc`").required(),
        Claim::fixed("build_source", "What created the build: `webhook`, `ui`, `api`, `trigger_job` or `schedule`"),
        Claim::shapeable("build_branch", "The build's branch").glob(),
        Claim::shapeable("build_tag", "The build's tag").glob(),
        Claim::shapeable("branch", "`build_branch`, of a build without a tag").derived().glob(),
        Claim::shapeable("tag", "`build_tag`, of a build with a tag").derived().glob(),
        Claim::shapeable("build_commit", "The build's commit"),
        Claim::shapeable("step_key", "The key of the step, where it has one"),
        Claim::number("build_number", "The build's number in its pipeline"),
        Claim::text_id("build_id", Scope::Other, "The build's UUID, with `--claim build_id`"),
        Claim::text_id("job_id", Scope::Other, "The job's UUID"),
        Claim::text_id("agent_id", Scope::Other, "The UUID of the agent that runs the job"),
        Claim::text_id("cluster_id", Scope::Owner, "The cluster's UUID, with `--claim cluster_id`"),
        Claim::named("cluster_name", Scope::Owner, Some("cluster_id"), "The cluster, with `--claim cluster_name`"),
        Claim::text_id("queue_id", Scope::Other, "The queue's UUID, with `--claim queue_id`"),
        Claim::named("queue_key", Scope::Other, Some("queue_id"), "The queue, with `--claim queue_key`"),
        Claim::fixed("runner_environment", "`buildkite-hosted` or `self-hosted`"),
    ],
    others: OtherClaims::Prefixed("agent_tag:"),
    derive,
    sample: include_str!("samples/buildkite.json"),
};

fn derive(reader: &mut Reader<'_>, subject: &str) -> Result<(), TokenError> {
    check(reader, subject)?;
    let tag = reader.text("build_tag")?.filter(|tag| !tag.is_empty());
    let branch = reader.text("build_branch")?.filter(|branch| !branch.is_empty());
    match (tag, branch) {
        (Some(tag), _) => reader.add("tag", tag),
        (None, Some(branch)) => reader.add("branch", branch),
        (None, None) => {}
    }
    Ok(())
}

/// Checks that subject and claims agree.
fn check(reader: &Reader<'_>, subject: &str) -> Result<(), TokenError> {
    let contradiction = |second| Err(TokenError::Contradiction { first: "sub", second });
    let Some(rest) = subject.strip_prefix("organization:") else { return Ok(()) };
    let organization = reader.required("organization_slug")?;
    let Some(rest) = rest.strip_prefix(organization).and_then(|rest| rest.strip_prefix(":pipeline:")) else {
        return contradiction("organization_slug");
    };
    let pipeline = reader.required("pipeline_slug")?;
    let agrees = rest.strip_prefix(pipeline).is_some_and(|rest| rest.starts_with(":ref:"));
    if agrees { Ok(()) } else { contradiction("pipeline_slug") }
}
