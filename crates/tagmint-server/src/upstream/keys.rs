//! The keys of one issuer in memory: who fetches them, when, and for how long they are good.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tagmint_core::{
    clock::Clock,
    random::Random,
    trusted_issuer::{KeySet, PassedOver, TrustedIssuerUrl},
};
use tokio::{sync::watch, time};

use super::fetch::{FetchError, KeyFetcher};
use crate::settings::UpstreamSettings;

/// How long a fetch may take in all, whatever the source of keys does by itself: two documents of 5 s each, and a moment.
const FETCH_LIMIT: Duration = Duration::from_secs(11);
/// The least time between two attempts of the background, whatever the settings say.
const LEAST_WAIT: Duration = Duration::from_secs(1);

/// Why there are no keys to verify with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoKeys {
    /// They were never fetched.
    #[error("could not be fetched yet: {last_error}")]
    Never {
        /// Why the last attempt failed.
        last_error: String,
    },
    /// They were fetched too long ago.
    #[error("are too old: last fetched {fetched_at}, last error: {last_error}")]
    TooOld {
        /// When they were fetched.
        fetched_at: Timestamp,
        /// Why the last attempt failed.
        last_error: String,
    },
    /// They do not hold the wanted key, and whether the upstream has a newer one could not be found out.
    #[error("do not hold the token's, and newer ones could not be fetched: {last_error}")]
    NotRenewed {
        /// Why the last attempt failed.
        last_error: String,
    },
}

/// How an issuer's keys are doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyHealth {
    /// How many keys can be used; 0 when they are too old, too.
    pub keys: usize,
    /// Those that the issuer publishes and that are not used.
    pub passed_over: Vec<PassedOver>,
    /// When they were fetched.
    pub fetched_at: Option<Timestamp>,
    /// How long ago that was.
    pub age: Option<SignedDuration>,
    /// Why the last attempt failed; none when it went well.
    pub last_error: Option<String>,
    /// Fetches that went well since the start.
    pub fetched: u64,
    /// Fetches that failed since the start.
    pub failed: u64,
    /// How long keys are used after they were fetched.
    pub stale_after: Duration,
}

/// An issuer's keys. One fetch is under way at a time, and everybody who needs it waits for that one.
#[derive(Debug)]
pub(super) struct UpstreamKeys {
    pub(super) issuer: TrustedIssuerUrl,
    pub(super) settings: UpstreamSettings,
    fetcher: Arc<dyn KeyFetcher>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// The number of the last fetch that has ended.
    ended: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    good: Option<Fetched>,
    /// When the last attempt began.
    attempted_at: Option<Timestamp>,
    last_error: Option<String>,
    under_way: bool,
    /// The number of the last fetch that has begun.
    begun: u64,
    fetched: u64,
    failed: u64,
}

#[derive(Debug, Clone)]
struct Fetched {
    keys: Arc<KeySet>,
    /// When the fetch began: a key that was withdrawn while it ran counts as withdrawn after it.
    at: Timestamp,
}

impl UpstreamKeys {
    pub(super) fn new(
        issuer: TrustedIssuerUrl,
        settings: UpstreamSettings,
        fetcher: Arc<dyn KeyFetcher>,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        let (state, ended) = (Mutex::default(), watch::Sender::new(0));
        Arc::new(Self { issuer, settings, fetcher, clock, state, ended })
    }

    /// Keys that are not too old. Where there are none it waits for a fetch, if one is due or under way.
    pub(super) async fn usable(self: &Arc<Self>) -> Result<Arc<KeySet>, NoKeys> {
        if let Ok(keys) = self.current() {
            return Ok(keys);
        }
        self.fetch_if_due().await;
        self.current()
    }

    /// Keys that may hold one which is not in `seen`: newer ones, fetched now if a fetch is due. The same when it is not.
    pub(super) async fn newer_than(self: &Arc<Self>, seen: &Arc<KeySet>) -> Result<Arc<KeySet>, NoKeys> {
        let current = self.current()?;
        if !Arc::ptr_eq(&current, seen) {
            return Ok(current);
        }
        self.fetch_if_due().await;
        let current = self.current()?;
        match self.state().last_error.clone() {
            Some(last_error) if Arc::ptr_eq(&current, seen) => Err(NoKeys::NotRenewed { last_error }),
            _ => Ok(current),
        }
    }

    /// Fetches now, or waits for the fetch that is under way. Returns whether the last one went well.
    pub(super) async fn refresh(self: &Arc<Self>) -> bool {
        if let Some(number) = self.begin(Duration::ZERO) {
            self.wait_for(number).await;
        }
        self.state().last_error.is_none()
    }

    /// Keeps the keys fresh for as long as it is polled: every `refresh`, up to a tenth earlier so that nodes that started together part;
    /// after a failure every `unknown_key_interval`.
    pub(super) async fn keep_fresh(self: Arc<Self>, random: Arc<dyn Random>) {
        loop {
            let went_well = self.refresh().await;
            let wait = if went_well {
                earlier(self.settings.refresh, random.as_ref())
            } else {
                self.settings.unknown_key_interval.min(self.settings.refresh)
            };
            time::sleep(wait.max(LEAST_WAIT)).await;
        }
    }

