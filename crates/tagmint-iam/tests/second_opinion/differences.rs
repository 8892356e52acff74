//! The table of known differences, `tests/judge/differences.jsonl`.

use std::{fs, path::PathBuf};

use serde::Deserialize;

use crate::case::Case;

/// One reason why the judges differ.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// The reason's name.
    pub id: String,
    /// A small pair that shows it.
    pub case: Case,
    /// The engine's verdict on it.
    pub tagmint: String,
    /// The other one's.
    pub iam_simulate: String,
    /// Page and sentence of AWS's documentation, or that it says nothing.
    pub source: String,
    /// `tagmint`, or `undecided` where the documentation contradicts itself or is silent. Where the other one is right, the engine is to be
    /// mended instead.
    pub right: String,
    /// Why.
    pub why: String,
    /// The corpus's pairs that differ for this reason.
    pub pairs: Vec<String>,
}

/// All reasons.
pub fn listed() -> Vec<Difference> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/judge/differences.jsonl");
    crate::lines(&fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}
