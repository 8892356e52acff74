//! Records who fetches discovery and the key set, beside the requests and never in their way.
//!
//! A handler puts what it saw into a bounded queue and goes on; where the queue is full the fetch is dropped and counted. A task sums up what
//! is in the queue, and writes the sums to the database every [`WRITE_INTERVAL`]. With the database gone the documents are answered as
//! before, and the sums are kept, bounded, until it is back. What a fetch is worth as a witness: `tagmint_core::witness`.

mod sums;
mod watch;

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use metrics::Counter;
use tagmint_core::{
    signing_key::KeyId,
    witness::{Document, FetchClass, Recognition, UserAgent},
};
use tagmint_store::{Store, StoreError};
use tokio::sync::mpsc;

use self::sums::Sums;
pub(crate) use self::watch::Watch;
use crate::metrics::Metrics;

/// Fetches that may wait to be summed up. Each holds a user agent of at most 120 bytes and no buffer of its request.
const QUEUE_LENGTH: usize = 8192;
/// How often the sums are written.
pub const WRITE_INTERVAL: Duration = Duration::from_secs(5);
/// How long the last write may take at the end.
const LAST_WRITE: Duration = Duration::from_secs(2);

/// One fetch, as its handler saw it.
#[derive(Debug)]
pub(crate) struct Fetch {
    /// When it was answered.
    pub at: Timestamp,
    /// The caller's address, behind trusted proxies.
    pub remote: IpAddr,
    /// The caller's user agent.
    pub agent: UserAgent,
    /// What was fetched.
    pub document: Document,
    /// The answer's status.
    pub status: u16,
    /// From the request's headers to the answer.
    pub took: Duration,
    /// The keys in the set that the caller has now; none where it was not shown the set.
    pub shown: Option<Arc<[KeyId]>>,
}

/// The queue, and what was made of it.
#[derive(Debug)]
pub(crate) struct Recorder {
    sender: mpsc::Sender<Fetch>,
    receiver: tokio::sync::Mutex<mpsc::Receiver<Fetch>>,
    sums: Mutex<Sums>,
    recognition: Recognition,
    dropped: Counter,
    write_failures: Counter,
    by_class: [ByDocument; 2],
}

#[derive(Debug)]
struct ByDocument {
    discovery: Counter,
    jwks: Counter,
}

impl Recorder {
    /// A recorder that takes for STS whom `recognition` does.
    pub fn new(recognition: Recognition, metrics: &Metrics) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE_LENGTH);
        let counter = |class: FetchClass, document: Document| {
            let labels = [("class", class.as_str()), ("document", document.as_str())];
            metrics.counter("tagmint_document_fetches_total", &labels)
        };
        let by_class = [FetchClass::Sts, FetchClass::Other].map(|class| ByDocument {
            discovery: counter(class, Document::Discovery),
            jwks: counter(class, Document::Jwks),
        });
        Self {
            sender,
            receiver: tokio::sync::Mutex::new(receiver),
            sums: Mutex::default(),
            recognition,
            dropped: metrics.counter("tagmint_document_fetches_dropped_total", &[]),
            write_failures: metrics.counter("tagmint_document_fetches_write_failures_total", &[]),
            by_class,
        }
    }

    /// Takes note of a fetch. Never waits.
    pub fn saw(&self, fetch: Fetch) {
        if self.sender.try_send(fetch).is_err() {
            self.dropped.increment(1);
        }
    }

    /// Sums up and writes until the process ends.
    pub async fn keep(&self, store: &Store) {
        let write = async {
            loop {
                tokio::time::sleep(WRITE_INTERVAL).await;
                self.write_or_tell(store).await;
            }
        };
        tokio::join!(self.collect(), write);
    }

    /// Writes everything that was seen. For the end, when [`keep`](Self::keep) has stopped.
    pub async fn finish(&self, store: &Store) {
        let write = async {
            self.drain().await;
            self.write_or_tell(store).await;
        };
        if tokio::time::timeout(LAST_WRITE, write).await.is_err() {
            tracing::warn!("the last fetches of the key set were not recorded: the database did not answer");
        }
    }

    /// Writes everything that was seen.
    pub async fn write(&self, store: &Store) -> Result<(), StoreError> {
        self.drain().await;
        self.write_sums(store).await
    }

    async fn collect(&self) {
        const AT_ONCE: usize = 256;
        let mut receiver = self.receiver.lock().await;
        let mut fetches = Vec::with_capacity(AT_ONCE);
        while receiver.recv_many(&mut fetches, AT_ONCE).await > 0 {
            self.sum_up(fetches.drain(..));
        }
    }

    async fn drain(&self) {
        let mut receiver = self.receiver.lock().await;
        self.sum_up(std::iter::from_fn(|| receiver.try_recv().ok()));
    }

    fn sum_up(&self, fetches: impl Iterator<Item = Fetch>) {
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        for fetch in fetches {
            let class = self.recognition.class(fetch.remote, &fetch.agent);
            let [sts, other] = &self.by_class;
            let by_document = if class == FetchClass::Sts { sts } else { other };
            match fetch.document {
                Document::Discovery => by_document.discovery.increment(1),
                Document::Jwks => by_document.jwks.increment(1),
            }
            sums.add(fetch, class);
        }
    }

    async fn write_or_tell(&self, store: &Store) {
        if let Err(error) = self.write_sums(store).await {
            self.write_failures.increment(1);
            tracing::warn!(%error, "fetches of the key set were not recorded; trying again");
        }
    }

    async fn write_sums(&self, store: &Store) -> Result<(), StoreError> {
        let batch = self.sums.lock().unwrap_or_else(PoisonError::into_inner).take();
        if batch.is_empty() {
            return Ok(());
        }
        let (sums, keys) = batch.records();
        let written = store.witness().add(&sums, &keys).await;
        if written.is_err() {
            self.sums.lock().unwrap_or_else(PoisonError::into_inner).put_back(batch);
        }
        written
    }
}

#[cfg(test)]
mod tests;
