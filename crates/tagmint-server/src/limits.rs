//! Rate limits, by credential and by address.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    net::IpAddr,
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock as _};

use crate::settings::{Limits, Rate};

/// How many checks pass between two clean-ups of buckets that are full again.
const CLEANUP_EVERY: u32 = 10_000;

/// The buckets of all callers. Credentials are kept as keyed hashes, never as text.
#[derive(Debug)]
pub struct RateLimits {
    by_credential: Option<DefaultKeyedRateLimiter<u64>>,
    by_address: Option<DefaultKeyedRateLimiter<IpAddr>>,
    hasher: RandomState,
    checks: AtomicU32,
}

/// The caller has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany {
    /// Which bucket is empty: `credential` or `address`.
    pub bucket: &'static str,
    /// When the next request would pass.
    pub retry_after: Duration,
}

impl RateLimits {
    /// Empty buckets with these rates.
    pub fn new(limits: &Limits) -> Self {
        Self {
            by_credential: quota(limits.per_credential).map(RateLimiter::keyed),
            by_address: quota(limits.per_address).map(RateLimiter::keyed),
            hasher: RandomState::new(),
            checks: AtomicU32::new(0),
        }
    }

    /// Takes one from the buckets of a caller. IPv6 callers share a bucket by /64, the least that a network hands to one of them.
    pub fn check(&self, address: IpAddr, credential: Option<&[u8]>) -> Result<(), TooMany> {
        if self.checks.fetch_add(1, Ordering::Relaxed) % CLEANUP_EVERY == CLEANUP_EVERY - 1 {
            self.clean_up();
        }
        take(self.by_address.as_ref(), &network(address), "address")?;
        match credential {
            Some(credential) => take(self.by_credential.as_ref(), &self.hasher.hash_one(credential), "credential"),
            None => Ok(()),
        }
    }

    fn clean_up(&self) {
        if let Some(limiter) = &self.by_credential {
            limiter.retain_recent();
        }
        if let Some(limiter) = &self.by_address {
            limiter.retain_recent();
        }
    }
}

fn quota(rate: Rate) -> Option<Quota> {
    let per_second = NonZeroU32::new(rate.per_second)?;
    Some(Quota::per_second(per_second).allow_burst(NonZeroU32::new(rate.burst).unwrap_or(per_second)))
}

fn take<K: Clone + std::hash::Hash + Eq>(
    limiter: Option<&DefaultKeyedRateLimiter<K>>,
    key: &K,
    bucket: &'static str,
) -> Result<(), TooMany> {
    let Some(limiter) = limiter else { return Ok(()) };
    limiter
        .check_key(key)
        .map_err(|not_until| TooMany { bucket, retry_after: not_until.wait_time_from(limiter.clock().now()) })
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(credential: (u32, u32), address: (u32, u32)) -> RateLimits {
        let rate = |(per_second, burst)| Rate { per_second, burst };
        RateLimits::new(&Limits { per_credential: rate(credential), per_address: rate(address), ..Limits::default() })
    }

    #[test]
    fn each_credential_and_each_address_has_its_own_bucket() {
        let limits = limits((1, 2), (1, 5));
        let (one, two): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        assert!(limits.check(one, Some(b"a")).is_ok());
        assert!(limits.check(one, Some(b"a")).is_ok());
        let refused = limits.check(one, Some(b"a")).unwrap_err();
        assert_eq!(refused.bucket, "credential");
        assert!(refused.retry_after > Duration::ZERO && refused.retry_after <= Duration::from_secs(1));
        assert!(limits.check(one, Some(b"b")).is_ok());
        assert!(limits.check(one, None).is_ok());
        assert_eq!(limits.check(one, None).unwrap_err().bucket, "address");
        assert!(limits.check(two, None).is_ok());
    }

    #[test]
    fn ipv6_callers_share_a_bucket_by_network() {
        let limits = limits((0, 0), (1, 1));
        assert!(limits.check("2001:db8::1".parse().unwrap(), None).is_ok());
        assert!(limits.check("2001:db8::2".parse().unwrap(), None).is_err());
        assert!(limits.check("2001:db8:0:1::1".parse().unwrap(), None).is_ok());
    }

    #[test]
    fn zero_means_no_limit() {
        let limits = limits((0, 0), (0, 0));
        let address = "192.0.2.1".parse().unwrap();
        assert!((0..10_000).all(|_| limits.check(address, Some(b"a")).is_ok()));
    }
}
