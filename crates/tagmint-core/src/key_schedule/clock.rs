//! The effect on the schedule of a clock that was set.
//!
//! The stored moments were written by a clock that showed `reached` when it was last believed, and shows `now` at the same moment. Between the
//! two no time has passed, or an unknown time. So:
//!
//! - **A clock that was set back** moves every moment that was not reached yet back with it, and keeps what was reached in the past: each key
//!   is in the phase in which it was, and what was left of each span is left still. Nothing is shortened: a next key has been published for as
//!   long as before, and a retiring one stays for its tokens.
//! - **A clock that was set ahead** brings nothing nearer: the next key has been published for as long as was seen, and the signing key
//!   signs for as long as was left to it.
//! - **A clock that is ahead at a start** may have been set, or the issuer was down. Changes that came due meanwhile are due, unless the
//!   next key was not seen published for long enough: then the older key signs until it was, which costs nothing. Where no key signs, the
//!   issuer counts as having been down: a second wait would stop it for longer.
//! - **A withdrawn key** becomes withdrawn for good.

use jiff::{SignedDuration, Timestamp};

use super::{KeyChange, KeyPhase, KeyRing, KeySchedule, RotationPolicy};

/// A clock that is behind by less is not set back: two processes read it in turn.
const LEAST_BACK: SignedDuration = SignedDuration::from_secs(2);
/// A clock that runs ahead of the time that passed by less is the work of a time service.
const LEAST_AHEAD: SignedDuration = SignedDuration::from_secs(30);
/// The time that may pass between the last moment that was noted and a start. The moment is noted every [`NOTE_EVERY`].
const LEAST_GAP: SignedDuration = SignedDuration::from_mins(2);
/// How often a running issuer notes the moment, so that a start knows how long no issuer ran.
pub const NOTE_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// The clock does not show what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockJump {
    /// The time that it should show by the time that passed, or at a start the latest moment that was noted.
    pub reached: Timestamp,
    /// The time that it shows.
    pub now: Timestamp,
    /// Whether it was set for sure. A clock that is ahead at a start may show that the issuer was down.
    pub certain: bool,
}

impl ClockJump {
    /// The jump of a clock that shows `now` in a running process, where it should show `expected`.
    pub fn while_running(expected: Timestamp, now: Timestamp) -> Option<Self> {
        let by = now.duration_since(expected);
        (by <= -LEAST_BACK || by >= LEAST_AHEAD).then_some(Self { reached: expected, now, certain: true })
    }

    /// The jump of a clock that shows `now` at a start, where `noted` is the latest moment that an issuer has noted.
    pub fn at_start(noted: Timestamp, now: Timestamp) -> Option<Self> {
        let by = now.duration_since(noted);
        let back = by <= -LEAST_BACK;
        (back || by >= LEAST_GAP).then_some(Self { reached: noted, now, certain: back })
    }

    /// By how much; negative: it was set back.
    pub fn by(&self) -> SignedDuration {
        self.now.duration_since(self.reached)
    }

    /// Whether it was set back.
    pub fn is_back(&self) -> bool {
        self.now < self.reached
    }
}

impl KeyRing<'_> {
    /// The changes by which each key is at `jump.now` where it was at `jump.reached`.
    pub fn follow_clock(&self, jump: &ClockJump, policy: &RotationPolicy) -> Vec<KeyChange> {
        let moved: Vec<KeySchedule> = if jump.is_back() {
            self.0.iter().map(|key| set_back(key.schedule, jump)).collect()
        } else {
            self.set_ahead(jump, policy)
        };
        let changed = self.0.iter().zip(moved).filter(|(key, schedule)| key.schedule != *schedule);
        changed.map(|(key, schedule)| KeyChange::Reschedule { kid: key.kid.clone(), schedule }).collect()
    }

    fn set_ahead(&self, jump: &ClockJump, policy: &RotationPolicy) -> Vec<KeySchedule> {
        let ClockJump { reached, now, certain } = *jump;
        let by = jump.by();
        let signing = self.signing(reached);
        let waits = certain || signing.is_some();
        let next = |schedule: KeySchedule| {
            let published_at = schedule.published_at + by;
            let soonest = published_at + policy.min_publish_ahead();
            let moved = |moment: Timestamp| (if certain { moment + by } else { moment }).max(soonest);
            let (active_at, due_at) = (moved(schedule.active_at), schedule.due_at.map(moved));
            KeySchedule { published_at, active_at, due_at, ..schedule }
        };
        let nexts = self.in_phase(KeyPhase::Next, reached).filter(|_| waits);
        let successor = nexts.map(|key| next(key.schedule).active_at).min();
        let moved = |key: &super::KeyState| {
            let schedule = key.schedule;
            match schedule.phase(reached) {
                KeyPhase::Next if waits => next(schedule),
                // Its end was planned for the successor's beginning.
                KeyPhase::Active => {
                    let retiring_at = schedule.retiring_at.map(|end| successor.map_or(end, |from| end.max(from)));
                    let stays = retiring_at.map(|end| end.max(now) + policy.retirement());
                    // An end that does not move keeps its exact moment.
                    let moves = retiring_at != schedule.retiring_at || retiring_at.is_some_and(|end| end <= now);
                    let withdrawn_at = if moves { schedule.withdrawn_at.max(stays) } else { schedule.withdrawn_at };
                    KeySchedule { retiring_at, withdrawn_at, ..schedule }
                }
                // Its last tokens live as long as they did.
                KeyPhase::Retiring => {
                    KeySchedule { withdrawn_at: schedule.withdrawn_at.map(|end| end + by), ..schedule }
                }
                KeyPhase::Withdrawn => KeySchedule { withdrawn: true, ..schedule },
                KeyPhase::Next => schedule,
            }
        };
        self.0.iter().map(moved).collect()
    }
}

fn set_back(schedule: KeySchedule, jump: &ClockJump) -> KeySchedule {
    let ClockJump { reached, now, .. } = *jump;
    let by = jump.by();
    let KeySchedule { published_at, active_at, retiring_at, withdrawn_at, due_at, withdrawn } = schedule;
    let phase = schedule.phase(reached);
    if phase == KeyPhase::Next {
        // All of its moments, so that it has been published for as long as before.
        return KeySchedule {
            published_at: published_at + by,
            active_at: active_at + by,
            retiring_at: retiring_at.map(|at| at + by),
            withdrawn_at: withdrawn_at.map(|at| at + by),
            due_at: due_at.map(|at| at + by),
            withdrawn,
        };
    }
    // A moment that the clock shows as past is past; a moment that it shows as to come moves, and stays behind the one that it follows.
    let moved = |moment: Timestamp, after: Timestamp| if moment > now { (moment + by).max(after) } else { moment };
    let published = moved(published_at, Timestamp::MIN);
    let active = moved(active_at, published);
    let began = if active_at <= reached { active } else { published };
    KeySchedule {
        published_at: published,
        active_at: active,
        retiring_at: retiring_at.map(|at| moved(at, began)),
        withdrawn_at: withdrawn_at.map(|at| moved(at, began)),
        due_at: due_at.map(|at| moved(at, published)),
        withdrawn: withdrawn || phase == KeyPhase::Withdrawn,
    }
}
