//! The client's commands: `token`, `credentials`, `exec`, `env`.

mod jobs;
mod stage;

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    process::{Child, Stdio},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use self::stage::{CLOSED, ROLE, Stage, stdout};
use crate::process::wait_for;

fn claims(token: &str) -> Value {
    let payload = token.trim().split('.').nth(1).expect("a JWT");
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).expect("base64url")).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_printed_or_written_for_its_owner_alone() {
    let stage = Stage::new().await;
    let token = stdout(stage.with_bearer(&["token"]));
    assert_eq!(claims(&token)["aud"], "sts.amazonaws.com");

    let args = ["token", "--format", "json", "--role", ROLE, "--tag", "run=r-7", "--lifetime", "15m", "--rule", "ci"];
    let told: Value = serde_json::from_str(&stdout(stage.with_bearer(&args))).unwrap();
    let token = claims(told["token"].as_str().unwrap());
    assert_eq!(token["exp"].as_i64().unwrap() - token["iat"].as_i64().unwrap(), 900);
    assert_eq!((&told["mint_id"], &told["tags"]["run"]), (&token["jti"], &Value::from("r-7")));

    let (file, credential) = (stage.folder.path().join("token"), stage.folder.path().join("credential"));
    fs::write(&credential, format!("{}\n", stage.bearer)).unwrap();
    let (out, from) = (file.to_str().unwrap(), credential.to_str().unwrap());
    assert_eq!(stdout(stage.command(&["token", "--out", out, "--credential-file", from])), "");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&file).unwrap();
    assert!(claims(&text)["jti"].is_string() && text.trim() == text, "as the SDKs send it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_has_its_exit_code() {
    let stage = Stage::new().await;
    let mut without_url = stage.with_bearer(&["token"]);
    without_url.env("TAGMINT_URL", "");
    assert!(stage.failed(without_url, 2).contains("TAGMINT_URL"));
    assert!(stage.failed(stage.command(&["token"]), 2).contains("TAGMINT_CREDENTIAL"));
    assert!(stage.failed(stage.with_bearer(&["token", "--url", "http://localhost:1"]), 2).contains("https://"));
    // The bearer token's rule names one role: that is taken.
    assert!(stdout(stage.with_bearer(&["credentials"])).contains("AccessKeyId"));
    let region = ["credentials", "--role", ROLE, "--region", "eu-west-1\nAWS_PROFILE=x"];
    assert!(stage.failed(stage.with_bearer(&region), 2).contains("letters, digits and hyphens"));
    let name = ["credentials", "--role", ROLE, "--session-name", "a b"];
    assert!(stage.failed(stage.with_bearer(&name), 2).contains("--session-name"));
    let short = ["credentials", "--role", ROLE, "--duration", "10m"];
    assert!(stage.failed(stage.with_bearer(&short), 2).contains("15 minutes"));
    assert!(stage.failed(stage.with_bearer(&["env", "--role", ROLE]), 2).contains("--out"));

    let audience = stage.failed(stage.with_bearer(&["token", "--audience", "nobody"]), 1);
    assert!(audience.contains("403 not-allowed (rule `ci`)"), "{audience}");
    let mut unknown = stage.command(&["credentials", "--role", ROLE]);
    unknown.env("TAGMINT_CREDENTIAL", stage.bearer.replace("tmb_test_", "tmb_test_0"));
    assert!(stage.failed(unknown, 1).contains("401 credential-invalid"));
    let mut redirected = stage.with_bearer(&["credentials", "--role", ROLE]);
    redirected.env("TAGMINT_CA_FILE", "/none");
    assert!(stage.failed(redirected, 2).contains("/none"));

    let mut nobody = stage.with_bearer(&["token"]);
    nobody.env("TAGMINT_URL", "https://localhost:1");
    assert!(stage.failed(nobody, 4).contains("the issuer at https://localhost:1 cannot be reached"));
    let mut untrusted = stage.with_bearer(&["token"]);
    untrusted.env_remove("TAGMINT_CA_FILE");
    assert!(stage.failed(untrusted, 4).contains("name its certificate with --ca-file FILE"));
    // Proxies are honoured on both ways: none is there.
    for (variable, reached) in [("HTTPS_PROXY", "the issuer"), ("HTTP_PROXY", "STS")] {
        let mut proxied = stage.with_bearer(&["credentials", "--role", ROLE]);
        proxied.env(variable, "http://127.0.0.1:1");
        assert!(stage.failed(proxied, 4).contains(reached), "{variable}");
    }
    let mut no_bundle = stage.with_bearer(&["credentials", "--role", ROLE]);
    no_bundle.env("AWS_CA_BUNDLE", "/none");
    assert!(stage.failed(no_bundle, 1).contains("AWS_CA_BUNDLE"));
    let mut no_sts = stage.with_bearer(&["credentials", "--role", ROLE]);
    no_sts.env("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1");
    assert!(stage.failed(no_sts, 4).contains("http://127.0.0.1:1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_credential_the_issuer_is_asked_without_proof_but_not_in_ci() {
    let mut stage = Stage::new().await;
    let refused = stage.failed(stage.command(&["token"]), 2);
    assert!(refused.contains("TAGMINT_CREDENTIAL") && refused.contains("gives no token without one"), "{refused}");
    stage.mint_anonymously();
    let output = stage.command(&["token"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.contains("warning: no credential was shown"), "{said}");
    let token = claims(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(
        (&token["sub"], token["exp"].as_i64().unwrap() - token["iat"].as_i64().unwrap()),
        (&"anonymous:anyone".into(), 300)
    );
    let denied = stage.failed(stage.command(&["token", "--rule", "ci"]), 1);
    assert!(denied.contains("403 not-allowed"), "{denied}");
    // With a proof nothing changes, good or bad.
    assert!(
        claims(&stdout(stage.with_bearer(&["token"])))["sub"]
            .as_str()
            .is_some_and(|subject| subject != "anonymous:anyone")
    );
    let mut wrong = stage.command(&["token"]);
    wrong.env("TAGMINT_CREDENTIAL", stage.bearer.replace("tmb_test_", "tmb_test_0"));
    assert!(stage.failed(wrong, 1).contains("401 credential-invalid"));
    // A job whose secret is unset does not go on with less.
    for (name, value) in
        [("CI", "true"), ("CI", "woodpecker"), ("GITHUB_ACTIONS", "true"), ("JENKINS_URL", "https://ci")]
    {
        let mut job = stage.command(&["token"]);
        job.env(name, value).env("TAGMINT_CREDENTIAL", "");
        assert!(stage.failed(job, 2).contains("TAGMINT_CREDENTIAL"), "{name}");
    }
    let listed = crate::process::json(["ledger", "list", "--config", &stage.config]);
    assert!(listed.to_string().contains(r#""source":"anonymous""#), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_those_of_a_credential_process() {
    let stage = Stage::new().await;
    let args = ["credentials", "--role", ROLE, "--session-name", "build", "--duration", "15m"];
    let answer: Value = serde_json::from_str(&stdout(stage.with_bearer(&args))).unwrap();
    let mut members: Vec<&str> = answer.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["AccessKeyId", "Expiration", "SecretAccessKey", "SessionToken", "Version"]);
    assert_eq!(answer["Version"], 1);
    let expires: jiff::Timestamp = answer["Expiration"].as_str().unwrap().parse().unwrap();
    let left = expires.duration_since(tagmint_core::clock::Clock::now(&tagmint_core::clock::SystemClock)).as_secs();
    assert!((800..=900).contains(&left), "{left}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_runs_with_the_credentials_and_nothing_else() {
    let stage = Stage::new().await;
    let script = "env; echo to-stderr >&2; exit 7";
    let mut command =
        stage.with_bearer(&["exec", "--role", ROLE, "--region", "eu-central-1", "--", "sh", "-c", script]);
    command.env("AWS_PROFILE", "other").env("AWS_WEB_IDENTITY_TOKEN_FILE", "/other").env("KEPT", "yes");
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(7), "{said}");
    assert_eq!(said, "to-stderr\n");
    let variables = String::from_utf8(output.stdout).unwrap();
    let value = |name: &str| variables.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
    assert!(value("AWS_ACCESS_KEY_ID").is_some_and(|id| id.starts_with("ASIA")), "{variables}");
    assert!(value("AWS_SECRET_ACCESS_KEY").is_some() && value("AWS_SESSION_TOKEN").is_some());
    assert_eq!((value("AWS_REGION"), value("AWS_DEFAULT_REGION")), (Some("eu-central-1"), Some("eu-central-1")));
    assert_eq!(value("KEPT"), Some("yes"));
    for name in ["AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "TAGMINT_CREDENTIAL"] {
        assert_eq!(value(name), None, "{name}");
    }
    let missing = stage.with_bearer(&["exec", "--role", ROLE, "--", "/none/program"]);
    assert!(stage.failed(missing, 127).contains("`/none/program` cannot be run"));
    let folder = stage.with_bearer(&["exec", "--role", ROLE, "--", stage.folder.path().to_str().unwrap()]);
    assert!(stage.failed(folder, 126).contains("cannot be run"));
    // Where there are no credentials nothing runs.
    let ran = stage.folder.path().join("ran");
    let touch = ["exec", "--role", CLOSED, "--", "touch", ran.to_str().unwrap()];
    stage.failed(stage.with_bearer(&touch), 1);
    assert!(!ran.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_are_written_to_a_file_of_its_owners() {
    let stage = Stage::new().await;
    let file = stage.folder.path().join("aws.env");
    let written = stdout(stage.with_bearer(&["env", "--role", ROLE, "--out", file.to_str().unwrap()]));
    assert_eq!(written, "");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let lines = fs::read_to_string(&file).unwrap();
    let names: Vec<&str> = lines.lines().map(|line| line.split_once('=').unwrap().0).collect();
    let four = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CREDENTIAL_EXPIRATION"];
    assert_eq!(names, four);
    let printed = stdout(stage.with_bearer(&["env", "--role", ROLE, "--out", "-"]));
    assert_eq!(printed.lines().map(|line| line.split_once('=').unwrap().0).collect::<Vec<_>>(), four);
    let token = stdout(stage.with_bearer(&["token", "--out", "-"]));
    assert_eq!(token.trim().split('.').count(), 3);
    assert!(!std::path::Path::new("-").exists(), "`-` is no file");
}

/// Ends the process when a test fails.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_kept_fresh_until_sigterm() {
    let mut stage = Stage::new().await;
    let (file, log) = (stage.folder.path().join("token"), stage.folder.path().join("refresh.log"));
    let args = ["token", "--out", file.to_str().unwrap(), "--refresh", "--format", "json"];
    let mut command = stage.with_bearer(&args);
    command.stdout(Stdio::piped()).stderr(fs::File::create(&log).unwrap());
    let mut refresh = Ended(command.spawn().unwrap());
    let mut line = String::new();
    BufReader::new(refresh.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(ready["file"], file.to_str().unwrap());
    let read = || fs::read_to_string(&file).unwrap();
    let logged = || fs::read_to_string(&log).unwrap();
    let pid = Pid::from_child(&refresh.0);

    let first = read();
    kill_process(pid, Signal::HUP).unwrap();
    wait_for("a new token", || read() != first);
    let second = read();
    assert_ne!(claims(&first)["jti"], claims(&second)["jti"]);

    stage.issuer.signal(Signal::TERM);
    assert_eq!(stage.issuer.end(), Some(0));
    kill_process(pid, Signal::HUP).unwrap();
    // It goes on trying, with growing pauses.
    wait_for("a second failure", || logged().contains(r#""retry_in_seconds":2"#));
    assert!(logged().contains("the old one stays"), "{}", logged());
    assert_eq!(read(), second);
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(refresh.0.wait().unwrap().code(), Some(0));
    stage.tells_no_secret(&logged());
}
