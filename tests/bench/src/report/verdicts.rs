//! Verdicts of the engine that stands behind `explain` and `localaws`.

use serde::Serialize;
use tagmint_core::signing_key::Algorithm;

use crate::{
    numbers::{count, rate, table},
    signature::Slice,
};

/// Verdicts over tokens of one algorithm, on one core.
#[derive(Debug, Serialize)]
pub(crate) struct VerdictsRow {
    algorithm: Algorithm,
    verdicts: u64,
    verdicts_per_cpu_second: f64,
    cpu_us_per_verdict: f64,
}

impl VerdictsRow {
    /// From all rounds together.
    pub(crate) fn new(algorithm: Algorithm, done: Slice) -> Self {
        Self {
            algorithm,
            verdicts: done.count,
            verdicts_per_cpu_second: rate(done.count, done.cpu),
            cpu_us_per_verdict: done.micros(),
        }
    }
}

/// All rows.
pub(super) fn render(rows: &[VerdictsRow]) -> String {
    let header = ["verdict on a token of", "/CPU s", "CPU µs"];
    let line = |row: &VerdictsRow| {
        let figures = [count(row.verdicts_per_cpu_second), format!("{:.1}", row.cpu_us_per_verdict)];
        let [rate, micros] = figures;
        [row.algorithm.to_string(), rate, micros]
    };
    table(header, rows.iter().map(line))
}
