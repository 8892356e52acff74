//! A clock that stands still until a test moves it.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tagmint_core::clock::Clock;

/// A clock in the test's hands. Clones show the same time.
#[derive(Debug, Clone)]
pub struct MockClock(Arc<Mutex<Timestamp>>);

impl MockClock {
    /// A clock that shows `now`.
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(now)))
    }

    /// Sets the time, also backwards.
    pub fn set(&self, now: Timestamp) {
        self.change(|time| *time = now);
    }

    /// Moves the time; a negative duration moves it backwards.
    pub fn advance(&self, by: SignedDuration) {
        self.change(|time| *time += by);
    }

    fn change<T>(&self, change: impl FnOnce(&mut Timestamp) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Default for MockClock {
    /// Shows 2026-09-21T14:13:20Z.
    fn default() -> Self {
        Self::new(Timestamp::constant(1_790_000_000, 0))
    }
}

impl Clock for MockClock {
    fn now(&self) -> Timestamp {
        self.change(|time| *time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_their_time() {
        let clock = MockClock::default();
        let other = clock.clone();
        let start = clock.now();
        other.advance(SignedDuration::from_secs(90));
        assert_eq!(clock.now(), start + SignedDuration::from_secs(90));
        clock.set(start);
        assert_eq!(other.now(), start);
    }
}
