//! The template for GitLab: its lines run as a GitLab runner does, in one shell, before the job's own.

use std::fs;

use serde_json::Value;

use super::{
    TestResult,
    job::{Job, Outcome, repository},
    stage::{BUCKET, Stage, role},
    yaml::{read, texts},
};

/// Runs the template's lines and then `script`, in a job with the template's variables and these. Variables of the job are filled in as GitLab
/// does, in the audience of the ID token too.
fn run(stage: &Stage, variables: &[(&str, &str)], script: &[&str]) -> TestResult<(Job, Outcome)> {
    let template = read(&repository().join("deploy/ci/gitlab/tagmint.gitlab-ci.yml"))?[".tagmint"].clone();
    let mut job = Job::gitlab(stage)?;
    job.unset("TAGMINT_ID_TOKEN");
    for (name, value) in texts(&template["variables"]) {
        job.set(&name, value);
    }
    for (name, value) in variables {
        job.set(name, *value);
    }
    for (name, token) in template["id_tokens"].as_object().ok_or("no id_tokens")? {
        let audience =
            token["aud"].as_str().and_then(|text| text.strip_prefix('$')).ok_or("no variable as audience")?;
        job.set(name, stage.gitlab_token(&job.variables[audience]));
    }
    let folder = job.path("project/ci");
    fs::create_dir_all(&folder)?;
    for name in ["assume_ci_role.sh", "verify_bucket_access.sh"] {
        fs::copy(repository().join("deploy/ci").join(name), folder.join(name))?;
    }
    let lines = template["before_script"].as_array().ok_or("no before_script")?.iter().filter_map(Value::as_str);
    let lines: Vec<&str> = ["set -eo pipefail"].into_iter().chain(lines).chain(script.iter().copied()).collect();
    let outcome = job.run("bash", ["-c", &lines.join("\n")])?;
    Ok((job, outcome))
}

#[test]
fn a_job_with_the_template_has_credentials_for_its_prefix() -> TestResult {
    let stage = Stage::new()?;
    let arn = role("ci");
    let script = [
        "aws sts get-caller-identity --output text --query Arn",
        &format!("bash ci/verify_bucket_access.sh {BUCKET} \"gitlab/$CI_PROJECT_ID/main\""),
        "[ -z \"${TAGMINT_ID_TOKEN:-}\" ]",
    ];
    let (job, outcome) = run(&stage, &[("AWS_ROLE_ARN", &arn)], &script)?;
    let stdout = outcome.succeeded().stdout;
    assert!(stdout.contains("\narn:aws:sts::000000000000:assumed-role/ci/gl-20-302\n"), "{stdout}");
    assert!(stdout.contains("refused  s3://ci-artifacts/\n"), "{stdout}");
    assert_eq!(fs::read_dir(job.path("tmp"))?.count(), 0, "no credentials are left in a file");
    Ok(())
}

#[test]
fn a_job_that_is_refused_does_not_begin() -> TestResult {
    let stage = Stage::new()?;
    let arn = role("deploy");
    let (_, outcome) = run(&stage, &[("AWS_ROLE_ARN", &arn)], &["echo begun"])?;
    outcome.failed(1, &["not-allowed", "`gitlab-main` is for this job, but not for this role"]);
    assert!(!outcome.stdout.contains("begun"));
    // The audience is made of the URL: a slash more is another audience.
    let url = format!("{}/", stage.url()?);
    let (_, outcome) = run(&stage, &[("AWS_ROLE_ARN", &arn), ("TAGMINT_URL", &url)], &["echo begun"])?;
    outcome.failed(1, &["ci-token-audience"]);
    Ok(())
}
