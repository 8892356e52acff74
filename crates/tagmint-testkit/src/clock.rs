//! A clock that stands still until a test moves it.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tagmint_core::clock::Clock;

/// A clock in the test's hands. Clones show the same time.
#[derive(Debug, Clone)]
pub struct MockClock(Arc<Mutex<Shown>>);

#[derive(Debug)]
struct Shown {
    now: Timestamp,
    monotonic: SignedDuration,
}

impl MockClock {
    /// A clock that shows `now`.
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Shown { now, monotonic: SignedDuration::ZERO })))
    }

    /// Lets the time pass until `now`. An earlier moment sets the clock back: no time passes.
    pub fn set(&self, now: Timestamp) {
        self.advance(now.duration_since(self.now()));
    }

    /// Lets the time pass. A negative duration sets the clock back: no time passes.
    pub fn advance(&self, by: SignedDuration) {
        self.change(|shown| {
            shown.now += by;
            shown.monotonic += by.max(SignedDuration::ZERO);
        });
    }

    /// Sets the clock, ahead or back: no time passes.
    pub fn step(&self, by: SignedDuration) {
        self.change(|shown| shown.now += by);
    }

    fn change<T>(&self, change: impl FnOnce(&mut Shown) -> T) -> T {
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
        self.change(|shown| shown.now)
    }

    fn monotonic(&self) -> SignedDuration {
        self.change(|shown| shown.monotonic)
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
        other.step(SignedDuration::from_hours(1));
        assert_eq!(clock.now(), start + SignedDuration::from_hours(1));
        assert_eq!(clock.monotonic(), SignedDuration::from_secs(90), "a clock that is set lets no time pass");
    }
}
