//! GitHub Actions. Source: GitHub's "OpenID Connect reference" (example subjects, immutable subjects, customized templates).

use super::{git_ref, id, other, project, tenant};
use crate::subject::{Chars, Edit, Form, Platform, Words, edits::full_refs};

const SUFFIX: &str = "a subject goes on after the repository";

pub(super) static GITHUB: Platform = Platform {
    name: "GitHub Actions",
    issuers: &[
        "token.actions.githubusercontent.com",
        "token.actions.githubusercontent.com/*",
        "token.actions.*.ghe.com",
        "token.actions.*.ghe.com/*",
        "github.com/enterprises/*",
        "*/_services/token",
    ],
    shared: &["token.actions.githubusercontent.com"],
    by_subject: true,
    forms: &[
        Form {
            name: "a subject with names",
            default: true,
            start: &[
                "repo:<owner>/<repo>:ref:refs/heads/<branch>",
                "repo:<owner>/<repo>:environment:<environment>",
                "repo:<owner>/<repo>:pull_request",
                "repo:<owner>/<repo>:ref:refs/tags/<tag>",
                "repo:<owner>/<repo>:ref:refs/pull/<pull>",
            ],
            then: &[],
            how: "",
        },
        Form {
            name: "a subject with names and ids",
            default: true,
            start: &[
                "repo:<owner>@<owner_id>/<repo>@<repo_id>:ref:refs/heads/<branch>",
                "repo:<owner>@<owner_id>/<repo>@<repo_id>:environment:<environment>",
                "repo:<owner>@<owner_id>/<repo>@<repo_id>:pull_request",
                "repo:<owner>@<owner_id>/<repo>@<repo_id>:ref:refs/tags/<tag>",
                "repo:<owner>@<owner_id>/<repo>@<repo_id>:ref:refs/pull/<pull>",
            ],
            then: &[],
            how: "",
        },
        Form {
            name: "a customized subject (include_claim_keys)",
            default: false,
            start: CLAIMS,
            then: CLAIMS,
            how: "set the repository's subject template to these claims (include_claim_keys), or bind the claim by a condition key of its own, as \
                  token.actions.githubusercontent.com:job_workflow_ref",
        },
    ],
    fields: &[
        tenant("owner", Chars::Slug),
        project("repo", Chars::Slug),
        id(tenant("owner_id", Chars::Digits)),
        id(project("repo_id", Chars::Digits)),
        id(tenant("enterprise_id", Chars::Digits)),
        tenant("enterprise", Chars::Slug),
        git_ref("branch", Chars::Path),
        git_ref("tag", Chars::Path),
        git_ref("pull", Chars::Path),
        git_ref("environment", Chars::Text),
        git_ref("ref", Chars::Path),
        git_ref("workflow", Chars::Text),
        git_ref("workflow_file", Chars::Text),
        other("value", Chars::Text),
    ],
    claims: &[
        ("repository", "<owner>/<repo>"),
        ("repository_id", "<repo_id>"),
        ("repository_owner_id", "<owner_id>"),
        ("enterprise_id", "<enterprise_id>"),
        ("job_workflow_ref", "<owner>/<repo>/<workflow_file>"),
    ],
    projects: &[],
    refs: &["ref", "environment", "workflow", "job_workflow_ref"],
    words: Words {
        project: "repository or project",
        refs: "branch, tag, environment and pull request",
        name_ref: "branch or environment",
    },
    impossible,
    synonyms: &[
        ("repository", "repo"),
        ("repos", "repo"),
        ("repositories", "repo"),
        ("project_path", "repo"),
        ("env", "environment"),
        ("envs", "environment"),
        ("environments", "environment"),
        ("environment_name", "environment"),
        ("pull-request", "pull_request"),
        ("pull_requests", "pull_request"),
        ("pull-requests", "pull_request"),
        ("pullrequest", "pull_request"),
        ("pullRequest", "pull_request"),
        ("git_ref", "ref"),
    ],
    edits,
};

/// The claims that a customized template may hold. `repo` and `context` stand without their own names.
const CLAIMS: &[&str] = &[
    "repo:<owner>/<repo>",
    "repo:<owner>@<owner_id>/<repo>@<repo_id>",
    "repository:<owner>/<repo>",
    "repository_id:<repo_id>",
    "repository_owner:<owner>",
    "repository_owner_id:<owner_id>",
    "repository_visibility:<value>",
    "enterprise:<enterprise>",
    "enterprise_id:<enterprise_id>",
    "environment:<environment>",
    "ref:refs/<ref>",
    "ref_type:<value>",
    "ref_protected:<value>",
    "pull_request",
    "job_workflow_ref:<owner>/<repo>/<workflow_file>",
    "job_workflow_sha:<value>",
    "workflow:<workflow>",
    "workflow_ref:<owner>/<repo>/<workflow_file>",
    "workflow_sha:<value>",
    "event_name:<value>",
    "actor:<value>",
    "actor_id:<value>",
    "base_ref:<value>",
    "head_ref:<value>",
    "sha:<value>",
    "run_id:<value>",
    "run_number:<value>",
    "run_attempt:<value>",
    "runner_environment:<value>",
    "check_run_id:<value>",
];

fn impossible(value: &str) -> Option<&'static str> {
    let encoded = ["%20", "%2F", "%2f", "%40"].iter().any(|code| value.contains(code));
    encoded.then_some("only `:` is encoded, as %3A")
}

