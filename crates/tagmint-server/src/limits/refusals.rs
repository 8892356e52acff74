//! How many refusals of unidentified callers get a row in the ledger, and what is known of those that get none.
//!
//! A stranger can be refused as often as he likes, from as many addresses as he has; the ledger is append-only, and a full disk stops every
//! mint. So strangers' rows are bounded in total and by network, and end before the disk is full. Refusals beyond that are counted, and
//! each period gets one row with their number.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::Timestamp;
use tagmint_core::{ledger::Omitted, witness::SourceNetwork};

use super::buckets::Buckets;
use crate::settings::Limits;

/// Networks that are counted apart in one period.
const NETWORKS_COUNTED: usize = 4_096;
/// Networks that a summary names.
const NETWORKS_NAMED: usize = 10;

/// Why a refusal gets no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Omission {
    /// The address has failed too often: `limits.failed_per_address`.
    Address,
    /// The addresses of its IPv6 /48 have: `limits.failed_per_network`.
    Network,
    /// The network has used up its rows: `limits.refusal_rows_per_network`.
    NetworkRows,
    /// Unidentified callers have used up theirs: `limits.refusal_rows`.
    Rows,
    /// The disk is nearly full: the rest is for mints.
    Disk,
}

impl Omission {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Address, Self::Network, Self::NetworkRows, Self::Rows, Self::Disk];

    /// Its name in metrics and in the ledger's summaries.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Address => "failed_per_address",
            Self::Network => "failed_per_network",
            Self::NetworkRows => "refusal_rows_per_network",
            Self::Rows => "refusal_rows",
            Self::Disk => "disk_nearly_full",
        }
    }
}

/// The rows that unidentified callers have left, and the count of what they get none for.
#[derive(Debug)]
pub struct RefusalRows {
    by_network: Option<Buckets<SourceNetwork>>,
    total: Option<Buckets<()>>,
    disk_is_low: AtomicBool,
    omitted: Mutex<Option<Count>>,
}

#[derive(Debug)]
struct Count {
    since: Timestamp,
    until: Timestamp,
    limits: BTreeMap<Omission, u64>,
    networks: HashMap<SourceNetwork, u64>,
}

