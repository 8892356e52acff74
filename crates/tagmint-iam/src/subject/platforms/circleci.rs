//! CircleCI. Source: CircleCI's "Using OpenID Connect tokens in jobs".

use super::{git_ref, other, project, run};
use crate::subject::{Chars, Edit, Form, Platform, Words, edits::full_refs};

const ORIGIN: &str = "the origin has no scheme, as github.com/OWNER/REPO";
const REF: &str = "the full ref stands behind `vcs-ref/`, as refs/heads/BRANCH";
const V2: &str = "give AWS the job's $CIRCLE_OIDC_TOKEN_V2";

pub(super) static CIRCLECI: Platform = Platform {
    name: "CircleCI",
    issuers: &["oidc.circleci.com/org/*"],
    // The issuer is the organization's own.
    shared: &[],
    by_subject: true,
    forms: &[
        Form {
            name: "the subject of $CIRCLE_OIDC_TOKEN",
            default: true,
            start: &["org/<organization>/project/<project>/user/<user>"],
            then: &[],
            how: "give AWS the job's $CIRCLE_OIDC_TOKEN",
        },
        Form {
            name: "the subject of $CIRCLE_OIDC_TOKEN_V2",
            default: true,
            start: &[
                "org/<organization>/project/<project>/user/<user>/vcs-origin/<vcs-origin.host>/<vcs-origin.owner>/<vcs-origin.repo>/vcs-ref/refs/<vcs-ref.ref>",
            ],
            then: &[],
            how: V2,
        },
        Form {
            name: "the subject of $CIRCLE_OIDC_TOKEN_V2",
            default: true,
            start: &[
                "org/<organization>/project/<project>/user/<user>/vcs-origin/<vcs-origin.host>/<vcs-origin.owner>/<vcs-origin.group>/<vcs-origin.repo>/vcs-ref/refs/<vcs-ref.ref>",
            ],
            then: &[],
            how: V2,
        },
    ],
    fields: &[
        other("organization", Chars::Slug),
        project("project", Chars::Slug),
        run("user", Chars::Slug),
        other("vcs-origin.host", Chars::Segment),
        other("vcs-origin.owner", Chars::Segment),
        other("vcs-origin.group", Chars::Segment),
        project("vcs-origin.repo", Chars::Segment),
        git_ref("vcs-ref.ref", Chars::Path),
    ],
    claims: &[("oidc.circleci.com/project-id", "<project>")],
    projects: &[],
    refs: &[],
    words: Words { project: "project", refs: "branch and tag", name_ref: "branch" },
    impossible,
    synonyms: &[
        ("organization", "org"),
        ("orgs", "org"),
        ("projects", "project"),
        ("project-id", "project"),
        ("users", "user"),
        ("vcs_origin", "vcs-origin"),
        ("vcs_ref", "vcs-ref"),
    ],
    edits,
};

fn impossible(value: &str) -> Option<&'static str> {
    if value.contains("/vcs-origin/http") {
        return Some(ORIGIN);
    }
    let (_, name) = value.split_once("/vcs-ref/")?;
    let full = name.starts_with("refs/") || name.starts_with(['*', '?']);
    (!full).then_some(REF)
}

fn edits(value: &str, _: &str) -> Vec<Edit> {
    let mut edits = Vec::new();
    for scheme in ["https://", "http://", "https:/", "http:/"] {
        let text = value.replacen(&format!("/vcs-origin/{scheme}"), "/vcs-origin/", 1);
        edits.push(Edit::new(text, ORIGIN));
    }
    if let Some((before, name)) = value.split_once("/vcs-ref/")
        && !name.starts_with("refs/")
        && !name.starts_with('*')
    {
        let full = full_refs(name).into_iter();
        edits.extend(full.map(|full| Edit::new(format!("{before}/vcs-ref/{full}"), REF)));
    }
    if let Some((_, project)) = value.split_once("/project/")
        && !project.contains('/')
    {
        edits.push(Edit::new(format!("{value}/user/*"), "a subject goes on after the project"));
    }
    edits
}
