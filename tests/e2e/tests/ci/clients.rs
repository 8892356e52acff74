//! Clients of others against the running broker and the stand-in for AWS, unchanged. Their scripts are in `tests/clients`.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use tagmint_e2e::{TagmintProcess, node_modules, python};

use super::{
    TestResult,
    job::{Job, repository},
    stage::{BUCKET, Stage, role},
};

/// Runs a program with this input; its last line is JSON.
fn ask(mut command: Command, input: &str) -> TestResult<Value> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().ok_or("stdin is a pipe")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    let (stdout, stderr) = (String::from_utf8(output.stdout)?, String::from_utf8_lossy(&output.stderr));
    let last = stdout.lines().last().filter(|_| output.status.success());
    let last = last.ok_or_else(|| format!("{command:?}: {}\n{stdout}\n{stderr}", output.status))?;
    serde_json::from_str(last).map_err(|error| format!("{error}: {stdout}\n{stderr}").into())
}

/// A script of `tests/clients` for Node, beside the packages that it wants, which trusts the authorities in `ca`.
fn node(stage: &Stage, job: &Job, script: &str, ca: &str) -> TestResult<Command> {
    let dir = stage.path("clients");
    if !dir.exists() {
        fs::create_dir(&dir)?;
        std::os::unix::fs::symlink(node_modules()?.canonicalize()?, dir.join("node_modules"))?;
        fs::copy(repository().join("tests/clients/package.json"), dir.join("package.json"))?;
    }
    fs::copy(repository().join("tests/clients").join(script), dir.join(script))?;
    let mut command = job.command("node");
    command.arg(dir.join(script)).env("NODE_EXTRA_CA_CERTS", stage.path(ca));
    Ok(command)
}

/// A script of `tests/clients` for Python.
fn python_script(job: &Job, script: &str, arguments: &[&str]) -> TestResult<Command> {
    let mut command = job.command(python()?);
    command.arg(repository().join("tests/clients").join(script)).args(arguments);
    Ok(command)
}

/// The claims of a token.
fn claims(token: &Value) -> TestResult<Value> {
    use base64::Engine as _;
    let body =
        token.as_str().and_then(|token| token.split('.').nth(1)).ok_or_else(|| format!("{token} is no token"))?;
    Ok(serde_json::from_slice(&base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(body)?)?)
}

/// A token of ours for this job, by `curl`.
fn exchanged(stage: &Stage) -> TestResult<String> {
    let id_token = stage.github.job_token(stage.url()?);
    let job = Job::github(stage)?;
    let url = format!("{}/oauth2/token", stage.url()?);
    let fields = [
        "grant_type=urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token_type=urn:ietf:params:oauth:token-type:id_token",
        &format!("subject_token={id_token}"),
    ];
    let mut command = job.command("curl");
    command.arg("--silent").arg("--cacert").arg(stage.path("ca.pem")).arg(url);
    for field in fields {
        command.args(["--data-urlencode", field]);
    }
    let answer = ask(command, "")?;
    Ok(answer["access_token"].as_str().ok_or_else(|| format!("no token in {answer}"))?.to_owned())
}

/// Gives the job the SDKs' documented variables for a token in a file.
fn with_token_file(job: &mut Job, token: &str, session_name: &str) -> TestResult {
    fs::write(job.path("token"), token)?;
    job.set("AWS_WEB_IDENTITY_TOKEN_FILE", job.path("token").to_string_lossy());
    job.set("AWS_ROLE_ARN", role("ci"));
    job.set("AWS_ROLE_SESSION_NAME", session_name);
    // boto3 and version 1 of the aws command read the second.
    job.set("AWS_REGION", "us-east-1");
    job.set("AWS_DEFAULT_REGION", "us-east-1");
    Ok(())
}

