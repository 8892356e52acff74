//! `tagmint init`: from answers to files that pass every check.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt as _, path::Path};

use serde_json::Value;
use tagmint_core::trusted_issuer::IssuerKind;
use tempfile::tempdir;

use crate::process::{failure, json, run, tagmint};

const UUIDS: [&str; 2] = ["3a2f5b1c-7d4e-4f6a-9b8c-0d1e2f3a4b5d", "c9035eb6-6eb2-4c85-8a81-d9ed6a1d1d1f"];

/// Answers for each kind: repository, ids, issuer.
fn answers(kind: &str) -> (&'static str, Option<[&'static str; 2]>, Option<&'static str>) {
    match kind {
        "github" => ("octo-org/octo-repo", Some(["1296269", "583231"]), None),
        "gitlab" => ("my-group/sub/my-project", Some(["278964", "9970"]), None),
        "buildkite" => ("acme-inc/super-duper-app", Some(UUIDS), None),
        "circleci" => ("github.com/octo-org/octo-repo", Some(UUIDS), None),
        "bitbucket" => ("octo-org/octo-repo", Some(UUIDS), None),
        "terraform" => ("my-org/my-workspace", Some(["ws-mbsd5E3Ktt5Rg2Xn", "org-GRNbCjYNpBB6NEH8"]), None),
        "kubernetes" => ("ci/builder", None, Some("https://oidc.eks.eu-central-1.amazonaws.com/id/ABC")),
        "jenkins" => ("my-folder/my-job/main", None, Some("https://jenkins.example.org/oidc/job/my-folder")),
        "aws" => {
            ("arn:aws:iam::310987654321:role/data-processing", None, Some("https://abc12345.tokens.sts.global.api.aws"))
        }
        "oidc" => ("248289761001", None, Some("https://login.example.org/ci")),
        _ => ("", None, None),
    }
}

/// The arguments of a run that asks nothing.
fn args(dir: &Path, environment: &str, kind: &str) -> Vec<String> {
    let (repository, ids, issuer) = answers(kind);
    let bucket = if environment == "prod" { "example-ci-${aws.account}" } else { "example-ci-test" };
    let mut args = vec!["init".to_owned(), dir.to_str().expect("a path in UTF-8").to_owned(), "--yes".to_owned()];
    let mut flag = |name: &str, value: &str| args.extend([name.to_owned(), value.to_owned()]);
    flag("--environment", environment);
    flag("--host", "broker.example.org");
    flag("--kind", kind);
    flag("--repository", repository);
    if let Some([id, owner]) = ids {
        flag("--repository-id", id);
        flag("--owner-id", owner);
    }
    if let Some(issuer) = issuer {
        flag("--issuer", issuer);
    }
    flag("--bucket", bucket);
    flag("--account", "210987654321");
    flag("--region", "eu-central-1");
    args
}

/// Without a flag and its value.
fn without(args: &[String], flag: &str) -> Vec<String> {
    let at = args.iter().position(|arg| arg == flag).expect("the flag");
    let width = if flag == "--yes" { 1 } else { 2 };
    args[..at].iter().chain(&args[at + width..]).cloned().collect()
}

/// With another value of a flag.
fn with(args: &[String], flag: &str, value: &str) -> Vec<String> {
    let mut args = args.to_vec();
    let at = args.iter().position(|arg| arg == flag).expect("the flag");
    value.clone_into(&mut args[at + 1]);
    args
}

#[test]
fn what_is_written_passes_every_check() {
    let folder = tempdir().unwrap();
    for kind in IssuerKind::ALL {
        for environment in ["prod", "test"] {
            let dir = folder.path().join(format!("{kind}-{environment}"));
            let written = json(args(&dir, environment, kind.as_str()));
            let config = written["config"].as_str().unwrap();
            let checked = tagmint(["check", "--config", config]).output().unwrap();
            let stderr = String::from_utf8(checked.stderr).unwrap();
            assert!(checked.status.success() && stderr.is_empty(), "{kind} {environment}: {stderr}");
            let tested = json(["rules", "test", "--config", config]);
            assert_eq!((&tested["ok"], tested["failed"].as_u64()), (&Value::Bool(true), Some(0)), "{kind}: {tested}");
            assert_eq!(tested["untested_rules"], Value::Array(Vec::new()), "{kind}: {tested}");
            let rendered = run(["aws", "render", "--config", config, "--format", "cloudformation"]);
            assert!(rendered.status.success() && rendered.stderr.is_empty(), "{kind} {environment}");
            let reach = json(["aws", "reach", "", "--config", config]);
            assert_eq!(reach["no_reach"], Value::Array(Vec::new()), "{kind}: {reach}");
        }
    }
}

