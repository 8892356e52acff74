//! When keys follow each other, and why a change is refused.

use jiff::{SignedDuration, Timestamp};

use crate::{
    claims::{MAX_LIFETIME_SECONDS, STS_LEEWAY_SECONDS},
    signing_key::{Algorithm, KeyId},
};

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
    /// How long after its time a new key waits to be fetched by STS before it signs all the same; none where it does not wait.
    pub witness_deadline: Option<SignedDuration>,
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
    /// A successor is planned already, and begins to sign no later than what was asked for.
    #[error("the key `{kid}` is next and begins to sign at {active_at}, which is no later than what was asked for; {}", sooner(*active_at, *soonest, at_least))]
    AlreadyPlanned {
        /// The next key.
        kid: KeyId,
        /// When it begins to sign.
        active_at: Timestamp,
        /// The soonest moment at which it may begin.
        soonest: Timestamp,
        /// How long a key must be published before it signs.
        at_least: SignedDuration,
    },
    /// A successor waits for its witness, and its time cannot come sooner.
    #[error(
        "the key `{kid}` is next: it signs once STS was seen to fetch it, not before {due_at} and at the latest at {deadline} \
         (`keys.wait_for_witness = false` ends the wait)"
    )]
    Waiting {
        /// The next key.
        kid: KeyId,
        /// When it would begin to sign without the wait.
        due_at: Timestamp,
        /// When it signs without a witness.
        deadline: Timestamp,
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

/// Whether a planned key may come forward, and how.
fn sooner(active_at: Timestamp, soonest: Timestamp, at_least: &SignedDuration) -> String {
    if soonest < active_at {
        format!("it may begin at {soonest}: `tagmint keys rotate --after {}s`", at_least.as_secs())
    } else {
        format!("it may not begin sooner, because a key must be published for {at_least:#} before it signs")
    }
}
