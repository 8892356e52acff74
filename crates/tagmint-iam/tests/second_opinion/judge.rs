//! Asking the other judge.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;

use crate::case::Case;

/// Where `tests/judge` is installed, if it is.
#[allow(clippy::disallowed_methods, reason = "only the environment can tell where xtask installed it")]
pub fn directory() -> Option<PathBuf> {
    std::env::var_os("TAGMINT_JUDGE_DIR").map(PathBuf::from)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    id: String,
    verdict: Option<String>,
    error: Option<String>,
}

/// Its verdicts by pair.
pub fn ask(directory: &Path, cases: &[Case]) -> BTreeMap<String, String> {
    let work = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let (questions, answers) = (work.join("cases.jsonl"), work.join("verdicts.jsonl"));
    let text: String = cases.iter().map(|case| serde_json::to_string(case).unwrap() + "\n").collect();
    fs::write(&questions, text).unwrap();
    let status = Command::new("node").arg(directory.join("judge.mjs")).args([&questions, &answers]).status();
    let status = status.unwrap_or_else(|error| panic!("could not start node: {error}"));
    assert!(status.success(), "judge.mjs failed ({status})");
    let answers: Vec<Answer> = crate::lines(&fs::read_to_string(&answers).unwrap());
    assert_eq!(answers.len(), cases.len(), "judge.mjs left answers out");
    answers
        .into_iter()
        .map(|answer| {
            let verdict = answer.verdict.unwrap_or_else(|| panic!("{}: {:?}", answer.id, answer.error));
            (answer.id, verdict)
        })
        .collect()
}
