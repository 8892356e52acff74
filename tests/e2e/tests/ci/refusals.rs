//! `assume_ci_role.sh` where something is wrong: the message says what, and what to do; the exit code says of which kind.

use std::fs;

use tagmint_testkit::ci_claims;

use super::{
    TestResult,
    job::{Job, Outcome, repository},
    stage::{Stage, role},
};

/// Asserts a failure that left nothing behind, and whose words on stderr are also an error of the job at GitHub.
#[track_caller]
fn refused(job: &Job, outcome: &Outcome, code: i32, words: &[&str]) {
    outcome.failed(code, words);
    let what = outcome.stderr.lines().next().unwrap_or_default().trim_start_matches("assume_ci_role: ");
    if job.variables.contains_key("GITHUB_ACTIONS") {
        assert!(outcome.stdout.contains(&format!("::error title=assume_ci_role::{what}\n")), "{}", outcome.stdout);
        assert_eq!(fs::read_to_string(job.path("github_env")).unwrap_or_default(), "");
    }
    for secret in outcome.masked() {
        assert!(!outcome.log().contains(secret), "a secret is in the log:\n{}", outcome.log());
    }
    for (name, count) in [("project", 0), ("tmp", 0)] {
        let left = fs::read_dir(job.path(name)).map_or(0, Iterator::count);
        assert_eq!(left, count, "something is left in {name}");
    }
}

#[test]
fn the_platform_gives_no_token() -> TestResult {
    let stage = Stage::new()?;
    let mut job = Job::github(&stage)?;
    job.set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "of-another-job");
    refused(&job, &job.assume("ci")?, 1, &["GitHub gave no ID token (status 401)"]);
    job.set("ACTIONS_ID_TOKEN_REQUEST_URL", "https://127.0.0.1:1/idtoken?api-version=2.0");
    refused(&job, &job.assume("ci")?, 4, &["GitHub could not be asked for an ID token", "127.0.0.1"]);
    job.unset("ACTIONS_ID_TOKEN_REQUEST_URL");
    job.unset("ACTIONS_ID_TOKEN_REQUEST_TOKEN");
    let outcome = job.assume("ci")?;
    refused(&job, &outcome, 2, &["may not ask GitHub", "permissions:\n", "id-token: write\n", "fork never gets one"]);

    let mut job = Job::gitlab(&stage)?;
    job.unset("TAGMINT_ID_TOKEN");
    let aud = format!("aud: {}\n", stage.url()?);
    refused(&job, &job.assume("ci")?, 2, &["has no ID token", "id_tokens:\n", "TAGMINT_ID_TOKEN:\n", &aud]);
    job.unset("GITLAB_CI");
    refused(&job, &job.assume("ci")?, 2, &["there is no ID token", "TAGMINT_ID_TOKEN"]);
    Ok(())
}

#[test]
fn the_token_is_for_another_audience() -> TestResult {
    let stage = Stage::new()?;
    let mut job = Job::github(&stage)?;
    job.set("TAGMINT_AUDIENCE", "https://other.example");
    let words =
        ["Tagmint refused", "ci-token-audience", "TAGMINT_AUDIENCE on GitHub", stage.url()?, "Request id: req_"];
    refused(&job, &job.assume("ci")?, 1, &words);
    let mut job = Job::gitlab(&stage)?;
    job.set("TAGMINT_ID_TOKEN", stage.gitlab_token("sts.amazonaws.com"));
    refused(&job, &job.assume("ci")?, 1, &["ci-token-audience", "below id_tokens on GitLab"]);
    Ok(())
}

#[test]
fn the_token_is_not_good() -> TestResult {
    let stage = Stage::new()?;
    let mut job = Job::gitlab(&stage)?;
    let spent = job.clone();
    job.assume("ci")?.succeeded();
    fs::remove_file(job.path("project/.tagmint-aws.env"))?;
    refused(&spent, &spent.assume("ci")?, 1, &["ci-token-spent", "Each ID token works once"]);
    let expired = ci_claims::at(ci_claims::gitlab_branch(), stage.gitlab.issuer(), stage.url()?);
    job.set("TAGMINT_ID_TOKEN", stage.gitlab.token(&ci_claims::issued(expired, "old", 1_700_000_000, 300)));
    refused(&job, &job.assume("ci")?, 1, &["ci-token-invalid", "expired", "its trusted issuers"]);
    job.set("TAGMINT_ID_TOKEN", "no.token");
    refused(&job, &job.assume("ci")?, 1, &["ci-token-invalid"]);
    Ok(())
}