#[test]
fn actions_core_gets_id_tokens_from_the_platform_and_from_us() -> TestResult {
    let stage = Stage::new()?;
    let mut job = Job::github(&stage)?;
    let ask_core = |job: &Job, ca, audience: Option<&str>| {
        let mut command = node(&stage, job, "id_token.mjs", ca)?;
        command.args(audience);
        ask(command, "")
    };
    // GitHub's runtime: the token can be exchanged.
    let theirs = claims(&ask_core(&job, "github.pem", Some(stage.url()?))?["token"])?;
    assert_eq!((&theirs["aud"], &theirs["repository"]), (&json!(stage.url()?), &json!("octo-org/octo-repo")));

    // Ours, in its place: the same variables name the broker, and the request's token is a bearer.
    job.set("ACTIONS_ID_TOKEN_REQUEST_URL", format!("{}/v1/id-token?v=1", stage.url()?));
    job.set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", stage.bearer("builder", &[])?);
    let ours = claims(&ask_core(&job, "ca.pem", Some("sts.amazonaws.com"))?["token"])?;
    assert_eq!((&ours["iss"], &ours["sub"]), (&json!(stage.url()?), &json!("bearer:builder")));
    assert_eq!(ours["aud"], "sts.amazonaws.com");
    assert_eq!(ours["https://aws.amazon.com/tags"]["principal_tags"], json!({"prefix": ["bearer/builder"]}));
    // Without an audience: the first of the rule.
    assert_eq!(claims(&ask_core(&job, "ca.pem", None)?["token"])?["aud"], "sts.amazonaws.com");
    let refused = ask_core(&job, "ca.pem", Some("https://not-of-the-rule.example"))?;
    assert!(refused["error"].as_str().is_some_and(|text| text.contains("403")), "{refused}");
    job.set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "tmb_test_leftover");
    let refused = ask_core(&job, "ca.pem", None)?;
    assert!(refused["error"].as_str().is_some_and(|text| text.contains("401")), "{refused}");
    Ok(())
}

/// The action is not on npm. It takes the audience (`sts.amazonaws.com` by default) to `getIDToken`, and what it gets to the AWS SDK.
#[test]
fn what_configure_aws_credentials_does_works_with_our_id_tokens() -> TestResult {
    let stage = Stage::new()?;
    let mut job = Job::github(&stage)?;
    job.set("ACTIONS_ID_TOKEN_REQUEST_URL", format!("{}/v1/id-token?v=1", stage.url()?));
    job.set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", stage.bearer("deployer", &[])?);
    let mut command = node(&stage, &job, "id_token.mjs", "ca.pem")?;
    command.arg("sts.amazonaws.com");
    let answer = ask(command, "")?;
    let token = answer["token"].as_str().ok_or("no token")?;
    // Its documented input `web-identity-token-file` is this file; `role-to-assume` and `role-session-name` are these variables.
    with_token_file(&mut job, token, "GitHubActions")?;
    assert_eq!(job.identity()?, "arn:aws:sts::000000000000:assumed-role/ci/GitHubActions");
    job.verify(&[BUCKET, "bearer/deployer"])?.succeeded();
    Ok(())
}

#[test]
fn the_aws_command_and_boto3_take_a_token_file() -> TestResult {
    let stage = Stage::new()?;
    let mut job = Job::github(&stage)?;
    with_token_file(&mut job, &exchanged(&stage)?, "token-file")?;
    assert_eq!(job.identity()?, "arn:aws:sts::000000000000:assumed-role/ci/token-file");
    job.verify(&[BUCKET, "github/456789/main"])?.succeeded();
    let seen = ask(python_script(&job, "assumed.py", &[BUCKET, "github/456789/main"])?, "")?;
    let expected = json!({
        "method": "assume-role-with-web-identity",
        "arn": "arn:aws:sts::000000000000:assumed-role/ci/token-file",
        "read": "written by boto3",
        "listed": ["github/456789/main/boto3.txt"],
        "foreign": "AccessDenied",
    });
    assert_eq!(seen, expected);
    Ok(())
}

/// What `assumed.py` sees with the bearer's role session.
fn expected(method: &str, name: &str) -> Value {
    json!({
        "method": method,
        "arn": format!("arn:aws:sts::000000000000:assumed-role/ci/{name}"),
        "read": "written by boto3",
        "listed": [format!("bearer/{name}/boto3.txt")],
        "foreign": "AccessDenied",
    })
}

#[test]
fn the_aws_command_and_boto3_take_container_credentials() -> TestResult {
    let stage = Stage::new()?;
    let (_node, address) = stage.plain_node()?;
    let mut job = Job::github(&stage)?;
    let query = format!("role={}&session_name=container", role("ci"));
    job.set("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{address}/v1/aws/credentials?{query}"));
    job.set("AWS_CONTAINER_AUTHORIZATION_TOKEN", stage.bearer("container", &[])?);
    job.set("AWS_DEFAULT_REGION", "us-east-1");
    assert_eq!(job.identity()?, "arn:aws:sts::000000000000:assumed-role/ci/container");
    let seen = ask(python_script(&job, "assumed.py", &[BUCKET, "bearer/container"])?, "")?;
    assert_eq!(seen, expected("container-role", "container"));

    let deploy = query.replace("role/ci", "role/deploy");
    job.set("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{address}/v1/aws/credentials?{deploy}"));
    let refused = job.run("aws", ["sts", "get-caller-identity"])?;
    refused.failed(255, &["Error retrieving metadata", "403", "not-allowed"]);
    Ok(())
}

