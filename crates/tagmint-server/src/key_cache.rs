//! The signing keys in memory: which one signs, and the key set's bytes.
//!
//! Both follow from the stored timestamps and the time, so the cache holds a view with the span of time in which it is right, and makes
//! the next one when that has passed. With the database gone, the keys that were read last go on being published.
//!
//! Between the moment at which the clock is set and the next reading, which moves the schedule with the clock, the keys follow each other by
//! the time that has passed since the last reading.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use tagmint_core::{
    clock::Clock,
    jwk::{Jwk, JwkSet},
    key_schedule::{KeyRing, KeyState, clock::ClockJump},
    signing_key::{KeyId, Signer},
};

/// A published key: its state, its public form, and its signer where its private half opens.
#[derive(Debug, Clone)]
pub struct LoadedKey {
    /// Its lifecycle.
    pub state: KeyState,
    /// Its entry in the key set.
    pub jwk: Jwk,
    /// Makes signatures under it; none where its private half does not open. It is published all the same: its tokens are about.
    pub signer: Option<Arc<dyn Signer>>,
}

/// The key set at one moment.
#[derive(Debug)]
pub struct KeyView {
    from: Timestamp,
    until: Option<Timestamp>,
    /// The key that signs; none until the successor of a withdrawn key may sign, and while [`unopened`](Self::unopened) should sign.
    pub signing: Option<Arc<dyn Signer>>,
    /// The key whose turn it is to sign, where its private half does not open. No other signs in its place: whose turn it is, all nodes
    /// must agree.
    pub unopened: Option<KeyId>,
    /// When the next key that opens begins to sign.
    pub signs_from: Option<Timestamp>,
    /// The JWKS document.
    pub jwks: Bytes,
    /// Its entity tag, with quotes.
    pub etag: String,
    /// The algorithms of the published keys, sorted.
    pub algorithms: Vec<&'static str>,
    /// The ids of the published keys.
    pub kids: Arc<[KeyId]>,
}

/// Keys that were read from the database.
#[derive(Debug, Default)]
pub struct ReadKeys {
    /// Those that are or will be published.
    pub keys: Vec<LoadedKey>,
    /// Those that are withdrawn.
    pub withdrawn: Vec<KeyId>,
}

impl From<Vec<LoadedKey>> for ReadKeys {
    fn from(keys: Vec<LoadedKey>) -> Self {
        Self { keys, withdrawn: vec![] }
    }
}

/// When keys were read from the database, by both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadAt {
    /// By the system's clock.
    pub now: Timestamp,
    /// By the monotonic clock.
    pub monotonic: SignedDuration,
    /// How often the stored moments had been moved by then; none where that could not be read, and whether they must be moved is not known.
    pub steps: Option<i64>,
}

impl From<Timestamp> for ReadAt {
    fn from(now: Timestamp) -> Self {
        Self { now, monotonic: SignedDuration::ZERO, steps: None }
    }
}

impl ReadAt {
    /// The time that the clock should show after the time that has passed.
    pub fn expected(&self, monotonic: SignedDuration) -> Timestamp {
        self.now + monotonic.saturating_sub(self.monotonic)
    }

    /// The time by which the keys follow each other: the clock's, unless it was set.
    fn time(&self, now: Timestamp, monotonic: SignedDuration) -> Timestamp {
        let expected = self.expected(monotonic);
        if ClockJump::while_running(expected, now).is_some() { expected } else { now.max(self.now) }
    }
}

/// Why no key signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoSigner {
    /// A new key is published, and may sign from this moment.
    Until(Timestamp),
    /// The private half of the key whose turn it is does not open. The next key that opens signs from this moment, where there is one.
    Unopened(KeyId, Option<Timestamp>),
    /// No key is published that could sign.
    Missing,
}

impl NoSigner {
    /// When a key may sign.
    pub const fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Until(at) => Some(*at),
            Self::Unopened(_, at) => *at,
            Self::Missing => None,
        }
    }
}

