//! Token buckets by key that can be given back to: for what is taken before its outcome is known.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::settings::{HourlyRate, Rate};

/// The most keys that are told apart. While there are as many, nothing is taken for a further one.
const MOST_KEYS: usize = 65_536;
/// How often full buckets are looked for, where there are many.
const CLEAN_UP_EVERY: Duration = Duration::from_secs(1);
/// Below this many keys nothing is cleaned up.
const FEW_KEYS: usize = 1_024;

/// Buckets of one rate.
#[derive(Debug)]
pub(crate) struct Buckets<K> {
    per_second: f64,
    burst: f64,
    known: Mutex<Known<K>>,
}

#[derive(Debug)]
struct Known<K> {
    buckets: HashMap<K, Bucket>,
    cleaned_at: Option<Instant>,
}

/// How much of the burst is used up, at a moment.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    used: f64,
    at: Instant,
}

impl<K: Hash + Eq> Buckets<K> {
    /// Full buckets; none where there is no limit.
    pub(crate) fn new(rate: Rate) -> Option<Self> {
        Self::with(f64::from(rate.per_second), rate.burst)
    }

    /// Full buckets, refilled by so much an hour; none where there is no limit.
    pub(crate) fn hourly(rate: HourlyRate) -> Option<Self> {
        Self::with(f64::from(rate.per_hour) / 3_600.0, rate.burst)
    }

    fn with(per_second: f64, burst: u32) -> Option<Self> {
        let known = Mutex::new(Known { buckets: HashMap::new(), cleaned_at: None });
        (per_second > 0.0).then(|| Self { per_second, burst: f64::from(burst.max(1)), known })
    }

    /// Takes one. `Err`: there is none, and the next comes after this time.
    pub(crate) fn take(&self, key: K) -> Result<(), Duration> {
        let now = Instant::now();
        let mut known = self.known();
        self.clean_up(&mut known, now);
        if known.buckets.len() >= MOST_KEYS && !known.buckets.contains_key(&key) {
            return Err(CLEAN_UP_EVERY);
        }
        let bucket = known.buckets.entry(key).or_insert(Bucket { used: 0.0, at: now });
        let used = self.used(*bucket, now);
        let over = used + 1.0 - self.burst;
        // A bucket that is full but for the rounding has one left.
        if over > 1e-9 {
            return Err(Duration::from_secs_f64(over / self.per_second));
        }
        *bucket = Bucket { used: used + 1.0, at: now };
        Ok(())
    }

    /// Gives one back that was taken.
    pub(crate) fn give_back(&self, key: &K) {
        if let Some(bucket) = self.known().buckets.get_mut(key) {
            bucket.used = (bucket.used - 1.0).max(0.0);
        }
    }

    fn used(&self, bucket: Bucket, now: Instant) -> f64 {
        (bucket.used - now.duration_since(bucket.at).as_secs_f64() * self.per_second).max(0.0)
    }

    fn clean_up(&self, known: &mut Known<K>, now: Instant) {
        let due = known.cleaned_at.is_none_or(|at| now.duration_since(at) >= CLEAN_UP_EVERY);
        if due && known.buckets.len() >= FEW_KEYS {
            known.buckets.retain(|_, bucket| self.used(*bucket, now) > 0.0);
            known.cleaned_at = Some(now);
        }
    }

    fn known(&self) -> MutexGuard<'_, Known<K>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(per_second: u32, burst: u32) -> Buckets<u32> {
        Buckets::new(Rate { per_second, burst }).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_bucket_empties_and_fills_again_by_itself() {
        let buckets = buckets(2, 3);
        assert!((0..3).all(|_| buckets.take(1).is_ok()));
        assert_eq!(buckets.take(1), Err(Duration::from_millis(500)));
        assert!(buckets.take(2).is_ok(), "another key has its own");
        tokio::time::advance(Duration::from_millis(250)).await;
        assert_eq!(buckets.take(1), Err(Duration::from_millis(250)));
        tokio::time::advance(Duration::from_millis(250)).await;
        assert!(buckets.take(1).is_ok() && buckets.take(1).is_err());
        tokio::time::advance(Duration::from_hours(1)).await;
        assert!((0..3).all(|_| buckets.take(1).is_ok()) && buckets.take(1).is_err(), "never more than the burst");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_taken_can_be_given_back() {
        let buckets = buckets(1, 2);
        assert!(buckets.take(1).is_ok() && buckets.take(1).is_ok() && buckets.take(1).is_err());
        buckets.give_back(&1);
        assert!(buckets.take(1).is_ok() && buckets.take(1).is_err());
        for _ in 0..9 {
            buckets.give_back(&1);
        }
        assert!(buckets.take(1).is_ok() && buckets.take(1).is_ok() && buckets.take(1).is_err());
        buckets.give_back(&2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_hourly_rate_is_one_by_the_hour() {
        let buckets = Buckets::hourly(HourlyRate { per_hour: 60, burst: 1 }).unwrap();
        assert!(buckets.take(()).is_ok());
        assert_eq!(buckets.take(()), Err(Duration::from_mins(1)));
        tokio::time::advance(Duration::from_mins(1)).await;
        assert!(buckets.take(()).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_keys_are_bounded_and_full_buckets_go() {
        let buckets = buckets(1, 1);
        let most = u32::try_from(MOST_KEYS).unwrap();
        assert!((0..most).all(|key| buckets.take(key).is_ok()));
        assert!(buckets.take(most).is_err(), "no further key");
        assert!(buckets.take(0).is_err());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(buckets.take(most).is_ok());
        assert_eq!(buckets.known().buckets.len(), 1);
    }

    #[test]
    fn zero_means_no_limit() {
        assert!(Buckets::<u32>::new(Rate { per_second: 0, burst: 0 }).is_none());
        assert!(Buckets::<u32>::hourly(HourlyRate { per_hour: 0, burst: 5 }).is_none());
    }
}
