//! `assume_ci_role.sh` where all is well, and `verify_bucket_access.sh` with what it got.

use std::{fs, process::Stdio};

use super::{
    TestResult,
    job::{Job, mode, repository},
    stage::{BUCKET, Stage, role},
};
use serde_json::json;
use tagmint_testkit::ci_claims;

const CREDENTIALS: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

#[test]
fn a_github_job_gets_credentials_for_its_prefix() -> TestResult {
    let stage = Stage::new()?;
    let job = Job::github(&stage)?;
    // Somebody else's line, without an end.
    fs::write(job.path("github_env"), "EARLIER=1")?;
    let outcome = job.assume("ci")?.succeeded();
    let written = fs::read_to_string(job.path("github_env"))?;
    let names: Vec<&str> = written.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    let expected = [&["EARLIER", "AWS_REGION", "AWS_DEFAULT_REGION"], &CREDENTIALS[..], &["TAGMINT_PREFIX"]];
    assert_eq!(names, expected.concat());
    let next = job.next_step()?;
    assert_eq!(next.variables["AWS_REGION"], "us-east-1");
    assert_eq!(next.identity()?, "arn:aws:sts::000000000000:assumed-role/ci/e2e-session");

    // Both tokens and the three parts of the credentials are hidden, and nothing that people see has them.
    let masked = outcome.masked();
    assert_eq!(masked.len(), 5, "{masked:?}");
    for name in CREDENTIALS {
        assert!(masked.contains(&next.variables[name].as_str()), "{name} is not masked");
    }
    assert_eq!(masked.iter().filter(|secret| secret.split('.').count() == 3).count(), 2, "{masked:?}");
    for secret in masked {
        assert!(!outcome.log().contains(secret), "a secret is in the log:\n{}", outcome.log());
    }
    let outputs = fs::read_to_string(job.path("github_output"))?;
    assert!(outputs.starts_with("expires-at=2") && outputs.ends_with("credentials-file=\n"), "{outputs}");

    let own = next.verify(&[BUCKET, "github/456789/main"])?.succeeded().stdout;
    assert_eq!(
        own,
        "ok       s3://ci-artifacts/github/456789/main/ can be listed\n\
         refused  s3://ci-artifacts/\n\
         refused  s3://ci-artifacts/github/456789/main0/\n"
    );
    next.verify(&[BUCKET, "github/456789/pr/7"])?.failed(1, &["github/456789/pr/7/ is refused"]);
    next.verify(&[BUCKET, "github/456789/main", "github/456789/main"])?.failed(1, &["lets this job out of its prefix"]);
    next.verify(&["no-such-bucket", "github/456789/main"])?.failed(1, &["cannot be listed", "NoSuchBucket"]);
    next.verify(&[BUCKET])?.failed(2, &["usage"]);
    let mut far = next;
    far.set("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1");
    far.set("AWS_MAX_ATTEMPTS", "1");
    far.verify(&[BUCKET, "github/456789/main"])?.failed(4, &["S3 could not be reached"]);
    Ok(())
}

#[test]
fn each_job_has_a_prefix_of_its_own() -> TestResult {
    let stage = Stage::new()?;
    for (claims, prefix) in [
        (ci_claims::github_push_with_ids(), "github/456789/main"),
        (ci_claims::github_pull_request(), "github/456789/pr/42"),
        (ci_claims::github_tag(), "github/456789/release/v1.2.3"),
    ] {
        stage.github.set_job(claims);
        let job = Job::github(&stage)?;
        job.assume("ci")?.succeeded();
        job.next_step()?.verify(&[BUCKET, prefix])?.succeeded();
    }
    Ok(())
}

