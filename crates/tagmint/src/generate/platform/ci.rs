//! Buildkite, CircleCI and Bitbucket.

use super::{
    Answers, Form, Item, Platform, Question, Setup, another, granted, is_prod, pairs, present, refused, rule, with,
};

/// A person's or step's id in tests.
const SOME_UUID: &str = "5e6f7a8b-9c0d-4e1f-a2b3-c4d5e6f7a8b9";

pub(super) const BUILDKITE: Platform = Platform {
    repository: Question::new("Pipeline, as ORGANIZATION/PIPELINE", "acme-inc/super-duper-app", Form::Path(2, 2)),
    ids: Some([
        Question::new("UUID of the pipeline", "0184990a-4777-4b4c-8b1e-0c3b9d1a2f3e", Form::Uuid)
            .hint("The pipeline's settings show it"),
        Question::new("UUID of the organization", "a98961b7-adc1-41aa-8726-cfb2c46e42e0", Form::Uuid)
            .hint("The organization's settings show it"),
    ]),
    issuer: None,
    setup: buildkite,
    check: None,
};

fn buildkite(answers: &Answers) -> Setup {
    let id = answers.id();
    let (organization, pipeline) = answers.repository.split_once('/').unwrap_or_default();
    let prod = is_prod(answers);
    let sub = format!(
        "organization:{organization}:pipeline:{pipeline}:ref:refs/heads/main:commit:9f3182061f1e2cca4702c368cbc039b7dc9d4485:step:build"
    );
    let claims = with(
        &pairs([
            ("organization_slug", organization),
            ("organization_id", answers.owner()),
            ("pipeline_slug", pipeline),
            ("pipeline_id", id),
            ("build_branch", "main"),
            ("build_source", "webhook"),
        ]),
        [("build_number", 42.into())],
    );
    let bound = [("pipeline_id", Item::from(id)), ("organization_id", answers.owner().into())];
    let made = if prod {
        rule(
            answers,
            "buildkite-main",
            "Builds of the branch `main` that a push started.",
            "buildkite:${pipeline_id}:main",
        )
        .matching(bound)
        .matching([("branch", "main".into()), ("build_source", "webhook".into())])
    } else {
        rule(
            answers,
            "buildkite-branch",
            "Each build of a branch has its own prefix, made of the branch's name.",
            "buildkite:${pipeline_id}:branch",
        )
        .matching(bound)
        .matching([("branch", present())])
    };
    let by_hand = with(&claims, [("build_source", "ui".into())]);
    let mut tests = vec![
        granted(
            "A build of main",
            &sub,
            claims.clone(),
            (&made.name, format!("buildkite:{id}:{}", if prod { "main" } else { "branch" })),
            [("repository", id), ("run", "42"), ("prefix", "branch-main/run-42")],
        ),
        refused("Another pipeline of the same name", &sub, with(&claims, [("pipeline_id", another(id).into())])),
    ];
    if prod {
        tests.push(refused("A build that a person started with a commit of their choice", &sub, by_hand));
    }
    Setup {
        issuer: answers.issuer.clone(),
        note: Some("Jobs ask for the ids: buildkite-agent oidc request-token --claim organization_id,pipeline_id"),
        rules: vec![made.tagged([
            ("repository", "${pipeline_id}"),
            ("run", "${build_number}"),
            (
                "prefix",
                if prod { "branch-main/run-${build_number}" } else { "branch-${slug(branch)}/run-${build_number}" },
            ),
        ])],
        tests,
        namespaces: if prod { Vec::new() } else { vec!["branch-".to_owned()] },
    }
}

pub(super) const CIRCLECI: Platform = Platform {
    repository: Question::new("Repository, as HOST/OWNER/NAME", "github.com/octo-org/octo-repo", Form::Path(3, 20)),
    ids: Some([
        Question::new("UUID of the project", "3a2f5b1c-7d4e-4f6a-9b8c-0d1e2f3a4b5d", Form::Uuid)
            .hint("Project Settings > Overview shows it"),
        Question::new("UUID of the organization", "c9035eb6-6eb2-4c85-8a81-d9ed6a1d1d1f", Form::Uuid)
            .hint("Organization Settings > Overview shows it"),
    ]),
    issuer: None,
    setup: circleci,
    check: None,
};

