//! `tagmint token`, `exec` and `env` in CI jobs: they find the platform's token by themselves.

use std::{ffi::OsStr, fs, time::Duration};

use tagmint_e2e::{Daemon, TagmintProcess, wait_until};

use super::{
    TestResult,
    job::{Job, Outcome, mode},
    stage::{BUCKET, Stage, role},
};

/// Runs `tagmint ARGUMENTS` in a job. It trusts the authorities of both the broker and the platform.
fn tagmint<A: AsRef<OsStr>>(stage: &Stage, job: &Job, arguments: impl IntoIterator<Item = A>) -> TestResult<Outcome> {
    let mut job = job.clone();
    job.set("TAGMINT_CA_FILE", stage.path("all.pem").to_string_lossy());
    let program = TagmintProcess::command([""; 0])?.get_program().to_string_lossy().into_owned();
    job.run(&program, arguments)
}

#[test]
fn exec_runs_a_command_with_the_jobs_credentials() -> TestResult {
    let stage = Stage::new()?;
    let arn = role("ci");
    let options = ["exec", "--role", &arn, "--session-name", "exec", "--region", "us-east-1", "--"];
    let command = ["aws", "sts", "get-caller-identity", "--output", "text", "--query", "Arn"];
    for job in [Job::github(&stage)?, Job::gitlab(&stage)?] {
        let outcome = tagmint(&stage, &job, options.iter().chain(&command))?.succeeded();
        assert_eq!(outcome.stdout.lines().last(), Some("arn:aws:sts::000000000000:assumed-role/ci/exec"));
    }
    let outcome = tagmint(&stage, &Job::github(&stage)?, options.iter().chain(&["sh", "-c", "exit 7"]))?;
    assert_eq!(outcome.code, Some(7), "{}", outcome.stderr);
    let deploy = role("deploy");
    let refused = tagmint(&stage, &Job::github(&stage)?, ["exec", "--role", &deploy, "--", "echo", "begun"])?;
    refused.failed(1, &["github-main"]);
    assert!(!refused.stdout.contains("begun"));
    Ok(())
}

#[test]
fn env_hands_the_credentials_to_later_steps_masked() -> TestResult {
    let stage = Stage::new()?;
    let job = Job::github(&stage)?;
    let outcome = tagmint(&stage, &job, ["env", "--role", &role("ci"), "--region", "us-east-1"])?.succeeded();
    let next = job.next_step()?;
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
        let secret = next.variables[name].as_str();
        assert!(outcome.masked().contains(&secret), "{name} is not masked:\n{}", outcome.stdout);
        assert!(!outcome.log().contains(secret), "{name} is in the log:\n{}", outcome.log());
    }
    next.verify(&[BUCKET, "github/456789/main"])?.succeeded();
    Ok(())
}

#[test]
fn token_keeps_a_file_for_the_sdks() -> TestResult {
    let stage = Stage::new()?;
    let mut job = Job::gitlab(&stage)?;
    let file = job.path("tmp/token").to_string_lossy().into_owned();
    tagmint(&stage, &job, ["token", "--out", &file])?.succeeded();
    assert_eq!(mode(file.as_ref())?, 0o600);
    for (name, value) in [("AWS_WEB_IDENTITY_TOKEN_FILE", file.as_str()), ("AWS_DEFAULT_REGION", "us-east-1")] {
        job.set(name, value);
    }
    job.set("AWS_ROLE_ARN", role("ci"));
    job.set("AWS_ROLE_SESSION_NAME", "kept");
    assert_eq!(job.identity()?, "arn:aws:sts::000000000000:assumed-role/ci/kept");

    // By a bearer the file is kept fresh: SIGHUP asks for a new token at once, SIGTERM ends it.
    let mut command = TagmintProcess::command(["token", "--refresh", "--out", &file])?;
    command.env("TAGMINT_URL", stage.url()?).env("TAGMINT_CA_FILE", stage.path("ca.pem"));
    command.env("TAGMINT_CREDENTIAL", stage.bearer("keeper", &[])?);
    let first = fs::read_to_string(&file)?;
    let mut keeper = Daemon::spawn("tagmint token", &mut command, "tagmint", &job.path("keeper.log"))?;
    let changed = wait_until(Duration::from_secs(20), || fs::read_to_string(&file).is_ok_and(|now| now != first));
    let second = fs::read_to_string(&file)?;
    job.run("kill", ["-HUP", &keeper.pid().to_string()])?.succeeded();
    let again = wait_until(Duration::from_secs(20), || fs::read_to_string(&file).is_ok_and(|now| now != second));
    let ended = keeper.terminate(Duration::from_secs(10))?;
    assert!(changed && again && ended.success(), "{changed} {again} {ended}\n{}", keeper.log());
    assert_eq!(job.identity()?, "arn:aws:sts::000000000000:assumed-role/ci/kept");
    Ok(())
}
