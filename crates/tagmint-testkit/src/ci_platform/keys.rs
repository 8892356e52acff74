//! The platform's signing keys, and which of them are published.

use std::sync::Arc;

use tagmint_core::{
    jwk::{Jwk, JwkSet},
    signing_key::{Algorithm, Signer, SigningKey},
};

use crate::keys;

/// Keys in the order in which they were made; the last one signs.
#[derive(Debug)]
pub(super) struct Keys(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    key: Arc<SigningKey>,
    published: bool,
}

impl Keys {
    /// One published RS256 key.
    pub(super) fn new() -> Self {
        Self(vec![Entry { key: keys::signing_key(Algorithm::Rs256), published: true }])
    }

    pub(super) fn signing(&self) -> Arc<SigningKey> {
        Arc::clone(&self.0.last().expect("keys are only ever added, or dropped but for the last").key)
    }

    pub(super) fn rotate(&mut self, algorithm: Algorithm) -> String {
        self.add(algorithm, true)
    }

    pub(super) fn rotate_unpublished(&mut self) -> String {
        self.add(Algorithm::Es256, false)
    }

    fn add(&mut self, algorithm: Algorithm, published: bool) -> String {
        let key = Arc::new(SigningKey::generate(algorithm).expect("the crypto library makes keys"));
        let kid = key.kid().to_string();
        self.0.push(Entry { key, published });
        kid
    }

    pub(super) fn withdraw_others(&mut self) {
        self.0.drain(..self.0.len() - 1);
        self.0.iter_mut().for_each(|entry| entry.published = true);
    }

    pub(super) fn published(&self) -> JwkSet {
        let published = self.0.iter().rev().filter(|entry| entry.published);
        JwkSet { keys: published.map(|entry| Jwk::new(entry.key.public(), None)).collect() }
    }
}
