//! The signing keys in memory: which one signs, and the key set's bytes.
//!
//! Both follow from the stored timestamps and the time, so the cache holds a view with the span of time in which it is right, and makes
//! the next one when that has passed. With the database gone, the keys that were read last go on being published.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use tagmint_core::{
    jwk::{Jwk, JwkSet},
    key_schedule::{KeyRing, KeyState},
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
    /// The key that signs; none for a while after a compromised key was withdrawn, and while [`unopened`](Self::unopened) should sign.
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

#[derive(Debug)]
struct Loaded {
    keys: Vec<LoadedKey>,
    at: Timestamp,
    view: Arc<KeyView>,
}

/// The cache. Cheap to read, replaced whole.
#[derive(Debug)]
pub struct KeyCache(RwLock<Loaded>);

impl KeyCache {
    /// A cache that holds these keys, read from the database at `now`.
    pub fn new(keys: Vec<LoadedKey>, now: Timestamp) -> Self {
        let view = Arc::new(KeyView::make(&keys, now));
        Self(RwLock::new(Loaded { keys, at: now, view }))
    }

    /// Takes over keys that were read from the database at `now`.
    pub fn replace(&self, keys: Vec<LoadedKey>, now: Timestamp) {
        let view = Arc::new(KeyView::make(&keys, now));
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Loaded { keys, at: now, view };
    }

    /// The view that is right at `now`.
    pub fn view(&self, now: Timestamp) -> Arc<KeyView> {
        {
            let loaded = self.0.read().unwrap_or_else(PoisonError::into_inner);
            if loaded.view.is_right_at(now) {
                return Arc::clone(&loaded.view);
            }
        }
        let mut loaded = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if !loaded.view.is_right_at(now) {
            loaded.view = Arc::new(KeyView::make(&loaded.keys, now));
        }
        Arc::clone(&loaded.view)
    }

    /// How long ago the keys were read from the database; negative after the clock stepped back.
    pub fn age(&self, now: Timestamp) -> SignedDuration {
        now.duration_since(self.0.read().unwrap_or_else(PoisonError::into_inner).at)
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

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    fn key(active_at: i64, retiring_at: Option<i64>) -> LoadedKey {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let schedule = KeySchedule {
            published_at: at(0),
            active_at: at(active_at),
            retiring_at: retiring_at.map(at),
            withdrawn_at: retiring_at.map(|second| at(second + 1000)),
            due_at: None,
        };
        LoadedKey {
            state: KeyState { kid: key.kid().clone(), algorithm: Algorithm::Es256, schedule },
            jwk: Jwk::new(key.public(), None),
            signer: Some(Arc::new(key)),
        }
    }

    #[test]
    fn the_view_follows_the_time_in_both_directions() {
        let (old, new) = (key(0, Some(100)), key(100, None));
        let (old_kid, new_kid) = (old.state.kid.clone(), new.state.kid.clone());
        let cache = KeyCache::new(vec![old, new], at(1));
        let signing = |second| cache.view(at(second)).signing.as_ref().map(|signer| signer.kid().clone());
        assert_eq!(signing(99), Some(old_kid.clone()));
        let before = cache.view(at(99));
        assert!(Arc::ptr_eq(&before, &cache.view(at(50))), "the bytes are made once");
        assert_eq!(signing(100), Some(new_kid.clone()));
        assert_ne!(cache.view(at(100)).etag, before.etag);
        assert_eq!(signing(99), Some(old_kid), "a clock that steps back");
        assert_eq!(cache.view(at(1100)).jwks.as_ref().windows(5).filter(|w| w == b"\"kid\"").count(), 1);
        assert_eq!(cache.age(at(11)), SignedDuration::from_secs(10));
    }

    #[test]
    fn without_an_active_key_the_view_says_when_there_will_be_one() {
        let cache = KeyCache::new(vec![key(50, None)], at(1));
        let view = cache.view(at(1));
        assert!(view.signing.is_none());
        assert_eq!(view.signs_from, Some(at(50)));
        assert_eq!(view.unopened, None);
    }

    #[test]
    fn a_key_that_does_not_open_is_published_and_nothing_signs_in_its_turn() {
        let (old, new, last) = (key(0, Some(100)), LoadedKey { signer: None, ..key(100, Some(200)) }, key(200, None));
        let kids = [&old, &new, &last].map(|key| key.state.kid.clone());
        let cache = KeyCache::new(vec![old, new, last], at(1));
        let opened = cache.signers();
        assert_eq!(kids.each_ref().map(|kid| opened.contains_key(kid)), [true, false, true]);
        for (second, signing, unopened) in [(99, Some(0), None), (100, None, Some(1)), (200, Some(2), None)] {
            let view = cache.view(at(second));
            let expected = |index: Option<usize>| index.map(|index| &kids[index]);
            assert_eq!(view.signing.as_ref().map(|signer| signer.kid()), expected(signing), "{second}");
            assert_eq!(view.unopened.as_ref(), expected(unopened), "{second}");
            let jwks = String::from_utf8_lossy(&view.jwks).into_owned();
            assert!(kids.iter().all(|kid| jwks.contains(kid.as_str())), "{second}: {jwks}");
        }
        assert_eq!(cache.view(at(99)).signs_from, Some(at(200)), "not the one that cannot");
    }
}
