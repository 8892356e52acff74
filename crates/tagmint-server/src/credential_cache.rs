//! Credentials of role sessions, kept until shortly before they expire, and one call to STS for all who ask for the same at once.
//!
//! An entry is found by a hash of everything that it was made for: the caller's credential, what was asked, and what the rules gave. Whoever
//! looks here has been authenticated and has asked the rules before; a grant that has changed since finds nothing.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_lc_rs::digest::{Context, SHA256};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use crate::{
    flows::identify::Spent,
    settings::StsLimits,
    sts::{SessionCredentials, StsError},
};

/// The longest time before their expiry that credentials are no longer handed out.
const MARGIN: SignedDuration = SignedDuration::from_mins(5);
/// The margin of short sessions is this part of their life.
const MARGIN_PART: i32 = 10;

/// What an entry was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CacheKey([u8; 32]);

impl CacheKey {
    /// Hashes the parts. Each is preceded by its length, so that no two lists of parts are one text.
    pub(crate) fn of(parts: &[&[u8]]) -> Self {
        let mut context = Context::new(&SHA256);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut key = [0; 32];
        key.copy_from_slice(context.finish().as_ref());
        Self(key)
    }
}

/// How a call ended, for those who waited for it.
#[derive(Debug, Clone)]
pub(crate) enum Landed {
    /// There are credentials in the cache.
    Good,
    /// STS gave none.
    Sts(StsError),
    /// The CI token was used already.
    Spent(Spent),
    /// Nothing was minted, for a reason that those who waited find out themselves.
    NotMinted,
}

/// What is known under a key.
#[derive(Debug)]
pub(crate) enum Found {
    /// Credentials that are good for a while.
    Ready(Arc<SessionCredentials>),
    /// Somebody is asking STS; how it ends comes here. Closed without a word where it came to nothing.
    UnderWay(watch::Receiver<Option<Landed>>),
    /// Nothing: it is for the finder to ask.
    Yours(Flight),
    /// Nothing, and too many calls are under way.
    Full,
}

/// The cache.
#[derive(Debug)]
pub(crate) struct CredentialCache {
    limits: StsLimits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<CacheKey, Entry>,
    under_way: usize,
}

#[derive(Debug)]
enum Entry {
    Ready { credentials: Arc<SessionCredentials>, until: Timestamp },
    UnderWay(watch::Receiver<Option<Landed>>),
}

/// The duty to ask STS. Dropping it gives the duty to the next who comes.
#[derive(Debug)]
pub(crate) struct Flight {
    cache: Arc<CredentialCache>,
    key: CacheKey,
    sender: watch::Sender<Option<Landed>>,
    landed: bool,
}

impl CredentialCache {
    /// An empty cache.
    pub(crate) fn new(limits: StsLimits) -> Arc<Self> {
        Arc::new(Self { limits, state: Mutex::default() })
    }

    /// What is known under the key. `once`: credentials are taken out, so that nobody else is given them.
    pub(crate) fn find(self: &Arc<Self>, key: CacheKey, once: bool, now: Timestamp) -> Found {
        let mut state = self.state();
        match state.entries.get(&key) {
            Some(Entry::Ready { credentials, until }) if *until > now => {
                let credentials = Arc::clone(credentials);
                if once {
                    state.entries.remove(&key);
                }
                return Found::Ready(credentials);
            }
            Some(Entry::UnderWay(receiver)) => return Found::UnderWay(receiver.clone()),
            Some(Entry::Ready { .. }) | None => {}
        }
        if state.under_way >= self.limits.calls {
            return Found::Full;
        }
        let (sender, receiver) = watch::channel(None);
        state.under_way += 1;
        state.make_room(self.limits.entries, &key, now);
        state.entries.insert(key, Entry::UnderWay(receiver));
        Found::Yours(Flight { cache: Arc::clone(self), key, sender, landed: false })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Makes room for one more: what has expired goes, else what expires soonest. Calls under way stay; their number has its own bound.
    fn make_room(&mut self, most: usize, key: &CacheKey, now: Timestamp) {
        if self.entries.len() < most || self.entries.contains_key(key) {
            return;
        }
        self.entries.retain(|_, entry| !matches!(entry, Entry::Ready { until, .. } if *until <= now));
        if self.entries.len() < most {
            return;
        }
        let ready = |(key, entry): (&CacheKey, &Entry)| match entry {
            Entry::Ready { until, .. } => Some((*until, *key)),
            Entry::UnderWay(_) => None,
        };
        if let Some((_, soonest)) = self.entries.iter().filter_map(ready).min_by_key(|(until, _)| *until) {
            self.entries.remove(&soonest);
        }
    }
}

impl Flight {
    /// Keeps the credentials for those who ask, and tells those who wait.
    ///
    /// # Errors
    ///
    /// When they have expired already by this machine's clock.
    pub(crate) fn good(self, credentials: SessionCredentials, now: Timestamp) -> Result<(), StsError> {
        let life = credentials.expires_at.duration_since(now);
        if !life.is_positive() {
            let error = StsError::outage("its credentials have expired already by this machine's clock: set the clock");
            self.land(None, Landed::Sts(error.clone()));
            return Err(error);
        }
        let until = credentials.expires_at - MARGIN.min(life / MARGIN_PART);
        self.land(Some(Entry::Ready { credentials: Arc::new(credentials), until }), Landed::Good);
        Ok(())
    }

