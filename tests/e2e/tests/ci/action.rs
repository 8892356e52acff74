//! The composite action for GitHub, and the workflow that shows how it is used.

use std::fs;

use serde_json::{Value, json};
use tagmint_testkit::ci_claims;

use super::{
    TestResult,
    job::{Job, mode, repository},
    runner::{composite, workflow},
    stage::{BUCKET, Stage, role},
};

const ACTION: &str = "deploy/ci/github";

/// The context `github` of a push to `main`.
fn push() -> Value {
    json!({"run_id": "9876543210", "run_attempt": "2", "repository": "octo-org/octo-repo", "repository_id": "456789",
        "event_name": "push", "event": {"number": "", "pull_request": {"head": {"repo": {"full_name": ""}}}}})
}

/// The same of pull request 42, from a branch of this repository.
fn pull_request(from: &str) -> Value {
    let mut github = push();
    github["event_name"] = "pull_request".into();
    github["event"] = json!({"number": 42, "pull_request": {"head": {"repo": {"full_name": from}}}});
    github
}

#[test]
fn the_action_gives_credentials_and_verifies_the_bucket() -> TestResult {
    let stage = Stage::new()?;
    let mut job = Job::github(&stage)?;
    // The action says it by its inputs, not by what happens to be in the job.
    for name in ["TAGMINT_URL", "TAGMINT_CA_FILE", "AWS_REGION"] {
        job.unset(name);
    }
    let (arn, ca) = (role("ci"), stage.path("ca.pem").to_string_lossy().into_owned());
    let required = [("role", arn.as_str()), ("url", stage.url()?), ("ca-file", &ca)];
    let verified = [&required[..], &[("verify-bucket", BUCKET), ("verify-prefix", "github/456789/main")]].concat();
    let run = composite(ACTION, &job, &push(), &verified)?;
    assert!(run.last()?.stdout.contains("ok       s3://ci-artifacts/github/456789/main/"), "{run:?}");
    assert!(run.outputs["expires-at"].as_str().is_some_and(|text| text.starts_with('2')), "{:?}", run.outputs);
    let session = "arn:aws:sts::000000000000:assumed-role/ci/gh-9876543210-2";
    assert_eq!(run.job.identity()?, session);

    fs::write(job.path("github_env"), "")?;
    let run =
        composite(ACTION, &job, &push(), &[&required[..], &[("output", "file"), ("region", "eu-central-1")]].concat())?;
    assert_eq!(run.steps.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false], "nothing to verify");
    let file = run.outputs["credentials-file"].as_str().ok_or("no file")?;
    assert_eq!(mode(file.as_ref())?, 0o600);
    assert_eq!((run.job.identity()?.as_str(), run.job.variables["AWS_REGION"].as_str()), (session, "eu-central-1"));
    assert!(!run.job.variables.contains_key("AWS_SECRET_ACCESS_KEY"));

    // What the script refuses fails the step, and no other runs.
    fs::write(job.path("github_env"), "")?;
    let given = [&verified[..], &[("audience", "https://other.example")]].concat();
    let run = composite(ACTION, &job, &push(), &given)?;
    run.last()?.failed(1, &["ci-token-audience"]);
    assert_eq!(run.steps.len(), 1);
    let run = composite(
        ACTION,
        &job,
        &push(),
        &[&required[..], &[("verify-bucket", BUCKET), ("verify-prefix", "other")]].concat(),
    )?;
    run.last()?.failed(1, &["s3://ci-artifacts/other/ is refused"]);
    let missing = composite(ACTION, &job, &push(), &[("url", "https://localhost")]).map(|_| ());
    assert!(missing.is_err_and(|error| error.to_string().contains("`role` is required")));
    Ok(())
}

#[test]
fn without_a_url_the_action_goes_to_aws_directly() -> TestResult {
    let stage = Stage::new()?;
    let job = Job::github(&stage)?;
    let run = composite(ACTION, &job, &push(), &[("role", &role("direct-github"))])?;
    run.last()?;
    assert_eq!(run.job.identity()?, "arn:aws:sts::000000000000:assumed-role/direct-github/gh-9876543210-2");
    Ok(())
}

#[test]
fn the_workflow_uploads_below_its_prefix_and_leaves_nothing() -> TestResult {
    let stage = Stage::new()?;
    let file = repository().join("deploy/ci/github/workflow.yml");
    let arn = role("ci");
    let env = [("TAGMINT", stage.url()?), ("ROLE", &arn), ("BUCKET", BUCKET)];
    for (claims, github, prefix) in [
        (ci_claims::github_push(), push(), "github/456789/main"),
        (ci_claims::github_pull_request(), pull_request("octo-org/octo-repo"), "github/456789/pr/42"),
    ] {
        stage.github.set_job(claims);
        let mut job = Job::github(&stage)?;
        // The authority of a real broker is one that the runner knows.
        job.unset("TAGMINT_CA_FILE");
        job.set("CURL_CA_BUNDLE", stage.path("all.pem").to_string_lossy());
        fs::write(job.path("project/Makefile"), "all:\n\ttouch result.tar.gz\n")?;
        let (outcomes, after) = workflow(&file, &job, &github, &env)?;
        let said: String = outcomes.iter().map(|outcome| outcome.stdout.as_str()).collect();
        assert!(said.contains(&format!("ok       s3://{BUCKET}/{prefix}/ can be listed")), "{said}");
        assert!(said.contains(&format!("to s3://{BUCKET}/{prefix}/run-9876543210/result.tar.gz")), "{said}");
        assert!(
            said.contains("cleanup: emptied AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN"),
            "{said}"
        );
        assert_eq!(after.variables["AWS_SESSION_TOKEN"], "");
    }
    // A fork's pull request gets no token: the job does not begin.
    let (outcomes, _) = workflow(&file, &Job::github(&stage)?, &pull_request("mallory/octo-repo"), &env)?;
    assert!(outcomes.is_empty());
    Ok(())
}
