//! Randomness that is the same in every run.

use std::sync::atomic::{AtomicU64, Ordering};

use tagmint_core::random::{Random, RandomUnavailable};

/// Bytes from a counter, mixed: repeatable, and no two draws of 8 bytes or more are alike. Never a secret.
#[derive(Debug, Default)]
pub struct CountingRandom(AtomicU64);

impl CountingRandom {
    /// Begins at `start`: generators whose starts lie far apart give different bytes.
    pub const fn starting_at(start: u64) -> Self {
        Self(AtomicU64::new(start))
    }
}

impl Random for CountingRandom {
    fn fill(&self, out: &mut [u8]) -> Result<(), RandomUnavailable> {
        for chunk in out.chunks_mut(8) {
            let number = self.0.fetch_add(1, Ordering::Relaxed);
            chunk.copy_from_slice(&mix(number).to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// A source that has failed.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRandom;

impl Random for NoRandom {
    fn fill(&self, _: &mut [u8]) -> Result<(), RandomUnavailable> {
        Err(RandomUnavailable)
    }
}

/// The finalizer of SplitMix64: one to one, and every bit of the input moves half of the output's.
const fn mix(number: u64) -> u64 {
    let a = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let b = (a ^ (a >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let c = (b ^ (b >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    c ^ (c >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn draws(random: &dyn Random) -> Vec<[u8; 10]> {
        let draw = |_| {
            let mut bytes = [0; 10];
            random.fill(&mut bytes).unwrap();
            bytes
        };
        (0..1000).map(draw).collect()
    }

    #[test]
    fn draws_repeat_between_runs_and_differ_within_one() {
        let first = draws(&CountingRandom::default());
        assert_eq!(first, draws(&CountingRandom::default()));
        assert_ne!(first, draws(&CountingRandom::starting_at(1 << 32)));
        assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), first.len());
        assert!(NoRandom.fill(&mut [0]).is_err());
    }
}
