//! Buildkite. Source: Buildkite's "OIDC in Buildkite Pipelines" and the agent's `oidc request-token --subject-claim`.

use super::{git_ref, id, project, run, tenant};
use crate::subject::{Chars, Edit, Form, Platform, Words, always_possible, edits::full_refs};

pub(super) static BUILDKITE: Platform = Platform {
    name: "Buildkite",
    issuers: &["agent.buildkite.com", "agent.*.buildkite.dev", "agent.*.buildkite.site"],
    shared: &["agent.buildkite.com"],
    by_subject: true,
    forms: &[
        Form {
            name: "the default subject",
            default: true,
            start: &["organization:<organization>:pipeline:<pipeline>:ref:refs/<ref>:commit:<commit>:step:<step>"],
            then: &[],
            how: "",
        },
        Form {
            name: "a subject of one claim (--subject-claim)",
            default: false,
            start: &["<id>"],
            then: &[],
            how: "request the token with --subject-claim",
        },
    ],
    fields: &[
        tenant("organization", Chars::Slug),
        project("pipeline", Chars::Slug),
        git_ref("ref", Chars::Path),
        git_ref("branch", Chars::Path),
        run("commit", Chars::Text),
        run("step", Chars::Text),
        id(project("id", Chars::Uuid)),
        id(tenant("organization_id", Chars::Slug)),
        id(project("pipeline_id", Chars::Slug)),
    ],
    claims: &[
        ("organization_slug", "<organization>"),
        ("organization_id", "<organization_id>"),
        ("pipeline_id", "<pipeline_id>"),
    ],
    projects: &["pipeline_slug"],
    refs: &["build_branch"],
    words: Words { project: "pipeline", refs: "branch, tag and pull request", name_ref: "branch" },
    impossible: always_possible,
    synonyms: &[
        ("org", "organization"),
        ("organisation", "organization"),
        ("organization_slug", "organization"),
        ("pipelines", "pipeline"),
        ("pipeline_slug", "pipeline"),
        ("branch", "ref"),
        ("sha", "commit"),
        ("step_key", "step"),
    ],
    edits,
};

fn edits(value: &str, _: &str) -> Vec<Edit> {
    let Some((before, rest)) = value.split_once(":ref:") else { return Vec::new() };
    let (name, after) = rest.split_once(':').map_or((rest, ""), |(name, after)| (name, after));
    let after = if after.is_empty() { String::new() } else { format!(":{after}") };
    let full = full_refs(name).into_iter();
    full.map(|full| {
        Edit::new(format!("{before}:ref:{full}{after}"), "the full ref stands behind `ref:`, as refs/heads/BRANCH")
    })
    .collect()
}
