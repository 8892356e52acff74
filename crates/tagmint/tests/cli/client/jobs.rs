//! The client's commands in CI jobs, and the SDKs' route to credentials.

use std::fs;

use reqwest::Response;
use serde_json::Value;

use super::{
    claims,
    stage::{CLOSED, ROLE, Stage, stdout},
};
use crate::process::client;

/// The audience of the issuer's provider.
const JOBS: &str = "https://localhost/jobs";

#[tokio::test(flavor = "multi_thread")]
async fn a_github_job_shows_its_own_token() {
    let stage = Stage::new().await;
    let args = ["token", "--provider-audience", JOBS];
    let first = claims(&stdout(stage.in_job(&args)));
    assert!(first["sub"].as_str().unwrap().starts_with("ci:"), "{first}");
    // Each time another one; more than an exchange can say goes another way, with the same proof.
    let more = [&args[..], &["--tag", "step=deploy", "--lifetime", "10m", "--role", ROLE]].concat();
    let second = claims(&stdout(stage.in_job(&more)));
    assert_eq!(second["https://aws.amazon.com/tags"]["principal_tags"]["step"][0], "deploy");
    let wrong_audience = stage.failed(stage.in_job(&["token"]), 1);
    assert!(wrong_audience.contains("ci-token-audience"), "{wrong_audience}");
    let refused = stage.failed(stage.in_job(&[&args[..], &["--audience", "nobody"]].concat()), 1);
    assert!(refused.contains("not-allowed (rule `jobs`)"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_without_a_token_is_told_what_to_do() {
    let stage = Stage::new().await;
    let mut without = stage.command(&["credentials", "--role", ROLE]);
    without.env("GITHUB_ACTIONS", "true");
    assert!(stage.failed(without, 2).contains("id-token: write"));
    let mut refused = stage.in_job(&["token", "--provider-audience", JOBS]);
    refused.env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "wrong");
    assert!(stage.failed(refused, 1).contains("GitHub's runtime gave no ID token"));
    let mut unreachable = stage.in_job(&["token", "--provider-audience", JOBS]);
    unreachable.env("ACTIONS_ID_TOKEN_REQUEST_URL", "https://localhost:1/?x=1");
    assert!(stage.failed(unreachable, 4).contains("GitHub's runtime cannot be reached"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_a_variable_is_good_once() {
    let stage = Stage::new().await;
    let token = stage.github.job_token(JOBS);
    let in_variable = |args: &[&str]| {
        let mut command = stage.command(args);
        command.env("TAGMINT_ID_TOKEN", &token);
        command
    };
    let out = stage.folder.path().join("token");
    let refresh = ["token", "--refresh", "--out", out.to_str().unwrap()];
    assert!(stage.failed(in_variable(&refresh), 2).contains("one exchange"));
    stdout(in_variable(&["credentials", "--role", ROLE]));
    assert!(stage.failed(in_variable(&["credentials", "--role", ROLE]), 1).contains("ci-token-spent"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_github_jobs_steps_get_masked_variables() {
    let stage = Stage::new().await;
    let github_env = stage.folder.path().join("github.env");
    fs::write(&github_env, "EARLIER=step").unwrap();
    let mut command = stage.in_job(&["env", "--role", ROLE, "--provider-audience", JOBS, "--region", "eu-west-1"]);
    command.env("GITHUB_ENV", &github_env);
    let commands = stdout(command);
    let lines = fs::read_to_string(&github_env).unwrap();
    assert!(lines.starts_with("EARLIER=step\n"), "{lines}");
    let value = |name: &str| lines.lines().find_map(|line| line.strip_prefix(&format!("{name}="))).unwrap();
    let masks: Vec<String> = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]
        .map(|name| format!("::add-mask::{}", value(name)))
        .to_vec();
    assert_eq!(commands.lines().collect::<Vec<_>>(), masks, "every secret is masked, and nothing else is printed");
    assert_eq!(value("AWS_REGION"), "eu-west-1");

    let before = fs::read(&github_env).unwrap();
    let mut refused = stage.in_job(&["env", "--role", CLOSED, "--provider-audience", JOBS]);
    refused.env("GITHUB_ENV", &github_env);
    let said = stage.failed(refused, 1);
    assert!(said.contains("STS refused: AccessDenied") && said.contains("tagmint explain"), "{said}");
    assert_eq!(fs::read(&github_env).unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdks_route_assumes_the_role_at_a_real_sts() {
    let stage = Stage::new().await;
    let http = client(&stage.ca_file);
    let ask = async |role: &str, credential: &str| -> Response {
        let url = format!("{}/v1/aws/credentials?role={role}", stage.issuer.field("issuer"));
        http.get(url).header("authorization", credential).send().await.unwrap()
    };
    let first = ask(ROLE, &stage.bearer).await;
    assert_eq!(first.status(), 200);
    assert_eq!(first.headers()["cache-control"], "no-store");
    let first: Value = first.json().await.unwrap();
    assert!(first["AccessKeyId"].as_str().unwrap().starts_with("ASIA"), "{first}");
    assert!(first["Expiration"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    let again: Value = ask(ROLE, &format!("Bearer {}", stage.bearer)).await.json().await.unwrap();
    assert_eq!(first, again, "from the cache");

    let refused = ask(CLOSED, &stage.github.job_token(JOBS)).await;
    assert_eq!(refused.status(), 403);
    let refused: Value = refused.json().await.unwrap();
    assert_eq!(refused["code"], "sts-refused");
    assert!(refused["message"].as_str().unwrap().contains("AccessDenied"), "{refused}");
    let log = stage.issuer.stderr();
    stage.tells_no_secret(&log);
    assert!(!log.contains(first["SecretAccessKey"].as_str().unwrap()));
}
