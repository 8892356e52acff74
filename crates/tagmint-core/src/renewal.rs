//! When a certificate is renewed, and when an attempt that failed is repeated. Pure: moments in, moments out.
//!
//! The CA's word counts most (ACME Renewal Information, RFC 9773): a random moment within the window that it suggests. Without it a third
//! of the lifetime is left for attempts, and half of it where the lifetime is short.

use aws_lc_rs::digest::{SHA256, digest};
use jiff::{SignedDuration, Timestamp};

/// Certificates that live shorter than this are renewed at half their life.
const SHORT_LIFE: SignedDuration = SignedDuration::from_hours(10 * 24);
/// How long a certificate is used at least.
const LEAST_LIFE: SignedDuration = SignedDuration::from_hours(1);
/// The shortest time between two look-ups of renewal information (RFC 9773 §4.3.3 lets the client set the bounds).
const LEAST_LOOKUP: SignedDuration = SignedDuration::from_mins(1);
/// The longest.
const MOST_LOOKUP: SignedDuration = SignedDuration::from_hours(24);
/// The time between two look-ups where the server suggests none.
const USUAL_LOOKUP: SignedDuration = SignedDuration::from_hours(6);
/// The pause after a first failure. It doubles with each that follows.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_mins(1);
/// The longest pause that failures alone cause.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(6);
/// The least pause after the server's rate limit was reached, if it names none.
const RATE_LIMIT_PAUSE: SignedDuration = SignedDuration::from_hours(1);
/// The longest pause that a server can ask for: Let's Encrypt's longest window.
const LONGEST_RETRY_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How long a failed validation counts against the limit.
const VALIDATION_WINDOW: SignedDuration = SignedDuration::from_hours(1);
/// Failed validations in any hour: Let's Encrypt refuses a name after five in an hour
/// (<https://letsencrypt.org/docs/rate-limits/>, "Authorization Failures per Identifier per Account").
pub const MOST_FAILED_VALIDATIONS: usize = 5;

/// From when until when a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub not_before: Timestamp,
    /// The last moment.
    pub not_after: Timestamp,
}

impl Validity {
    /// How long it is valid in all; zero where the end lies before the beginning.
    pub fn lifetime(self) -> SignedDuration {
        self.not_after.duration_since(self.not_before).max(SignedDuration::ZERO)
    }

    /// The latest moment at which a renewal begins, whatever the CA suggests: a tenth of the lifetime is left then.
    fn last_call(self) -> Timestamp {
        self.not_after - self.lifetime() / 10
    }
}

/// The window that a CA suggests for a renewal (RFC 9773 §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenewalWindow {
    start: Timestamp,
    end: Timestamp,
}

impl RenewalWindow {
    /// A window; none where it does not end after its start, which RFC 9773 §4.2 tells to ignore.
    pub fn new(start: Timestamp, end: Timestamp) -> Option<Self> {
        (start < end).then_some(Self { start, end })
    }

    /// Its first moment.
    pub const fn start(self) -> Timestamp {
        self.start
    }

    /// Its end.
    pub const fn end(self) -> Timestamp {
        self.end
    }

    /// A moment in it, uniformly drawn. The draw depends on the certificate and the window alone, so that every node and every start
    /// comes to the same moment, and a window that moves gives a new one.
    fn moment(self, certificate: &str) -> Timestamp {
        let drawn = format!("{certificate}\n{}\n{}", self.start.as_millisecond(), self.end.as_millisecond());
        let hash = digest(&SHA256, drawn.as_bytes());
        let fraction = hash.as_ref().iter().take(8).fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
        let length = self.end.as_millisecond() - self.start.as_millisecond();
        let offset = (i128::from(length) * i128::from(fraction)) >> 64;
        self.start + SignedDuration::from_millis(i64::try_from(offset).unwrap_or(length))
    }
}

/// When a certificate is to be renewed. A moment that has passed means now. `certificate` is what tells it from others.
pub fn renewal_at(certificate: &str, validity: Validity, window: Option<RenewalWindow>) -> Timestamp {
    let Some(window) = window else {
        let lifetime = validity.lifetime();
        return validity.not_after - if lifetime < SHORT_LIFE { lifetime / 2 } else { lifetime / 3 };
    };
    window.moment(certificate).min(validity.last_call())
}

/// Before when a certificate that was stored at this moment is not renewed by the schedule, whatever the CA suggests and the clock says: a
/// CA that suggests the past again and again is not asked more often than once in an hour, or four times in a very short life.
pub fn not_again_before(stored_at: Timestamp, validity: Validity) -> Timestamp {
    stored_at + (validity.lifetime() / 4).min(LEAST_LIFE)
}

/// When renewal information is looked up again, after the server answered with this `Retry-After` or none (RFC 9773 §4.3).
pub fn next_lookup(now: Timestamp, retry_after: Option<SignedDuration>) -> Timestamp {
    now + retry_after.map_or(USUAL_LOOKUP, |wait| wait.clamp(LEAST_LOOKUP, MOST_LOOKUP))
}

/// What is known after an attempt that failed.
#[derive(Debug, Clone, Copy)]
pub struct Failed<'a> {
    /// When it failed.
    pub at: Timestamp,
    /// How many attempts have failed in a row, this one included.
    pub consecutive: u32,
    /// When the certificate that is served ends; none where there is none.
    pub not_after: Option<Timestamp>,
    /// Whether the server said that its rate limit is reached.
    pub rate_limited: bool,
    /// The server's `Retry-After`.
    pub retry_after: Option<SignedDuration>,
    /// The moments of failed validations, this one included.
    pub validations: &'a [Timestamp],
    /// A random number, for the jitter.
    pub draw: u64,
}

/// When to try again after a failure.
///
/// The pauses grow from a minute to six hours, each shortened by up to a quarter, and never beyond a tenth of the time that the
/// certificate is still valid. The server's `Retry-After` and limits hold in any case.
pub fn retry_at(failed: &Failed<'_>) -> Timestamp {
    let doublings = failed.consecutive.saturating_sub(1).min(16);
    let left = failed.not_after.map_or(SignedDuration::ZERO, |end| end.duration_since(failed.at));
    let sensible = (left / 10).clamp(RATE_LIMIT_PAUSE, LONGEST_PAUSE);
    let pause = (FIRST_PAUSE * 2_i32.pow(doublings)).min(sensible);
    let jitter = i128::from(failed.draw % 1_000) * pause.as_millis() / 4_000;
    let pause = pause - SignedDuration::from_millis(i64::try_from(jitter).unwrap_or_default());
    let asked = failed.retry_after.map(|wait| wait.clamp(SignedDuration::ZERO, LONGEST_RETRY_AFTER));
    let floor = if failed.rate_limited { Some(asked.unwrap_or(RATE_LIMIT_PAUSE)) } else { asked };
    let at = failed.at + pause.max(floor.unwrap_or(SignedDuration::ZERO));
    validation_allowed_at(failed.validations).map_or(at, |allowed| at.max(allowed))
}

/// From when on another validation may fail without reaching the server's limit; none where it may at any time. `failures` are the
/// moments of those that failed, in any order.
pub fn validation_allowed_at(failures: &[Timestamp]) -> Option<Timestamp> {
    let mut failures = failures.to_vec();
    failures.sort_unstable();
    let fifth_last = failures.len().checked_sub(MOST_FAILED_VALIDATIONS)?;
    failures.get(fifth_last).map(|at| *at + VALIDATION_WINDOW)
}

#[cfg(test)]
mod tests;