    /// Tells those who wait that there are no credentials.
    pub(crate) fn bad(self, how: Landed) {
        self.land(None, how);
    }

    fn land(mut self, entry: Option<Entry>, how: Landed) {
        self.replace(entry);
        self.sender.send_replace(Some(how));
    }

    fn replace(&mut self, entry: Option<Entry>) {
        let mut state = self.cache.state();
        state.under_way -= 1;
        match entry {
            Some(entry) => state.entries.insert(self.key, entry),
            None => state.entries.remove(&self.key),
        };
        drop(state);
        self.landed = true;
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.landed {
            self.replace(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use secrecy::SecretString;

    use super::*;

    fn cache(entries: usize, calls: usize) -> Arc<CredentialCache> {
        CredentialCache::new(StsLimits { call: Duration::from_secs(1), entries, calls })
    }

    fn now() -> Timestamp {
        Timestamp::from_second(1_790_000_000).unwrap()
    }

    fn key(number: u8) -> CacheKey {
        CacheKey::of(&[&[number]])
    }

    fn credentials(seconds: i64) -> SessionCredentials {
        SessionCredentials {
            access_key_id: format!("ASIA{seconds}"),
            secret_access_key: SecretString::from("very-secret"),
            session_token: SecretString::from("very-secret-too"),
            expires_at: now() + SignedDuration::from_secs(seconds),
            sts_request_id: None,
        }
    }

    fn mine(found: Found) -> Flight {
        match found {
            Found::Yours(flight) => flight,
            other => panic!("{other:?}"),
        }
    }

    fn ready(found: &Found) -> bool {
        matches!(found, Found::Ready(_))
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(CacheKey::of(&[b"ab", b"c"]), CacheKey::of(&[b"a", b"bc"]));
        assert_ne!(CacheKey::of(&[b"ab"]), CacheKey::of(&[b"ab", b""]));
    }

    #[test]
    fn credentials_are_kept_until_shortly_before_they_expire() {
        for (life, margin) in [(3_600, 300), (43_200, 300), (900, 90), (10, 1)] {
            let cache = cache(10, 10);
            mine(cache.find(key(1), false, now())).good(credentials(life), now()).unwrap();
            let at = |seconds| cache.find(key(1), false, now() + SignedDuration::from_secs(seconds));
            assert!(ready(&at(0)) && ready(&at(life - margin - 1)), "{life}");
            assert!(matches!(at(life - margin), Found::Yours(_)), "{life}");
        }
        let dead = mine(cache(10, 10).find(key(1), false, now())).good(credentials(0), now());
        assert!(dead.unwrap_err().to_string().contains("clock"));
    }

    #[test]
    fn what_may_be_given_once_is_given_once() {
        let cache = cache(10, 10);
        mine(cache.find(key(1), true, now())).good(credentials(900), now()).unwrap();
        assert!(ready(&cache.find(key(1), true, now())));
        assert!(matches!(cache.find(key(1), true, now()), Found::Yours(_)));
    }

    #[test]
    fn a_flight_that_is_dropped_leaves_nothing_behind() {
        let cache = cache(10, 1);
        let flight = mine(cache.find(key(1), false, now()));
        let Found::UnderWay(waiting) = cache.find(key(1), false, now()) else { panic!("not under way") };
        assert!(matches!(cache.find(key(2), false, now()), Found::Full));
        drop(flight);
        assert!(waiting.has_changed().is_err(), "closed");
        mine(cache.find(key(2), false, now())).bad(Landed::NotMinted);
        assert!(matches!(cache.find(key(1), false, now()), Found::Yours(_)));
    }

    #[test]
    fn room_is_made_by_what_expires_soonest() {
        let cache = cache(3, 10);
        for (number, life) in [(1, 3_600), (2, 1_800), (3, 7_200)] {
            mine(cache.find(key(number), false, now())).good(credentials(life), now()).unwrap();
        }
        mine(cache.find(key(4), false, now())).good(credentials(900), now()).unwrap();
        let kept: Vec<bool> = [1, 3, 4].map(|number| ready(&cache.find(key(number), false, now()))).to_vec();
        assert_eq!(kept, [true, true, true]);
        assert_eq!(cache.state().entries.len(), 3);
        // Later two have expired, and go both.
        let later = now() + SignedDuration::from_secs(3_600);
        drop(mine(cache.find(key(5), false, later)));
        assert_eq!(cache.state().entries.len(), 1);
    }
}
