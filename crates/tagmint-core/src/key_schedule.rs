//! The lifecycle of signing keys: next -> active -> retiring -> withdrawn.
//!
//! A key's phase is a function of its four timestamps and the time, so that every process that has read the same rows agrees at any moment,
//! without telling each other. Changing a phase means writing a timestamp that lies far enough ahead for all processes to have read it.
//!
//! Two promises are kept here:
//! - Nothing is signed by a key that has been published for less than the JWKS `max-age`: whoever cached the key set has seen it.
//! - No key is withdrawn before its last token has died (longest lifetime, plus the leeway that STS grants past `exp`).
//!
//! The first key of an issuer signs at once: nobody can have cached a key set without it. A compromised key is withdrawn at once too, on
//! the operator's explicit word.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::{
    claims::{MAX_LIFETIME_SECONDS, STS_LEEWAY_SECONDS},
    signing_key::{Algorithm, KeyId},
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

/// The four moments of a key's life. `active_at` is known from the start; the last two once a successor is planned.
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
}

impl KeySchedule {
    /// The phase at `now`.
    pub fn phase(&self, now: Timestamp) -> KeyPhase {
        let reached = |moment: Option<Timestamp>| moment.is_some_and(|moment| moment <= now);
        if reached(self.withdrawn_at) {
            KeyPhase::Withdrawn
        } else if reached(self.retiring_at) {
            KeyPhase::Retiring
        } else if self.active_at <= now {
            KeyPhase::Active
        } else {
            KeyPhase::Next
        }
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

/// When keys follow each other. All durations are positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RotationPolicy {
    /// The algorithm of new keys.
    pub algorithm: Algorithm,
    /// The `max-age` of the JWKS answer.
    pub jwks_max_age: SignedDuration,
    /// How long until every process has read a change from the database.
    pub propagation: SignedDuration,
    /// How long a key signs.
    pub rotate_every: SignedDuration,
    /// How long before it signs a key is published by the schedule; at least [`min_publish_ahead`](Self::min_publish_ahead).
    pub publish_ahead: SignedDuration,
}

impl RotationPolicy {
    /// The least time between publishing a key and signing with it: a process may publish it `propagation` late, and a key set fetched from
    /// that process just before may be cached for `jwks_max_age`.
    pub fn min_publish_ahead(&self) -> SignedDuration {
        self.jwks_max_age + self.propagation
    }

    /// How long a key stays published after it stopped signing: a process may sign with it `propagation` longer, its last token lives
    /// [`MAX_LIFETIME_SECONDS`], and STS takes it [`STS_LEEWAY_SECONDS`] past its end.
    pub fn retirement(&self) -> SignedDuration {
        SignedDuration::from_secs(i64::from(MAX_LIFETIME_SECONDS) + i64::from(STS_LEEWAY_SECONDS)) + self.propagation
    }
}

/// Why a change of keys is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RotationError {
    /// No such key.
    #[error("there is no key `{0}`; `tagmint keys list` shows them")]
    UnknownKey(KeyId),
    /// The new key would sign before relying parties can know it.
    #[error(
        "a key must be published for {at_least:#} before it signs (JWKS max-age and propagation); {asked:#} was asked for"
    )]
    TooSoon {
        /// What was asked for.
        asked: SignedDuration,
        /// The least.
        at_least: SignedDuration,
    },
    /// A successor is planned already, and it cannot come sooner.
    #[error("the key `{kid}` is next and begins to sign at {active_at}; it cannot come sooner")]
    AlreadyPlanned {
        /// The next key.
        kid: KeyId,
        /// When it begins to sign.
        active_at: Timestamp,
    },
    /// The key signs.
    #[error(
        "the key `{0}` is active: rotate first, or withdraw it as compromised (`--compromised`), which ends its tokens at once"
    )]
    Active(KeyId),
    /// Tokens signed with the key are still good.
    #[error(
        "tokens signed with the key `{kid}` may live until {until}; it is withdrawn by itself then \
         (`--compromised` withdraws it at once and ends its tokens)"
    )]
    TokensAlive {
        /// The key.
        kid: KeyId,
        /// When the last of its tokens has died.
        until: Timestamp,
    },
    /// The key has been withdrawn before.
    #[error("the key `{0}` is withdrawn already")]
    AlreadyWithdrawn(KeyId),
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

    /// What the schedule wants done at `now`: the first key, a successor in time, or nothing.
    pub fn due(&self, now: Timestamp, policy: &RotationPolicy) -> Vec<KeyChange> {
        if self.published(now).is_empty() {
            return vec![self.bootstrap(now, policy)];
        }
        if self.next(now).is_some() {
            return vec![];
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
        let active_at = (next.schedule.published_at + ahead).max(now + policy.propagation);
        if active_at >= next.schedule.active_at {
            return Err(RotationError::AlreadyPlanned { kid: next.kid.clone(), active_at: next.schedule.active_at });
        }
        let brought_forward =
            KeyChange::Reschedule { kid: next.kid.clone(), schedule: KeySchedule { active_at, ..next.schedule } };
        Ok(self.retire_signing(now, active_at, policy).into_iter().chain([brought_forward]).collect())
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
            schedule: KeySchedule { active_at, ..next.schedule },
        })
    }

    /// The first key of all signs at once; one that follows withdrawn keys waits, because their key set may be cached.
    fn bootstrap(&self, now: Timestamp, policy: &RotationPolicy) -> KeyChange {
        let active_at = if self.0.is_empty() { now } else { now + policy.min_publish_ahead() };
        KeyChange::Publish(open_ended(now, active_at))
    }

    fn succeed(&self, now: Timestamp, active_at: Timestamp, policy: &RotationPolicy) -> Vec<KeyChange> {
        let published = KeyChange::Publish(open_ended(now, active_at));
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
    KeySchedule { published_at, active_at, retiring_at: None, withdrawn_at: None }
}

#[cfg(test)]
mod tests;
