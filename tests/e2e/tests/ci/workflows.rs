//! The workflows that are to be copied, run against the test issuer as it is shipped: where all is well, and where something is broken on purpose.

use serde_json::{Value, json};
use tagmint_testkit::ci_claims;

use super::{
    TestResult,
    job::Job,
    pipeline::workflow,
    stage::{Stage, TEST_BUCKET},
};

/// A bucket that is there and that nobody in CI may reach, as prod's is.
const OTHER_BUCKET: &str = "agentkeys-mail-000000000000";

/// The context `github` of pull request 42, from a branch of this repository.
fn pull_request(from: &str) -> Value {
    json!({"event_name": "pull_request", "repository": "octo-org/octo-repo", "ref": "refs/pull/42/merge",
        "event": {"pull_request": {"head": {"repo": {"full_name": from}}}}})
}

/// A job of that pull request's run.
fn job(stage: &Stage) -> TestResult<Job> {
    stage.github.set_job(ci_claims::github_pull_request());
    let mut job = Job::github(stage)?;
    // The authority of a real broker is one that the runner knows.
    job.unset("TAGMINT_CA_FILE");
    job.set("CURL_CA_BUNDLE", stage.path("all.pem").to_string_lossy());
    Ok(job)
}

/// Runs the proof.
fn prove(stage: &Stage, from: &str) -> TestResult<std::collections::BTreeMap<String, super::pipeline::Ran>> {
    let role = Stage::test_role();
    let env = [
        ("TAGMINT_URL", stage.url()?),
        ("ROLE", &role),
        ("BUCKET", TEST_BUCKET),
        ("OTHER_BUCKET", OTHER_BUCKET),
        ("AWS_REGION", "us-east-1"),
    ];
    workflow("proof.yml", &job(stage)?, &pull_request(from), &env)
}

/// The test issuer, and the other bucket.
fn stage() -> TestResult<Stage> {
    let stage = Stage::of_the_test_issuer()?;
    stage.aws_command(&["s3api", "create-bucket", "--bucket", OTHER_BUCKET])?;
    Ok(stage)
}

#[test]
fn a_pull_request_is_proved() -> TestResult {
    let stage = stage()?;
    let mut jobs = prove(&stage, "octo-org/octo-repo")?;
    let proof = jobs.remove("prove").ok_or("no proof")?;
    assert!(proof.passed() && jobs.is_empty(), "{jobs:?}\n{}", proof.log());
    assert_eq!(proof.steps.len(), 3);
    assert_eq!(proof.job.variables["TAGMINT_PREFIX"], "pr-42/run-9876543210");
    let log = proof.log();
    let base = format!("s3://{TEST_BUCKET}/");
    for line in [
        format!("ok       put {base}pr-42/run-9876543210/.tagmint-proof-"),
        format!("refused  list {base}pr-42/run-98765432100/\n"),
        format!("refused  get {base}pr-420/.tagmint-proof-"),
        format!("refused  put {base}tagmint-proof-"),
        format!("refused  delete {base}.tagmint-proof-"),
        format!("refused  list s3://{OTHER_BUCKET}/\n"),
        format!("prove_bucket_access: all 25 checks hold for {base}pr-42/run-9876543210/"),
    ] {
        assert!(log.contains(&line), "`{line}` is not in:\n{log}");
    }
    assert_eq!(proof.summary.matches("\n| refused |").count(), 21, "{}", proof.summary);
    assert_eq!(stage.keys(TEST_BUCKET)?, Vec::<String>::new(), "nothing is left");
    Ok(())
}

#[test]
fn a_fork_is_told_and_not_red() -> TestResult {
    let stage = stage()?;
    let jobs = prove(&stage, "mallory/octo-repo")?;
    assert_eq!(jobs.keys().collect::<Vec<_>>(), ["fork"], "the proof is skipped");
    let fork = &jobs["fork"];
    assert!(fork.passed() && fork.summary.contains("GitHub gives its jobs no ID token"), "{fork:?}");
    assert!(!fork.job.variables.contains_key("ACTIONS_ID_TOKEN_REQUEST_TOKEN"));
    Ok(())
}

#[test]
fn what_is_broken_fails_the_proof_with_its_name() -> TestResult {
    const REACH: &str = "It reaches its own prefix and nothing else";
    // A wall that lets foreign objects be read.
    let stage = stage()?;
    stage.open_the_wall("pr-*")?;
    let jobs = prove(&stage, "octo-org/octo-repo")?;
    let (proof, log) = (&jobs["prove"], jobs["prove"].log());
    assert_eq!(proof.failed(), [REACH], "{log}");
    let said = "::error title=prove_bucket_access::get s3://agentkeys-mail-test-000000000000/pr-420/.tagmint-proof-";
    assert!(log.contains(said) && log.contains("reading is allowed, and no object is there"), "{log}");
    assert!(log.contains("prove_bucket_access: 2 of 25 checks failed"), "{log}");
    assert!(proof.summary.contains("| FAILED | <code>get s3://"), "{}", proof.summary);

    // One that lets everything be done with them: what was written there is gone again.
    let policy = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}});
    let policy = policy.to_string();
    let role = ["iam", "put-role-policy", "--role-name", "agentkeys-data-role-test", "--policy-name", "broad"];
    stage.aws_command(&[&role[..], &["--policy-document", &policy]].concat())?;
    let jobs = prove(&stage, "octo-org/octo-repo")?;
    let log = jobs["prove"].log();
    assert!(log.contains("prove_bucket_access: 21 of 25 checks failed"), "{log}");
    assert!(log.contains(&format!("FAILED   put s3://{OTHER_BUCKET}/")), "{log}");
    for bucket in [TEST_BUCKET, OTHER_BUCKET] {
        assert_eq!(stage.keys(bucket)?, Vec::<String>::new(), "{bucket}");
    }

    // A role that also takes the platform's own tokens.
    stage.trust_the_platform()?;
    let jobs = prove(&stage, "octo-org/octo-repo")?;
    let log = jobs["prove"].log();
    assert_eq!(jobs["prove"].failed(), ["GitHub's own token, which has no tags, opens no session"], "{log}");
    assert!(log.contains("::error title=untagged::a token without tags was not refused by STS"), "{log}");
    Ok(())
}
