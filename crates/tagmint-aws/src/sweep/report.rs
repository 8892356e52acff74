//! What became of a sweep.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use tagmint_core::sweep::{Due, Kept, Plan, RunPrefix, Why};

use super::Asked;

/// The most failures that are told one by one.
const MOST_FAILURES: usize = 100;

/// What became of a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It would go: nothing was asked to be removed.
    WouldGo,
    /// A part of it would go, and the rest in the next run.
    WouldBegin,
    /// Everything below it is gone.
    Gone,
    /// Some of it is gone; the next run goes on.
    Begun,
    /// Something was written below it in the meantime: the rest stays.
    InUse,
    /// S3 did not remove everything.
    Failed,
    /// The limits left it to the next run, or this one ended before.
    Left,
}

/// A prefix that is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The prefix.
    pub prefix: RunPrefix,
    /// Versions and delete markers.
    pub objects: u64,
    /// In bytes.
    pub bytes: u64,
    /// Unfinished uploads.
    pub uploads: u64,
    /// When it was used last: written to, or minted for.
    pub used_at: Timestamp,
    /// How long ago that is.
    pub age_seconds: i64,
    /// `old`, or `closed`: its pull request is.
    pub why: &'static str,
    /// Since when the pull request is closed.
    pub closed_at: Option<Timestamp>,
    /// What became of it.
    pub outcome: Outcome,
    /// How many versions, markers and uploads went.
    pub removed: u64,
}

/// Something that S3 did not remove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyFailure {
    /// The key.
    pub key: String,
    /// The version, or the upload.
    pub version: Option<String>,
    /// S3's code, as `AccessDenied`.
    pub code: String,
    /// S3's words.
    pub message: String,
}

/// How a sweep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// With everything that was due.
    Complete,
    /// At a limit: the next run goes on.
    Limit,
    /// By a signal: the next run goes on.
    Interrupted,
    /// S3 stopped answering, or refused.
    Failed,
}

/// What became of a sweep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The bucket.
    pub bucket: String,
    /// Whether anything was to be removed: false for a dry run.
    pub applied: bool,
    /// The time by which ages are told.
    pub now: Timestamp,
    /// What is due, in the order in which it goes.
    pub prefixes: Vec<Line>,
    /// Prefixes that stay: `young`, `named` or `future`.
    pub kept: BTreeMap<&'static str, u64>,
    /// Versions, markers and uploads that begin like a namespace and are not in one: they stay.
    pub outside: u64,
    /// Some of their keys.
    pub outside_examples: Vec<String>,
    /// Versions and markers that went.
    pub removed_objects: u64,
    /// Their bytes.
    pub removed_bytes: u64,
    /// Uploads that were ended.
    pub removed_uploads: u64,
    /// How many S3 did not remove.
    pub failed: u64,
    /// Some of them.
    pub failures: Vec<KeyFailure>,
    /// What GitHub said, where it was asked.
    pub pulls: Option<Asked>,
    /// How it ended.
    pub ended: Ended,
    /// Why it failed.
    pub problem: Option<String>,
}

impl Report {
    /// Of a plan, as long as nothing was removed.
    pub fn new(bucket: &str, plan: &Plan, now: Timestamp) -> Self {
        let kept = plan.kept.iter().map(|(kept, count)| (name(*kept), *count)).collect();
        let prefixes: Vec<Line> = plan.due.iter().map(line).collect();
        let cut = prefixes.iter().any(|line| line.outcome != Outcome::WouldGo);
        Self {
            bucket: bucket.to_owned(),
            applied: false,
            now,
            prefixes,
            kept,
            outside: 0,
            outside_examples: Vec::new(),
            removed_objects: 0,
            removed_bytes: 0,
            removed_uploads: 0,
            failed: 0,
            failures: Vec::new(),
            pulls: None,
            ended: if cut { Ended::Limit } else { Ended::Complete },
            problem: None,
        }
    }

    /// How many prefixes became this.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.prefixes.iter().filter(|line| line.outcome == outcome).count()
    }

    /// How many prefixes are due and were not removed whole.
    pub fn left(&self) -> usize {
        let remains = |line: &&Line| !matches!(line.outcome, Outcome::Gone | Outcome::WouldGo);
        self.prefixes.iter().filter(remains).count()
    }

    pub(super) fn failure(&mut self, failure: KeyFailure) {
        self.failed += 1;
        if self.failures.len() < MOST_FAILURES {
            self.failures.push(failure);
        }
    }
}

const fn name(kept: Kept) -> &'static str {
    match kept {
        Kept::Young => "young",
        Kept::Named => "named",
        Kept::Future => "future",
    }
}

fn line(due: &Due) -> Line {
    let Due { found, why, age, take } = due;
    let (why, closed_at) = match why {
        Why::Old => ("old", None),
        Why::Closed { at } => ("closed", Some(*at)),
    };
    Line {
        prefix: found.prefix.clone(),
        objects: found.objects,
        bytes: found.bytes,
        uploads: found.uploads,
        used_at: found.used_at(),
        age_seconds: age.as_secs(),
        why,
        closed_at,
        outcome: match *take {
            0 => Outcome::Left,
            take if take < found.count() => Outcome::WouldBegin,
            _ => Outcome::WouldGo,
        },
        removed: 0,
    }
}
