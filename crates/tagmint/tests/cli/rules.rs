//! `tagmint rules`: tests from files, tests from the ledger, explanations of claims.

use std::fs;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tagmint_core::ledger::LedgerEntry;

use crate::{
    process::{failure, json, run, tagmint},
    rules_stage::{Stage, claims, pull_request, push},
};

const TESTS: &str = r#"
[[test]]
name = "a push to main releases"
from = "github"
sub = "repo:octo-org/app:ref:refs/heads/main"
claims = { repository = "octo-org/app", repository_owner = "octo-org", repository_id = "34", repository_owner_id = "12", event_name = "push", ref = "refs/heads/main", run_id = "8" }
expect = { rule = "release", subject = "github:34:release", role = "release-test", tags = { prefix = "branch-main/run-8" }, lifetime_seconds = 300 }

[[test]]
name = "another branch gets nothing"
from = "github"
sub = "repo:octo-org/app:ref:refs/heads/x"
claims = { repository = "octo-org/app", repository_owner = "octo-org", repository_id = "34", repository_owner_id = "12", event_name = "push", ref = "refs/heads/x" }
expect = { refused = "no_rule", rule = "release", claim = "branch" }
"#;

/// Runs a command that ends with `code` after it printed data, and reads the data.
fn data<const N: usize>(args: [&str; N], code: i32) -> Value {
    let output = tagmint(args).args(["--format", "json"]).output().expect("the binary starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    serde_json::from_slice(&output.stdout).expect("data on stdout")
}

#[test]
fn tests_beside_the_configuration_are_run() {
    let stage = Stage::new();
    stage.write("rules-tests/ci.toml", TESTS);
    stage.write("rules-tests/notes.md", "no tests");
    let config = stage.config();
    let report = json(["rules", "test", "--config", &config]);
    assert_eq!((&report["ok"], &report["tests"], &report["failed"]), (&json!(true), &json!(2), &json!(0)));
    assert_eq!(report["untested_rules"], json!(["pull-requests"]));
    let text = run(["rules", "test", "--config", &config]);
    let (stdout, stderr) = (String::from_utf8_lossy(&text.stdout), String::from_utf8_lossy(&text.stderr));
    assert!(
        stdout.contains("ci.toml: a push to main releases\n") && stdout.ends_with("2 tests: 2 ok, 0 failed\n"),
        "{stdout}"
    );
    assert!(stderr.contains("no test is about the rule `pull-requests`"), "{stderr}");
}

#[test]
fn a_test_that_fails_shows_expected_and_actual() {
    let stage = Stage::new();
    let file = stage
        .write("t.toml", &TESTS.replace("branch-main/run-8", "other").replace("claim = \"branch\"", "claim = \"ref\""));
    let junit = stage.path().join("junit.xml");
    let args = ["rules", "test", &file, "--config", &stage.config(), "--junit", junit.to_str().unwrap()];
    let report = data(args, 1);
    assert_eq!((&report["ok"], &report["failed"]), (&json!(false), &json!(2)));
    let differences: Vec<&Value> = report["results"].as_array().unwrap().iter().map(|it| &it["differences"]).collect();
    assert_eq!(differences[0], &json!([{"field": "tags.prefix", "expected": "other", "actual": "branch-main/run-8"}]));
    assert_eq!(differences[1], &json!([{"field": "claim", "expected": "ref", "actual": "branch"}]));
    let xml = fs::read_to_string(&junit).unwrap();
    assert!(xml.contains("tests=\"2\" failures=\"2\"") && xml.contains("tags.prefix: expected `other`"), "{xml}");
    let text = run(args);
    let stdout = String::from_utf8_lossy(&text.stdout);
    assert!(stdout.contains("tags.prefix: expected `other`, got `branch-main/run-8`"), "{stdout}");
    assert!(String::from_utf8_lossy(&text.stderr).ends_with("error: 2 of 2 tests failed\n"));
    // One that the rules refuse says why.
    let file = stage.write(
        "t.toml",
        &TESTS
            .replace("ref = \"refs/heads/main\"", "ref = \"refs/heads/y\"")
            .replace("sub = \"repo:octo-org/app:ref:refs/heads/main\"", "sub = \"other\""),
    );
    let report = data(["rules", "test", &file, "--config", &stage.config()], 1);
    let result = &report["results"][0];
    assert_eq!(result["differences"][0]["actual"], "refused: no_rule");
    assert!(result["reason"].as_str().unwrap().contains("`branch` is \"y\", and must be \"main\""), "{result}");
}

#[test]
fn files_without_tests_and_with_mistakes_are_errors() {
    let stage = Stage::new();
    let config = stage.config();
    let missing = failure(["rules", "test", "--config", &config], 3);
    assert!(missing["message"].as_str().unwrap().contains("rules-tests does not exist"), "{missing}");
    stage.write("rules-tests/empty.toml", "");
    let empty = failure(["rules", "test", "--config", &config], 3);
    assert!(empty["message"].as_str().unwrap().starts_with("no test in"), "{empty}");
    let file = stage
        .write("bad.toml", "[[test]]\nname = \"x\"\nfrm = \"github\"\nfrom = \"session\"\nexpect = { ruel = \"a\" }\n");
    let error = failure(["rules", "test", &file, "--config", &config], 3);
    let problems = error["problems"].as_array().unwrap();
    assert_eq!((&problems[0]["path"], &problems[0]["line"]), (&json!("test[0].frm"), &json!(3)));
    assert_eq!(problems[0]["message"], "unknown key; did you mean `from`?");
    assert_eq!(problems[1]["message"], "unknown key; did you mean `rule`?");
    assert_eq!(failure(["rules", "test", "no-such-file.toml", "--config", &config], 1)["code"], "io");
    // A test that cannot be run fails, and the others are run.
    let file = stage.write("t.toml", &TESTS.replacen("from = \"github\"", "from = \"gihub\"", 1));
    let report = data(["rules", "test", &file, "--config", &config], 1);
    assert_eq!((&report["tests"], &report["failed"]), (&json!(2), &json!(1)));
    assert!(report["results"][0]["error"].as_str().unwrap().contains("Did you mean `github`?"), "{report}");
}

#[test]
fn a_row_of_the_ledger_becomes_a_test() {
    let stage = Stage::new();
    let (config, ledger) = (stage.config(), stage.export(&[pull_request("34"), push("34"), push("99")], |_| {}));
    let out = stage.path().join("rules-tests/recorded.toml");
    fs::create_dir(out.parent().unwrap()).unwrap();
    let out = out.to_str().unwrap();
    for id in ["mnt_00000000000000000000000000", "mnt_00000000000000000000000001", "rfs_00000000000000000000000002"] {
        let output = run(["rules", "record", id, "--ledger", &ledger, "--config", &config, "--out", out]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let report = json(["rules", "test", "--config", &config]);
    assert_eq!((&report["tests"], &report["ok"], &report["untested_rules"]), (&json!(3), &json!(true), &json!([])));
    // Under other rules the same tests fail, and recording warns of it.
    let changed = stage.changed("pr-${pull_request}", "mr-${pull_request}");
    assert_eq!(data(["rules", "test", out, "--config", &changed], 1)["failed"], 1);
    let id = "mnt_00000000000000000000000000";
    let output = run(["rules", "record", id, "--name", "mine", "--ledger", &ledger, "--config", &changed]);
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(stdout.starts_with("[[test]]\nname = \"mine\"\nfrom = \"github\"\n"), "{stdout}");
    assert!(stderr.contains("decide otherwise today"), "{stderr}");
}

#[test]
fn a_row_that_left_something_out_says_so() {
    let stage = Stage::new();
    let message = |edit: fn(&mut LedgerEntry), id: &str| {
        let ledger = stage.export(&[push("34")], edit);
        let error = failure(["rules", "record", id, "--ledger", &ledger, "--config", &stage.config()], 1);
        error["message"].as_str().unwrap().to_owned()
    };
    let id = "mnt_00000000000000000000000000";
    let left_out = message(|entry| entry.run.as_mut().unwrap().left_out.push("sha".to_owned()), id);
    assert!(left_out.contains("these claims were not kept") && left_out.contains("`sha`"), "{left_out}");
    let first = |entry: &mut LedgerEntry| {
        entry.format = 1;
        entry.run = None;
    };
    assert!(message(first, id).contains("format 1"), "{}", message(first, id));
    assert!(message(|_| {}, "mnt_0000000000000000000000000Z").contains("has no row"));
}

#[test]
fn claims_are_explained() {
    let stage = Stage::new();
    let config = stage.config();
    let file = stage.write("claims.json", &claims("34").to_string());
    let told = json(["rules", "explain", "--claims", &file, "--config", &config]);
    assert_eq!((&told["granted"], &told["identity"]["from"]), (&json!(true), &json!("github")));
    assert_eq!(told["identity"]["attributes"]["branch"], "main", "derived attributes are there");
    assert_eq!(told["grant"]["tags"], json!({"prefix": "branch-main/run-8"}));
    assert_eq!(told["rules"][0]["verdict"], "missed");
    assert_eq!(told["rules"][0]["claim"], "event_name");

    let file = stage.write("claims.json", &claims("99").to_string());
    let told = data(["rules", "explain", "--claims", &file, "--config", &config], 1);
    assert_eq!((&told["nearest"], &told["refused"]["code"]), (&json!("release"), &json!("no_rule")));
    let rule = &told["rules"][1];
    assert_eq!(
        (&rule["claim"], &rule["expected"], &rule["actual"]),
        (&json!("repository_id"), &json!("\"34\""), &json!("99"))
    );
    let request = stage.write("request.json", r#"{"lifetime_seconds": 901}"#);
    let file = stage.write("claims.json", &claims("34").to_string());
    let told = data(["rules", "explain", "--claims", &file, "--request", &request, "--config", &config], 1);
    assert_eq!(
        (&told["refused"]["code"], &told["refused"]["rule"]),
        (&json!("lifetime_not_allowed"), &json!("release"))
    );
}

#[test]
fn a_token_is_decoded_and_not_verified() {
    let stage = Stage::new();
    let config = stage.config();
    let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let mut claims = claims("34");
    claims["aud"] = json!("https://other.example");
    let token = format!("{}.{}.c2ln", encode(&json!({"alg": "RS256", "kid": "k"})), encode(&claims));
    let file = stage.write("token", &token);
    let told = json(["rules", "explain", "--token", &file, "--config", &config]);
    let notes: Vec<&str> = told["notes"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(notes[0].contains("decoded, not verified"), "{notes:?}");
    assert!(notes[1].contains("`aud` is \"https://other.example\""), "{notes:?}");
    assert!(!told.to_string().contains(&token[..20]));
    let error = failure(["rules", "explain", "--token", &token, "--config", &config], 2);
    assert!(!error.to_string().contains(&token[..20]), "{error}");
    let unknown = stage.write("claims.json", r#"{"iss": "https://id.example", "sub": "x"}"#);
    let error = failure(["rules", "explain", "--claims", &unknown, "--config", &config], 2);
    assert!(error["message"].as_str().unwrap().contains("no trusted issuer has the `iss`"), "{error}");
    let session = stage.write("claims.json", r#"{"sub": "0xa", "team": "blue"}"#);
    let told = data(["rules", "explain", "--claims", &session, "--from", "session", "--config", &config], 1);
    assert_eq!(told["identity"], json!({"from": "session", "sub": "0xa", "attributes": {"team": "blue"}}));
}