fn circleci(answers: &Answers) -> Setup {
    let (id, owner) = (answers.id(), answers.owner());
    let prod = is_prod(answers);
    let issuer = answers.issuer.clone().unwrap_or_else(|| format!("https://oidc.circleci.com/org/{owner}"));
    let sub = format!("org/{owner}/project/{id}/user/{SOME_UUID}");
    let pipeline = "9f8e7d6c-5b4a-4c3d-8e2f-1a0b9c8d7e6f";
    let claims = with(
        &pairs([
            ("iss", issuer.as_str()),
            ("oidc.circleci.com/org-id", owner),
            ("oidc.circleci.com/project-id", id),
            ("oidc.circleci.com/vcs-origin", &answers.repository),
            ("oidc.circleci.com/vcs-ref", "refs/heads/main"),
            ("oidc.circleci.com/pipeline-id", pipeline),
        ]),
        [("oidc.circleci.com/ssh-rerun", false.into())],
    );
    let bound = [
        ("project_id", Item::from(id)),
        ("organization_id", owner.into()),
        ("vcs_origin", Item::from(&answers.repository)),
    ];
    let made = if prod {
        rule(
            answers,
            "circleci-main",
            "Jobs of the branch `main`, without reruns over SSH.",
            "circleci:${project_id}:main",
        )
        .matching(bound)
        .matching([("branch", "main".into()), ("ssh_rerun", false.into())])
    } else {
        rule(
            answers,
            "circleci-branch",
            "Each pipeline of a branch has its own prefix, made of the branch's name.",
            "circleci:${project_id}:branch",
        )
        .matching(bound)
        .matching([("branch", present())])
    };
    let fork = with(&claims, [("oidc.circleci.com/vcs-origin", "github.com/stranger/fork".into())]);
    let other_sub = format!("org/{owner}/project/{}/user/{SOME_UUID}", another(id));
    let other = with(&claims, [("oidc.circleci.com/project-id", another(id).into())]);
    Setup {
        note: Some("Jobs ask for the audience: circleci run oidc get --claims '{\"aud\": \"URL of this issuer\"}'"),
        tests: vec![
            granted(
                "A job of main",
                &sub,
                claims,
                (&made.name, format!("circleci:{id}:{}", if prod { "main" } else { "branch" })),
                [("repository", id), ("run", pipeline), ("prefix", &format!("branch-main/run-{pipeline}"))],
            ),
            refused("A fork's pull request", &sub, fork),
            refused("Another project", &other_sub, other),
        ],
        rules: vec![made.tagged([
            ("repository", "${project_id}"),
            ("run", "${pipeline_id}"),
            (
                "prefix",
                if prod { "branch-main/run-${pipeline_id}" } else { "branch-${slug(branch)}/run-${pipeline_id}" },
            ),
        ])],
        issuer: Some(issuer),
        namespaces: if prod { Vec::new() } else { vec!["branch-".to_owned()] },
    }
}

pub(super) const BITBUCKET: Platform = Platform {
    repository: Question::new("Repository, as WORKSPACE/NAME", "octo-org/octo-repo", Form::Path(2, 2)),
    ids: Some([
        Question::new("UUID of the repository", "d4e45493-4a33-477d-917b-a24e7e4bd39c", Form::Uuid)
            .hint("Repository settings > OpenID Connect shows it"),
        Question::new("UUID of the workspace", "03b741e3-cf4a-41f9-9a59-cec52e21bdc4", Form::Uuid)
            .hint("Repository settings > OpenID Connect shows it"),
    ]),
    issuer: None,
    setup: bitbucket,
    check: None,
};

fn bitbucket(answers: &Answers) -> Setup {
    let (id, owner) = (answers.id(), answers.owner());
    let prod = is_prod(answers);
    let (workspace, _) = answers.repository.split_once('/').unwrap_or_default();
    let issuer = format!("https://api.bitbucket.org/2.0/workspaces/{workspace}/pipelines-config/identity/oidc");
    let sub = |id: &str| format!("{{{id}}}:{{{SOME_UUID}}}");
    let pipeline = "805b0ca6-1086-4d23-b526-de1d38cf3a10";
    let braced = |id: &str| format!("{{{id}}}");
    let claims = pairs([
        ("repositoryUuid", braced(id)),
        ("workspaceUuid", braced(owner)),
        ("branchName", "main".to_owned()),
        ("pipelineUuid", braced(pipeline)),
        ("stepUuid", braced(SOME_UUID)),
    ]);
    let bound = [("repository_id", Item::from(id)), ("workspace_id", owner.into())];
    let made = if prod {
        rule(answers, "bitbucket-main", "Steps of the branch `main`.", "bitbucket:${repository_id}:main")
            .matching(bound)
            .matching([("branchName", "main".into())])
    } else {
        rule(
            answers,
            "bitbucket-branch",
            "Each pipeline of a branch has its own prefix, made of the branch's name.",
            "bitbucket:${repository_id}:branch",
        )
        .matching(bound)
        .matching([("branchName", present())])
    };
    let other = with(&claims, [("repositoryUuid", braced(&another(id)).into())]);
    let mut tests = vec![
        granted(
            "A step of main",
            &sub(id),
            claims.clone(),
            (&made.name, format!("bitbucket:{id}:{}", if prod { "main" } else { "branch" })),
            [("repository", id), ("run", pipeline), ("prefix", &format!("branch-main/run-{pipeline}"))],
        ),
        refused("Another repository", &sub(&another(id)), other),
    ];
    if prod {
        tests.push(refused("Another branch", &sub(id), with(&claims, [("branchName", "fix".into())])));
    }
    Setup {
        issuer: Some(answers.issuer.clone().unwrap_or(issuer)),
        note: None,
        rules: vec![made.tagged([
            ("repository", "${repository_id}"),
            ("run", "${pipeline_id}"),
            (
                "prefix",
                if prod { "branch-main/run-${pipeline_id}" } else { "branch-${slug(branchName)}/run-${pipeline_id}" },
            ),
        ])],
        tests,
        namespaces: if prod { Vec::new() } else { vec!["branch-".to_owned()] },
    }
}
