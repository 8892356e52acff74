//! Jobs of GitLab CI.

use serde_json::json;

use super::{AUDIENCE, ClaimSet, GITLAB_ISSUER, GITLAB_NAMESPACE_ID, GITLAB_PROJECT_ID, ISSUED_AT, issued, set, with};

/// GitLab: a pipeline of the protected branch `main` of `my-group/my-project`.
pub fn gitlab_branch() -> ClaimSet {
    let claims = json!({
        "namespace_id": GITLAB_NAMESPACE_ID,
        "namespace_path": "my-group",
        "project_id": GITLAB_PROJECT_ID,
        "project_path": "my-group/my-project",
        "user_id": "1",
        "user_login": "sample-user",
        "user_email": "sample-user@example.com",
        "user_access_level": "developer",
        "job_project_id": GITLAB_PROJECT_ID,
        "job_project_path": "my-group/my-project",
        "job_namespace_id": GITLAB_NAMESPACE_ID,
        "job_namespace_path": "my-group",
        "pipeline_id": "574",
        "pipeline_source": "push",
        "job_id": "302",
        "ref": "main",
        "ref_type": "branch",
        "ref_path": "refs/heads/main",
        "ref_protected": "true",
        "groups_direct": ["my-group/my-subgroup"],
        "runner_id": 1,
        "runner_environment": "gitlab-hosted",
        "sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
        "project_visibility": "private",
        "ci_config_ref_uri": "gitlab.com/my-group/my-project//.gitlab-ci.yml@refs/heads/main",
        "ci_config_sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
        "iss": GITLAB_ISSUER,
        "sub": "project_path:my-group/my-project:ref_type:branch:ref:main",
        "aud": AUDIENCE,
    });
    issued(set(claims), "235b3a54-b797-45c7-ae9a-f72d7bc6ef5b", ISSUED_AT, 3600)
}

/// GitLab: a pipeline of the branch `feature-branch-1`, which nothing protects.
pub fn gitlab_unprotected_branch() -> ClaimSet {
    with(
        gitlab_branch(),
        json!({
            "sub": "project_path:my-group/my-project:ref_type:branch:ref:feature-branch-1",
            "ref": "feature-branch-1",
            "ref_path": "refs/heads/feature-branch-1",
            "ref_protected": "false",
            "ci_config_ref_uri": "gitlab.com/my-group/my-project//.gitlab-ci.yml@refs/heads/feature-branch-1",
        }),
    )
}

/// GitLab: a pipeline of the protected tag `v1.2.3`.
pub fn gitlab_tag() -> ClaimSet {
    with(
        gitlab_branch(),
        json!({
            "sub": "project_path:my-group/my-project:ref_type:tag:ref:v1.2.3",
            "ref": "v1.2.3",
            "ref_type": "tag",
            "ref_path": "refs/tags/v1.2.3",
            "ci_config_ref_uri": "gitlab.com/my-group/my-project//.gitlab-ci.yml@refs/tags/v1.2.3",
        }),
    )
}

/// GitLab: a job on `main` that deploys to the protected environment `production`.
pub fn gitlab_environment() -> ClaimSet {
    with(
        gitlab_branch(),
        json!({
            "environment": "production",
            "environment_protected": "true",
            "environment_action": "start",
            "deployment_tier": "production",
        }),
    )
}

/// GitLab: the pipeline of a merge request between branches of the project. `ref` is the source branch.
pub fn gitlab_merge_request() -> ClaimSet {
    with(
        gitlab_unprotected_branch(),
        json!({
            "pipeline_source": "merge_request_event",
            "ci_config_ref_uri": "gitlab.com/my-group/my-project//.gitlab-ci.yml@refs/merge-requests/7/head",
        }),
    )
}

/// GitLab: a stranger's merge request from `main` of a fork, whose pipeline a member runs in the parent project. Project and ref are the
/// fork's; what runs the job is the parent's.
pub fn gitlab_fork_merge_request() -> ClaimSet {
    with(
        gitlab_branch(),
        json!({
            "sub": "project_path:mallory/my-project:ref_type:branch:ref:main",
            "namespace_id": "666",
            "namespace_path": "mallory",
            "project_id": "6660002",
            "project_path": "mallory/my-project",
            "pipeline_source": "merge_request_event",
            "ref_protected": "false",
            "ci_config_ref_uri": "gitlab.com/my-group/my-project//.gitlab-ci.yml@refs/merge-requests/8/head",
        }),
    )
}

/// GitLab: somebody else made a project at a path that had become free. Only the ids differ.
pub fn gitlab_reused_path() -> ClaimSet {
    with(
        gitlab_branch(),
        json!({
            "namespace_id": "6660001",
            "project_id": "6660002",
            "job_namespace_id": "6660001",
            "job_project_id": "6660002",
            "user_id": "666",
            "user_login": "mallory",
        }),
    )
}
