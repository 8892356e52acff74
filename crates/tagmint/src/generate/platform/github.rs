//! GitHub Actions.

use super::{
    Answers, Form, Item, Platform, Question, Setup, another, granted, is_prod, pairs, present, refused, rule, with,
};

pub(super) const GITHUB: Platform = Platform {
    repository: Question::new("Repository, as OWNER/NAME", "octo-org/octo-repo", Form::Path(2, 2)),
    ids: Some([
        Question::new("Id of the repository", "1296269", Form::Digits)
            .hint("`gh api repos/OWNER/NAME --jq .id` prints it"),
        Question::new("Id of the owner", "583231", Form::Digits)
            .hint("`gh api repos/OWNER/NAME --jq .owner.id` prints it"),
    ]),
    issuer: None,
    setup: github,
    check: None,
};

fn github(answers: &Answers) -> Setup {
    if is_prod(answers) { github_prod(answers) } else { github_test(answers) }
}

/// The claims of a push to main.
fn github_claims(answers: &Answers) -> Vec<(String, Item)> {
    let name = answers.repository.as_str();
    let (owner, _) = name.split_once('/').unwrap_or((name, ""));
    pairs([
        ("repository", name),
        ("repository_id", answers.id()),
        ("repository_owner", owner),
        ("repository_owner_id", answers.owner()),
        ("ref", "refs/heads/main"),
        ("event_name", "push"),
        ("run_id", "1001"),
    ])
}

fn github_bound(answers: &Answers) -> [(&'static str, Item); 2] {
    [("repository_id", answers.id().into()), ("repository_owner_id", answers.owner().into())]
}

fn github_prod(answers: &Answers) -> Setup {
    let (id, name) = (answers.id(), answers.repository.as_str());
    let claims = github_claims(answers);
    let (branch, production) =
        (format!("repo:{name}:ref:refs/heads/main"), format!("repo:{name}:environment:production"));
    let in_production = with(&claims, [("environment", "production".into())]);
    let of_pull_request =
        with(&in_production, [("event_name", "pull_request".into()), ("ref", "refs/pull/7/merge".into())]);
    let other = with(&in_production, [("repository_id", another(id).into())]);
    let rule_name = "github-production";
    Setup {
        issuer: answers.issuer.clone(),
        note: None,
        rules: vec![
            rule(
                answers,
                rule_name,
                "Jobs of the environment `production`. GitHub runs them only as its protection rules allow.",
                "github:${repository_id}:production",
            )
            .matching(github_bound(answers))
            .matching([
                ("environment", "production".into()),
                ("event_name", ["push", "release", "workflow_dispatch"].into()),
            ])
            .tagged([
                ("repository", "${repository_id}"),
                ("run", "${run_id}"),
                ("prefix", "branch-production/run-${run_id}"),
            ]),
        ],
        tests: vec![
            granted(
                "A job of the environment production",
                &production,
                in_production,
                (rule_name, format!("github:{id}:production")),
                [("repository", id), ("run", "1001"), ("prefix", "branch-production/run-1001")],
            ),
            refused("A push without the environment", &branch, claims),
            refused("A pull request that names the environment", &production, of_pull_request),
            refused("Another repository of the same name", &production, other),
        ],
        namespaces: Vec::new(),
    }
}

fn github_test(answers: &Answers) -> Setup {
    let (id, name) = (answers.id(), answers.repository.as_str());
    let claims = github_claims(answers);
    let (branch, pull_request) = (format!("repo:{name}:ref:refs/heads/main"), format!("repo:{name}:pull_request"));
    let of_pull_request = with(&claims, [("ref", "refs/pull/7/merge".into()), ("event_name", "pull_request".into())]);
    let with_rights_of_base = with(&claims, [("event_name", "pull_request_target".into())]);
    let other = with(&claims, [("repository_id", another(id).into())]);
    let tags = |prefix| [("repository", "${repository_id}"), ("run", "${run_id}"), ("prefix", prefix)];
    let expected = |prefix| [("repository", id), ("run", "1001"), ("prefix", prefix)];
    Setup {
        issuer: answers.issuer.clone(),
        note: None,
        rules: vec![
            rule(
                answers,
                "github-pull-request",
                "Each run of a pull request has its own prefix. GitHub gives no token to pull requests from forks.",
                "github:${repository_id}:pull-request",
            )
            .matching(github_bound(answers))
            .matching([("event_name", "pull_request".into())])
            .tagged(tags("pr-${pull_request}/run-${run_id}")),
            rule(
                answers,
                "github-branch",
                "Each run of a branch has its own prefix, made of the branch's name.",
                "github:${repository_id}:branch",
            )
            .matching(github_bound(answers))
            .matching([("branch", present()), ("event_name", ["push", "schedule", "workflow_dispatch"].into())])
            .tagged(tags("branch-${slug(branch)}/run-${run_id}")),
        ],
        tests: vec![
            granted(
                "A pull request",
                &pull_request,
                of_pull_request,
                ("github-pull-request", format!("github:{id}:pull-request")),
                expected("pr-7/run-1001"),
            ),
            granted(
                "A push to a branch",
                &branch,
                claims,
                ("github-branch", format!("github:{id}:branch")),
                expected("branch-main/run-1001"),
            ),
            refused("A pull request that runs with the rights of the base", &branch, with_rights_of_base),
            refused("Another repository of the same name", &branch, other),
        ],
        namespaces: vec!["pr-".to_owned(), "branch-".to_owned()],
    }
}
