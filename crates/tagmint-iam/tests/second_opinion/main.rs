//! A second opinion on policy evaluation: `@cloud-copilot/iam-simulate` on the same policy/request pairs.
//!
//! The corpus is made here, the same in every run. `tests/judge` holds the other judge and the differences, each judged by AWS's
//! documentation. `cargo xtask test judge` installs the other judge; without it, a committed sample of the agreed verdicts is checked.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on ends here, and says what it compared"
)]

mod case;
mod conditions;
mod differences;
mod generator;
mod judge;
mod random;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use serde::{Deserialize, Serialize};
use tagmint_iam::condition::Operator;

use crate::{case::Case, differences::Difference};

/// A pair that both judges agree on.
#[derive(Serialize, Deserialize)]
struct Agreed {
    verdict: String,
    case: Case,
}

/// How many pairs lie between two of the sample.
const SAMPLE_STEP: usize = 16;

fn lines<T: for<'de> Deserialize<'de>>(text: &str) -> Vec<T> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[test]
fn the_corpus_is_large_and_has_everything_in_it() {
    let corpus = generator::corpus();
    assert!(corpus.len() >= 2_000, "{} pairs", corpus.len());
    let ids: BTreeSet<&str> = corpus.iter().map(|case| case.id.as_str()).collect();
    assert_eq!(ids.len(), corpus.len(), "an id is used twice");
    let mut verdicts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for case in &corpus {
        for operator in case.operators() {
            verdicts.entry(operator).or_default().insert(case.verdict());
        }
    }
    for operator in Operator::all() {
        let seen = verdicts.get(&operator.to_string()).map_or(0, BTreeSet::len);
        assert!(seen > 1, "pairs with {operator} have {seen} different verdicts");
    }
}

#[test]
fn the_sample_keeps_its_verdicts() {
    let corpus: BTreeMap<String, Case> = generator::corpus().into_iter().map(|case| (case.id.clone(), case)).collect();
    let sample: Vec<Agreed> = lines(include_str!("sample.jsonl"));
    assert!(sample.len() >= 150, "{} pairs", sample.len());
    for Agreed { verdict, case } in sample {
        assert_eq!(
            corpus.get(&case.id),
            Some(&case),
            "the corpus has changed: write the sample anew (tests/judge/README.md)"
        );
        assert_eq!(case.verdict(), verdict, "{case:#?}");
    }
}

#[test]
fn the_listed_differences_say_what_we_say() {
    let corpus: BTreeSet<String> = generator::corpus().into_iter().map(|case| case.id).collect();
    for difference in differences::listed() {
        assert_ne!(difference.tagmint, difference.iam_simulate, "{}: is no difference", difference.id);
        assert_eq!(difference.case.verdict(), difference.tagmint, "{}", difference.id);
        assert!(
            ["tagmint", "undecided"].contains(&difference.right.as_str()),
            "{}: a bug is no accepted difference",
            difference.id
        );
        assert!(!difference.source.is_empty() && !difference.why.is_empty(), "{} is not judged", difference.id);
        for id in difference.pairs {
            assert!(corpus.contains(&id), "{}: {id} is not in the corpus", difference.id);
        }
    }
}

#[test]
fn the_other_judge_agrees_but_for_the_listed_differences() {
    let Some(directory) = judge::directory() else {
        println!("TAGMINT_JUDGE_DIR is not set: iam-simulate is not asked (cargo xtask test judge asks it)");
        return;
    };
    let corpus = generator::corpus();
    let table = differences::listed();
    let minimal: Vec<Case> = table.iter().map(|difference| difference.case.clone().named()).collect();
    let asked: Vec<Case> = corpus.iter().chain(&minimal).cloned().collect();
    let theirs = judge::ask(&directory, &asked);

    let mut problems = Vec::new();
    let differing: Vec<&Case> = corpus.iter().filter(|case| theirs[&case.id] != case.verdict()).collect();
    let listed: BTreeSet<&str> = table.iter().flat_map(|difference| &difference.pairs).map(String::as_str).collect();
    let mut unlisted = Vec::new();
    for case in &differing {
        if !listed.contains(case.id.as_str()) {
            problems.push(format!("{}: {}, iam-simulate: {}", case.id, case.verdict(), theirs[&case.id]));
            let line = serde_json::json!({
                "tagmint": case.verdict(), "iam_simulate": theirs[&case.id], "case": case, "trace": case.decision().statements,
            });
            unlisted.push(line.to_string());
        }
    }
    let differ: BTreeSet<&str> = differing.iter().map(|case| case.id.as_str()).collect();
    problems.extend(listed.difference(&differ).map(|id| format!("{id} is listed, but the judges agree")));
    for (Difference { id, iam_simulate, .. }, case) in table.iter().zip(&minimal) {
        if theirs[&case.id] != *iam_simulate {
            problems.push(format!("{id}: iam-simulate says {}, not {iam_simulate}", theirs[&case.id]));
        }
    }

    let sample = corpus.iter().filter(|case| !differ.contains(case.id.as_str())).step_by(SAMPLE_STEP);
    let sample: Vec<String> = sample
        .map(|case| serde_json::to_string(&Agreed { verdict: case.verdict(), case: case.clone() }).unwrap())
        .collect();
    let proposals = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    fs::write(proposals.join("sample.jsonl"), sample.join("\n") + "\n").unwrap();
    fs::write(proposals.join("unlisted.jsonl"), unlisted.join("\n")).unwrap();
    let committed: Vec<Agreed> = lines(include_str!("sample.jsonl"));
    let stale = committed.iter().filter(|agreed| theirs.get(&agreed.case.id) != Some(&agreed.verdict));
    problems.extend(stale.map(|agreed| format!("{} of the sample is no longer agreed on", agreed.case.id)));
    println!(
        "{} pairs: {} agreed, {} differ for {} reasons",
        corpus.len(),
        corpus.len() - differing.len(),
        differing.len(),
        table.len()
    );
    let count = problems.len();
    assert!(problems.is_empty(), "{count} problems:\n{}", problems.join("\n"));
}
