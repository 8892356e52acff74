//! Removing what is due.

use std::ops::ControlFlow;

use tagmint_core::sweep::{Due, Plan};

use super::{
    Bucket, Minted, Progress,
    bucket::{Item, Upload},
    report::{Ended, KeyFailure, Outcome, Report},
    scan::Owners,
};
use crate::failure::Failure;

/// The most that S3 removes in one request.
const BATCH: usize = 1_000;

/// Removes what a plan says, in its order. `report` is the plan's own, and comes out as what was done.
///
/// Each prefix is listed anew: only what is listed goes, version by version, and where something was written in the meantime the rest stays.
/// It ends between two requests where `on_batch` says so, and at the first request that S3 does not answer or refuses.
pub async fn remove(
    bucket: &Bucket,
    plan: &Plan,
    minted: &Minted,
    all_minted: bool,
    report: &mut Report,
    on_batch: impl FnMut(Progress) -> ControlFlow<()>,
) {
    report.applied = true;
    for line in &mut report.prefixes {
        line.outcome = Outcome::Left;
    }
    let total = plan.due.iter().map(|due| due.take).sum();
    let owners = Owners::new(minted, all_minted);
    let mut remover = Remover { bucket, owners, report, on_batch, done: 0, total };
    for (index, due) in plan.due.iter().enumerate().filter(|(_, due)| due.take > 0) {
        let ended = remover.prefix(index, due).await;
        match ended {
            Ok(outcome) => remover.report.prefixes[index].outcome = outcome,
            Err(stop) => {
                let line = &mut remover.report.prefixes[index];
                line.outcome = if line.removed > 0 { Outcome::Begun } else { Outcome::Left };
                match stop {
                    Stop::Interrupted => remover.report.ended = Ended::Interrupted,
                    Stop::Failure(failure) => {
                        remover.report.ended = Ended::Failed;
                        remover.report.problem = Some(failure.to_string());
                    }
                }
                return;
            }
        }
    }
}

/// Why a prefix was not finished.
enum Stop {
    Interrupted,
    Failure(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

struct Remover<'a, F> {
    bucket: &'a Bucket,
    owners: Owners<'a>,
    report: &'a mut Report,
    on_batch: F,
    done: u64,
    total: u64,
}

impl<F: FnMut(Progress) -> ControlFlow<()>> Remover<'_, F> {
    async fn prefix(&mut self, index: usize, due: &Due) -> Result<Outcome, Stop> {
        let prefix = &due.found.prefix;
        let mut budget = due.take;
        let failed_before = self.report.failed;
        let mut in_use = false;
        let mut more = false;
        let mut after = None;
        loop {
            let page = self.bucket.versions(prefix.as_str(), after.as_ref()).await?;
            let mut items: Vec<Item> = Vec::new();
            for item in page.items {
                // A longer prefix of the ledger's is decided on by itself.
                if self.owners.of(&item.key).as_ref() != Some(prefix) {
                    continue;
                }
                in_use |= item.modified > due.found.newest;
                items.push(item);
            }
            if in_use {
                return Ok(Outcome::InUse);
            }
            more |= items.len() as u64 > budget;
            items.truncate(usize::try_from(budget).unwrap_or(usize::MAX));
            for batch in items.chunks(BATCH) {
                self.batch(index, batch).await?;
                budget -= batch.len() as u64;
            }
            after = page.next;
            if after.is_none() || budget == 0 {
                more |= after.is_some();
                break;
            }
        }
        let mut after = None;
        while !more {
            let page = self.bucket.uploads(prefix.as_str(), after.as_ref()).await?;
            let own = |upload: &&Upload| self.owners.of(&upload.key).as_ref() == Some(prefix);
            let uploads: Vec<Upload> = page.items.iter().filter(own).cloned().collect();
            for upload in uploads {
                if upload.initiated > due.found.newest {
                    return Ok(Outcome::InUse);
                }
                if budget == 0 {
                    more = true;
                    break;
                }
                self.abort(index, &upload).await?;
                budget -= 1;
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(match (self.report.failed > failed_before, more) {
            (true, _) => Outcome::Failed,
            (false, true) => Outcome::Begun,
            (false, false) => Outcome::Gone,
        })
    }

    async fn batch(&mut self, index: usize, items: &[Item]) -> Result<(), Stop> {
        if items.is_empty() {
            return Ok(());
        }
        let failures = self.bucket.delete(items).await?;
        let failed = |item: &&Item| {
            failures.iter().any(|failure| {
                failure.key == item.key && failure.version.as_ref().is_none_or(|version| *version == item.version)
            })
        };
        let gone: Vec<&Item> = items.iter().filter(|item| !failed(item)).collect();
        self.report.removed_objects += gone.len() as u64;
        self.report.removed_bytes += gone.iter().map(|item| item.size).sum::<u64>();
        self.report.prefixes[index].removed += gone.len() as u64;
        for failure in failures {
            self.report.failure(failure);
        }
        self.advance(items.len() as u64)
    }

    async fn abort(&mut self, index: usize, upload: &Upload) -> Result<(), Stop> {
        match self.bucket.abort(upload).await {
            Ok(()) => {
                self.report.removed_uploads += 1;
                self.report.prefixes[index].removed += 1;
            }
            Err(Failure::Refused { code, message, .. }) => self.report.failure(KeyFailure {
                key: upload.key.clone(),
                version: Some(upload.id.clone()),
                code,
                message,
            }),
            Err(failure) => return Err(failure.into()),
        }
        self.advance(1)
    }

    fn advance(&mut self, count: u64) -> Result<(), Stop> {
        self.done += count;
        match (self.on_batch)(Progress { done: self.done, total: Some(self.total) }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Stop::Interrupted),
        }
    }
}
