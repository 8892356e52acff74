//! Every recorded answer of the live STS and IAM against the engine: same code, same words.
//!
//! `data/README.md` names the source and the licence of the recordings.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on ends here, and says what it compared"
)]

mod iam;
#[path = "../support/signing.rs"]
mod signing;
mod sts;

use std::path::PathBuf;

use serde_json::Value;

const ACCOUNT: &str = "123456789012";
const HOST: &str = "issuer.example.test";
const ROLE: &str = "probe-role";

/// The rows of a recording, with placeholders filled in.
fn rows(file: &str) -> Vec<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/recorded/data").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let upper = |text: &str| text.to_uppercase();
    let filled = text
        .replace("<ROLE IN UPPER CASE>", &upper(ROLE))
        .replace("<HOST IN UPPER CASE>", &upper(HOST))
        .replace("<account>", ACCOUNT)
        .replace("<issuer-host>", HOST)
        .replace("<host>", HOST)
        .replace("<role>", ROLE)
        .replace("<other-role>", "other-role");
    filled.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Compares all rows, says how many agree, and fails with all that don't.
fn compare(file: &str, mut row: impl FnMut(&Value) -> Result<(), String>) {
    let rows = rows(file);
    let failures: Vec<String> = rows
        .iter()
        .filter_map(|value| {
            row(value).err().map(|problem| format!("{}: {problem}", value["id"].as_str().unwrap_or("?")))
        })
        .collect();
    println!("{file}: {} of {} rows", rows.len() - failures.len(), rows.len());
    assert!(failures.is_empty(), "{} of {} rows differ:\n{}", failures.len(), rows.len(), failures.join("\n"));
}

#[test]
fn sts_answers() {
    let keys = signing::Keys::generate();
    compare("sts-observations.jsonl", |row| sts::compare(row, &keys));
}

#[test]
fn iam_answers() {
    let mut account = iam::Account::new();
    compare("iam-trust-controls.jsonl", |row| account.compare(row));
}