#[test]
fn the_aws_command_and_boto3_take_a_credential_process() -> TestResult {
    let stage = Stage::new()?;
    let mut job = Job::github(&stage)?;
    let (own, arn) = (TagmintProcess::command(["credentials"])?, role("ci"));
    let program = own.get_program().to_string_lossy().into_owned();
    let process = format!("\"{program}\" credentials --role {arn} --session-name process");
    let config = job.path("home/config");
    fs::write(&config, format!("[profile tagmint]\nregion = us-east-1\ncredential_process = {process}\n"))?;
    job.set("AWS_CONFIG_FILE", config.to_string_lossy());
    job.set("AWS_PROFILE", "tagmint");
    job.set("TAGMINT_CREDENTIAL", stage.bearer("process", &[])?);
    assert_eq!(job.identity()?, "arn:aws:sts::000000000000:assumed-role/ci/process");
    let seen = ask(python_script(&job, "assumed.py", &[BUCKET, "bearer/process"])?, "")?;
    assert_eq!(seen, expected("custom-process", "process"));

    job.set("TAGMINT_CREDENTIAL", "tmb_test_leftover");
    let refused = job.run("aws", ["sts", "get-caller-identity"])?;
    refused.failed(255, &["Error when retrieving credentials from custom-process"]);
    assert!(!refused.stderr.contains("tmb_test_leftover"), "{}", refused.stderr);
    Ok(())
}

#[test]
fn oauth4webapi_and_openid_client_use_every_grant_and_endpoint() -> TestResult {
    let stage = Stage::new()?;
    let job = Job::github(&stage)?;
    for (script, refused) in [("oauth4webapi.mjs", "ResponseBodyError"), ("openid_client.mjs", "ResponseBodyError")] {
        let name = script.trim_end_matches(".mjs");
        let input = json!({
            "issuer": stage.url()?,
            "id_token": stage.github.job_token(stage.url()?),
            "role": role("ci"),
            "client_secret": stage.bearer(&format!("{name}-client"), &["--attribute", "introspect=true"])?,
            "other_secret": stage.bearer(&format!("{name}-other"), &[])?,
        });
        let seen = ask(node(&stage, &job, script, "ca.pem")?, &input.to_string())?;
        let exchanged = claims(&seen["exchanged"]["access_token"])?;
        assert_eq!(exchanged["sub"], "github:456789:main", "{script}");
        assert_eq!(exchanged["https://aws.amazon.com/roles"], json!([role("ci")]), "{script}");
        assert_eq!(seen["exchanged"]["issued_token_type"], "urn:ietf:params:oauth:token-type:jwt", "{script}");
        let second = json!({"name": refused, "error": "invalid_request", "type": "urn:tagmint:problem:ci-token-spent"});
        assert_eq!(seen["second_exchange"], second, "{script}");
        for grant in ["basic", "post"] {
            let token = claims(&seen[grant]["access_token"])?;
            assert_eq!(token["sub"], format!("bearer:{name}-client"), "{script}, {grant}");
            assert_eq!(token["aud"], "https://other.example", "{script}, {grant}");
        }
        assert_eq!((&seen["minted"]["active"], &seen["minted"]["jti"]), (&json!(true), &exchanged["jti"]), "{script}");
        assert_eq!(seen["before"]["active"], true, "{script}");
        assert_eq!(seen["after"], json!({"active": false}), "{script}");
    }
    Ok(())
}

#[test]
fn joserfc_verifies_our_tokens_from_the_published_keys() -> TestResult {
    let stage = Stage::new()?;
    let mut job = Job::github(&stage)?;
    job.set("SSL_CERT_FILE", stage.path("ca.pem").to_string_lossy());
    let token = exchanged(&stage)?;
    let seen = ask(python_script(&job, "verify.py", &[stage.url()?, "sts.amazonaws.com"])?, &token)?;
    assert_eq!((&seen["header"]["alg"], &seen["header"]["typ"]), (&json!("ES256"), &json!("JWT")));
    assert_eq!(seen["claims"]["sub"], "github:456789:main");
    assert_eq!(seen["altered"], "bad_signature");
    let other = ask(python_script(&job, "verify.py", &[stage.url()?, "another-audience"])?, &token);
    let error = other.err().ok_or("another audience was accepted")?.to_string();
    assert!(error.contains("InvalidClaimError") && error.contains("aud"), "{error}");
    Ok(())
}
