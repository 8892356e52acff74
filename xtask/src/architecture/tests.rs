use std::fs;

use super::*;

#[test]
fn the_checkout_keeps_its_rules() {
    assert_eq!(check(&Workspace::find()), Ok(Vec::new()));
}

#[test]
fn a_word_counts_as_a_path_and_not_inside_another_word() {
    assert!(uses("use axum::Json;", "axum"));
    assert!(uses("    let x: http::StatusCode = y;", "http::"));
    assert!(uses("use crate::http::tokens;", "http::"));
    assert!(!uses("let taxum = 1;", "axum"));
    assert!(!uses("use axum_server::Handle;", "axum"));
    assert!(!uses("let url = \"http://x\";", "http::"));
    assert!(!uses("//! Called by axum handlers.", "axum"));
}

#[test]
fn breaches_in_flows_and_handlers_are_named_with_their_line() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("crates/tagmint-server/src");
    fs::create_dir_all(source.join("flows/mint")).unwrap();
    fs::create_dir_all(source.join("http")).unwrap();
    fs::write(source.join("flows.rs"), "//! Flows.\nuse axum::Json;\n").unwrap();
    fs::write(source.join("flows/mint/tests.rs"), "use http::StatusCode;\n").unwrap();
    fs::write(source.join("http/tokens.rs"), "use axum::Json;\nuse sqlx::Row;\n").unwrap();
    let failure = check(&Workspace::at(dir.path())).unwrap_err().to_string();
    let lines: Vec<_> = failure.lines().collect();
    assert_eq!(lines.len(), 3, "{failure}");
    assert!(lines[0].starts_with("crates/tagmint-server/src/flows/mint/tests.rs:1: uses `http::`"));
    assert!(lines[1].starts_with("crates/tagmint-server/src/flows.rs:2: uses `axum`"));
    assert!(lines[2].starts_with("crates/tagmint-server/src/http/tokens.rs:2: uses `sqlx`"));
}

#[test]
fn io_is_found_in_a_tree() {
    let tree = "tagmint-core v0.1.0 (/x)\naws-lc-rs v1.19.0\ntokio-util v0.7.0\n\
        aws-sdk-s3 v1.0.0\nhyperion v1.0.0\ntokio v1.0.0\ntokio v1.0.0 (*)\n";
    let expected =
        ["aws-sdk-s3", "tokio", "tokio-util"].map(|name| format!("tagmint-core has no I/O, but depends on `{name}`"));
    assert_eq!(io_crates("tagmint-core", tree), expected);
}

#[test]
fn dependencies_are_read_from_a_manifest() {
    let text = "[package]\nname = \"a\"\nversion.workspace = true\n\n[dependencies]\n\
        # sqlx = \"1\"\nserde.workspace = true\ntokio = { version = \"1\" }\n\n\
        [dev-dependencies]\ninsta.workspace = true\n";
    let expected = Manifest {
        name: "a".to_owned(),
        normal: vec!["serde".to_owned(), "tokio".to_owned()],
        dev: vec!["insta".to_owned()],
    };
    assert_eq!(Manifest::parse(text), expected);
}

#[test]
fn arrows_point_one_way() {
    let manifest = |name: &str, normal: &[&str], dev: &[&str]| Manifest {
        name: name.to_owned(),
        normal: normal.iter().map(|&word| word.to_owned()).collect(),
        dev: dev.iter().map(|&word| word.to_owned()).collect(),
    };
    let good = manifest("tagmint-store", &["tagmint-core", "sqlx"], &["tagmint-testkit"]);
    assert_eq!(manifest_problems(&good), Vec::<String>::new());
    for tests in ["tagmint-bench", "tagmint-e2e"] {
        assert_eq!(manifest_problems(&manifest(tests, &["tagmint-testkit"], &[])), Vec::<String>::new());
    }
    let bad = manifest("tagmint-store", &["tagmint-server", "tagmint-testkit"], &[]);
    assert_eq!(
        manifest_problems(&bad),
        [
            "tagmint-store must not depend on tagmint-server",
            "tagmint-store depends on tagmint-testkit: only [dev-dependencies] may",
        ]
    );
    let bad = manifest("tagmint-server", &["tagmint-core"], &["sqlx"]);
    assert_eq!(manifest_problems(&bad), ["tagmint-server depends on sqlx: SQL is in tagmint-store only"]);
}