impl fmt::Display for NoSigner {
    /// Holds nothing that a caller must not see.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Until(at) => {
                write!(f, "no key may sign before {at:.0}: a new key has to be published for the JWKS max-age first")
            }
            Self::Unopened(kid, _) => write!(
                f,
                "the private half of the signing key `{kid}` does not open; the issuer's operator must put the right key file back"
            ),
            Self::Missing => f.write_str("there is no key that can sign; the issuer's log says why"),
        }
    }
}

#[derive(Debug)]
struct Loaded {
    keys: Vec<LoadedKey>,
    /// All that were ever read as withdrawn. A database that is restored to an earlier state does not bring them back.
    withdrawn: HashSet<KeyId>,
    at: ReadAt,
    view: Arc<KeyView>,
}

/// The cache. Cheap to read, replaced whole.
#[derive(Debug)]
pub struct KeyCache(RwLock<Loaded>);

impl KeyCache {
    /// A cache that holds these keys.
    pub fn new(read: impl Into<ReadKeys>, at: impl Into<ReadAt>) -> Self {
        let (ReadKeys { keys, withdrawn }, at) = (read.into(), at.into());
        let view = Arc::new(KeyView::make(&keys, at.now));
        Self(RwLock::new(Loaded { keys, withdrawn: withdrawn.into_iter().collect(), at, view }))
    }

    /// Takes over keys that were read from the database again.
    pub fn replace(&self, read: ReadKeys, at: ReadAt) {
        let ReadKeys { mut keys, withdrawn } = read;
        let mut loaded = self.0.write().unwrap_or_else(PoisonError::into_inner);
        loaded.withdrawn.extend(withdrawn);
        keys.retain(|key| !loaded.withdrawn.contains(&key.state.kid));
        loaded.view = Arc::new(KeyView::make(&keys, at.now));
        (loaded.keys, loaded.at) = (keys, at);
    }

    /// The view that is right now.
    pub fn current(&self, clock: &dyn Clock) -> Arc<KeyView> {
        self.view(clock.now(), clock.monotonic())
    }

    fn view(&self, now: Timestamp, monotonic: SignedDuration) -> Arc<KeyView> {
        {
            let loaded = self.0.read().unwrap_or_else(PoisonError::into_inner);
            if loaded.view.is_right_at(loaded.at.time(now, monotonic)) {
                return Arc::clone(&loaded.view);
            }
        }
        let mut loaded = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let time = loaded.at.time(now, monotonic);
        if !loaded.view.is_right_at(time) {
            loaded.view = Arc::new(KeyView::make(&loaded.keys, time));
        }
        Arc::clone(&loaded.view)
    }

    /// The time by which the keys in memory follow each other.
    pub fn time(&self, clock: &dyn Clock) -> Timestamp {
        self.read_at().time(clock.now(), clock.monotonic())
    }

    /// When the keys were read from the database.
    pub fn read_at(&self) -> ReadAt {
        self.0.read().unwrap_or_else(PoisonError::into_inner).at
    }

    /// How long ago the keys were read from the database, whatever the clock was set to since.
    pub fn age(&self, clock: &dyn Clock) -> SignedDuration {
        clock.monotonic().saturating_sub(self.read_at().monotonic)
    }

    /// The signers in memory, so that a reload need not open keys that it has already.
    pub fn signers(&self) -> HashMap<KeyId, Arc<dyn Signer>> {
        let loaded = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let signer = |key: &LoadedKey| Some((key.state.kid.clone(), Arc::clone(key.signer.as_ref()?)));
        loaded.keys.iter().filter_map(signer).collect()
    }

    /// The states of the keys in memory.
    pub fn states(&self) -> Vec<KeyState> {
        let loaded = self.0.read().unwrap_or_else(PoisonError::into_inner);
        loaded.keys.iter().map(|key| key.state.clone()).collect()
    }
}

