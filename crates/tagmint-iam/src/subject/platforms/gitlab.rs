//! GitLab CI/CD, GitLab.com and self-managed. Source: GitLab's "OpenID Connect (OIDC) authentication using ID tokens".

use super::{git_ref, id, other, project, tenant};
use crate::subject::{Chars, Edit, Form, Platform, Words};

const REF: &str = "the ref is a short name behind `ref_type:branch:ref:` or `ref_type:tag:ref:`";

pub(super) static GITLAB: Platform = Platform {
    name: "GitLab",
    issuers: &["gitlab.com", "gitlab.*"],
    shared: &["gitlab.com"],
    by_subject: true,
    forms: &[
        Form {
            name: "the default subject",
            default: true,
            start: &[
                "project_path:<group>/<project>:ref_type:branch:ref:<branch>",
                "project_path:<group>/<project>:ref_type:tag:ref:<tag>",
            ],
            then: &[],
            how: "",
        },
        Form {
            name: "a customized subject (ci_id_token_sub_claim_components)",
            default: false,
            start: &["project_path:<group>/<project>"],
            then: &[
                "ref_type:<value>",
                "ref:<branch>",
                "ref_path:<ref_path>",
                "ref_protected:<value>",
                "environment:<environment>",
                "environment_protected:<value>",
                "environment_action:<value>",
                "deployment_tier:<value>",
                "project_id:<project_id>",
                "project_visibility:<value>",
                "namespace_id:<namespace_id>",
                "namespace_path:<value>",
                "pipeline_source:<value>",
                "pipeline_id:<value>",
                "job_id:<value>",
                "user_id:<value>",
                "user_login:<value>",
                "user_email:<value>",
                "user_access_level:<value>",
                "runner_id:<value>",
                "runner_environment:<value>",
                "sha:<value>",
            ],
            how: "set the project's ci_id_token_sub_claim_components to these claims",
        },
    ],
    fields: &[
        tenant("group", Chars::Slug),
        project("project", Chars::Path),
        id(project("project_id", Chars::Digits)),
        id(tenant("namespace_id", Chars::Digits)),
        git_ref("branch", Chars::Path),
        git_ref("tag", Chars::Path),
        git_ref("ref_path", Chars::Path),
        git_ref("environment", Chars::Text),
        other("value", Chars::Text),
    ],
    claims: &[("project_id", "<project_id>"), ("namespace_id", "<namespace_id>")],
    projects: &[],
    refs: &["ref_protected"],
    words: Words { project: "repository or project", refs: "branch and tag", name_ref: "branch" },
    impossible,
    synonyms: &[
        ("project", "project_path"),
        ("project-path", "project_path"),
        ("projectpath", "project_path"),
        ("path", "project_path"),
        ("repo", "project_path"),
        ("ref-type", "ref_type"),
        ("reftype", "ref_type"),
        ("branches", "branch"),
        ("heads", "branch"),
        ("tags", "tag"),
        ("env", "environment"),
    ],
    edits,
};

fn impossible(value: &str) -> Option<&'static str> {
    [":ref:refs/heads/", ":ref:refs/tags/"].iter().any(|full| value.contains(full)).then_some(REF)
}

fn edits(value: &str, subject: &str) -> Vec<Edit> {
    let mut edits = Vec::new();
    let Some(body) = value.strip_prefix("project_path:") else {
        for start in ["https://gitlab.com/", "gitlab.com/", "git@gitlab.com:"] {
            edits.extend(
                value.strip_prefix(start).map(|rest| Edit::new(rest, "the project is GROUP/PROJECT, without a URL")),
            );
        }
        return edits;
    };
    for start in ["https://gitlab.com/", "gitlab.com/", "git@gitlab.com:", "/"] {
        let rest = body.strip_prefix(start).map(|rest| format!("project_path:{rest}"));
        edits.extend(rest.map(|text| Edit::new(text, "the project is GROUP/PROJECT, without a URL")));
    }
    let (path, rest) = body.split_once(':').map_or((body, None), |(path, rest)| (path, Some(rest)));
    let with = |rest: String, why: &'static str| Edit::new(format!("project_path:{path}:{rest}"), why);
    let Some(rest) = rest.filter(|rest| !rest.is_empty()) else {
        if let Some(own) = subject.splitn(3, ':').nth(2) {
            edits.push(with(own.to_owned(), "a subject goes on after the project"));
        }
        // `project_path:GROUP/PROJECT/ref_type/…`
        if let Some(at) = path.find("/ref_type") {
            let text = format!("project_path:{}:{}", &path[..at], path[at + 1..].replacen('/', ":", 3));
            edits.push(Edit::new(text, "its parts are separated by `:`, not by another character"));
        }
        return edits;
    };
    if !path.contains('/') && !path.contains('*') {
        edits.push(Edit::new(
            format!("project_path:{path}/{rest}"),
            "a `/` stands between group and project, not a `:`",
        ));
    }
    if let Some((before, name)) = rest.split_once("ref:") {
        let tag = name.starts_with("refs/tags/") || name.starts_with("tags/") || before.contains("tag");
        let short =
            ["refs/heads/", "refs/tags/", "heads/", "tags/", "refs/"].iter().find_map(|start| name.strip_prefix(start));
        let kind = if tag { "tag" } else { "branch" };
        let short = short.unwrap_or(name);
        edits.push(with(format!("ref_type:{kind}:ref:{short}"), REF));
        edits.push(with(format!("ref_type:tag:ref:{short}"), REF));
    }
    for (start, kind) in [
        ("branch:", "branch"),
        ("tag:", "tag"),
        ("ref_type:branch:", "branch"),
        ("ref_type:tag:", "tag"),
        ("refs/heads/", "branch"),
        ("refs/tags/", "tag"),
        ("heads/", "branch"),
        ("tags/", "tag"),
    ] {
        if let Some(name) = rest.strip_prefix(start).filter(|name| !name.contains(':')) {
            edits.push(with(format!("ref_type:{kind}:ref:{name}"), REF));
        }
    }
    if !rest.contains(':') && !rest.contains(['*', '?']) {
        edits.push(with(format!("ref_type:branch:ref:{rest}"), REF));
        edits.push(with(format!("ref_type:tag:ref:{rest}"), REF));
    }
    edits
}
