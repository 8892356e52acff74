//! Replays of the ledger, and decisions.

use std::time::Duration;

use serde::Serialize;

use crate::{
    numbers::{count, count_u64, rate, table},
    signature::Slice,
};

/// Replays, and the decisions that they are made of.
#[derive(Debug, Serialize)]
pub(crate) struct Replay {
    /// How many rules there are.
    pub(crate) rules: u32,
    pub(crate) decisions: Vec<Decision>,
    pub(crate) runs: Vec<ReplayRun>,
}

/// Decisions of one identity, on one core.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Decision {
    case: &'static str,
    count: u64,
    cpu_us: f64,
}

/// One run of `tagmint replay`.
#[derive(Debug, Serialize)]
pub(crate) struct ReplayRun {
    source: &'static str,
    rows: u64,
    seconds: f64,
    rows_per_second: f64,
    cpu_us_per_row: f64,
    peak_memory_kib: u64,
}

impl Decision {
    /// From all rounds together.
    pub(crate) fn new(case: &'static str, done: Slice) -> Self {
        Self { case, count: done.count, cpu_us: done.micros() }
    }
}

impl ReplayRun {
    /// From one run.
    pub(crate) fn new(source: &'static str, rows: u64, wall: Duration, cpu: Duration, peak_memory_kib: u64) -> Self {
        Self {
            source,
            rows,
            seconds: wall.as_secs_f64(),
            rows_per_second: rate(rows, wall),
            cpu_us_per_row: Slice { count: rows, cpu }.micros(),
            peak_memory_kib,
        }
    }
}

impl Replay {
    /// Both tables.
    pub(super) fn render(&self) -> String {
        let decisions = self.decisions.iter().map(|row| [row.case.to_owned(), format!("{:.1}", row.cpu_us)]);
        let runs = self.runs.iter().map(|run| {
            [
                format!("replay from {}", run.source),
                count_u64(run.rows),
                format!("{:.1}", run.seconds),
                count(run.rows_per_second),
                format!("{:.1}", run.cpu_us_per_row),
                format!("{:.1}", kib_as_mib(run.peak_memory_kib)),
            ]
        });
        let header = ["ledger", "rows", "s", "rows/s", "CPU µs", "peak MiB"];
        format!("{}\n\n{}", table(["decision", "CPU µs"], decisions), table(header, runs))
    }
}

#[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 KiB")]
fn kib_as_mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
