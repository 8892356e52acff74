//! What a command returns, and where it writes.

use std::fs;

use tempfile::tempdir;

use crate::process::{failure, run, tagmint};

#[test]
fn wrong_usage_is_2() {
    for args in [&["nonsense"][..], &["keys"], &["ledger", "list", "--limit", "0"], &["keys", "withdraw", "short"]] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty());
        assert_eq!(failure(args, 2)["code"], "usage");
    }
    assert_eq!(failure(["dev", "--listen", "0.0.0.0:0"], 2)["code"], "usage");
}

#[test]
fn a_wrong_configuration_is_3() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("tagmint.toml");
    fs::write(&file, "environment = \"staging\"\nissur = \"x\"\n").unwrap();
    let name = file.to_str().unwrap();
    for command in [&["check"][..], &["serve"], &["keys", "list"], &["ledger", "verify"]] {
        let error = failure(command.iter().chain(&["--config", name]), 3);
        assert_eq!(error["code"], "config");
        let problems = error["problems"].as_array().unwrap();
        assert!(problems.iter().any(|problem| problem["path"] == "environment" && problem["line"] == 1), "{error}");
        assert!(problems.iter().any(|problem| problem["path"] == "issur" && problem["line"] == 2), "{error}");
    }
    assert_eq!(failure(["check", "--config", "/none/tagmint.toml"], 3)["code"], "config");
    let output = tagmint(["check"]).env("TAGMINT_CONFIG", &file).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8(output.stderr).unwrap().contains("did you mean `issuer`?"));
}

#[test]
fn files_that_cannot_be_used_are_3() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("tagmint.toml");
    let text = r#"
environment = "test"
issuer = "https://broker.example.org"
[listen]
public = "127.0.0.1:0"
admin = "127.0.0.1:0"
[tls]
mode = "proxy"
[database]
path = "tagmint.db"
[keys]
key_file = "key"
"#;
    fs::write(&file, text).unwrap();
    let name = file.to_str().unwrap();
    let output = run(["check", "--config", name]);
    assert_eq!(output.status.code(), Some(3));
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("WRONG  key file"), "{shown}");
    assert!(String::from_utf8(output.stderr).unwrap().contains("no rule, no token"));
    assert_eq!(failure(["serve", "--config", name], 3)["code"], "file");
    assert!(!folder.path().join("tagmint.db").exists(), "nothing is made before the key file is good");
}

#[test]
fn help_version_pages_and_completions_go_to_stdout() {
    for (args, part) in [
        (&["--help"][..], "Exit codes: 0 done"),
        (&["--version"], "tagmint "),
        (&["ledger", "verify", "--help"], "--expect-head"),
        (&["completions", "bash"], "_tagmint"),
        (&["man"], ".TH tagmint"),
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(String::from_utf8(output.stdout).unwrap().contains(part), "{args:?}");
        assert!(output.stderr.is_empty(), "{args:?}");
    }
    let folder = tempdir().unwrap();
    assert!(run(["man", "--out", folder.path().to_str().unwrap()]).status.success());
    assert!(folder.path().join("tagmint-ledger-verify.1").exists());
}