impl KeyView {
    fn make(keys: &[LoadedKey], now: Timestamp) -> Self {
        let states: Vec<KeyState> = keys.iter().map(|key| key.state.clone()).collect();
        let ring = KeyRing(&states);
        let loaded = |state: &KeyState| keys.iter().find(|key| key.state.kid == state.kid);
        let published: Vec<&LoadedKey> = ring.published(now).into_iter().filter_map(loaded).collect();
        let set = JwkSet { keys: published.iter().map(|key| key.jwk.clone()).collect() };
        let jwks = serde_json::to_vec(&set).expect("a key set is strings");
        let hash = digest::digest(&digest::SHA256, &jwks);
        let tag = BASE64_URL_SAFE_NO_PAD.encode(&hash.as_ref()[..16]);
        let mut algorithms: Vec<&'static str> = published.iter().map(|key| key.state.algorithm.as_str()).collect();
        algorithms.sort_unstable();
        algorithms.dedup();
        let signing = ring.signing(now).and_then(loaded);
        let moments = |key: &KeyState| {
            [
                Some(key.schedule.published_at),
                Some(key.schedule.active_at),
                key.schedule.retiring_at,
                key.schedule.withdrawn_at,
            ]
        };
        Self {
            from: states
                .iter()
                .flat_map(moments)
                .flatten()
                .filter(|moment| *moment <= now)
                .max()
                .unwrap_or(Timestamp::MIN),
            until: ring.next_change(now),
            signing: signing.and_then(|key| key.signer.clone()),
            unopened: signing.filter(|key| key.signer.is_none()).map(|key| key.state.kid.clone()),
            signs_from: keys
                .iter()
                .filter(|key| key.signer.is_some())
                .map(|key| key.state.schedule.active_at)
                .filter(|moment| *moment > now)
                .min(),
            jwks: jwks.into(),
            etag: format!("\"{tag}\""),
            algorithms,
            kids: published.iter().map(|key| key.state.kid.clone()).collect(),
        }
    }

    /// Why no key signs.
    pub fn no_signer(&self) -> NoSigner {
        match (&self.unopened, self.signs_from) {
            (Some(kid), at) => NoSigner::Unopened(kid.clone(), at),
            (None, Some(at)) => NoSigner::Until(at),
            (None, None) => NoSigner::Missing,
        }
    }

