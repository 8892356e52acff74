//! Connections: how many there may be, from one address and in all, and how long one may be silent.

use std::{
    collections::HashMap,
    io::{self, IoSlice},
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum_server::accept::Accept;
use futures::future::{Ready, ready};
use metrics::Counter;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_io_timeout::TimeoutStream;

use crate::settings::Limits;

/// The connections that are open on one listener.
pub struct OpenConnections {
    most: usize,
    most_per_address: usize,
    exempt: Vec<IpAddr>,
    refused: Counter,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

impl OpenConnections {
    /// None open yet. Loopback and the trusted proxies, behind which many callers stand, are not limited by address.
    pub fn new(limits: &Limits, trusted_proxies: &[IpAddr], refused: Counter) -> Self {
        Self {
            most: limits.connections,
            most_per_address: limits.connections_per_address,
            exempt: trusted_proxies.to_vec(),
            refused,
            counts: Mutex::default(),
        }
    }

    /// Counts a new connection, if it may be.
    fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let peer = peer.to_canonical();
        let limited = !peer.is_loopback() && !self.exempt.contains(&peer);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let total = counts.total;
        let of_peer = counts.by_address.get(&peer).copied().unwrap_or(0);
        if total >= self.most || (limited && of_peer >= self.most_per_address) {
            drop(counts);
            self.refused.increment(1);
            tracing::warn!(%peer, of_peer, total, "a connection was refused: too many are open");
            return None;
        }
        counts.total += 1;
        *counts.by_address.entry(peer).or_default() += 1;
        Some(Place { connections: Arc::clone(self), peer })
    }
}

/// One connection's place; given back when dropped.
struct Place {
    connections: Arc<OpenConnections>,
    peer: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.connections.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.total = counts.total.saturating_sub(1);
        if let Some(of_peer) = counts.by_address.get_mut(&self.peer) {
            *of_peer -= 1;
            if *of_peer == 0 {
                counts.by_address.remove(&self.peer);
            }
        }
    }
}

/// Takes connections that find a place, and closes those that have been silent for too long: a peer that says nothing holds no socket for
/// ever.
#[derive(Clone)]
pub(crate) struct GuardedAcceptor {
    pub(crate) idle_timeout: Duration,
    pub(crate) open: Arc<OpenConnections>,
}

impl<S> Accept<TcpStream, S> for GuardedAcceptor {
    type Stream = Pin<Box<TimeoutStream<CountedStream>>>;
    type Service = S;
    type Future = Ready<io::Result<(Self::Stream, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let guarded = || {
            let peer = stream.peer_addr()?.ip();
            let place = self.open.admit(peer).ok_or_else(|| io::Error::other("too many connections"))?;
            // Answers are small and whole: waiting to fill a segment only adds to the latency.
            stream.set_nodelay(true)?;
            let mut stream = TimeoutStream::new(CountedStream { stream, _place: place });
            stream.set_read_timeout(Some(self.idle_timeout));
            stream.set_write_timeout(Some(self.idle_timeout));
            Ok((Box::pin(stream), service))
        };
        ready(guarded())
    }
}

/// A stream that gives its place back when it is closed.
pub(crate) struct CountedStream {
    stream: TcpStream,
    _place: Place,
}

impl AsyncRead for CountedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for CountedStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(most: usize, per_address: usize) -> Arc<OpenConnections> {
        let limits = Limits { connections: most, connections_per_address: per_address, ..Limits::default() };
        Arc::new(OpenConnections::new(&limits, &["10.0.0.1".parse().unwrap()], Counter::noop()))
    }

    #[test]
    fn places_are_limited_by_address_and_in_all_and_given_back() {
        let connections = open(4, 2);
        let (one, two): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let first = connections.admit(one).unwrap();
        let _second = connections.admit(one).unwrap();
        assert!(connections.admit(one).is_none());
        let _third = connections.admit(two).unwrap();
        drop(first);
        let _again = connections.admit(one).unwrap();
        let _fourth = connections.admit(two).unwrap();
        assert!(connections.admit("192.0.2.3".parse().unwrap()).is_none(), "all places are taken");
    }

    #[test]
    fn loopback_and_proxies_are_limited_in_all_alone() {
        for exempt in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1"] {
            let connections = open(3, 1);
            let places: Vec<_> = (0..3).map_while(|_| connections.admit(exempt.parse().unwrap())).collect();
            assert_eq!(places.len(), 3, "{exempt}");
            assert!(connections.admit(exempt.parse().unwrap()).is_none());
        }
    }

    #[test]
    fn nothing_is_kept_of_an_address_that_is_gone() {
        let connections = open(3, 1);
        drop(connections.admit("192.0.2.1".parse().unwrap()));
        assert!(connections.counts.lock().unwrap().by_address.is_empty());
    }
}
