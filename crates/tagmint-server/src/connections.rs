//! Connections: how many there may be, from one address and in all, who gives way when there are too many, and how long one may be silent.
//!
//! Whoever fills the places with connections that ask nothing must not keep others out: when no place is left, the connection that has been
//! waiting longest gives way to the new one. A connection waits while none of its requests is wholly here, so that headers and bodies that
//! drip hold no place either. Where all have come in a burst, those that have hardly said anything go first, so that it does not carry off who
//! is in the middle of a handshake. Only where every connection has a request under way are new ones refused.

mod allowance;
mod asked;
mod guarded;
mod seldom;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use metrics::{Counter, Gauge};
use tagmint_core::witness::Networks;
use tokio::{sync::Notify, time::Instant};

use self::allowance::Allowance;
pub(crate) use self::{asked::Asked, guarded::Guarded, seldom::Seldom};
use crate::{client_address::Peer, limits::network, settings::Limits};

/// How many connections may be there beyond the most, while those that gave way are being closed.
const LEAVING: usize = 32;
/// How long an honest client may take from one step to the next.
const STEP: Duration = Duration::from_millis(500);
/// Fewer bytes say nothing: less than a ClientHello, than the preface of HTTP/2, than any request.
const HARDLY_ANYTHING: u64 = 24;
/// How long a connection may be silent, once the end has begun, before it is closed. More than a slow network's round trip.
const SILENCE: Duration = Duration::from_secs(1);
/// How often a connection with a request under way is looked at during the end.
const LOOK: Duration = Duration::from_millis(50);

/// What is counted about connections.
#[derive(Debug, Clone)]
pub struct ConnectionFigures {
    /// Open now.
    pub open: Gauge,
    /// Refused because too many were open.
    pub refused: Counter,
    /// Closed while they waited, to make room.
    pub evicted: Counter,
    /// Handshakes that failed, took too long or gave way.
    pub failed_handshakes: Counter,
    /// Times that a connection could not be accepted.
    pub failed_accepts: Counter,
}

/// The connections that are open on one listener.
pub struct OpenConnections {
    most: usize,
    most_per_address: usize,
    most_handshakes: usize,
    exempt: Networks,
    figures: ConnectionFigures,
    refusals: Seldom,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    /// By address, with IPv6 by /64.
    by_address: HashMap<IpAddr, usize>,
    /// Connections in the order in which they began to wait.
    waiting: BTreeMap<u64, Waiting>,
    /// Those of them that have said hardly anything.
    silent: BTreeSet<u64>,
    /// Those of them that shake hands.
    handshakes: BTreeSet<u64>,
    last_turn: u64,
}

#[derive(Debug)]
struct Waiting {
    since: Instant,
    /// How the connection hears that it gives way.
    gives_way: Arc<Notify>,
}

impl Counts {
    /// A connection begins to wait; its turn.
    fn wait(&mut self, gives_way: &Arc<Notify>) -> u64 {
        self.last_turn += 1;
        self.waiting.insert(self.last_turn, Waiting { since: Instant::now(), gives_way: Arc::clone(gives_way) });
        self.last_turn
    }

    /// It does not wait any more.
    fn proceed(&mut self, turn: u64) -> Option<Waiting> {
        self.silent.remove(&turn);
        self.handshakes.remove(&turn);
        self.waiting.remove(&turn)
    }

    /// Whoever has been waiting longest gives way: `first`, unless that is not long yet and others have said nothing.
    fn evict(&mut self, first: Option<u64>) -> bool {
        let Some(first) = first else { return false };
        let stalled = self.waiting.get(&first).is_some_and(|waiting| waiting.since.elapsed() >= STEP);
        let turn = if stalled { first } else { self.silent.first().copied().unwrap_or(first) };
        self.proceed(turn).inspect(|waiting| waiting.gives_way.notify_one()).is_some()
    }

    fn evict_one(&mut self) -> bool {
        self.evict(self.waiting.first_key_value().map(|(turn, _)| *turn))
    }
}

