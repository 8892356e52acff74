//! This process's observations of its clock: when it was set, and for how long it has run since.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::SignedDuration;
use tagmint_core::{alarm::conditions::ClockStep, clock::Clock, key_schedule::clock::ClockJump};

/// The observations of the clock.
#[derive(Debug)]
pub(crate) struct ClockWatch(Mutex<Seen>);

#[derive(Debug)]
struct Seen {
    step: Option<ClockStep>,
    /// Since when it was not set, by the monotonic clock.
    steady_since: SignedDuration,
}

impl ClockWatch {
    /// Nothing was seen yet. Whether the clock was set before is not known, so it counts as running from now on.
    pub fn new(clock: &dyn Clock) -> Self {
        Self(Mutex::new(Seen { step: None, steady_since: clock.monotonic() }))
    }

    /// The clock jumped.
    pub fn jumped(&self, jump: &ClockJump, clock: &dyn Clock) {
        let mut seen = self.seen();
        seen.steady_since = clock.monotonic();
        if jump.certain && jump.by().abs() >= ClockStep::LEAST {
            seen.step = Some(ClockStep { at: jump.now, by: jump.by() });
        }
    }

    /// The last time that it was set.
    pub fn step(&self) -> Option<ClockStep> {
        self.seen().step
    }

    /// For how long it has run without being set.
    pub fn steady_for(&self, clock: &dyn Clock) -> SignedDuration {
        clock.monotonic().saturating_sub(self.seen().steady_since)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tagmint_testkit::clock::MockClock;

    use super::*;

    #[test]
    fn a_clock_that_is_set_has_to_run_anew() {
        let clock = MockClock::default();
        let watch = ClockWatch::new(&clock);
        let hour = SignedDuration::from_hours(1);
        clock.advance(hour);
        assert_eq!((watch.steady_for(&clock), watch.step()), (hour, None));
        for (by, told) in [(-5, false), (-40, true), (40, true)] {
            let by = SignedDuration::from_secs(by);
            let watch = ClockWatch::new(&clock);
            clock.advance(hour);
            let reached = clock.now();
            clock.step(by);
            watch.jumped(&ClockJump { reached, now: clock.now(), certain: true }, &clock);
            assert_eq!((watch.steady_for(&clock), watch.step().is_some()), (SignedDuration::ZERO, told), "{by}");
            clock.advance(hour);
            assert_eq!(watch.steady_for(&clock), hour);
        }
        let down = ClockJump { reached: clock.now() - hour, now: clock.now(), certain: false };
        let watch = ClockWatch::new(&clock);
        watch.jumped(&down, &clock);
        assert_eq!(watch.step(), None, "an issuer that was down has a clock that is right, perhaps");
    }
}
