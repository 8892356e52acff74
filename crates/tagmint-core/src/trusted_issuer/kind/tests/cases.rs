//! Changes to the samples of the kinds, and what comes of them.

use serde_json::{Value, json};

/// The ids in the sample of CircleCI.
const CIRCLECI: &str = "org/c9035eb6-6eb2-4c85-8a81-d9ed6a1d1d1e/project/3a2f5b1c-7d4e-4f6a-9b8c-0d1e2f3a4b5c/user/5e6f7a8b-9c0d-4e1f-a2b3-c4d5e6f7a8b9";

/// Kind, changes, and an attribute that the token then has.
pub(super) fn variants() -> Vec<(&'static str, Value, &'static str, Value)> {
    vec![
        (
            "github",
            json!({"sub": "repo:octo-org/octo-repo:ref:refs/tags/v1", "ref": "refs/tags/v1"}),
            "tag",
            json!("v1"),
        ),
        (
            "github",
            json!({"sub": "repo:octo-org/octo-repo:pull_request", "ref": "refs/pull/42/merge"}),
            "pull_request",
            json!(42),
        ),
        (
            "gitlab",
            json!({"sub": "project_path:my-group/my-project:ref_type:tag:ref:v1", "ref": "v1", "ref_type": "tag"}),
            "tag",
            json!("v1"),
        ),
        ("gitlab", json!({"ref_path": "refs/merge-requests/7/head"}), "merge_request", json!(7)),
        ("buildkite", json!({"build_tag": "v1"}), "tag", json!("v1")),
        ("buildkite", json!({"sub": "0191f956-042f-7ec4-aa62-8e5eeae396d0"}), "branch", json!("main")),
        ("circleci", json!({"sub": CIRCLECI, "oidc.circleci.com/vcs-ref": "refs/tags/v1"}), "tag", json!("v1")),
        ("circleci", json!({"sub": CIRCLECI, "iss": "https://oidc.circleci.com"}), "ssh_rerun", json!(false)),
        (
            "bitbucket",
            json!({"sub": "{d4e45493-4a33-477d-917b-a24e7e4bd39b}:{d5ff2daf-063f-4c13-82fc-cb51af94c2cb}"}),
            "repository_id",
            json!("d4e45493-4a33-477d-917b-a24e7e4bd39b"),
        ),
        (
            "terraform",
            json!({
                "sub": "organization:my-org:module:terraform-aws-vpc:operation:test_run",
                "terraform_project_id": null, "terraform_project_name": null,
                "terraform_workspace_id": null, "terraform_workspace_name": null, "terraform_full_workspace": null,
                "terraform_run_phase": "plan",
            }),
            "terraform_organization_name",
            json!("my-org"),
        ),
        (
            "terraform",
            json!({
                "sub": "organization:my-org:project:Default Project:stack:my-stack:deployment:production:operation:apply",
                "terraform_workspace_id": null, "terraform_workspace_name": null, "terraform_full_workspace": null,
                "terraform_run_phase": null,
                "terraform_stack_id": "st-1", "terraform_stack_name": "my-stack",
                "terraform_stack_deployment_name": "production", "terraform_operation": "apply",
            }),
            "terraform_stack_deployment_name",
            json!("production"),
        ),
        (
            "kubernetes",
            json!({"kubernetes.io": {"namespace": "my-namespace", "serviceaccount": {"name": "my-sa", "uid": "1"}}}),
            "service_account_uid",
            json!("1"),
        ),
        (
            "jenkins",
            json!({"iss": "https://jenkins.example.com/oidc/job/my-folder"}),
            "job_path",
            json!("my-folder/my-job"),
        ),
        ("jenkins", json!({"sub": "jenkins:main", "build_number": "42"}), "build_number", json!("42")),
        ("aws", json!({"sub": "arn:aws:iam::123456789012:user/Bob"}), "user_name", json!("Bob")),
    ]
}

