//! The one seam for randomness.

use std::fmt;

/// The source of randomness failed. Nothing may be made from it: refuse the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system's source of randomness is unavailable")]
pub struct RandomUnavailable;

/// Fills buffers with bytes for ids, secrets and nonces.
pub trait Random: Send + Sync + fmt::Debug {
    /// Overwrites all of `out` with random bytes.
    fn fill(&self, out: &mut [u8]) -> Result<(), RandomUnavailable>;
}

/// The cryptographic random number generator of aws-lc.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    #[expect(clippy::disallowed_methods, reason = "the one place that draws system randomness")]
    fn fill(&self, out: &mut [u8]) -> Result<(), RandomUnavailable> {
        aws_lc_rs::rand::fill(out).map_err(|_| RandomUnavailable)
    }
}