#[test]
fn secrets_are_masked_before_they_are_written() -> TestResult {
    let stage = Stage::new()?;
    let mut job = Job::github(&stage)?;
    // The script waits at a pipe until somebody reads it: what it has said by then, it said before it wrote.
    let pipe = job.path("pipe");
    job.run("mkfifo", [&pipe])?.succeeded();
    job.set("GITHUB_ENV", pipe.to_string_lossy());
    let log = job.path("log");
    let mut command = job.command("bash");
    command.arg(repository().join("deploy/ci/assume_ci_role.sh")).args([&role("ci"), "e2e-session"]);
    let mut child = command.stdout(fs::File::create(&log)?).stderr(Stdio::inherit()).spawn()?;
    let reader = std::thread::spawn(move || -> std::io::Result<(String, String)> {
        let opened = fs::File::open(&pipe)?;
        let said = fs::read_to_string(&log)?;
        Ok((said, std::io::read_to_string(opened)?))
    });
    assert!(child.wait()?.success());
    let (said, written) = reader.join().map_err(|_| "the reader panicked")??;
    for name in CREDENTIALS {
        let value = written.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).ok_or(name)?;
        assert!(said.contains(&format!("::add-mask::{value}\n")), "{name} was written before it was masked");
    }
    Ok(())
}

#[test]
fn secrets_are_in_no_argument_and_no_trace() -> TestResult {
    let stage = Stage::new()?;
    let mut job = Job::github(&stage)?;
    // Programs in the place of curl and aws that note their arguments.
    let spies = job.path("spies");
    fs::create_dir_all(&spies)?;
    let path = job.variables["PATH"].clone();
    for program in ["curl", "aws", "jq", "mv"] {
        let spy = spies.join(program);
        let text =
            format!("#!/bin/sh\nprintf '%s\\n' {program} \"$@\" >>\"$SPY_LOG\"\nPATH='{path}' exec {program} \"$@\"\n");
        fs::write(&spy, text)?;
        job.run("chmod", ["755".as_ref(), spy.as_os_str()])?.succeeded();
    }
    job.set("SPY_LOG", job.path("spied").to_string_lossy());
    job.set("PATH", format!("{}:{path}", spies.display()));
    let script = repository().join("deploy/ci/assume_ci_role.sh");
    let arguments = ["-x", &script.to_string_lossy(), &role("ci"), "e2e-session"].map(str::to_owned);
    let outcome = job.run("bash", arguments)?.succeeded();
    let noted = fs::read_to_string(job.path("spied"))?;
    assert!(noted.contains("--data-urlencode") && noted.contains("assume-role-with-web-identity"), "{noted}");
    for secret in outcome.masked().into_iter().chain([stage.github.request_token()]) {
        assert!(!noted.contains(secret), "a secret was an argument:\n{noted}");
        assert!(!outcome.log().contains(secret), "a secret is in the trace");
    }
    Ok(())
}

#[test]
fn a_gitlab_job_gets_credentials_in_a_file_of_its_own() -> TestResult {
    let stage = Stage::new()?;
    let mut job = Job::gitlab(&stage)?;
    let file = job.path("tmp/aws.env");
    // What was there is replaced, not written into: its mode would stay.
    fs::write(&file, "left over\n")?;
    job.set("TAGMINT_ENV_FILE", file.to_string_lossy());
    let outcome = job.assume("ci")?.succeeded();
    assert_eq!(mode(&file)?, 0o600);
    assert!(outcome.masked().is_empty(), "GitLab knows no such command:\n{}", outcome.stdout);
    let text = fs::read_to_string(&file)?;
    assert!(text.starts_with("export AWS_REGION=us-east-1\n") && !text.contains("left over"), "{text}");
    for line in text.lines().filter(|line| line.contains("KEY") || line.contains("TOKEN")) {
        let (_, secret) = line.split_once('=').ok_or(line)?;
        assert!(!outcome.log().contains(secret), "a secret is in the log:\n{}", outcome.log());
    }
    let use_it = format!(". '{}' && aws sts get-caller-identity --output text --query Arn", file.display());
    let seen = job.run("bash", ["-c", &use_it])?.succeeded();
    assert_eq!(seen.stdout, "arn:aws:sts::000000000000:assumed-role/ci/e2e-session\n");
    assert_eq!(fs::read_dir(job.path("project"))?.count(), 0, "nothing is left in the project");
    assert_eq!(fs::read_dir(job.path("tmp"))?.count(), 1, "nothing but the file is left");

    job.unset("TAGMINT_ENV_FILE");
    job.set("TAGMINT_ID_TOKEN", stage.gitlab_token(stage.url()?));
    job.assume("ci")?.succeeded();
    assert_eq!(mode(&job.path("project/.tagmint-aws.env"))?, 0o600);
    Ok(())
}

