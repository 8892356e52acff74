//! Rate limits, by credential and by address.

mod buckets;
mod refusals;

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    net::IpAddr,
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock as _};

use secrecy::{ExposeSecret, SecretString};

use self::buckets::Buckets;
pub use self::refusals::{Omission, RefusalRows};
use crate::settings::{AnonymousMinting, Limits, Rate};

/// The bucket of an IPv6 /48 whose credentials prove nothing.
pub(crate) const FAILED_NETWORK: &str = "failed_authentication_network";
/// Every bucket, by its name in [`TooMany`] and in metrics.
pub(crate) const BUCKETS: [&str; 9] = [
    "ci_token_reuse",
    "credential",
    "address",
    "failed_authentication",
    FAILED_NETWORK,
    "session_opens",
    "sessions_per_subject",
    "anonymous_minting_address",
    "anonymous_minting_total",
];

/// How many checks pass between two clean-ups of buckets that are full again.
const CLEANUP_EVERY: u32 = 10_000;
/// The most addresses without proof that are told apart; while there are as many, no further request without proof passes.
const MOST_OPEN_ADDRESSES: usize = 65_536;
/// When to try again while there are too many addresses.
const UNTIL_CLEANUP: Duration = Duration::from_secs(10);

/// The buckets of all callers. Credentials are kept as keyed hashes, never as text.
#[derive(Debug)]
pub struct RateLimits {
    by_credential: Option<DefaultKeyedRateLimiter<u64>>,
    by_address: Option<DefaultKeyedRateLimiter<IpAddr>>,
    failed_by_address: Option<Buckets<IpAddr>>,
    failed_by_network: Option<Buckets<IpAddr>>,
    session_opens: Option<Buckets<u64>>,
    open: Option<OpenLimits>,
    hasher: RandomState,
    checks: AtomicU32,
}

/// The buckets of callers without proof, who must not use up those of others.
#[derive(Debug)]
struct OpenLimits {
    by_address: Option<DefaultKeyedRateLimiter<IpAddr>>,
    total: Option<DefaultDirectRateLimiter>,
}

/// The caller has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany {
    /// Which bucket is empty: `credential`, `address`; of callers whose credential proves nothing `failed_authentication`,
    /// `failed_authentication_network`; of callers without one `anonymous_minting_address`, `anonymous_minting_total`; of a session's subject `session_opens`,
    /// `sessions_per_subject`.
    pub bucket: &'static str,
    /// When the next request would pass.
    pub retry_after: Duration,
}

impl RateLimits {
    /// Empty buckets with these rates.
    pub fn new(limits: &Limits, open: Option<AnonymousMinting>) -> Self {
        let open_limits = |open: AnonymousMinting| OpenLimits {
            by_address: quota(open.per_address).map(RateLimiter::keyed),
            total: quota(open.total).map(RateLimiter::direct),
        };
        Self {
            open: open.map(open_limits),
            by_credential: quota(limits.per_credential).map(RateLimiter::keyed),
            by_address: quota(limits.per_address).map(RateLimiter::keyed),
            failed_by_address: Buckets::new(limits.failed_per_address),
            failed_by_network: Buckets::new(limits.failed_per_network),
            session_opens: Buckets::new(limits.session_opens_per_subject),
            hasher: RandomState::new(),
            checks: AtomicU32::new(0),
        }
    }

    /// Takes one from an address's bucket. IPv6 callers share one by /64, the least that a network hands to one of them.
    pub fn check_address(&self, address: IpAddr) -> Result<(), TooMany> {
        if self.checks.fetch_add(1, Ordering::Relaxed) % CLEANUP_EVERY == CLEANUP_EVERY - 1 {
            self.clean_up();
        }
        take(self.by_address.as_ref(), &network(address), "address")
    }

    /// Takes one from a credential's bucket, whichever way the credential was carried.
    pub fn check_credential(&self, credential: &SecretString) -> Result<(), TooMany> {
        let key = self.hasher.hash_one(credential.expose_secret());
        take(self.by_credential.as_ref(), &key, "credential")
    }

