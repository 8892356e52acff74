//! From what was observed to the alarms that stand. The limits stand here, each with its reason.

mod certificate;
mod keys;
mod parts;

use jiff::{SignedDuration, Timestamp};

pub use self::certificate::{CertificateLife, CertificateView, Lifetime, RenewalView, StoredCertificate};
use super::Alarm;
use crate::key_schedule::{KeyState, RotationPolicy};

/// What a node sees of itself and of what it needs. What it cannot see is absent, and raises nothing.
#[derive(Debug, Clone)]
pub struct Observations {
    /// When.
    pub now: Timestamp,
    /// How long the issuer has been running.
    pub running_for: SignedDuration,
    /// The certificate; none where TLS ends at a proxy.
    pub certificate: Option<CertificateView>,
    /// The signing keys.
    pub keys: KeysView,
    /// Writes to the ledger that failed since the last look.
    pub ledger_failures: u64,
    /// Evidence that the database was restored to an earlier state under the running issuer; none when it was not.
    pub ledger_rolled_back: Option<String>,
    /// Why the database takes no writes; none when it does.
    pub database: Option<String>,
    /// The disk of the database.
    pub disk: Option<DiskView>,
    /// Why the session backend does not answer; none when it does, or there is none.
    pub session_backend: Option<String>,
    /// The CI platforms.
    pub providers: Vec<ProviderView>,
    /// Tokens of CI platforms that came from several networks.
    pub reuse: Vec<ReuseView>,
    /// The last time that the clock was set.
    pub clock_step: Option<ClockStep>,
}

/// What is seen of the signing keys.
#[derive(Debug, Clone)]
pub struct KeysView {
    /// All that are or will be published.
    pub states: Vec<KeyState>,
    /// When they follow each other.
    pub policy: RotationPolicy,
    /// How long ago they were read from the database.
    pub read_ago: SignedDuration,
    /// Whether the key whose turn it is can sign.
    pub can_sign: bool,
    /// When the next key that can sign begins to.
    pub signs_from: Option<Timestamp>,
}

/// A disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskView {
    /// What the issuer may still write, in bytes.
    pub free: u64,
    /// Its size, in bytes.
    pub size: u64,
}

/// The keys of a CI platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderView {
    /// The provider's name.
    pub name: String,
    /// How many can be used.
    pub usable: usize,
    /// How long ago they were fetched.
    pub age: Option<SignedDuration>,
    /// How long they may be used after they were fetched.
    pub stale_after: SignedDuration,
    /// Whether the last attempt to fetch them failed.
    pub failing: bool,
    /// The keys that the issuer publishes and that are not used, each with its reason.
    pub passed_over: Vec<String>,
}

/// Tokens of a CI platform that may be reused, and that came from several networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReuseView {
    /// The provider's name.
    pub provider: String,
    /// How often a token came from a further network since the start.
    pub count: u64,
    /// When one did last.
    pub last: Timestamp,
}

impl ReuseView {
    /// How long it is worth an alarm. Tokens that may be reused live an hour or so.
    pub const TOLD_FOR: SignedDuration = SignedDuration::from_hours(1);
}

/// The clock was set: by so much it moved more, or less, than the time that passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockStep {
    /// When it was noticed.
    pub at: Timestamp,
    /// By how much; negative: backwards.
    pub by: SignedDuration,
}

impl ClockStep {
    /// A step smaller than this is the work of a time service. STS takes tokens that are up to five minutes off: a tenth of that.
    pub const LEAST: SignedDuration = SignedDuration::from_secs(30);
    /// How long a step is worth an alarm.
    pub const TOLD_FOR: SignedDuration = SignedDuration::from_hours(1);

    /// Whether the clock was set between two looks: it says that `wall` has passed, and `monotonic` has.
    pub fn between(at: Timestamp, wall: SignedDuration, monotonic: SignedDuration) -> Option<Self> {
        let by = wall.saturating_sub(monotonic);
        (by.abs() >= Self::LEAST).then_some(Self { at, by })
    }
}

/// The alarms that stand by these observations, in the order of [`AlarmKind::ALL`](super::AlarmKind::ALL).
pub fn standing(seen: &Observations) -> Vec<Alarm> {
    let mut alarms: Vec<Alarm> = certificate::alarms(seen)
        .into_iter()
        .chain(keys::alarms(&seen.keys, seen.now))
        .chain(parts::alarms(seen))
        .collect();
    alarms.sort_by_key(|alarm| alarm.kind);
    alarms
}

/// The alarms that stand by the signing keys alone.
pub fn of_keys(keys: &KeysView, now: Timestamp) -> Vec<Alarm> {
    keys::alarms(keys, now)
}

/// `3 days`, `5 hours`, `40 minutes`, `20 seconds`: the largest unit that counts two at least.
pub fn about(span: SignedDuration) -> String {
    let seconds = span.as_secs().unsigned_abs();
    let (name, size) = match seconds {
        0..120 => ("second", 1),
        120..7_200 => ("minute", 60),
        7_200..172_800 => ("hour", 3_600),
        _ => ("day", 86_400),
    };
    let count = seconds / size;
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests;