#[test]
fn a_file_instead_of_variables() -> TestResult {
    let stage = Stage::new()?;
    let mut job = Job::github(&stage)?;
    job.set("TAGMINT_OUTPUT", "file");
    // Of an earlier step: they would win over the file.
    job.set("AWS_ACCESS_KEY_ID", "AKIAEARLIER");
    job.set("AWS_SECRET_ACCESS_KEY", "earlier");
    let outcome = job.assume("ci")?.succeeded();
    assert_eq!(outcome.masked().len(), 5);
    let written = fs::read_to_string(job.path("github_env"))?;
    for secret in outcome.masked() {
        assert!(!written.contains(secret), "a secret is in GITHUB_ENV");
    }
    let next = job.next_step()?;
    let file = next.variables["AWS_SHARED_CREDENTIALS_FILE"].clone();
    assert_eq!(mode(file.as_ref())?, 0o600);
    assert!(fs::read_to_string(job.path("github_output"))?.contains(&format!("credentials-file={file}\n")));
    assert_eq!(next.identity()?, "arn:aws:sts::000000000000:assumed-role/ci/e2e-session");

    let mut job = Job::gitlab(&stage)?;
    let named = job.path("tmp/credentials").to_string_lossy().into_owned();
    job.set("TAGMINT_OUTPUT", "file");
    job.set("TAGMINT_CREDENTIALS_FILE", named.as_str());
    // No secret is in a variable, so that a trace of the job's variables is no reason against it.
    job.set("CI_DEBUG_TRACE", "true");
    job.assume("ci")?.succeeded();
    assert_eq!(mode(named.as_ref())?, 0o600);
    let exported = fs::read_to_string(job.path("project/.tagmint-aws.env"))?;
    assert!(exported.contains(&format!("export AWS_SHARED_CREDENTIALS_FILE={named}\n")), "{exported}");
    assert!(!exported.contains("AWS_SESSION_TOKEN"), "{exported}");
    Ok(())
}

#[test]
fn without_tagmint_the_platforms_token_goes_to_aws() -> TestResult {
    let stage = Stage::new()?;
    let mut job = Job::github(&stage)?;
    job.unset("TAGMINT_URL");
    let outcome = job.assume("direct-github")?.succeeded();
    assert_eq!(outcome.masked().len(), 4, "one token and the credentials: {:?}", outcome.masked());
    assert_eq!(job.next_step()?.identity()?, "arn:aws:sts::000000000000:assumed-role/direct-github/e2e-session");
    stage.github.set_job(ci_claims::github_feature_branch());
    let words = ["STS refused the token of the CI platform", "AccessDenied", "a condition on aud, sub"];
    job.assume("direct-github")?.failed(1, &words);

    let mut job = Job::gitlab(&stage)?;
    job.unset("TAGMINT_URL");
    job.set("TAGMINT_ID_TOKEN", stage.gitlab_token("sts.amazonaws.com"));
    job.assume("direct-gitlab")?.succeeded();
    job.set("TAGMINT_ID_TOKEN", stage.gitlab_token("https://other.example"));
    job.assume("direct-gitlab")?.failed(1, &["InvalidIdentityToken", "not with this audience"]);
    Ok(())
}

#[test]
fn a_broker_that_is_busy_is_asked_again_with_a_new_token() -> TestResult {
    let stage = Stage::without_github_keys()?;
    let job = Job::github(&stage)?;
    let before = stage.github.counts().other;
    job.assume("ci")?.failed(4, &["provider-unavailable", "Try again; if it stays so, tell the operator."]);
    assert_eq!(stage.github.counts().other - before, 3, "a token for each attempt");
    // The other platform's jobs don't notice.
    Job::gitlab(&stage)?.assume("ci")?.succeeded();
    Ok(())
}

#[test]
fn the_audience_of_our_token_can_be_chosen() -> TestResult {
    let stage = Stage::new()?;
    let mut job = Job::github(&stage)?;
    job.set("TAGMINT_TOKEN_AUDIENCE", "sts.amazonaws.com");
    job.set("ROLE_DURATION_SECONDS", "900");
    job.assume("ci")?.succeeded();
    stage.github.set_job(ci_claims::with(ci_claims::github_push(), json!({"event_name": "schedule"})));
    job.assume("ci")?.succeeded();
    Ok(())
}
