//! Waiting for real processes. Nothing here knows the mock clock: daemons run on real time.

use std::time::{Duration, Instant};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Asks `done` again and again until it says yes or `limit` has passed. Returns the last answer.
#[expect(clippy::disallowed_methods, reason = "a daemon's start can't be moved by a mock clock")]
pub fn wait_until(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if done() {
            return true;
        }
        if start.elapsed() >= limit {
            return false;
        }
        std::thread::sleep(PAUSE);
    }
}
