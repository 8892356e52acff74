//! GitLab CI/CD.

use super::{
    Answers, Form, Item, Platform, Question, Setup, another, granted, is_prod, pairs, present, refused, rule, with,
};

pub(super) const GITLAB: Platform = Platform {
    repository: Question::new("Project, as GROUP/NAME", "my-group/my-project", Form::Path(2, 20)),
    ids: Some([
        Question::new("Id of the project", "278964", Form::Digits)
            .hint("`glab api projects/GROUP%2FNAME | jq .id` prints it"),
        Question::new("Id of the group or user that it belongs to", "9970", Form::Digits)
            .hint("`glab api projects/GROUP%2FNAME | jq .namespace.id` prints it"),
    ]),
    issuer: None,
    setup: gitlab,
    check: None,
};

fn gitlab(answers: &Answers) -> Setup {
    let (id, path) = (answers.id(), answers.repository.as_str());
    let (group, _) = path.rsplit_once('/').unwrap_or((path, ""));
    let bound = || [("project_id", Item::from(id)), ("namespace_id", answers.owner().into())];
    let claims = pairs([
        ("project_path", path),
        ("project_id", id),
        ("namespace_path", group),
        ("namespace_id", answers.owner()),
        ("ref", "main"),
        ("ref_type", "branch"),
        ("pipeline_source", "push"),
        ("pipeline_id", "2001"),
    ]);
    let branch = format!("project_path:{path}:ref_type:branch:ref:main");
    let tags = |prefix| [("repository", "${project_id}"), ("run", "${pipeline_id}"), ("prefix", prefix)];
    let expected = |prefix| [("repository", id), ("run", "2001"), ("prefix", prefix)];
    if is_prod(answers) {
        let in_production =
            with(&claims, [("environment", "production".into()), ("environment_protected", "true".into())]);
        let unprotected = with(&in_production, [("environment_protected", "false".into())]);
        let other = with(&in_production, [("project_id", another(id).into())]);
        return Setup {
            issuer: answers.issuer.clone(),
            note: None,
            rules: vec![
                rule(
                    answers,
                    "gitlab-production",
                    "Jobs of the environment `production`, as long as it is protected.",
                    "gitlab:${project_id}:production",
                )
                .matching(bound())
                .matching([("environment", "production".into()), ("environment_protected", true.into())])
                .tagged(tags("ref-production/run-${pipeline_id}")),
            ],
            tests: vec![
                granted(
                    "A job of the protected environment production",
                    &branch,
                    in_production,
                    ("gitlab-production", format!("gitlab:{id}:production")),
                    expected("ref-production/run-2001"),
                ),
                refused("The environment without protection", &branch, unprotected),
                refused("A job without the environment", &branch, claims),
                refused("Another project of the same path", &branch, other),
            ],
            namespaces: Vec::new(),
        };
    }
    let request = format!("project_path:{path}:ref_type:branch:ref:fix");
    let of_request = with(&claims, [("ref", "fix".into()), ("pipeline_source", "merge_request_event".into())]);
    let of_fork = with(&of_request, [("project_id", another(id).into())]);
    Setup {
        issuer: answers.issuer.clone(),
        note: None,
        rules: vec![
            rule(
                answers,
                "gitlab-merge-request",
                "Merge requests between branches of the project, by source branch.",
                "gitlab:${project_id}:merge-request",
            )
            .matching(bound())
            .matching([("pipeline_source", "merge_request_event".into())])
            .tagged(tags("mr-${slug(ref)}/run-${pipeline_id}")),
            rule(
                answers,
                "gitlab-branch",
                "Each pipeline of a branch has its own prefix, made of the branch's name.",
                "gitlab:${project_id}:branch",
            )
            .matching(bound())
            .matching([("branch", present()), ("pipeline_source", ["push", "schedule", "web"].into())])
            .tagged(tags("ref-${slug(branch)}/run-${pipeline_id}")),
        ],
        tests: vec![
            granted(
                "A merge request",
                &request,
                of_request,
                ("gitlab-merge-request", format!("gitlab:{id}:merge-request")),
                expected("mr-fix/run-2001"),
            ),
            granted(
                "A push to a branch",
                &branch,
                claims,
                ("gitlab-branch", format!("gitlab:{id}:branch")),
                expected("ref-main/run-2001"),
            ),
            refused("A merge request from a fork", &request, of_fork),
        ],
        namespaces: vec!["mr-".to_owned(), "ref-".to_owned()],
    }
}