impl RefusalRows {
    /// All rows are left.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            by_network: Buckets::hourly(limits.refusal_rows_per_network),
            total: Buckets::hourly(limits.refusal_rows),
            disk_is_low: AtomicBool::new(false),
            omitted: Mutex::new(None),
        }
    }

    /// Takes a row for a refusal. The network pays first, so that a single network cannot use up everybody's rows.
    pub(crate) fn take(&self, remote: IpAddr) -> Result<(), Omission> {
        if self.disk_is_low.load(Ordering::Relaxed) {
            return Err(Omission::Disk);
        }
        let network = SourceNetwork::from(remote);
        if let Some(by_network) = &self.by_network {
            by_network.take(network).map_err(|_| Omission::NetworkRows)?;
        }
        let Some(total) = &self.total else { return Ok(()) };
        total.take(()).map_err(|_| {
            if let Some(by_network) = &self.by_network {
                by_network.give_back(&network);
            }
            Omission::Rows
        })
    }

    /// Whether the disk has so little space left that it is kept for mints.
    pub(crate) fn disk_is_low(&self, low: bool) {
        self.disk_is_low.store(low, Ordering::Relaxed);
    }

    /// Counts a refusal that gets no row. Returns whether it is the first since the last summary.
    pub(crate) fn omit(&self, remote: IpAddr, why: Omission, now: Timestamp) -> bool {
        let mut omitted = self.omitted();
        let first = omitted.is_none();
        let count = omitted.get_or_insert_with(|| Count {
            since: now,
            until: now,
            limits: BTreeMap::new(),
            networks: HashMap::new(),
        });
        count.since = count.since.min(now);
        count.until = count.until.max(now);
        *count.limits.entry(why).or_default() += 1;
        let network = SourceNetwork::from(remote);
        if count.networks.len() < NETWORKS_COUNTED || count.networks.contains_key(&network) {
            *count.networks.entry(network).or_default() += 1;
        }
        first
    }

    /// Takes the count of what was omitted since the last summary, and restarts it.
    pub(crate) fn summary(&self) -> Option<Omitted> {
        let Count { since, until, limits, networks } = self.omitted().take()?;
        let mut networks: Vec<(String, u64)> =
            networks.into_iter().map(|(network, count)| (network.to_string(), count)).collect();
        networks.sort_unstable_by(|(a, most), (b, more)| more.cmp(most).then_with(|| a.cmp(b)));
        networks.truncate(NETWORKS_NAMED);
        Some(Omitted {
            count: limits.values().sum(),
            since_ms: since.as_millisecond(),
            until_ms: until.as_millisecond(),
            limits: limits.into_iter().map(|(why, count)| (why.as_str().to_owned(), count)).collect(),
            networks: networks.into_iter().collect(),
        })
    }

    /// Counts what a summary holds that was not written.
    pub(crate) fn put_back(&self, summary: &Omitted) {
        let moment = |ms| Timestamp::from_millisecond(ms).unwrap_or_default();
        let mut omitted = self.omitted();
        let count = omitted.get_or_insert_with(|| Count {
            since: moment(summary.since_ms),
            until: moment(summary.until_ms),
            limits: BTreeMap::new(),
            networks: HashMap::new(),
        });
        count.since = count.since.min(moment(summary.since_ms));
        count.until = count.until.max(moment(summary.until_ms));
        for why in Omission::ALL {
            if let Some(more) = summary.limits.get(why.as_str()) {
                *count.limits.entry(why).or_default() += more;
            }
        }
        // Of the networks only their names are left: the next summary names those of its own time.
    }

    fn omitted(&self) -> MutexGuard<'_, Option<Count>> {
        self.omitted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::HourlyRate;

    fn rows(network: u32, total: u32) -> RefusalRows {
        let rate = |burst| HourlyRate { per_hour: u32::from(burst != 0), burst };
        let limits = Limits { refusal_rows_per_network: rate(network), refusal_rows: rate(total), ..Limits::default() };
        RefusalRows::new(&limits)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_has_its_rows_and_all_together_have_theirs() {
        let rows = rows(2, 5);
        // Addresses of one /48, each in a /64 of its own, are one network.
        assert!(rows.take(ip("2001:db8:1:1::1")).is_ok() && rows.take(ip("2001:db8:1:2::1")).is_ok());
        assert_eq!(rows.take(ip("2001:db8:1:3::1")), Err(Omission::NetworkRows));
        // So are those of an IPv4 /24, however they are written.
        assert!(rows.take(ip("192.0.2.1")).is_ok() && rows.take(ip("::ffff:192.0.2.2")).is_ok());
        assert_eq!(rows.take(ip("192.0.2.3")), Err(Omission::NetworkRows));
        assert!(rows.take(ip("2001:db8:2::1")).is_ok());
        for number in 3..1_000 {
            assert_eq!(rows.take(ip(&format!("2001:db8:{number:x}::1"))), Err(Omission::Rows));
        }
        // A refusal by the total limit has cost the network nothing.
        tokio::time::advance(std::time::Duration::from_hours(2)).await;
        assert!(rows.take(ip("2001:db8:3::1")).is_ok() && rows.take(ip("2001:db8:3::1")).is_ok());
    }

    #[test]
    fn no_limit_is_no_limit_and_a_low_disk_is_one() {
        let rows = rows(0, 0);
        assert!((0..10_000).all(|_| rows.take(ip("192.0.2.1")).is_ok()));
        rows.disk_is_low(true);
        assert_eq!(rows.take(ip("192.0.2.1")), Err(Omission::Disk));
        rows.disk_is_low(false);
        assert!(rows.take(ip("192.0.2.1")).is_ok());
    }

    #[test]
    fn a_summary_says_how_many_and_from_where() {
        let rows = rows(1, 1);
        assert_eq!(rows.summary(), None);
        assert!(rows.omit(ip("2001:db8::1"), Omission::Rows, at(5)), "the first");
        for number in 0..40 {
            assert!(!rows.omit(ip(&format!("198.51.{}.1", number % 20)), Omission::NetworkRows, at(6)));
        }
        assert!(!rows.omit(ip("2001:db8:0:ffff::1"), Omission::Rows, at(3)), "a clock that was set back");
        let summary = rows.summary().unwrap();
        assert_eq!(
            (summary.count, summary.since_ms, summary.until_ms),
            (42, at(3).as_millisecond(), at(6).as_millisecond())
        );
        let of = |name: &str| summary.limits.get(name).copied();
        assert_eq!((of("refusal_rows"), of("refusal_rows_per_network"), summary.limits.len()), (Some(2), Some(40), 2));
        assert_eq!(summary.networks.len(), NETWORKS_NAMED);
        assert_eq!(summary.networks.get("198.51.0.0/24"), Some(&2));
        assert_eq!(rows.summary(), None);
        // Not written: the next one counts them too.
        rows.omit(ip("192.0.2.1"), Omission::Disk, at(9));
        rows.put_back(&summary);
        let next = rows.summary().unwrap();
        assert_eq!((next.count, next.since_ms, next.until_ms), (43, at(3).as_millisecond(), at(9).as_millisecond()));
    }

    #[test]
    fn the_networks_that_are_counted_are_bounded() {
        let rows = rows(1, 1);
        for number in 0..10_000_u32 {
            rows.omit(IpAddr::from((number << 8).to_be_bytes()), Omission::Rows, at(0));
        }
        assert_eq!(rows.omitted().as_ref().unwrap().networks.len(), NETWORKS_COUNTED);
        assert_eq!(rows.summary().unwrap().count, 10_000);
    }
}