    fn is_right_at(&self, now: Timestamp) -> bool {
        self.from <= now && self.until.is_none_or(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use tagmint_core::{
        key_schedule::KeySchedule,
        signing_key::{Algorithm, SigningKey},
    };
    use tagmint_testkit::clock::MockClock;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    /// A cache that was filled at 1, and a clock that shows that.
    fn cache(keys: Vec<LoadedKey>) -> (KeyCache, MockClock) {
        (KeyCache::new(keys, at(1)), MockClock::new(at(1)))
    }

    fn key(active_at: i64, retiring_at: Option<i64>) -> LoadedKey {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let schedule = KeySchedule {
            published_at: at(0),
            active_at: at(active_at),
            retiring_at: retiring_at.map(at),
            withdrawn_at: retiring_at.map(|second| at(second + 1000)),
            due_at: None,
            withdrawn: false,
        };
        LoadedKey {
            state: KeyState { kid: key.kid().clone(), algorithm: Algorithm::Es256, schedule },
            jwk: Jwk::new(key.public(), None),
            signer: Some(Arc::new(key)),
        }
    }

    #[test]
    fn the_view_follows_the_time() {
        let (old, new) = (key(0, Some(100)), key(100, None));
        let (old_kid, new_kid) = (old.state.kid.clone(), new.state.kid.clone());
        let (cache, clock) = cache(vec![old, new]);
        let view = |second| {
            clock.set(at(second));
            cache.current(&clock)
        };
        let signing = |second| view(second).signing.as_ref().map(|signer| signer.kid().clone());
        assert_eq!(signing(50), Some(old_kid));
        let before = view(50);
        assert!(Arc::ptr_eq(&before, &view(99)), "the bytes are made once");
        assert_eq!(signing(100), Some(new_kid.clone()));
        assert_ne!(view(100).etag, before.etag);
        assert_eq!(view(1100).jwks.as_ref().windows(5).filter(|w| w == b"\"kid\"").count(), 1);
        assert_eq!(cache.age(&clock), SignedDuration::from_secs(1099));
    }

    #[test]
    fn a_clock_that_is_set_changes_no_key_before_the_next_reading() {
        let (old, new) = (key(0, Some(100)), key(100, None));
        let kids = [&old, &new].map(|key| key.state.kid.clone());
        let (cache, clock) = cache(vec![old, new]);
        let signing = || cache.current(&clock).signing.as_ref().map(|signer| signer.kid().clone());
        for by in [-40 * 86_400, -60, 60, 40 * 86_400] {
            clock.set(at(1));
            clock.step(SignedDuration::from_secs(by));
            assert_eq!(signing(), Some(kids[0].clone()), "{by}");
            assert_eq!((cache.time(&clock), cache.age(&clock)), (at(1), SignedDuration::ZERO), "{by}");
            clock.step(SignedDuration::from_secs(-by));
        }
        clock.step(SignedDuration::from_secs(-1));
        assert_eq!(cache.time(&clock), at(1), "never before the reading");
        clock.advance(SignedDuration::from_secs(99));
        clock.step(SignedDuration::from_hours(-5));
        assert_eq!(signing(), Some(kids[1].clone()), "the time that passes counts");
    }

    #[test]
    fn a_key_that_was_withdrawn_is_not_read_again() {
        let (old, new) = (key(0, Some(500)), key(100, None));
        let kids = [&old, &new].map(|key| key.state.kid.clone());
        let (cache, clock) = cache(vec![old.clone(), new.clone()]);
        let at_once = ReadAt::from(at(1));
        cache.replace(ReadKeys { keys: vec![new.clone()], withdrawn: vec![kids[0].clone()] }, at_once);
        // The database is restored to the state of before.
        cache.replace(ReadKeys::from(vec![old, new]), at_once);
        let view = cache.current(&clock);
        assert_eq!((view.kids.to_vec(), view.signing.is_none()), (vec![kids[1].clone()], true));
        assert_eq!(cache.states().len(), 1);
    }

    #[test]
    fn without_an_active_key_the_view_says_when_there_will_be_one() {
        let (cache, clock) = cache(vec![key(50, None)]);
        let view = cache.current(&clock);
        assert!(view.signing.is_none());
        assert_eq!(view.signs_from, Some(at(50)));
        assert_eq!(view.unopened, None);
    }

    #[test]
    fn a_key_that_does_not_open_is_published_and_nothing_signs_in_its_turn() {
        let (old, new, last) = (key(0, Some(100)), LoadedKey { signer: None, ..key(100, Some(200)) }, key(200, None));
        let kids = [&old, &new, &last].map(|key| key.state.kid.clone());
        let (cache, clock) = cache(vec![old, new, last]);
        let opened = cache.signers();
        assert_eq!(kids.each_ref().map(|kid| opened.contains_key(kid)), [true, false, true]);
        for (second, signing, unopened) in [(99, Some(0), None), (100, None, Some(1)), (200, Some(2), None)] {
            clock.set(at(second));
            let view = cache.current(&clock);
            let expected = |index: Option<usize>| index.map(|index| &kids[index]);
            assert_eq!(view.signing.as_ref().map(|signer| signer.kid()), expected(signing), "{second}");
            assert_eq!(view.unopened.as_ref(), expected(unopened), "{second}");
            let jwks = String::from_utf8_lossy(&view.jwks).into_owned();
            assert!(kids.iter().all(|kid| jwks.contains(kid.as_str())), "{second}: {jwks}");
        }
        let first = KeyView::make(&cache.0.read().unwrap().keys, at(99));
        assert_eq!(first.signs_from, Some(at(200)), "not the one that cannot");
    }
}
