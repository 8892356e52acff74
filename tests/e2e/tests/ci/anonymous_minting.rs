//! Anonymous minting at the shipped test issuer: a developer without a credential reads the fixtures, and nothing else.

use std::{fs, process::Command};

use serde_json::{Value, json};
use tagmint_e2e::TagmintProcess;

use super::{
    TestResult,
    stage::{Stage, TEST_BUCKET},
};

/// A command of the built binary on a developer's machine that has no credential.
fn developer(stage: &Stage, arguments: &[&str]) -> TestResult<Command> {
    let mut command = TagmintProcess::command(arguments)?;
    for variable in ["CODEBUILD_BUILD_ID", "JENKINS_URL", "TEAMCITY_VERSION", "TF_BUILD"] {
        command.env_remove(variable);
    }
    for variable in ["CI", "GITHUB_ACTIONS", "ACTIONS_ID_TOKEN_REQUEST_URL", "TAGMINT_CREDENTIAL", "TAGMINT_ID_TOKEN"] {
        command.env_remove(variable);
    }
    command.env("TAGMINT_URL", stage.url()?).env("TAGMINT_CA_FILE", stage.path("ca.pem"));
    Ok(command)
}

/// The exit code, stdout and stderr.
fn run(stage: &Stage, command: Command) -> TestResult<(Option<i32>, String, String)> {
    let output = stage.as_operator(command)?;
    Ok((output.status.code(), String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?))
}

fn object(stage: &Stage, key: &str) -> TestResult {
    let file = stage.path("object");
    fs::write(&file, key)?;
    let body = file.to_string_lossy();
    stage.aws_command(&["s3api", "put-object", "--bucket", TEST_BUCKET, "--key", key, "--body", &body])?;
    Ok(())
}

#[test]
fn a_developer_without_a_credential_reads_the_fixtures_and_nothing_else() -> TestResult {
    let stage = Stage::of_a_test_issuer_that_mints_anonymously()?;
    let (fixture, foreign) = ("fixtures/mail", "pr-1/run-1/mail");
    for key in [fixture, foreign] {
        object(&stage, key)?;
    }
    assert!(stage.issuer.stderr().contains("`[anonymous_minting]` is on"), "{}", stage.issuer.stderr());

    // The proof: its own prefix is read, nothing is written, and what is CI's is closed.
    let token = stage.path("open-token").to_string_lossy().into_owned();
    let (code, _, said) = run(&stage, developer(&stage, &["token", "--out", &token])?)?;
    assert!(code == Some(0) && said.contains("no credential was shown"), "{said}");
    let role = Stage::open_role();
    let prove = ["prove", "--format", "json", "--read-only", "--role", &role, "--bucket", TEST_BUCKET];
    let mut command = TagmintProcess::command(prove)?;
    command.args(["--tag", "fixtures", "--neighbour", "pr-1/run-1", "--token", &token]);
    let (code, report, said) = run(&stage, command)?;
    let report: Value = serde_json::from_str(&report).map_err(|error| format!("{error}: {said}"))?;
    assert_eq!((code, &report["passed"], &report["left"]), (Some(0), &json!(true), &json!([])), "{report:#}");
    let rows = report["rows"].as_array().ok_or("rows")?;
    for name in ["own-list", "own-read", "own-write-refused", "neighbour-get", "neighbour-put", "neighbour-delete"] {
        assert!(rows.iter().any(|row| row["name"] == name && row["passed"] == true), "{name}: {report:#}");
    }

    // The same with the AWS command, as a developer would.
    let file = stage.path("fetched").to_string_lossy().into_owned();
    let aws = |arguments: &[&str]| {
        let exec = ["exec", "--role", &role, "--", "aws", "s3api"];
        run(&stage, developer(&stage, &[&exec[..], arguments, &["--bucket", TEST_BUCKET]].concat())?)
    };
    let (code, _, said) = aws(&["get-object", "--key", fixture, &file])?;
    assert_eq!((code, fs::read_to_string(&file).unwrap_or_default().as_str()), (Some(0), fixture), "{said}");
    for refused in [
        &["get-object", "--key", foreign, &file][..],
        &["put-object", "--key", fixture, "--body", &file],
        &["put-object", "--key", "fixtures/new", "--body", &file],
        &["delete-object", "--key", fixture],
        &["list-objects-v2"],
    ] {
        let (code, _, said) = aws(refused)?;
        assert!(code != Some(0) && said.contains("AccessDenied"), "{refused:?}: {said}");
    }
    assert_eq!(stage.keys(TEST_BUCKET)?, [fixture, foreign], "nothing was written or removed");

    // The role of CI: not by the issuer's rules, and not by AWS.
    let ci = Stage::test_role();
    let (code, _, said) = run(&stage, developer(&stage, &["token", "--role", &ci])?)?;
    assert!(code == Some(1) && said.contains("403 not-allowed"), "{said}");
    let mut explain =
        TagmintProcess::command(["explain", "--format", "json", "--fetch", "--role", &ci, "--token", &token])?;
    explain.arg("--ca-file").arg(stage.path("ca.pem"));
    let (_, verdict, said) = run(&stage, explain)?;
    let verdict: Value = serde_json::from_str(&verdict).map_err(|error| format!("{error}: {said}"))?;
    assert_eq!(verdict["accepted"], false, "{verdict:#}");
    Ok(())
}

#[test]
fn strangers_wait_and_those_with_a_credential_do_not() -> TestResult {
    let stage = Stage::of_a_test_issuer_that_mints_anonymously()?;
    let session = stage.wallet_session()?;
    let ask = |header: Option<String>| -> TestResult<(String, String)> {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--dump-header", "-", "--output", "/dev/null", "--request", "POST"]);
        if let Some(header) = header {
            curl.args(["--header", &header]);
        }
        curl.arg("--cacert").arg(stage.path("ca.pem")).arg(format!("{}/v1/tokens", stage.url()?));
        let head = String::from_utf8(curl.output()?.stdout)?;
        let status = head.split(' ').nth(1).unwrap_or_default().to_owned();
        Ok((status, head.to_lowercase()))
    };
    // Ten at once, and one a second.
    let mut answers = Vec::new();
    while answers.len() < 200 && answers.last().is_none_or(|(status, _)| status == "200") {
        answers.push(ask(None)?);
    }
    let (status, head) = answers.last().ok_or("no answer")?;
    assert!(
        status == "429" && head.contains("retry-after: 1") && answers.len() > 10,
        "{} answers: {head}",
        answers.len()
    );
    assert_eq!(ask(Some(format!("Authorization: Bearer {session}")))?.0, "200");
    for wrong in ["Bearer tms_test_wrong", "Basic eDp5", "Bearer"] {
        assert_eq!(ask(Some(format!("Authorization: {wrong}")))?.0, "401", "{wrong}");
    }
    let listed = TagmintProcess::command(["ledger", "list", "--format", "json", "--config"])?
        .arg(stage.path("tagmint.toml"))
        .output()?;
    let listed = String::from_utf8(listed.stdout)?;
    assert!(listed.contains("\"source\":\"anonymous\"") || listed.contains("\"source\": \"anonymous\""), "{listed}");
    Ok(())
}
