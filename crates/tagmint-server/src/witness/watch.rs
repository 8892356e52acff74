//! What is known of STS's fetches when the keys were read last: for the figures, and to say once when a key had to begin unseen.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use tagmint_core::{
    key_schedule::{KeyPhase, KeyState},
    signing_key::KeyId,
    witness::Witnesses,
};

/// The witnesses that were read last.
#[derive(Debug, Default)]
pub(crate) struct Watch(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    witnesses: Witnesses,
    /// Keys that began to sign at their deadline, and that this process has warned of.
    told: HashSet<KeyId>,
}

impl Watch {
    /// Takes over what was read, and warns of keys that sign because their deadline came before STS.
    pub fn update(&self, witnesses: Witnesses, keys: &[KeyState], now: Timestamp) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            let overdue = key.schedule.began_at_deadline(now) && key.schedule.phase(now) == KeyPhase::Active;
            if overdue && !witnesses.saw(key) && known.told.insert(key.kid.clone()) {
                tracing::warn!(
                    kid = %key.kid, published_at = %key.schedule.published_at, deadline = %key.schedule.active_at,
                    "a key signs because its deadline has come: STS was not seen to fetch it (`tagmint keys fetches` shows who fetched)"
                );
            }
        }
        known.witnesses = witnesses;
    }

    /// How long ago STS last fetched the key set; none where it was never seen.
    pub fn age(&self, now: Timestamp) -> Option<SignedDuration> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.witnesses.latest().map(|latest| now.duration_since(latest).max(SignedDuration::ZERO))
    }

    /// How many of the keys wait for STS, and how many sign without having been seen by it.
    pub fn unseen(&self, keys: &[KeyState], now: Timestamp) -> (usize, usize) {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = keys.iter().filter(|key| key.schedule.waits(now)).count();
        let overdue = |key: &&KeyState| {
            key.schedule.began_at_deadline(now)
                && key.schedule.phase(now) == KeyPhase::Active
                && !known.witnesses.saw(key)
        };
        (waiting, keys.iter().filter(overdue).count())
    }
}
