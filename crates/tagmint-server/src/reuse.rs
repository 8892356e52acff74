//! CI tokens that came from several networks: remembered for the alarm.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use tagmint_core::{alarm::conditions::ReuseView, trusted_issuer::TrustedIssuerName};

/// When a token of each provider last came from a further network, and how often since the start.
#[derive(Debug, Default)]
pub struct ReuseWatch(Mutex<BTreeMap<TrustedIssuerName, (u64, Timestamp)>>);

impl ReuseWatch {
    /// A token came from a network from which it had not come before.
    pub fn note(&self, provider: &TrustedIssuerName, now: Timestamp) {
        let mut seen = self.seen();
        let (count, last) = seen.entry(provider.clone()).or_insert((0, now));
        *count += 1;
        *last = now;
    }

    /// For the alarm.
    pub fn view(&self) -> Vec<ReuseView> {
        let view = |(provider, (count, last)): (&TrustedIssuerName, &(u64, Timestamp))| ReuseView {
            provider: provider.to_string(),
            count: *count,
            last: *last,
        };
        self.seen().iter().map(view).collect()
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<TrustedIssuerName, (u64, Timestamp)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