    pub(super) fn health(&self) -> KeyHealth {
        let now = self.clock.now();
        let usable = self.current().map_or(0, |keys| keys.len());
        let state = self.state();
        let fetched_at = state.good.as_ref().map(|good| good.at);
        KeyHealth {
            keys: usable,
            passed_over: state.good.as_ref().map_or_else(Vec::new, |good| good.keys.passed_over().to_vec()),
            fetched_at,
            age: fetched_at.map(|at| now.duration_since(at)),
            last_error: state.last_error.clone(),
            fetched: state.fetched,
            failed: state.failed,
            stale_after: self.settings.stale_after,
        }
    }

    fn current(&self) -> Result<Arc<KeySet>, NoKeys> {
        let now = self.clock.now();
        let state = self.state();
        let last_error = || state.last_error.clone().unwrap_or_else(|| "none".to_owned());
        match &state.good {
            // Keys of the future, before the clock was set back, are as good as keys of the past.
            Some(good) if now.duration_since(good.at).unsigned_abs() <= self.settings.stale_after => {
                Ok(Arc::clone(&good.keys))
            }
            Some(good) => Err(NoKeys::TooOld { fetched_at: good.at, last_error: last_error() }),
            None => Err(NoKeys::Never { last_error: last_error() }),
        }
    }

    /// Waits for a fetch: the one under way, or a new one unless the last was too short a time ago.
    async fn fetch_if_due(self: &Arc<Self>) {
        if let Some(number) = self.begin(self.settings.unknown_key_interval) {
            self.wait_for(number).await;
        }
    }

    /// The number of the fetch under way. If there is none it is begun, unless the last began less than `interval` ago. It runs in a task
    /// of its own: a caller who hangs up does not end it, and thus cannot make the next one come early.
    fn begin(self: &Arc<Self>, interval: Duration) -> Option<u64> {
        let at = self.clock.now();
        let number = {
            let mut state = self.state();
            if state.under_way {
                return Some(state.begun);
            }
            if state.attempted_at.is_some_and(|last| at.duration_since(last).unsigned_abs() < interval) {
                return None;
            }
            state.under_way = true;
            state.attempted_at = Some(at);
            state.begun += 1;
            state.begun
        };
        // Not under the lock: a runtime that is ending drops the task at once, and its end takes the lock.
        tokio::spawn(Fetch { keys: Arc::clone(self), number, at, result: None }.run());
        Some(number)
    }

    async fn wait_for(&self, number: u64) {
        // The sender lives as long as `self`: it cannot be closed.
        let _ = self.ended.subscribe().wait_for(|ended| *ended >= number).await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A fetch under way. However it ends, those who wait for it go on.
struct Fetch {
    keys: Arc<UpstreamKeys>,
    number: u64,
    at: Timestamp,
    result: Option<Result<KeySet, FetchError>>,
}

impl Fetch {
    async fn run(mut self) {
        let fetch = self.keys.fetcher.fetch(&self.keys.issuer);
        let result = time::timeout(FETCH_LIMIT, fetch).await;
        self.result = Some(result.unwrap_or(Err(FetchError::Broken("took too long"))));
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        let result = self.result.take().unwrap_or(Err(FetchError::Broken("was given up")));
        let issuer = &self.keys.issuer;
        let mut state = self.keys.state();
        state.under_way = false;
        match result {
            Ok(keys) => {
                let before = state.good.as_ref().filter(|_| state.last_error.is_none()).map(|good| &good.keys);
                tell(issuer, &keys, before.map(AsRef::as_ref));
                state.good = Some(Fetched { keys: Arc::new(keys), at: self.at });
                state.last_error = None;
                state.fetched += 1;
            }
            Err(error) => {
                tracing::warn!(%issuer, %error, "the issuer's keys could not be fetched; those in memory stay in use until they are too old");
                state.last_error = Some(error.to_string());
                state.failed += 1;
            }
        }
        drop(state);
        self.keys.ended.send_replace(self.number);
    }
}

/// Logs what a fetch brought, where it differs from what was there: a key set is fetched every few minutes and changes twice a year.
fn tell(issuer: &TrustedIssuerUrl, keys: &KeySet, before: Option<&KeySet>) {
    let same = before.is_some_and(|before| before.kids().eq(keys.kids()) && before.passed_over() == keys.passed_over());
    if same {
        return;
    }
    let kids = keys.kids().collect::<Vec<_>>().join(" ");
    let skipped = keys.skipped();
    if keys.is_empty() {
        tracing::warn!(%issuer, skipped, "the issuer publishes no key that can be used: its tokens are refused");
    } else {
        tracing::info!(%issuer, keys = keys.len(), %kids, skipped, "the issuer's keys were fetched");
    }
    for PassedOver { index, kid, reason } in keys.passed_over() {
        let kid = kid.as_deref().unwrap_or("(no kid)");
        tracing::warn!(%issuer, %kid, index, %reason, "a key that the issuer publishes was skipped");
    }
}

/// `span`, less up to a tenth.
fn earlier(span: Duration, random: &dyn Random) -> Duration {
    let mut bytes = [0; 2];
    // Without randomness nodes ask at once: a pity, no harm.
    let _ = random.fill(&mut bytes);
    let step = span / 10 / u32::from(u16::MAX);
    span.saturating_sub(step * u32::from(u16::from_le_bytes(bytes)))
}

#[cfg(test)]
mod tests;
