//! Bitbucket Pipelines. Source: Atlassian's "Integrate Pipelines with resource servers using OIDC".

use super::{git_ref, project, run};
use crate::subject::{Chars, Edit, Form, Platform, Words, always_possible};

pub(super) static BITBUCKET: Platform = Platform {
    name: "Bitbucket Pipelines",
    issuers: &["api.bitbucket.org/2.0/workspaces/*/pipelines-config/identity/oidc"],
    // The issuer is one workspace's.
    shared: &[],
    by_subject: true,
    forms: &[
        Form {
            name: "the subject of a step without a deployment environment",
            default: true,
            start: &["{<repository>}:{<step>}"],
            then: &[],
            how: "",
        },
        Form {
            name: "the subject of a step with a deployment environment",
            default: true,
            start: &["{<repository>}:{<environment>}:{<step>}"],
            then: &[],
            how: "",
        },
    ],
    fields: &[project("repository", Chars::Slug), git_ref("environment", Chars::Slug), run("step", Chars::Slug)],
    claims: &[],
    projects: &[],
    refs: &[],
    words: Words { project: "repository", refs: "deployment environment", name_ref: "deployment environment" },
    impossible: always_possible,
    synonyms: &[],
    edits,
};

/// UUIDs stand in braces.
fn edits(value: &str, subject: &str) -> Vec<Edit> {
    let braced = |part: &str| {
        let bare = !part.contains(['{', '}', '*', '?']) && !part.is_empty();
        if bare { format!("{{{part}}}") } else { part.to_owned() }
    };
    let parts: Vec<String> = value.split(':').map(braced).collect();
    let mut edits = vec![Edit::new(parts.join(":"), "UUIDs stand in braces")];
    if !value.contains(':') {
        edits.push(Edit::new(format!("{value}:*"), "a subject goes on after the repository"));
    }
    // A repository's name, or another text in its place.
    if let (Some((_, rest)), Some((own, _))) = (value.split_once(':'), subject.split_once(':'))
        && !value.starts_with('{')
        && !value.starts_with(['*', '?'])
        && !value.split(':').next().is_some_and(|part| part.chars().all(|c| Chars::Uuid.has(c)))
    {
        edits.push(Edit::new(format!("{own}:{rest}"), "a repository is named by its UUID"));
    }
    edits
}
