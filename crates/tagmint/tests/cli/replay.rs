//! `tagmint replay`: the ledger of a running issuer and exports, under other rules and policies.

use std::{fs, io::Write, process::Stdio};

use serde_json::{Value, json};
use tagmint::config::Config;
use tagmint_aws::render::{Names, SetUp, Settings};
use tempfile::tempdir;

use crate::{
    process::{Running, failure, run, tagmint},
    rules_stage::{BEGIN, Stage, pull_request, push},
};

/// Replays, and reads the report of a run that ends with `code`.
fn replay(args: &[&str], code: i32) -> Value {
    let mut command = tagmint(["replay", "--format", "json"]);
    let output = command.args(args).output().expect("the binary starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    serde_json::from_slice(&output.stdout).expect("a report on stdout")
}

fn counts(report: &Value) -> [u64; 5] {
    ["unchanged", "newly_refused", "newly_allowed", "changed", "undecided"]
        .map(|name| report[name].as_u64().expect("a count"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_of_a_running_issuer() {
    let folder = tempdir().unwrap();
    let dir = folder.path().join("dev");
    let dev = Running::start(["dev", "--dir", dir.to_str().unwrap()], folder.path());
    let (session, config) = (dev.field("session"), dev.field("config"));
    for body in [json!({}), json!({"lifetime_seconds": 900}), json!({"audience": "nobody"})] {
        dev.post("/v1/tokens", session, body).await;
    }
    let report = replay(&["--since", "1h", "--config", config], 0);
    assert_eq!((counts(&report), &report["mints"], &report["same"]), ([3, 0, 0, 0, 0], &json!(2), &json!(true)));

    let text = fs::read_to_string(config).unwrap();
    assert!(text.contains("max_lifetime = \"15m\""), "{text}");
    let changed = dir.join("changed.toml");
    fs::write(&changed, text.replacen("max_lifetime = \"15m\"", "max_lifetime = \"10m\"", 1)).unwrap();
    let changed = changed.to_str().unwrap();
    let report = replay(&["--since", "1h", "--config", changed], 1);
    assert_eq!(counts(&report), [2, 1, 0, 0, 0]);
    let group = &report["groups"][0];
    assert_eq!((&group["change"], &group["rule"]), (&json!("newly_refused"), &json!("wallet")));
    assert!(group["first"]["reason"].as_str().unwrap().contains("60 to 600 s"), "{group}");
    assert_eq!(failure_after_data(&["--since", "1h", "--config", changed])["code"], "changed");

    // The same from an export, on stdin and as a file, and from the database by its name.
    let export = folder.path().join("ledger.jsonl");
    let export = export.to_str().unwrap();
    assert!(run(["ledger", "export", "--out", export, "--config", config]).status.success());
    let report = replay(&["--since", "1h", "--config", changed, "--ledger", export], 1);
    assert_eq!(counts(&report), [2, 1, 0, 0, 0]);
    let mut command = tagmint(["replay", "--since", "1h", "--config", changed, "--ledger", "-", "--format", "json"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&fs::read(export).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(counts(&serde_json::from_slice(&output.stdout).unwrap()), [2, 1, 0, 0, 0]);
    let mut files = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
    let database = files.find(|path| path.extension().is_some_and(|it| it == "db")).unwrap();
    let report = replay(&["--since", "1h", "--config", changed, "--ledger", database.to_str().unwrap()], 1);
    assert_eq!(counts(&report), [2, 1, 0, 0, 0]);

    // Nothing of it is in a period before.
    let report = replay(&["--since", "2h", "--until", "1h", "--config", changed], 0);
    assert_eq!(report["rows"], 0);
}

/// The error of a run that printed its report before.
fn failure_after_data(args: &[&str]) -> Value {
    let output = tagmint(["replay", "--format", "json"]).args(args).output().expect("the binary starts");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let told: Value = serde_json::from_str(stderr.lines().last().unwrap_or_default()).expect("stderr is JSON");
    told["error"].clone()
}

#[test]
fn rules_are_compared_with_the_record_or_with_a_base() {
    let stage = Stage::new();
    let ledger = stage.export(&[pull_request("34"), pull_request("34"), push("34"), push("99")], |_| {});
    let common = ["--since", BEGIN, "--ledger", &ledger];
    let with = |more: &[&str], code| replay(&[&common[..], more].concat(), code);
    assert_eq!(counts(&with(&["--config", &stage.config()], 0)), [4, 0, 0, 0, 0]);
    let changed = stage.changed(
        "repository_id = \"34\", repository_owner_id = \"12\", event_name = \"push\"",
        "repository_id = [\"34\", \"99\"], repository_owner_id = \"12\"",
    );
    let report = with(&["--config", &changed], 1);
    assert_eq!(counts(&report), [3, 0, 1, 0, 0]);
    assert_eq!(report["groups"][0]["repository"], "octo-org/app (99)");
    let changed = stage.changed("pr-${pull_request}", "mr-${pull_request}");
    let report = with(&["--config", &changed], 1);
    assert_eq!(counts(&report), [2, 0, 0, 2, 0]);
    assert_eq!(report["groups"][0]["fields"], json!({"tags.prefix": 2}));
    let same = with(&["--config", &changed, "--base", &changed], 0);
    assert_eq!(counts(&same), [4, 0, 0, 0, 0]);
    let text = run([&["replay", "--config", &changed][..], &common].concat());
    let stdout = String::from_utf8_lossy(&text.stdout);
    assert!(stdout.contains("CHANGED\n  2 rows  rule `pull-requests`, octo-org/app (34): tags.prefix\n"), "{stdout}");
    assert!(stdout.contains("tags.prefix: `pr-5/run-7` -> `mr-5/run-7`"), "{stdout}");
}

#[test]
fn what_cannot_be_decided_is_counted() {
    let stage = Stage::new();
    let ledger = stage.export(&[push("34"), push("34")], |entry| entry.run.as_mut().unwrap().left_out.push("x".into()));
    let report = replay(&["--since", BEGIN, "--ledger", &ledger, "--config", &stage.config()], 0);
    assert_eq!(counts(&report), [0, 0, 0, 0, 2]);
    assert_eq!(report["undecided_rows"]["claims_left_out"]["rows"], 2);
    let ledger = stage.export(&[push("34")], |entry| {
        entry.format = 1;
        entry.run = None;
    });
    let report = replay(&["--since", BEGIN, "--ledger", &ledger, "--config", &stage.config()], 0);
    assert_eq!(report["undecided_rows"]["format_1"]["rows"], 1);
    let file = stage.write("no-ledger", "{\"a\": 1}\n");
    let error = failure(["replay", "--since", "1h", "--ledger", &file, "--config", &stage.config()], 2);
    assert!(error["message"].as_str().unwrap().contains("line 1 is not a row of the ledger"), "{error}");
    let args = ["replay", "--since", "1h", "--until", "2h", "--config", &stage.config()];
    assert!(failure(args, 2)["message"].as_str().unwrap().contains("is not before"));
}

/// What the configuration renders.
fn set_up(stage: &Stage) -> SetUp {
    let config = Config::load(&stage.path().join("tagmint.toml")).expect("it is configured");
    let aws = config.aws.clone().expect("it is configured");
    let settings = Settings {
        issuer: config.settings.stamp.issuer.to_string(),
        environment: config.environment(),
        partition: aws.partition,
        account: aws.account.expect("it is configured"),
        region: aws.region,
        source_identity: true,
        roles_claim: true,
        roles: aws.roles,
        bucket: aws.bucket,
    };
    SetUp::new(&settings, &config.rules, Names::Literal).expect("it is configured")
}

#[test]
fn tokens_are_judged_by_a_trust_policy() {
    let stage = Stage::new();
    let ledger = stage.export(&[pull_request("34"), push("34"), push("99")], |_| {});
    let policy = set_up(&stage).roles[0].trust_policy.to_string();
    let (same, config) = (stage.write("trust.json", &policy), stage.config());
    let common = ["--since", BEGIN, "--ledger", &ledger, "--config", &config];
    let with = |more: &[&str], code| replay(&[&common[..], more].concat(), code);
    let report = with(&["--trust-policy", &same, "--role", "ci-test"], 0);
    assert_eq!((counts(&report), &report["against"]), ([1, 0, 0, 0, 0], &json!("trust_policy")));
    assert_eq!(report["not_affected"], json!({"other_role": 1, "refused": 1}));

    assert!(policy.contains(":pull-request"), "{policy}");
    let other = stage.write("other.json", &policy.replace(":pull-request", ":other"));
    let report = with(&["--trust-policy", &other, "--role", "ci-test"], 1);
    assert_eq!(counts(&report), [0, 1, 0, 0, 0]);
    let reason = report["groups"][0]["first"]["reason"].as_str().unwrap();
    assert!(reason.contains("test-broker.example.org:sub") && reason.contains("github:34:pull-request"), "{reason}");
    let role = "arn:aws:iam::999900001111:role/ci-test";
    let report = with(&["--trust-policy", &same, "--role", role, "--base", &other], 1);
    assert_eq!(counts(&report), [0, 0, 1, 0, 0]);
    let args = [&["replay"][..], &common, &["--trust-policy", &same]].concat();
    assert!(failure(&args, 2)["message"].as_str().unwrap().contains("with --role"));
    let bad = stage.write("bad.json", r#"{"Statement": [{"Effect": "Permit"}]}"#);
    let args = [&["replay"][..], &common, &["--trust-policy", &bad, "--role", role]].concat();
    assert!(failure(&args, 2)["message"].as_str().unwrap().contains("bad.json"));
}

#[test]
fn sessions_are_judged_by_a_bucket_policy() {
    let stage = Stage::new();
    let ledger = stage.export(&[pull_request("34"), push("34"), push("99")], |_| {});
    let set_up = set_up(&stage);
    let policy = set_up.bucket.unwrap().policy;
    let config = stage.config();
    let common = ["--since", BEGIN, "--ledger", &ledger, "--config", &config];
    let with = |policy: &Value, code| {
        let file = stage.write("bucket.json", &policy.to_string());
        replay(&[&common[..], &["--bucket-policy", &file]].concat(), code)
    };
    assert_eq!(counts(&with(&policy, 0)), [2, 0, 0, 0, 0]);
    // Without the statement that lets the role write.
    let mut narrow = policy.clone();
    let statements = narrow["Statement"].as_array_mut().unwrap();
    let writes =
        |statement: &Value| statement["Effect"] == "Allow" && statement["Action"].to_string().contains("s3:PutObject");
    let index = statements.iter().position(writes).unwrap();
    statements[index]["Action"] = json!("s3:GetObject");
    let report = with(&narrow, 1);
    assert_eq!(counts(&report), [1, 1, 0, 0, 0]);
    let group = &report["groups"][0];
    assert_eq!(group["fields"], json!({"s3:DeleteObject (own prefix)": 1, "s3:PutObject (own prefix)": 1}));
    let reason = group["first"]["reason"].as_str().unwrap();
    assert!(reason.starts_with("s3:PutObject on arn:aws:s3:::data-test/pr-5/run-7/object: "), "{reason}");
    // A further denial, by name.
    let mut closed = policy.clone();
    closed["Statement"].as_array_mut().unwrap().push(json!({
        "Sid": "Closed", "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::data-test/branch-*",
    }));
    let report = with(&closed, 1);
    assert_eq!(counts(&report), [1, 1, 0, 0, 0]);
    assert!(
        report["groups"][0]["first"]["reason"].as_str().unwrap().contains("statement `Closed` denies it"),
        "{report}"
    );
}