#[test]
fn the_files_are_named_and_the_key_is_secret() {
    let folder = tempdir().unwrap();
    let dir = folder.path().join("new/folder");
    let written = json(args(&dir, "test", "github"));
    let files: Vec<&str> = written["files"].as_array().unwrap().iter().map(|it| it["path"].as_str().unwrap()).collect();
    let all = ["tagmint.toml", "tagmint-key", "rules-tests/rules.toml"];
    assert_eq!(files, all.map(|name| dir.join(name).to_str().unwrap().to_owned()));
    let mode = |name: &str| fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("tagmint-key"), 0o600);
    assert_eq!(written["issuer"], "https://broker.example.org");
    assert_eq!(written["role"], "tagmint-ci-test");
    assert_eq!(written["next"].as_array().unwrap().len(), 3);
    let config = fs::read_to_string(dir.join("tagmint.toml")).unwrap();
    assert!(config.starts_with("#:schema https://"), "{config}");
    // A key of its own for each issuer.
    let keys: BTreeSet<String> = ["a", "b"]
        .into_iter()
        .map(|name| {
            let dir = folder.path().join(name);
            json(args(&dir, "test", "github"));
            fs::read_to_string(dir.join("tagmint-key")).unwrap()
        })
        .collect();
    assert_eq!(keys.len(), 2);
}

#[test]
fn nothing_is_overwritten() {
    let folder = tempdir().unwrap();
    for name in ["tagmint.toml", "tagmint-key", "rules-tests/rules.toml", "tagmint.db"] {
        let dir = folder.path().join(name.replace('/', "-"));
        let file = dir.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "mine").unwrap();
        let error = failure(args(&dir, "test", "github"), 1);
        assert_eq!(error["code"], "refused");
        assert!(error["message"].as_str().unwrap().contains(file.to_str().unwrap()), "{error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
        let others = ["tagmint.toml", "tagmint-key", "rules-tests/rules.toml"].map(|other| dir.join(other));
        assert!(others.iter().filter(|other| **other != file).all(|other| !other.exists()), "{name}");
    }
}

#[test]
fn without_a_terminal_missing_answers_are_named() {
    let folder = tempdir().unwrap();
    let dir = folder.path().join("new");
    let all = args(&dir, "test", "github");
    let flags = [
        "--environment",
        "--host",
        "--kind",
        "--repository",
        "--repository-id",
        "--owner-id",
        "--bucket",
        "--account",
        "--region",
        "--yes",
    ];
    for flag in flags {
        let error = failure(without(&all, flag), 2);
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(flag), "{flag}: {message}");
        assert!(
            flags.iter().filter(|other| *other != &flag).all(|other| !message.contains(&format!("{other},"))),
            "{message}"
        );
    }
    let error = failure(["init", dir.to_str().unwrap()], 2);
    assert!(flags.iter().all(|flag| error["message"].as_str().unwrap().contains(flag)), "{error}");
    assert!(!dir.exists());
}

#[test]
fn a_bad_answer_is_refused_with_its_reason_and_an_example() {
    let folder = tempdir().unwrap();
    let dir = folder.path().join("new");
    let good = args(&dir, "test", "github");
    for (flag, value, reason, example) in [
        ("--environment", "staging", "staging", "test"),
        ("--host", "https://broker.example.org", "is a URL", "broker.example.org"),
        ("--host", "localhost", "tagmint dev", "broker.example.org"),
        ("--kind", "github-actions", "github-actions", "github"),
        ("--repository", "octo-repo", "--repository", "octo-org/octo-repo"),
        ("--repository-id", "octo-repo", "decimal digits", "1296269"),
        ("--owner-id", "", "decimal digits", "583231"),
        ("--bucket", "Example", "lower-case", "example-ci"),
        ("--bucket", "example-ci", "`test`", "example-ci-test-${aws.account}"),
        ("--account", "1234", "twelve digits", "aws sts get-caller-identity"),
        ("--account", "111122223333", "AWS's documentation", "aws sts get-caller-identity"),
        ("--region", "Frankfurt", "not a region", "eu-central-1"),
        // The ids of the shipped examples.
        ("--repository-id", "456789", "an example", "repository_id"),
    ] {
        let error = failure(with(&good, flag, value), 2);
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(reason) && message.contains(example), "{flag} {value}: {message}");
    }
    let jenkins = args(&dir, "test", "jenkins");
    let error = failure(with(&jenkins, "--issuer", "https://jenkins.example.org/oidc/job/other"), 2);
    assert!(error["message"].as_str().unwrap().contains("is not in it"), "{error}");
    let mut aws = args(&dir, "test", "aws");
    aws.extend(["--owner-id".to_owned(), "1".to_owned()]);
    assert!(failure(aws, 2)["message"].as_str().unwrap().contains("no such id"));
    assert!(!dir.exists());
}
