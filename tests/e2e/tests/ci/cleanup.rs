//! The action that takes the credentials away at the job's end.

use std::{fs, path::Path};

use super::{TestResult, job::Job, runner::node_action, stage::Stage};

const ACTION: &str = "deploy/ci/github/cleanup";

#[test]
fn credentials_in_variables_are_emptied() -> TestResult {
    let stage = Stage::new()?;
    let job = Job::github(&stage)?;
    node_action(ACTION, "main", &job)?.succeeded();
    assert_eq!(fs::read_to_string(job.path("github_env"))?, "", "nothing is due yet");
    job.assume("ci")?.succeeded();
    let outcome = node_action(ACTION, "post", &job.next_step()?)?.succeeded();
    assert_eq!(outcome.stdout, "cleanup: emptied AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN\n");
    let after = job.next_step()?;
    assert_eq!(
        (after.variables["AWS_SESSION_TOKEN"].as_str(), after.variables["AWS_REGION"].as_str()),
        ("", "us-east-1")
    );
    let refused = after.run("aws", ["sts", "get-caller-identity"])?;
    refused.failed(255, &["Unable to locate credentials"]);
    Ok(())
}

#[test]
fn a_credentials_file_is_removed() -> TestResult {
    let stage = Stage::new()?;
    let mut job = Job::github(&stage)?;
    job.set("TAGMINT_OUTPUT", "file");
    node_action(ACTION, "main", &job)?.succeeded();
    job.assume("ci")?.succeeded();
    let next = job.next_step()?;
    let file = next.variables["TAGMINT_CREDENTIALS_FILE"].clone();
    assert!(Path::new(&file).exists());
    let outcome = node_action(ACTION, "post", &next)?.succeeded();
    assert!(outcome.stdout.starts_with(&format!("cleanup: removed {file}\n")), "{}", outcome.stdout);
    assert_eq!(fs::read_dir(job.path("tmp"))?.count(), 0, "the directory is gone, too");
    assert_eq!(job.next_step()?.variables["AWS_SHARED_CREDENTIALS_FILE"], "");
    // Gone before: no failure.
    node_action(ACTION, "post", &next)?.succeeded();
    Ok(())
}

#[test]
fn a_job_that_got_no_credentials_has_nothing_to_clean() -> TestResult {
    let stage = Stage::new()?;
    let mut job = Job::github(&stage)?;
    node_action(ACTION, "main", &job)?.succeeded();
    assert_eq!(node_action(ACTION, "post", &job)?.succeeded().stdout, "");
    assert_eq!(fs::read_to_string(job.path("github_env"))?, "");
    // A file of the user's own is not ours to remove.
    let own = job.path("own-credentials");
    fs::write(&own, "[default]\n")?;
    job.set("AWS_SHARED_CREDENTIALS_FILE", own.to_string_lossy());
    node_action(ACTION, "post", &job)?.succeeded();
    assert_eq!(fs::read_to_string(&own)?, "[default]\n");
    assert_eq!(fs::read_to_string(job.path("github_env"))?, "");
    job.unset("GITHUB_STATE");
    let outcome = node_action(ACTION, "main", &job)?;
    assert_eq!(outcome.code, Some(1));
    assert_eq!(outcome.stdout, "::error title=cleanup::GITHUB_STATE is not set: this runs on a GitHub runner\n");
    Ok(())
}
