//! The lifecycle of signing keys: next -> active -> retiring -> withdrawn.
//!
//! A key's phase is a function of its four timestamps and the time, so that every process that has read the same rows agrees at any moment,
//! without telling each other. Changing a phase means writing a timestamp that lies far enough ahead for all processes to have read it.
//!
//! Two promises are kept here:
//! - Nothing is signed by a key that has been published for less than the JWKS `max-age`: whoever cached the key set has seen it.
//! - No key is withdrawn before its last token has died (longest lifetime, plus the leeway that STS grants past `exp`).
//!
//! A key may have to wait for a witness besides: it begins to sign once STS was seen to fetch it (`crate::witness`), at the latest at a
//! deadline. While it waits its `active_at` **is** the deadline, and the older key signs until then; a witness brings both forward, never
//! before [`due_at`](KeySchedule::due_at), which is when it would begin without the wait. So a witness, true or forged, can end a wait and
//! nothing else, and with no witness, no database and no process looking after the keys the deadline holds by itself. Where no other key
//! signs meanwhile there is no wait: without tokens STS would have no reason to fetch.
//!
//! The first key of an issuer signs at once: nobody can have cached a key set without it. A compromised key is withdrawn at once too, on
//! the operator's explicit word.
//!
//! A clock that is set moves the moments with it ([`clock`]): the phases are those from before, and what was left of a span is left still. A
//! withdrawn key is withdrawn by its record, not by the time.

pub mod clock;
mod policy;

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

pub use self::policy::{RotationError, RotationPolicy};
use crate::{
    signing_key::{Algorithm, KeyId},
    witness::Witnesses,
};

/// Where a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyPhase {
    /// Published, not signing yet.
    Next,
    /// Published and signing.
    Active,
    /// Published for the tokens that it signed, not signing any more.
    Retiring,
    /// Not published: its tokens are refused.
    Withdrawn,
}

impl fmt::Display for KeyPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Withdrawn => "withdrawn",
        })
    }
}

/// The moments of a key's life. `active_at` is known from the start; `retiring_at` and `withdrawn_at` once a successor is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct KeySchedule {
    /// When it entered the key set.
    pub published_at: Timestamp,
    /// When it begins to sign.
    pub active_at: Timestamp,
    /// When it stops signing.
    pub retiring_at: Option<Timestamp>,
    /// When it leaves the key set.
    pub withdrawn_at: Option<Timestamp>,
    /// When it would begin to sign if it did not wait for STS to fetch it; `active_at` is then the deadline of the wait. It stays where the
    /// deadline came first; none where there was no wait, or a witness ended it.
    pub due_at: Option<Timestamp>,
    /// Whether it was withdrawn for good: then it is, whatever the clock says. A key that is withdrawn by the schedule gets this with the
    /// first change after its `withdrawn_at`, which wipes its private half.
    pub withdrawn: bool,
}

impl KeySchedule {
    /// The phase at `now`.
    pub fn phase(&self, now: Timestamp) -> KeyPhase {
        let reached = |moment: Option<Timestamp>| moment.is_some_and(|moment| moment <= now);
        if self.withdrawn || reached(self.withdrawn_at) {
            KeyPhase::Withdrawn
        } else if reached(self.retiring_at) {
            KeyPhase::Retiring
        } else if self.active_at <= now {
            KeyPhase::Active
        } else {
            KeyPhase::Next
        }
    }

    /// Whether it signs, or signed, because its deadline came before a witness.
    pub fn began_at_deadline(&self, now: Timestamp) -> bool {
        self.due_at.is_some() && matches!(self.phase(now), KeyPhase::Active | KeyPhase::Retiring)
    }

    /// Whether it waits for STS to fetch it.
    pub fn waits(&self, now: Timestamp) -> bool {
        self.due_at.is_some() && self.phase(now) == KeyPhase::Next
    }
}

/// A key as its lifecycle sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyState {
    /// Its id.
    #[serde(serialize_with = "serialize_kid")]
    pub kid: KeyId,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// Its moments.
    #[serde(flatten)]
    pub schedule: KeySchedule,
}

fn serialize_kid<S: serde::Serializer>(kid: &KeyId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kid.as_str())
}

/// One change to the stored keys. All changes of one plan are written in one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyChange {
    /// Add a key with these moments.
    Publish(KeySchedule),
    /// Write a key's moments anew.
    Reschedule {
        /// The key.
        kid: KeyId,
        /// Its new moments.
        schedule: KeySchedule,
    },
}

/// All keys of an issuer, withdrawn ones included.
#[derive(Debug, Clone, Copy)]
pub struct KeyRing<'a>(pub &'a [KeyState]);