#[test]
fn the_rules_deny() -> TestResult {
    let stage = Stage::new()?;
    let job = Job::github(&stage)?;
    let words =
        ["not-allowed", "`github-main` is for this job, but not for this role", "role/deploy", "Request id: req_"];
    refused(&job, &job.assume("deploy")?, 1, &words);
    for claims in [ci_claims::github_sibling_repository(), ci_claims::github_pull_request_target()] {
        stage.github.set_job(claims);
        refused(
            &job,
            &job.assume("ci")?,
            1,
            &["not-allowed", "No rule of https://localhost", "repository, branch, event"],
        );
    }
    stage.gitlab.set_job(ci_claims::gitlab_unprotected_branch());
    let job = Job::gitlab(&stage)?;
    refused(&job, &job.assume("ci")?, 1, &["not-allowed", "No rule of"]);
    Ok(())
}

#[test]
fn aws_denies() -> TestResult {
    let stage = Stage::new()?;
    stage.github.set_job(ci_claims::github_environment());
    let mut job = Job::github(&stage)?;
    let arn = role("deploy");
    let words = ["STS refused the token of Tagmint", &arn, "AccessDenied", "sts:TagSession", "tagmint explain"];
    refused(&job, &job.assume("deploy")?, 1, &words);
    stage.github.set_job(ci_claims::github_push());
    job.set("ROLE_DURATION_SECONDS", "7200");
    refused(&job, &job.assume("ci")?, 1, &["STS refused", "lower ROLE_DURATION_SECONDS"]);
    Ok(())
}

#[test]
fn something_cannot_be_reached() -> TestResult {
    let stage = Stage::new()?;
    let mut job = Job::github(&stage)?;
    job.set("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1");
    job.set("AWS_MAX_ATTEMPTS", "1");
    refused(&job, &job.assume("ci")?, 4, &["AWS STS could not be reached", "AWS_ENDPOINT_URL_STS"]);
    job.set("TAGMINT_URL", "https://127.0.0.1:1");
    let words = ["Tagmint could not be reached at https://127.0.0.1:1", "Is TAGMINT_URL right"];
    refused(&job, &job.assume("ci")?, 4, &words);
    // An authority that the runner does not know.
    job.set("TAGMINT_URL", stage.url()?);
    job.unset("TAGMINT_CA_FILE");
    refused(&job, &job.assume("ci")?, 4, &["Tagmint could not be reached", "certificate", "TAGMINT_CA_FILE"]);
    // Something else than an issuer.
    job.set("TAGMINT_URL", stage.github.issuer());
    refused(&job, &job.assume("ci")?, 1, &["status 404", "Tagmint issuer?"]);
    Ok(())
}

#[test]
fn an_answer_that_is_lost_is_not_called_a_theft() -> TestResult {
    let stage = Stage::new()?;
    let mut job = Job::gitlab(&stage)?;
    lose_the_first_answer(&mut job)?;
    let words = ["was lost on the way", "works once, and it was used", "Run the job again"];
    refused(&job, &job.assume("ci")?, 4, &words);
    // GitHub gives another token, so that nothing is lost.
    let mut job = Job::github(&stage)?;
    lose_the_first_answer(&mut job)?;
    assert_eq!(job.assume("ci")?.succeeded().masked().len(), 6);
    Ok(())
}

/// A job's environment and outputs are files of lines: what AWS says, or whoever answers in its place, sets nothing but what it stands for.
#[test]
fn an_answer_of_several_lines_sets_nothing() -> TestResult {
    let stage = Stage::new()?;
    let good = [
        ("AccessKeyId", "ASIAEXAMPLE"),
        ("SecretAccessKey", "secret/of+40"),
        ("SessionToken", "token=="),
        ("Expiration", "2026-01-01T00:00:00Z"),
        ("Arn", "arn:aws:sts::000000000000:assumed-role/ci/session"),
    ];
    for index in 0..good.len() {
        for wrong in ["x\nLD_PRELOAD=/tmp/x", "x\rLD_PRELOAD=/tmp/x", "two words", ""] {
            let mut fields = good;
            let name = fields[index].0;
            fields[index].1 = wrong;
            let mut job = Job::github(&stage)?;
            answer_as_sts(&mut job, &fields)?;
            refused(&job, &job.assume("ci")?, 1, &["AWS STS answered with", name, "AWS_ENDPOINT_URL_STS"]);
            assert_eq!(fs::read_to_string(job.path("github_output")).unwrap_or_default(), "");
        }
    }
    let mut job = Job::github(&stage)?;
    answer_as_sts(&mut job, &good[1..])?;
    refused(&job, &job.assume("ci")?, 1, &["AWS STS answered without AccessKeyId"]);
    Ok(())
}

