//! The one seam for time.

use std::{fmt, sync::LazyLock, time::Instant};

use jiff::{SignedDuration, Timestamp};

/// Tells the current time. Everything that depends on "now" takes it from here (or as an argument), so that tests move time instead of waiting.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The current instant, UTC.
    fn now(&self) -> Timestamp;

    /// How much time has passed since some moment of this process. Setting the system's clock does not change it: together with
    /// [`now`](Self::now) it shows that the clock was set.
    fn monotonic(&self) -> SignedDuration;
}

/// The operating system's real-time clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> SignedDuration {
        static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
        SignedDuration::try_from(ORIGIN.elapsed()).unwrap_or(SignedDuration::MAX)
    }
}