impl<'a> KeyRing<'a> {
    /// The key that signs at `now`: of several active ones the latest.
    pub fn signing(&self, now: Timestamp) -> Option<&'a KeyState> {
        self.in_phase(KeyPhase::Active, now).max_by_key(|key| key.schedule.active_at)
    }

    /// The keys to publish at `now`: the signing key first, then other active ones, next, retiring.
    pub fn published(&self, now: Timestamp) -> Vec<&'a KeyState> {
        let signing = self.signing(now);
        let rest = [KeyPhase::Active, KeyPhase::Next, KeyPhase::Retiring]
            .into_iter()
            .flat_map(|phase| self.in_phase(phase, now))
            .filter(|key| signing.is_none_or(|signing| signing.kid != key.kid));
        signing.into_iter().chain(rest).collect()
    }

    /// When the published set or the signing key next changes by time alone.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        self.0
            .iter()
            .filter(|key| !key.schedule.withdrawn)
            .flat_map(|key| [Some(key.schedule.active_at), key.schedule.retiring_at, key.schedule.withdrawn_at])
            .flatten()
            .filter(|moment| *moment > now)
            .min()
    }

    fn in_phase(&self, phase: KeyPhase, now: Timestamp) -> impl Iterator<Item = &'a KeyState> {
        self.0.iter().filter(move |key| key.schedule.phase(now) == phase)
    }

    fn find(&self, kid: &KeyId) -> Result<&'a KeyState, RotationError> {
        self.0.iter().find(|key| key.kid == *kid).ok_or_else(|| RotationError::UnknownKey(kid.clone()))
    }

    fn next(&self, now: Timestamp) -> Option<&'a KeyState> {
        self.in_phase(KeyPhase::Next, now).min_by_key(|key| key.schedule.active_at)
    }

    /// What the schedule wants done at `now`: the first key, a successor in time, the end of a successor's wait, or nothing.
    pub fn due(&self, now: Timestamp, policy: &RotationPolicy, witnesses: &Witnesses) -> Vec<KeyChange> {
        if self.published(now).is_empty() {
            return vec![self.bootstrap(now, policy)];
        }
        if let Some(next) = self.next(now) {
            return self.end_wait(now, next, policy, witnesses);
        }
        let Some(signing) = self.signing(now) else {
            // Retiring keys alone are left, as after a compromise: a new one is published at once and signs as soon as it may.
            return self.succeed(now, now + policy.min_publish_ahead(), policy);
        };
        let soonest = now + policy.min_publish_ahead();
        if signing.algorithm != policy.algorithm {
            return self.succeed(now, soonest, policy);
        }
        let planned = signing.schedule.active_at + policy.rotate_every;
        if now + policy.publish_ahead < planned {
            return vec![];
        }
        self.succeed(now, planned.max(soonest), policy)
    }

    /// Begins a rotation by hand. The successor is published now and signs after `ahead` (by default the policy's `publish_ahead`); a
    /// successor that is published already comes forward as far as it may.
    pub fn rotate(
        &self,
        now: Timestamp,
        ahead: Option<SignedDuration>,
        policy: &RotationPolicy,
    ) -> Result<Vec<KeyChange>, RotationError> {
        let at_least = policy.min_publish_ahead();
        let ahead = ahead.unwrap_or(policy.publish_ahead);
        if ahead < at_least {
            return Err(RotationError::TooSoon { asked: ahead, at_least });
        }
        if self.published(now).is_empty() {
            return Ok(vec![self.bootstrap(now, policy)]);
        }
        let Some(next) = self.next(now) else {
            return Ok(self.succeed(now, now + ahead, policy));
        };
        let due_at = (next.schedule.published_at + ahead).max(now + policy.propagation);
        if due_at >= next.schedule.due_at.unwrap_or(next.schedule.active_at) {
            let (kid, deadline) = (next.kid.clone(), next.schedule.active_at);
            return Err(match next.schedule.due_at {
                Some(due_at) => RotationError::Waiting { kid, due_at, deadline },
                None => RotationError::AlreadyPlanned {
                    kid,
                    active_at: deadline,
                    soonest: (next.schedule.published_at + at_least).max(now + policy.propagation).min(deadline),
                    at_least,
                },
            });
        }
        let wait = next.schedule.due_at.and(policy.witness_deadline);
        Ok(self.bring_forward(now, next, due_at, wait, policy))
    }

    /// Ends the wait of the next key, where it waits: with its witness, with a policy that wants none, and where no other key signs. A
    /// shorter deadline in the policy holds for it too.
    fn end_wait(
        &self,
        now: Timestamp,
        next: &KeyState,
        policy: &RotationPolicy,
        witnesses: &Witnesses,
    ) -> Vec<KeyChange> {
        let Some(due_at) = next.schedule.due_at else { return vec![] };
        let over = self.signing(now).is_none() || witnesses.saw(next);
        let wait = policy.witness_deadline.filter(|_| !over);
        self.bring_forward(now, next, due_at, wait, policy)
    }

    /// Lets the next key sign from `due_at` on, or `wait` after it without a witness, and the signing key until then: never later than
    /// planned, and never so soon that not every process would know.
    fn bring_forward(
        &self,
        now: Timestamp,
        next: &KeyState,
        due_at: Timestamp,
        wait: Option<SignedDuration>,
        policy: &RotationPolicy,
    ) -> Vec<KeyChange> {
        let soonest = wait.map_or(due_at, |wait| due_at + wait).max(now + policy.propagation);
        let active_at = soonest.min(next.schedule.active_at);
        let schedule = KeySchedule { active_at, due_at: wait.map(|_| due_at), ..next.schedule };
        if schedule == next.schedule {
            return vec![];
        }
        let brought_forward = KeyChange::Reschedule { kid: next.kid.clone(), schedule };
        self.retire_signing(now, active_at, policy).into_iter().chain([brought_forward]).collect()
    }

    /// Withdraws a key by hand. `compromised` withdraws it whatever its phase, and ends its tokens.
    pub fn withdraw(
        &self,
        now: Timestamp,
        kid: &KeyId,
        compromised: bool,
        policy: &RotationPolicy,
    ) -> Result<Vec<KeyChange>, RotationError> {
        let key = self.find(kid)?;
        let schedule = key.schedule;
        let at_once = KeySchedule {
            retiring_at: Some(schedule.retiring_at.map_or(now, |moment| moment.min(now))),
            withdrawn_at: Some(now),
            withdrawn: true,
            ..schedule
        };
        let withdrawn = KeyChange::Reschedule { kid: key.kid.clone(), schedule: at_once };
        match schedule.phase(now) {
            KeyPhase::Withdrawn => Err(RotationError::AlreadyWithdrawn(key.kid.clone())),
            KeyPhase::Active if !compromised => Err(RotationError::Active(key.kid.clone())),
            KeyPhase::Retiring if !compromised => {
                let until = schedule.retiring_at.unwrap_or(now) + policy.retirement();
                Err(RotationError::TokensAlive { kid: key.kid.clone(), until })
            }
            // A key that is next has signed nothing. The active key goes on: its end was planned for this successor alone.
            KeyPhase::Next => {
                let reinstated = self.signing(now).map(|signing| KeyChange::Reschedule {
                    kid: signing.kid.clone(),
                    schedule: KeySchedule { retiring_at: None, withdrawn_at: None, ..signing.schedule },
                });
                Ok([withdrawn].into_iter().chain(reinstated).collect())
            }
            KeyPhase::Active | KeyPhase::Retiring => {
                let mut changes = vec![withdrawn];
                if self.signing(now).is_some_and(|signing| signing.kid == key.kid) {
                    changes.extend(self.replace_compromised(now, policy));
                }
                Ok(changes)
            }
        }
    }

    /// The successor of a compromised key: the published next one as soon as it may, else a new one.
    fn replace_compromised(&self, now: Timestamp, policy: &RotationPolicy) -> Option<KeyChange> {
        let Some(next) = self.next(now) else {
            let active_at = now + policy.min_publish_ahead();
            return Some(KeyChange::Publish(open_ended(now, active_at)));
        };
        let active_at = (next.schedule.published_at + policy.min_publish_ahead()).max(now);
        (active_at < next.schedule.active_at).then(|| KeyChange::Reschedule {
            kid: next.kid.clone(),
            schedule: KeySchedule { active_at, due_at: None, ..next.schedule },
        })
    }

    /// The first key of all signs at once; one that follows withdrawn keys waits, because their key set may be cached.
    fn bootstrap(&self, now: Timestamp, policy: &RotationPolicy) -> KeyChange {
        let active_at = if self.0.is_empty() { now } else { now + policy.min_publish_ahead() };
        KeyChange::Publish(open_ended(now, active_at))
    }

    fn succeed(&self, now: Timestamp, due_at: Timestamp, policy: &RotationPolicy) -> Vec<KeyChange> {
        let wait = policy.witness_deadline.filter(|_| self.signing(now).is_some());
        let active_at = wait.map_or(due_at, |wait| due_at + wait);
        let schedule = KeySchedule { due_at: wait.map(|_| due_at), ..open_ended(now, active_at) };
        let published = KeyChange::Publish(schedule);
        self.retire_signing(now, active_at, policy).into_iter().chain([published]).collect()
    }

    fn retire_signing(&self, now: Timestamp, retiring_at: Timestamp, policy: &RotationPolicy) -> Option<KeyChange> {
        self.signing(now).map(|signing| KeyChange::Reschedule {
            kid: signing.kid.clone(),
            schedule: KeySchedule {
                retiring_at: Some(retiring_at),
                withdrawn_at: Some(retiring_at + policy.retirement()),
                ..signing.schedule
            },
        })
    }
}

fn open_ended(published_at: Timestamp, active_at: Timestamp) -> KeySchedule {
    KeySchedule { published_at, active_at, retiring_at: None, withdrawn_at: None, due_at: None, withdrawn: false }
}

#[cfg(test)]
mod tests;