/// Kind, changes, and the two claims that then contradict each other.
pub(super) fn contradictions() -> Vec<(&'static str, Value, &'static str, &'static str)> {
    vec![
        ("github", json!({"repository_owner": "mallory"}), "repository", "repository_owner"),
        ("github", json!({"sub": "repo:mallory/octo-repo:ref:refs/heads/main"}), "sub", "repository"),
        ("github", json!({"ref": "refs/heads/feature"}), "sub", "ref"),
        ("gitlab", json!({"project_path": "mallory/my-project"}), "sub", "project_path"),
        ("gitlab", json!({"ref": "feature"}), "sub", "ref"),
        ("buildkite", json!({"organization_slug": "mallory"}), "sub", "organization_slug"),
        ("buildkite", json!({"organization_slug": "acme"}), "sub", "organization_slug"),
        ("buildkite", json!({"pipeline_slug": "super"}), "sub", "pipeline_slug"),
        ("circleci", json!({"oidc.circleci.com/project-id": "0"}), "sub", "oidc.circleci.com/project-id"),
        ("circleci", json!({"oidc.circleci.com/org-id": "0"}), "sub", "oidc.circleci.com/org-id"),
        ("circleci", json!({"iss": "https://oidc.circleci.com/org/0"}), "sub", "iss"),
        (
            "circleci",
            json!({"oidc.circleci.com/vcs-origin": "github.com/mallory/octo-repo"}),
            "sub",
            "oidc.circleci.com/vcs-origin",
        ),
        ("circleci", json!({"oidc.circleci.com/vcs-origin": null}), "sub", "oidc.circleci.com/vcs-origin"),
        ("circleci", json!({"oidc.circleci.com/vcs-ref": "refs/heads/x"}), "sub", "oidc.circleci.com/vcs-ref"),
        ("bitbucket", json!({"repositoryUuid": "{0}"}), "sub", "repositoryUuid"),
        ("bitbucket", json!({"deploymentEnvironmentUuid": null}), "sub", "deploymentEnvironmentUuid"),
        ("bitbucket", json!({"stepUuid": "{0}"}), "sub", "stepUuid"),
        ("terraform", json!({"terraform_organization_name": "mallory"}), "sub", "terraform_organization_name"),
        ("terraform", json!({"terraform_project_name": "Other"}), "sub", "terraform_project_name"),
        ("terraform", json!({"terraform_workspace_name": "other"}), "sub", "terraform_workspace_name"),
        ("terraform", json!({"terraform_run_phase": "plan"}), "sub", "terraform_run_phase"),
        (
            "terraform",
            json!({"terraform_full_workspace": "organization:my-org:project:Default Project:workspace:my"}),
            "sub",
            "terraform_full_workspace",
        ),
        ("kubernetes", json!({"sub": "system:serviceaccount:other:my-sa"}), "sub", "kubernetes.io"),
        ("kubernetes", json!({"sub": "system:serviceaccount:my-namespace:other"}), "sub", "kubernetes.io"),
        ("jenkins", json!({"iss": "https://jenkins.example.com/oidc/job/other"}), "iss", "sub"),
        ("jenkins", json!({"iss": "https://jenkins.example.com/oidc/job/my"}), "iss", "sub"),
        (
            "aws",
            json!({"sub": "arn:aws:iam::210987654321:role/DataProcessingRole"}),
            "sub",
            "https://sts.amazonaws.com/",
        ),
    ]
}

/// Kind, changes, and the claim that is then missing or not of its form.
pub(super) fn refused_claims() -> Vec<(&'static str, Value, &'static str)> {
    let sts = "https://sts.amazonaws.com/";
    vec![
        ("buildkite", json!({"pipeline_slug": null}), "pipeline_slug"),
        ("buildkite", json!({"build_number": "one"}), "build_number"),
        ("circleci", json!({"sub": "org/1/user/2"}), "sub"),
        ("circleci", json!({"oidc.circleci.com/project-id": null}), "oidc.circleci.com/project-id"),
        ("circleci", json!({"oidc.circleci.com/ssh-rerun": "no"}), "oidc.circleci.com/ssh-rerun"),
        ("bitbucket", json!({"sub": "{0}"}), "sub"),
        ("bitbucket", json!({"workspaceUuid": null}), "workspaceUuid"),
        ("terraform", json!({"sub": "workspace:my-workspace"}), "sub"),
        ("terraform", json!({"terraform_organization_id": ""}), "terraform_organization_id"),
        ("kubernetes", json!({"sub": "system:node:my-node"}), "sub"),
        ("kubernetes", json!({"kubernetes.io": null}), "kubernetes.io"),
        ("kubernetes", json!({"kubernetes.io": "my-namespace"}), "kubernetes.io"),
        ("kubernetes", json!({"kubernetes.io": {"namespace": "my-namespace"}}), "serviceaccount"),
        (
            "kubernetes",
            json!({"kubernetes.io": {"namespace": "my-namespace", "serviceaccount": {"name": "my-sa"}}}),
            "uid",
        ),
        ("jenkins", json!({"build_number": "latest"}), "build_number"),
        ("aws", json!({"sub": "DataProcessingRole"}), "sub"),
        ("aws", json!({sts: null}), sts),
        ("aws", json!({sts: {"source_region": "us-east-1"}}), "aws_account"),
    ]
}
