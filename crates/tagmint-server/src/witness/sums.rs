//! Fetches summed up in memory. A stranger chooses addresses and user agents, so the number of different sums is bounded.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use tagmint_core::{
    signing_key::KeyId,
    witness::{Document, FetchClass, SourceNetwork, UserAgent},
};
use tagmint_store::{FetchSum, KeyFetches};

use super::Fetch;

/// Different sources of a class in one hour; further ones are summed up as [`OTHERS`]. Those of STS and of all others are counted apart, so
/// that nobody else pushes STS out.
const SOURCES: usize = 500;
/// Sums that wait for the database; further fetches leave none, only their keys are noted.
const WAITING: usize = 4096;
/// The network and user agent of the sources beyond [`SOURCES`].
const OTHERS: &str = "(others)";
const MILLIS_PER_HOUR: i64 = 3_600_000;

/// Where a fetch came from; none for the ones beyond the bound.
type Source = Option<Arc<(SourceNetwork, UserAgent)>>;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct SumKey {
    hour: i64,
    class: FetchClass,
    source: Source,
    document: Document,
    status: u16,
}

#[derive(Debug, Clone, Copy)]
struct Sum {
    fetches: u64,
    last_at: Timestamp,
    slowest_us: u64,
    total_us: u64,
}

#[derive(Debug, Clone)]
struct KeySum {
    first_at: Timestamp,
    last_at: Timestamp,
    /// Of the last fetch.
    source: Arc<(SourceNetwork, UserAgent)>,
    fetches: u64,
}

/// What was seen since the last write.
#[derive(Debug, Default)]
pub(super) struct Batch {
    sums: HashMap<SumKey, Sum>,
    keys: HashMap<(KeyId, FetchClass), KeySum>,
}

/// What was seen since the last write, and the sources of the hour.
#[derive(Debug, Default)]
pub(super) struct Sums {
    hour: i64,
    sources: [HashSet<Arc<(SourceNetwork, UserAgent)>>; 2],
    batch: Batch,
}

impl Sums {
    /// Adds a fetch.
    pub fn add(&mut self, fetch: Fetch, class: FetchClass) {
        let Fetch { at, remote, agent, document, status, took, shown } = fetch;
        let hour = at.as_millisecond().div_euclid(MILLIS_PER_HOUR);
        if hour != self.hour {
            self.hour = hour;
            self.sources.iter_mut().for_each(HashSet::clear);
        }
        let (source, within) = self.source((remote.into(), agent), class);
        for kid in shown.iter().flat_map(|kids| &**kids) {
            let sum = KeySum { first_at: at, last_at: at, source: Arc::clone(&source), fetches: 1 };
            self.batch.add_key((kid.clone(), class), sum);
        }
        let us = u64::try_from(took.min(Duration::from_hours(1)).as_micros()).unwrap_or(u64::MAX);
        let key = SumKey { hour, class, source: within.then_some(source), document, status };
        self.batch.add_sum(key, Sum { fetches: 1, last_at: at, slowest_us: us, total_us: us });
    }

    /// The source, and whether it is within the bound.
    fn source(
        &mut self,
        source: (SourceNetwork, UserAgent),
        class: FetchClass,
    ) -> (Arc<(SourceNetwork, UserAgent)>, bool) {
        let [sts, other] = &mut self.sources;
        let known = if class == FetchClass::Sts { sts } else { other };
        if let Some(found) = known.get(&source) {
            return (Arc::clone(found), true);
        }
        let source = Arc::new(source);
        let within = known.len() < SOURCES;
        if within {
            known.insert(Arc::clone(&source));
        }
        (source, within)
    }

    /// Everything since the last time.
    pub fn take(&mut self) -> Batch {
        std::mem::take(&mut self.batch)
    }

    /// Takes back what could not be written.
    pub fn put_back(&mut self, batch: Batch) {
        for (key, sum) in batch.sums {
            self.batch.add_sum(key, sum);
        }
        for (key, sum) in batch.keys {
            self.batch.add_key(key, sum);
        }
    }
}

impl Batch {
    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.sums.is_empty() && self.keys.is_empty()
    }

    fn add_sum(&mut self, key: SumKey, more: Sum) {
        let full = self.sums.len() >= WAITING;
        match self.sums.entry(key) {
            Entry::Occupied(sum) => {
                let sum = sum.into_mut();
                sum.fetches += more.fetches;
                sum.last_at = sum.last_at.max(more.last_at);
                sum.slowest_us = sum.slowest_us.max(more.slowest_us);
                sum.total_us = sum.total_us.saturating_add(more.total_us);
            }
            Entry::Vacant(_) if full => {}
            Entry::Vacant(free) => {
                free.insert(more);
            }
        }
    }

    fn add_key(&mut self, key: (KeyId, FetchClass), more: KeySum) {
        match self.keys.entry(key) {
            Entry::Vacant(free) => {
                free.insert(more);
            }
            Entry::Occupied(sum) => {
                let sum = sum.into_mut();
                sum.first_at = sum.first_at.min(more.first_at);
                sum.fetches += more.fetches;
                if more.last_at >= sum.last_at {
                    (sum.last_at, sum.source) = (more.last_at, more.source);
                }
            }
        }
    }

    /// As the store takes it.
    pub fn records(&self) -> (Vec<FetchSum>, Vec<KeyFetches>) {
        let sums = self.sums.iter().map(|(key, sum)| {
            let SumKey { hour, class, source, document, status } = key;
            let (network, agent) = source.as_deref().map_or_else(|| (OTHERS.to_owned(), OTHERS.to_owned()), told);
            FetchSum {
                hour: Timestamp::from_millisecond(hour * MILLIS_PER_HOUR).unwrap_or(sum.last_at),
                class: *class,
                network,
                agent,
                document: *document,
                status: *status,
                fetches: sum.fetches,
                last_at: sum.last_at,
                slowest_us: sum.slowest_us,
                total_us: sum.total_us,
            }
        });
        let keys = self.keys.iter().map(|((kid, class), sum)| {
            let (network, agent) = told(&sum.source);
            KeyFetches {
                kid: kid.clone(),
                class: *class,
                first_at: sum.first_at,
                last_at: sum.last_at,
                network,
                agent,
                fetches: sum.fetches,
            }
        });
        (sums.collect(), keys.collect())
    }
}

fn told((network, agent): &(SourceNetwork, UserAgent)) -> (String, String) {
    (network.to_string(), agent.as_str().to_owned())
}
