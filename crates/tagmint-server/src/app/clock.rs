//! How an issuer follows its clock, and handles a database that was restored to an earlier time.

use jiff::SignedDuration;
use tagmint_core::{alarm::conditions::ClockStep, key_schedule::clock::ClockJump, trusted_issuer::TrustedIssuer};
use tagmint_store::LedgerError;

use super::App;
use crate::{clock_watch::ClockWatch, flows::keys::KeyContext, key_cache::ReadAt};

/// How long an ended session can still be listed.
const SESSIONS_KEPT: SignedDuration = SignedDuration::from_hours(24 * 7);
/// How long a used token is remembered after it has expired.
const USED_TOKENS_KEPT: SignedDuration = SignedDuration::from_hours(1);
/// For how much longer than a used token was good after its first use the clock must have run without being set before the token is forgotten.
/// By how much a clock was ahead at the first use, the token seems to be good for less: by its age at most, which a provider's `max_age` limits.
const USED_TOKENS_DOUBT: SignedDuration = TrustedIssuer::DEFAULT_MAX_AGE;
/// For how long the clock must have run without being set before old records of fetches are deleted.
const FETCHES_DOUBT: SignedDuration = SignedDuration::from_mins(50);

impl App {
    /// Deletes sessions that ended long ago, used tokens that have expired and old records of fetches. By a clock that was set a short while
    /// ago nothing is known to have ended: what seems so may be good again when the clock is set right.
    pub async fn forget_expired(&self) {
        let now = self.clock.now();
        if ClockJump::while_running(self.keys.time(&*self.clock), now).is_some() {
            return;
        }
        let steady_for = self.clock_watch.steady_for(&*self.clock);
        match self.store.sessions().delete_expired(now - SESSIONS_KEPT, steady_for).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "sessions that ended long ago were deleted"),
            Err(error) => tracing::warn!(%error, "could not delete sessions that ended long ago"),
        }
        let good_for = steady_for - USED_TOKENS_DOUBT;
        if let Err(error) = self.store.used_tokens().delete_expired(now - USED_TOKENS_KEPT, good_for).await {
            tracing::warn!(%error, "could not delete used tokens that have expired");
        }
        if steady_for < FETCHES_DOUBT {
            return;
        }
        let fetches_before = now - self.settings.witness.keep;
        if let Err(error) = self.store.witness().delete_before(fetches_before).await {
            tracing::warn!(%error, "could not delete old records of fetches");
        }
    }

    /// The last time that the clock was set, as far as this process knows.
    pub(crate) fn clock_step(&self) -> Option<ClockStep> {
        self.clock_watch.step()
    }

    /// Evidence that the database was restored to an earlier state under this process. A database that cannot be read gives no evidence.
    pub(crate) async fn ledger_rolled_back(&self) -> Option<String> {
        let error = self.ledger.check().await.err()?;
        matches!(error, LedgerError::RolledBack { .. } | LedgerError::HeadMissing { .. }).then(|| error.to_string())
    }
}

/// Moves what is stored with a clock that was set while no issuer ran. A database that does not let it keeps no issuer from publishing its keys:
/// it is tried again with every reading of the keys, and nothing is minted meanwhile.
pub(super) async fn follow_clock_at_start(keys: &KeyContext, watch: &ClockWatch) -> ReadAt {
    match keys.follow_clock(None).await {
        Ok(followed) => {
            if let Some(jump) = &followed.jump {
                watch.jumped(jump, &*keys.clock);
            }
            followed.at
        }
        Err(error) => {
            tracing::error!(%error, "could not find out whether the clock was set; trying again");
            ReadAt { now: keys.clock.now(), monotonic: keys.clock.monotonic(), steps: None }
        }
    }
}
