//! Jobs of GitHub Actions.

use serde_json::json;

use super::{AUDIENCE, ClaimSet, GITHUB_ISSUER, GITHUB_OWNER_ID, GITHUB_REPOSITORY_ID, ISSUED_AT, issued, set, with};

/// GitHub: a push to `main` of `octo-org/octo-repo`, a repository from before the subjects with ids.
pub fn github_push() -> ClaimSet {
    let claims = json!({
        "sub": "repo:octo-org/octo-repo:ref:refs/heads/main",
        "iss": GITHUB_ISSUER,
        "aud": AUDIENCE,
        "ref": "refs/heads/main",
        "sha": "f417a0d1a5d2d43a4b8dcf3a2a0c6b9c2d1e0f3a",
        "repository": "octo-org/octo-repo",
        "repository_owner": "octo-org",
        "repository_owner_id": GITHUB_OWNER_ID,
        "run_id": "9876543210",
        "run_number": "10",
        "run_attempt": "2",
        "repository_visibility": "private",
        "repository_id": GITHUB_REPOSITORY_ID,
        "actor_id": "12",
        "actor": "octocat",
        "workflow": "example-workflow",
        "head_ref": "",
        "base_ref": "",
        "event_name": "push",
        "ref_protected": "true",
        "ref_type": "branch",
        "workflow_ref": "octo-org/octo-repo/.github/workflows/example.yml@refs/heads/main",
        "workflow_sha": "f417a0d1a5d2d43a4b8dcf3a2a0c6b9c2d1e0f3a",
        "job_workflow_ref": "octo-org/octo-repo/.github/workflows/example.yml@refs/heads/main",
        "job_workflow_sha": "f417a0d1a5d2d43a4b8dcf3a2a0c6b9c2d1e0f3a",
        "runner_environment": "github-hosted",
        "check_run_id": "55667788990",
    });
    issued(set(claims), "5ea2b0a5-6d0c-4b0a-9f0e-5c1f6a2f9d10", ISSUED_AT, 300)
}

/// GitHub: the same push in a repository whose subjects have ids.
pub fn github_push_with_ids() -> ClaimSet {
    with(github_push(), json!({"sub": "repo:octo-org@123456/octo-repo@456789:ref:refs/heads/main"}))
}

/// GitHub: a push to the branch `feature/login`, which nothing protects.
pub fn github_feature_branch() -> ClaimSet {
    with(
        github_push(),
        json!({
            "sub": "repo:octo-org/octo-repo:ref:refs/heads/feature/login",
            "ref": "refs/heads/feature/login",
            "ref_protected": "false",
            "workflow_ref": "octo-org/octo-repo/.github/workflows/example.yml@refs/heads/feature/login",
            "job_workflow_ref": "octo-org/octo-repo/.github/workflows/example.yml@refs/heads/feature/login",
        }),
    )
}

/// GitHub: a push of the tag `v1.2.3`.
pub fn github_tag() -> ClaimSet {
    with(
        github_push(),
        json!({
            "sub": "repo:octo-org/octo-repo:ref:refs/tags/v1.2.3",
            "ref": "refs/tags/v1.2.3",
            "ref_type": "tag",
            "ref_protected": "false",
            "workflow_ref": "octo-org/octo-repo/.github/workflows/example.yml@refs/tags/v1.2.3",
            "job_workflow_ref": "octo-org/octo-repo/.github/workflows/example.yml@refs/tags/v1.2.3",
        }),
    )
}

/// GitHub: pull request 42, from a branch of the repository itself (a fork's gets no token).
pub fn github_pull_request() -> ClaimSet {
    with(
        github_push(),
        json!({
            "sub": "repo:octo-org/octo-repo:pull_request",
            "ref": "refs/pull/42/merge",
            "event_name": "pull_request",
            "head_ref": "feature/login",
            "base_ref": "main",
            "ref_protected": "false",
            "workflow_ref": "octo-org/octo-repo/.github/workflows/example.yml@refs/pull/42/merge",
            "job_workflow_ref": "octo-org/octo-repo/.github/workflows/example.yml@refs/pull/42/merge",
        }),
    )
}