    /// Takes one from the buckets of an address whose credential proves nothing: its own, and that of its /48 with IPv6.
    pub fn check_failed(&self, address: IpAddr) -> Result<(), TooMany> {
        let own = network(address);
        if let Some(by_address) = &self.failed_by_address {
            let too_many = |retry_after| TooMany { bucket: "failed_authentication", retry_after };
            by_address.take(own).map_err(too_many)?;
        }
        let (Some(by_network), Some(wide)) = (&self.failed_by_network, wide_network(address)) else { return Ok(()) };
        by_network.take(wide).map_err(|retry_after| {
            if let Some(by_address) = &self.failed_by_address {
                by_address.give_back(&own);
            }
            TooMany { bucket: FAILED_NETWORK, retry_after }
        })
    }

    /// Gives back what [`check_failed`](Self::check_failed) took in advance, for a credential that proved something after all.
    pub fn give_back_failed(&self, address: IpAddr) {
        if let Some(by_address) = &self.failed_by_address {
            by_address.give_back(&network(address));
        }
        if let (Some(by_network), Some(wide)) = (&self.failed_by_network, wide_network(address)) {
            by_network.give_back(&wide);
        }
    }

    /// Takes one from the bucket of the subject that a session is opened for.
    pub fn check_session_open(&self, subject: &str) -> Result<(), TooMany> {
        let Some(opens) = &self.session_opens else { return Ok(()) };
        let too_many = |retry_after| TooMany { bucket: "session_opens", retry_after };
        opens.take(self.hasher.hash_one(subject)).map_err(too_many)
    }

    /// Takes one from the buckets of callers without proof: of the address first, so that one of them alone cannot empty everybody's.
    pub fn check_anonymous(&self, address: IpAddr) -> Result<(), TooMany> {
        let Some(open) = &self.open else { return Ok(()) };
        if open.by_address.as_ref().is_some_and(|limiter| limiter.len() >= MOST_OPEN_ADDRESSES) {
            return Err(TooMany { bucket: "anonymous_minting_total", retry_after: UNTIL_CLEANUP });
        }
        take(open.by_address.as_ref(), &network(address), "anonymous_minting_address")?;
        let Some(total) = &open.total else { return Ok(()) };
        total.check().map_err(|not_until| TooMany {
            bucket: "anonymous_minting_total",
            retry_after: not_until.wait_time_from(total.clock().now()),
        })
    }