/// A program in the place of the aws command that answers with these fields.
fn answer_as_sts(job: &mut Job, fields: &[(&str, &str)]) -> TestResult {
    let (dir, path) = (job.path("answering"), job.variables["PATH"].clone());
    fs::create_dir_all(&dir)?;
    let field = |wanted: &str| fields.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
    let names = ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"];
    let credentials: serde_json::Map<_, _> =
        names.iter().filter_map(|name| Some(((*name).to_owned(), field(name)?.into()))).collect();
    let answer = serde_json::json!({ "Credentials": credentials, "AssumedRoleUser": { "Arn": field("Arn") } });
    fs::write(dir.join("answer.json"), answer.to_string())?;
    fs::write(dir.join("aws"), format!("#!/bin/sh\nexec cat '{}'\n", dir.join("answer.json").display()))?;
    job.run("chmod", ["755".as_ref(), dir.join("aws").as_os_str()])?.succeeded();
    job.set("PATH", format!("{}:{path}", dir.display()));
    Ok(())
}

/// A program in the place of curl that asks Tagmint, and then, the first time, says as curl does that the connection ended without an answer.
fn lose_the_first_answer(job: &mut Job) -> TestResult {
    let (dir, path) = (job.path("lossy"), job.variables["PATH"].clone());
    fs::create_dir_all(&dir)?;
    let mark = dir.join("lost");
    let text = format!(
        "#!/bin/sh\nPATH='{path}'\ncase \"$*\" in */oauth2/token)\n  if mkdir '{mark}' 2>/dev/null; then curl \"$@\" >/dev/null; \
         printf 000; exit 52; fi ;;\nesac\nexec curl \"$@\"\n",
        mark = mark.display()
    );
    fs::write(dir.join("curl"), text)?;
    job.run("chmod", ["755".as_ref(), dir.join("curl").as_os_str()])?.succeeded();
    job.set("PATH", format!("{}:{path}", dir.display()));
    Ok(())
}

#[test]
fn wrong_settings_are_named() -> TestResult {
    let stage = Stage::new()?;
    let script = repository().join("deploy/ci/assume_ci_role.sh").to_string_lossy().into_owned();
    let job = Job::github(&stage)?;
    for (arguments, words) in [
        (&["x"][..], "usage: assume_ci_role.sh ROLE_ARN SESSION_NAME"),
        (&["role/ci", "session"], "`role/ci` is not the ARN of a role"),
        (&["arn:aws:iam::000000000000:role/ci", "a b"], "`a b` is not a session name"),
    ] {
        let outcome = job.run("bash", std::iter::once(script.as_str()).chain(arguments.iter().copied()))?;
        refused(&job, &outcome, 2, &[words]);
    }
    for (name, value, words) in [
        ("ROLE_DURATION_SECONDS", "899", "from 900 to 43200"),
        ("ROLE_DURATION_SECONDS", "1h", "`1h`"),
        ("TAGMINT_OUTPUT", "stdout", "It is env or file"),
        ("TAGMINT_URL", "http://broker.example.org", "must not travel in the clear"),
        ("TAGMINT_URL", "http://localhost.example.org", "must not travel in the clear"),
        ("TAGMINT_RETRY_SECONDS", "soon", "not a number of seconds"),
        ("CI_DEBUG_TRACE", "true", "would show the credentials"),
        ("AWS_REGION", "eu-central-1\nLD_PRELOAD=/tmp/x", "is not a region"),
    ] {
        let mut job = job.clone();
        job.set(name, value);
        refused(&job, &job.assume("ci")?, 2, &[words]);
    }
    let mut bare = job.clone();
    let programs = bare.path("few-programs");
    fs::create_dir_all(&programs)?;
    for program in ["bash", "mktemp", "rm", "curl"] {
        std::os::unix::fs::symlink(which(&job, program)?, programs.join(program))?;
    }
    bare.set("PATH", programs.to_string_lossy());
    refused(&bare, &bare.assume("ci")?, 2, &["`jq` is not installed"]);
    Ok(())
}

fn which(job: &Job, program: &str) -> TestResult<String> {
    let outcome = job.run("bash", ["-c", &format!("command -v {program}")])?.succeeded();
    Ok(outcome.stdout.trim().to_owned())
}