impl OpenConnections {
    /// None open yet. Loopback and the trusted proxies, behind which many callers stand, are not limited by address.
    pub fn new(limits: &Limits, trusted_proxies: &Networks, figures: ConnectionFigures) -> Self {
        Self {
            most: limits.connections,
            most_per_address: limits.connections_per_address,
            most_handshakes: limits.handshakes,
            exempt: trusted_proxies.clone(),
            figures,
            refusals: Seldom::default(),
            counts: Mutex::default(),
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is counted.
    pub(crate) const fn figures(&self) -> &ConnectionFigures {
        &self.figures
    }

    /// Whether as many connections as can be are being closed to make room: a new one had better wait a moment.
    pub(crate) fn is_making_room(&self) -> bool {
        self.counts().total >= self.most + LEAVING
    }

    /// Counts a new connection, if it may be. With `handshake` it begins with one of TLS.
    pub(crate) fn admit(self: &Arc<Self>, peer: Peer, handshake: bool) -> Option<Arc<Place>> {
        let address = peer.address().map(|address| address.to_canonical());
        // With IPv6 one caller has a whole network, and an address of it for each connection.
        let limited = address.filter(|address| !address.is_loopback() && !self.exempt.contains(*address)).map(network);
        let mut counts = self.counts();
        let of_peer = limited.and_then(|address| counts.by_address.get(&address).copied()).unwrap_or(0);
        let mut evicted = 0;
        let mut room = of_peer < self.most_per_address;
        if room && counts.total >= self.most {
            room = counts.total < self.most + LEAVING && counts.evict_one();
            evicted += u64::from(room);
        }
        if !room {
            let total = counts.total;
            drop(counts);
            self.figures.refused.increment(1);
            if let Some(unsaid) = self.refusals.say() {
                tracing::warn!(%peer, of_peer, total, unsaid, "a connection was refused: too many are open");
            }
            return None;
        }
        if handshake && counts.handshakes.len() >= self.most_handshakes {
            let first = counts.handshakes.first().copied();
            evicted += u64::from(counts.evict(first));
        }
        counts.total += 1;
        if let Some(address) = limited {
            *counts.by_address.entry(address).or_default() += 1;
        }
        let gives_way = Arc::new(Notify::new());
        let turn = counts.wait(&gives_way);
        counts.silent.insert(turn);
        if handshake {
            counts.handshakes.insert(turn);
        }
        drop(counts);
        self.figures.open.increment(1);
        self.figures.evicted.increment(evicted);
        Some(Arc::new(Place {
            connections: Arc::clone(self),
            address: limited,
            gives_way,
            stands: Mutex::new(Stands { turn, whole: 0 }),
            began: Instant::now(),
            last_byte: AtomicU64::new(0),
            read: AtomicU64::new(0),
            under_way: AtomicUsize::new(0),
            http2: AtomicBool::new(false),
            allowance: Mutex::new(Some(Allowance::default())),
            asked: Notify::new(),
            unread: AtomicBool::new(false),
        }))
    }

    /// Closes the connection that has been waiting longest, where the system has no file left for a new one.
    pub(crate) fn make_room(&self) {
        if self.counts().evict_one() {
            self.figures.evicted.increment(1);
        }
    }
}

/// One connection's place; given back when dropped.
pub(crate) struct Place {
    connections: Arc<OpenConnections>,
    /// Whose it is, where that is limited.
    address: Option<IpAddr>,
    gives_way: Arc<Notify>,
    /// Locked after the counts.
    stands: Mutex<Stands>,
    began: Instant,
    /// When a byte last went to and fro, in milliseconds since the beginning.
    last_byte: AtomicU64,
    /// Bytes that were read.
    read: AtomicU64,
    /// Requests whose headers are here and that have no answer yet.
    under_way: AtomicUsize,
    http2: AtomicBool,
    /// What may still be said without a request. HTTP/1.1, where nothing can be, has no such bound.
    allowance: Mutex<Option<Allowance>>,
    /// A request has come.
    asked: Notify,
    /// The body of the last request was not read to its end.
    unread: AtomicBool,
}

struct Stands {
    turn: u64,
    /// Requests that are wholly here and have no answer yet.
    whole: usize,
}

impl Place {
    fn stands(&self) -> MutexGuard<'_, Stands> {
        self.stands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when the connection has to make room for another.
    pub(crate) async fn given_way(&self) {
        self.gives_way.notified().await;
    }

    /// The handshake is done: the connection waits for a request.
    pub(crate) fn shook_hands(&self) {
        let mut counts = self.connections.counts();
        let mut stands = self.stands();
        // It is not there when the connection was told to give way.
        if counts.proceed(stands.turn).is_some() {
            stands.turn = counts.wait(&self.gives_way);
        }
    }

    fn allowance(&self) -> MutexGuard<'_, Option<Allowance>> {
        self.allowance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many bytes were read. False when the peer goes on and on without asking anything.
    pub(crate) fn read(&self, bytes: usize) -> bool {
        self.touch();
        let bytes = bytes as u64;
        let before = self.read.fetch_add(bytes, Ordering::Relaxed);
        if before < HARDLY_ANYTHING && before + bytes >= HARDLY_ANYTHING {
            let mut counts = self.connections.counts();
            let turn = self.stands().turn;
            counts.silent.remove(&turn);
        }
        self.allowance().as_mut().is_none_or(|allowance| allowance.spend(bytes, self.began.elapsed()))
    }

    /// A byte was read or written.
    pub(crate) fn touch(&self) {
        let at = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_byte.store(at, Ordering::Relaxed);
    }

    /// A request's headers are here.
    pub(crate) fn asked(self: &Arc<Self>, http2: bool) -> Arc<Asked> {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        self.http2.store(http2, Ordering::Relaxed);
        {
            let mut allowance = self.allowance();
            if http2 {
                allowance.iter_mut().for_each(Allowance::earn_by_request);
            } else {
                *allowance = None;
            }
        }
        self.asked.notify_one();
        Asked::new(Arc::clone(self))
    }

    /// So many bytes of a body have come.
    pub(crate) fn earn(&self, bytes: usize) {
        self.allowance().iter_mut().for_each(|allowance| allowance.earn_by_body(bytes as u64));
    }

    /// A request is answered, or about to be, whose body has not come to its end.
    pub(crate) fn has_left_unread(&self) {
        self.unread.store(true, Ordering::Relaxed);
    }

    /// The body has come to its end after all.
    pub(crate) fn has_read_all(&self) {
        self.unread.store(false, Ordering::Relaxed);
    }

    /// Whether the peer may still be sending a body that the server does not read.
    pub(crate) fn leaves_unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }

    /// Returns when a request has come, perhaps before the call.
    pub(crate) async fn next_request(&self) {
        self.asked.notified().await;
    }

    /// Whether HTTP/2 is spoken, as far as is known.
    pub(crate) fn speaks_http2(&self) -> bool {
        self.http2.load(Ordering::Relaxed)
    }

    /// HTTP/2 was agreed on in the handshake.
    pub(crate) fn agreed_on_http2(&self) {
        self.http2.store(true, Ordering::Relaxed);
    }

    /// Returns when, after the end has begun, the connection has nothing under way and was silent for a while, or has been at it for so long
    /// without a request.
    pub(crate) async fn idle_at_the_end(&self, most: Duration) {
        let end_began = Instant::now();
        loop {
            if self.under_way.load(Ordering::Relaxed) > 0 {
                tokio::time::sleep(LOOK).await;
                continue;
            }
            let last_byte = self.began + Duration::from_millis(self.last_byte.load(Ordering::Relaxed));
            let until = (last_byte.max(end_began) + SILENCE).min(end_began + most);
            if Instant::now() >= until {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.connections.counts();
        let turn = self.stands().turn;
        counts.proceed(turn);
        counts.total = counts.total.saturating_sub(1);
        if let Some(address) = &self.address
            && let Some(of_peer) = counts.by_address.get_mut(address)
        {
            *of_peer -= 1;
            if *of_peer == 0 {
                counts.by_address.remove(address);
            }
        }
        drop(counts);
        self.connections.figures.open.decrement(1);
    }
}

#[cfg(test)]
mod tests;