    fn clean_up(&self) {
        if let Some(limiter) = &self.by_credential {
            limiter.retain_recent();
        }
        let open_by_address = self.open.as_ref().and_then(|open| open.by_address.as_ref());
        for limiter in self.by_address.iter().chain(open_by_address) {
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

/// The network that one subscriber has: the address itself, or with IPv6 the /64, the least that a network hands to one of them.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// The /48 of an IPv6 address, the most that a provider usually hands to one customer. IPv4 addresses are too scarce for the like.
fn wide_network(address: IpAddr) -> Option<IpAddr> {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            Some(IpAddr::from([a, b, c, 0, 0, 0, 0, 0]))
        }
        IpAddr::V4(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(credential: (u32, u32), address: (u32, u32)) -> RateLimits {
        let rate = |(per_second, burst)| Rate { per_second, burst };
        let limits = Limits { per_credential: rate(credential), per_address: rate(address), ..Limits::default() };
        RateLimits::new(&limits, None)
    }

    #[test]
    fn each_credential_and_each_address_has_its_own_bucket() {
        let limits = limits((1, 2), (1, 2));
        let (one, two): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let (a, b) = (SecretString::from("a"), SecretString::from("b"));
        assert!(limits.check_credential(&a).is_ok());
        assert!(limits.check_credential(&a).is_ok());
        let refused = limits.check_credential(&a).unwrap_err();
        assert_eq!(refused.bucket, "credential");
        assert!(refused.retry_after > Duration::ZERO && refused.retry_after <= Duration::from_secs(1));
        assert!(limits.check_credential(&b).is_ok());
        assert!(limits.check_address(one).is_ok());
        assert!(limits.check_address(one).is_ok());
        assert_eq!(limits.check_address(one).unwrap_err().bucket, "address");
        assert!(limits.check_address(two).is_ok());
    }

    #[test]
    fn ipv6_callers_share_a_bucket_by_network() {
        let limits = limits((0, 0), (1, 1));
        assert!(limits.check_address("2001:db8::1".parse().unwrap()).is_ok());
        assert!(limits.check_address("2001:db8::2".parse().unwrap()).is_err());
        assert!(limits.check_address("2001:db8:0:1::1".parse().unwrap()).is_ok());
    }

    #[test]
    fn a_48_that_fails_from_all_its_addresses_waits_as_a_whole() {
        let rate = |per_second, burst| Rate { per_second, burst };
        let limits = Limits { failed_per_address: rate(1, 2), failed_per_network: rate(1, 5), ..Limits::default() };
        let limits = RateLimits::new(&limits, None);
        let address = |number: u32| format!("2001:db8:0:{number:x}::1").parse().unwrap();
        assert!(limits.check_failed(address(0)).is_ok() && limits.check_failed(address(0)).is_ok());
        assert_eq!(limits.check_failed(address(0)).unwrap_err().bucket, "failed_authentication");
        assert!((1..4).all(|number| limits.check_failed(address(number)).is_ok()));
        let refused = limits.check_failed(address(4)).unwrap_err();
        assert_eq!(refused.bucket, FAILED_NETWORK);
        assert!(refused.retry_after > Duration::ZERO && refused.retry_after <= Duration::from_secs(1));
        assert!(limits.check_failed("2001:db8:1::1".parse().unwrap()).is_ok(), "another /48");
        for last in 0..5 {
            assert!(
                limits.check_failed(format!("192.0.2.{last}").parse().unwrap()).is_ok(),
                "an IPv4 address is its own"
            );
        }
        // The attempt that the /48's limit refused cost the address nothing. A credential that proves something after all costs nothing.
        limits.give_back_failed(address(1));
        assert!(limits.check_failed(address(4)).is_ok());
        assert!(limits.check_failed(address(4)).is_err());
    }

    #[test]
    fn each_subject_opens_its_own_sessions() {
        let limits = Limits { session_opens_per_subject: Rate { per_second: 1, burst: 2 }, ..Limits::default() };
        let limits = RateLimits::new(&limits, None);
        assert!(limits.check_session_open("0xa").is_ok() && limits.check_session_open("0xa").is_ok());
        assert_eq!(limits.check_session_open("0xa").unwrap_err().bucket, "session_opens");
        assert!(limits.check_session_open("0xb").is_ok());
    }

    #[test]
    fn callers_without_proof_have_buckets_of_their_own_and_are_bounded_in_number() {
        let rate = |per_second, burst| Rate { per_second, burst };
        let open = AnonymousMinting { per_address: rate(1, 2), total: rate(1, 3) };
        let limits = RateLimits::new(&Limits::default(), Some(open));
        let address = |number: u32| IpAddr::from(std::net::Ipv4Addr::from(0x0a00_0000 + number));
        assert!(limits.check_anonymous(address(1)).is_ok() && limits.check_anonymous(address(1)).is_ok());
        for _ in 0..100 {
            assert_eq!(limits.check_anonymous(address(1)).unwrap_err().bucket, "anonymous_minting_address");
        }
        assert!(limits.check_anonymous(address(2)).is_ok(), "one address alone does not empty everybody's bucket");
        let refused = limits.check_anonymous(address(3)).unwrap_err();
        assert_eq!(refused.bucket, "anonymous_minting_total");
        assert!(refused.retry_after > Duration::ZERO);
        // Neither the general bucket of the address nor a credential's paid for it.
        let general = RateLimits::new(
            &Limits { per_address: rate(1, 1), per_credential: rate(1, 1), ..Limits::default() },
            Some(open),
        );
        assert!(general.check_anonymous(address(1)).is_ok() && general.check_anonymous(address(1)).is_ok());
        assert!(general.check_address(address(1)).is_ok() && general.check_credential(&"a".into()).is_ok());

        let wide = AnonymousMinting { per_address: rate(1, 1), total: rate(1_000_000, 1_000_000) };
        let limits = RateLimits::new(&Limits::default(), Some(wide));
        let most = u32::try_from(MOST_OPEN_ADDRESSES).unwrap();
        assert!((0..most).all(|number| limits.check_anonymous(address(number)).is_ok()));
        assert_eq!(limits.check_anonymous(address(most)).unwrap_err().bucket, "anonymous_minting_total");
    }

    #[test]
    fn zero_means_no_limit() {
        let limits = limits((0, 0), (0, 0));
        let address = "192.0.2.1".parse().unwrap();
        assert!((0..10_000).all(|_| limits.check_address(address).is_ok()));
        assert!((0..10_000).all(|_| limits.check_credential(&SecretString::from("a")).is_ok()));
    }
}