/// GitHub: `pull_request_target` for pull request 43 of a stranger's fork: it runs with the rights of the base, and says so with its ref.
pub fn github_pull_request_target() -> ClaimSet {
    with(
        github_push(),
        json!({
            "event_name": "pull_request_target",
            "head_ref": "main",
            "base_ref": "main",
            "actor": "mallory",
            "actor_id": "666",
        }),
    )
}

/// GitHub: a job of the environment `production`, on `main`. The environment stands in the subject instead of the ref.
pub fn github_environment() -> ClaimSet {
    with(github_push(), json!({"sub": "repo:octo-org/octo-repo:environment:production", "environment": "production"}))
}

/// GitHub: a job of an environment with a colon in its name.
pub fn github_environment_with_colon() -> ClaimSet {
    with(
        github_push(),
        json!({"sub": "repo:octo-org/octo-repo:environment:eu%3Aproduction", "environment": "eu:production"}),
    )
}

/// GitHub: a job that runs a reusable workflow of another repository of another owner.
pub fn github_reusable_workflow() -> ClaimSet {
    with(
        github_push(),
        json!({"job_workflow_ref": "octo-automation/workflows/.github/workflows/deploy.yml@refs/heads/main"}),
    )
}

/// GitHub: an organisation that put its subjects together itself.
pub fn github_custom_subject() -> ClaimSet {
    with(
        github_reusable_workflow(),
        json!({
            "sub": "repo:octo-org/octo-repo:ref:refs/heads/main:job_workflow_ref:octo-automation/workflows/.github/workflows/deploy.yml@refs/heads/main",
        }),
    )
}

/// GitHub: the repository after it was renamed to `octo-org/renamed`: the ids stay, and the subject has them from then on.
pub fn github_renamed() -> ClaimSet {
    with(
        github_push(),
        json!({
            "sub": "repo:octo-org@123456/renamed@456789:ref:refs/heads/main",
            "repository": "octo-org/renamed",
            "workflow_ref": "octo-org/renamed/.github/workflows/example.yml@refs/heads/main",
            "job_workflow_ref": "octo-org/renamed/.github/workflows/example.yml@refs/heads/main",
        }),
    )
}

/// GitHub: somebody else took the names `octo-org` and `octo-repo` after they had become free. Only the ids, and the subject's form, differ.
pub fn github_name_taken_over() -> ClaimSet {
    with(
        github_push(),
        json!({
            "sub": "repo:octo-org@6660001/octo-repo@6660002:ref:refs/heads/main",
            "repository_owner_id": "6660001",
            "repository_id": "6660002",
            "actor": "mallory",
            "actor_id": "666",
        }),
    )
}

/// GitHub: a push to `main` of a stranger's fork, in the fork.
pub fn github_fork_push() -> ClaimSet {
    with(
        github_push(),
        json!({
            "sub": "repo:mallory@666/octo-repo@6660003:ref:refs/heads/main",
            "repository": "mallory/octo-repo",
            "repository_id": "6660003",
            "repository_owner": "mallory",
            "repository_owner_id": "666",
            "actor": "mallory",
            "actor_id": "666",
            "workflow_ref": "mallory/octo-repo/.github/workflows/example.yml@refs/heads/main",
            "job_workflow_ref": "mallory/octo-repo/.github/workflows/example.yml@refs/heads/main",
        }),
    )
}

/// GitHub: another repository of the same owner.
pub fn github_sibling_repository() -> ClaimSet {
    with(
        github_push(),
        json!({
            "sub": "repo:octo-org/playground:ref:refs/heads/main",
            "repository": "octo-org/playground",
            "repository_id": "456790",
            "workflow_ref": "octo-org/playground/.github/workflows/example.yml@refs/heads/main",
            "job_workflow_ref": "octo-org/playground/.github/workflows/example.yml@refs/heads/main",
        }),
    )
}
