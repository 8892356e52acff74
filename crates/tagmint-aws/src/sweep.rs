//! Removing what runs of CI left in a test bucket. What may go decides [`tagmint_core::sweep`]; here it is found and removed.
//!
//! Every request names the bucket of a [`Ground`](tagmint_core::sweep::Ground), which only a test issuer's configuration gives, and the account
//! that must own it. What is removed is named version by version, as S3 listed it just before.
//!
//! | module | holds |
//! |---|---|
//! | `bucket` | the few operations of S3, and S3's clock |
//! | `scan` | what is below which prefix |
//! | `pulls` | whether a pull request is closed, by GitHub |
//! | `remove` | removing what is due, up to a limit, page by page |
//! | `report` | what became of it |

mod bucket;
mod pulls;
mod remove;
mod report;
mod scan;

pub use self::{
    bucket::Bucket,
    pulls::{Asked, GitHub, GitHubError},
    remove::remove,
    report::{Ended, KeyFailure, Line, Outcome, Report},
    scan::{Inventory, Mint, Minted, scan},
};

/// How far a sweep is. The answer says whether it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Versions, markers and uploads that were looked at, or that went.
    pub done: u64,
    /// How many there are; none while they are counted.
    pub total: Option<u64>,
}

/// Name and meaning of what a sweep tells Prometheus. All are gauges of the last run, by bucket; docs/sweep.md repeats them.
pub const FIGURES: [(&str, &str); 7] = [
    ("tagmint_sweep_finished_timestamp_seconds", "When the last sweep ended, whether it went well or not."),
    ("tagmint_sweep_ok", "Whether it went well: 1, or 0."),
    ("tagmint_sweep_removed_objects", "Versions, delete markers and unfinished uploads that it removed."),
    ("tagmint_sweep_removed_bytes", "Their size."),
    ("tagmint_sweep_left_prefixes", "Prefixes that were due and are still there."),
    ("tagmint_sweep_failed_objects", "Versions, delete markers and uploads that S3 did not remove."),
    ("tagmint_sweep_outside_objects", "Objects that begin like a namespace and are in none: nobody sweeps them."),
];

#[cfg(test)]
mod tests {
    /// reqwest takes the process's provider.
    pub(super) fn install_tls() {
        let installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
        // Another test may have been first.
        assert!(installed.is_ok() || rustls::crypto::CryptoProvider::get_default().is_some());
    }
}