fn edits(value: &str, subject: &str) -> Vec<Edit> {
    let mut edits = Vec::new();
    let Some(body) = value.strip_prefix("repo:") else {
        return without_url(value).into_iter().collect();
    };
    edits.extend(without_url(body).map(|edit| Edit::new(format!("repo:{}", edit.text), edit.why)));
    let (path, context) = body.split_once(':').map_or((body, None), |(path, context)| (path, Some(context)));
    let slashes: Vec<usize> = path.match_indices('/').map(|(at, _)| at).collect();
    match slashes.as_slice() {
        [_, third, ..] => {
            let (repository, rest) = (&path[..*third], &path[*third + 1..]);
            let rest = context.map_or_else(
                || rest.to_owned(),
                |context| if rest.is_empty() { context.to_owned() } else { format!("{rest}:{context}") },
            );
            edits.push(Edit::new(format!("repo:{repository}:{rest}"), "a `:` stands after the repository, not a `/`"));
        }
        [] => {
            if let Some(context) = context {
                edits.push(Edit::new(
                    format!("repo:{path}/{context}"),
                    "a `/` stands between owner and repository, not a `:`",
                ));
            }
        }
        [_] if context.is_none_or(str::is_empty) => {
            if let Some(own) = subject.splitn(3, ':').nth(2) {
                edits.push(Edit::new(format!("repo:{path}:{own}"), SUFFIX));
            }
        }
        [_] => {}
    }
    if let Some(at) = path.find('@')
        && !path[at + 1..].starts_with(|c: char| c.is_ascii_digit() || c == '*')
    {
        let end = path[at..].find('/').map_or(path.len(), |offset| at + offset);
        let rest = context.map_or_else(String::new, |context| format!(":{context}"));
        edits.push(Edit::new(format!("repo:{}{}{rest}", &path[..at], &path[end..]), "a numeric id stands behind `@`"));
    }
    if let Some(name) = path.strip_suffix(".git") {
        let rest = context.map_or_else(String::new, |context| format!(":{context}"));
        edits.push(Edit::new(format!("repo:{name}{rest}"), "a repository's name has no `.git`"));
    }
    if let Some(context) = context {
        edits.extend(
            contexts(context, subject)
                .into_iter()
                .map(|edit| Edit::new(format!("repo:{path}:{}", edit.text), edit.why)),
        );
    }
    edits
}

/// A repository without the address of GitHub.
fn without_url(text: &str) -> Option<Edit> {
    let starts = [
        "https://github.com/",
        "http://github.com/",
        "git@github.com:",
        "ssh://git@github.com/",
        "github.com/",
        "//github.com/",
    ];
    let rest = starts.iter().find_map(|start| text.strip_prefix(start))?;
    Some(Edit::new(rest, "the repository is OWNER/REPO, without a URL"))
}

/// Corrections of what follows the repository.
fn contexts(context: &str, subject: &str) -> Vec<Edit> {
    const FULL: &str = "the full ref stands behind `ref:`, refs/heads/BRANCH or refs/tags/TAG";
    const PULL: &str = "the subject of a pull request ends with `:pull_request`";
    const COLON: &str = "a `:` within a value is written %3A";
    let mut edits = Vec::new();
    let refs = |text: &str, why: &'static str| -> Vec<Edit> {
        full_refs(text).into_iter().map(|name| Edit::new(format!("ref:{name}"), why)).collect()
    };
    if let Some(name) = context.strip_prefix("ref:").or_else(|| context.strip_prefix("refs:")) {
        edits.extend(refs(name, FULL));
    } else if ["refs/", "heads/", "tags/"].iter().any(|start| context.starts_with(start)) {
        edits.extend(refs(context, "`ref:` is missing before the ref"));
    } else if ["branch:", "branches:", "branch/", "tag:", "tag/"].iter().any(|start| context.starts_with(start)) {
        edits.extend(refs(context, FULL));
    } else if let Some(name) = context.strip_prefix("ref_type:branch:ref:") {
        edits.extend(refs(name, FULL));
    } else if let Some(name) = context.strip_prefix("ref_type:tag:ref:") {
        edits.push(Edit::new(format!("ref:refs/tags/{name}"), FULL));
    } else if !context.contains(':') && !context.starts_with("pull") && !context.contains(['*', '?']) {
        let environment = subject.split_once(":environment:").is_some_and(|(_, own)| own == context);
        if environment {
            edits.push(Edit::new(format!("environment:{context}"), "`environment:` is missing before the environment"));
        }
        edits.extend(refs(context, FULL));
    }
    if let Some(name) = context.strip_prefix("environment:")
        && name.contains(':')
    {
        edits.push(Edit::new(format!("environment:{}", name.replace(':', "%3A")), COLON));
    }
    edits.extend(context.contains("%3a").then(|| Edit::new(context.replace("%3a", "%3A"), COLON)));
    let compact = context.to_lowercase().replace('-', "_");
    let pull = [
        "pull_request",
        "pr",
        "ref:pull_request",
        "event:pull_request",
        "event_name:pull_request",
        "ref:refs/pull",
        "pull/",
        "refs/pull",
    ];
    if compact != "pull_request" && pull.iter().any(|start| compact == *start || compact.starts_with(start)) {
        edits.push(Edit::new("pull_request", PULL));
    }
    // Environment and ref exclude each other in the default subject.
    if let Some(at) = context.find(":environment:").filter(|_| context.starts_with("ref:")) {
        edits.push(Edit::new(&context[at + 1..], "a job with an environment has the environment in place of the ref"));
        edits.push(Edit::new(&context[..at], "a job without an environment has the ref only"));
    }
    if let Some(at) =
        context.find(":ref:").filter(|_| context.starts_with("environment:") || context.starts_with("pull_request"))
    {
        edits.push(Edit::new(
            &context[..at],
            "a job with an environment, or of a pull request, has no ref in the subject",
        ));
    }
    edits
}
