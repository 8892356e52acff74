//! The group-committing writer: one task, and a queue before it.
//!
//! Whatever entries are waiting go into one transaction, so a thousand concurrent mints wait for a few fsyncs, not for a thousand. Nobody
//! waits for company: while a batch is being written the next one gathers. An answer means that the row is on disk.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tagmint_core::{environment::Stamp, ledger::LedgerEntry, sealing::MasterKey};
use tokio::sync::{mpsc, oneshot};

use super::append::{Appender, KnownHead};
use crate::{
    engine::Engine,
    error::{Fault, LedgerError},
};

/// Entries in one transaction.
const MAX_BATCH: usize = 256;
/// Entries that wait; more make their callers wait.
const QUEUE: usize = 4096;

/// The writer's figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerStats {
    /// Entries that wait now.
    pub queued: usize,
    /// Entries in the last transaction.
    pub last_batch: u64,
    /// Transactions so far.
    pub commits: u64,
    /// Rows so far.
    pub rows: u64,
    /// Whether the last attempt to write failed.
    pub failing: bool,
}

#[derive(Debug, Default)]
struct Figures {
    last_batch: AtomicU64,
    commits: AtomicU64,
    rows: AtomicU64,
    failing: AtomicBool,
}

#[derive(Debug)]
struct Pending {
    entry: LedgerEntry,
    answer: oneshot::Sender<Result<i64, LedgerError>>,
}

#[derive(Debug)]
enum Message {
    Append(Box<Pending>),
    Close(oneshot::Sender<()>),
    #[cfg(test)]
    Execute(&'static str, oneshot::Sender<()>),
}

/// The handle of a ledger's writer. Clones share the writer; it ends when all are dropped or one closes it.
#[derive(Clone)]
pub struct LedgerWriter {
    queue: mpsc::Sender<Message>,
    figures: Arc<Figures>,
    engine: Engine,
    known: KnownHead,
}

impl LedgerWriter {
    pub(crate) async fn start(engine: Engine, stamp: Stamp, master_key: Arc<MasterKey>) -> Result<Self, LedgerError> {
        let appender = Appender::start(engine.clone(), &stamp, master_key).await?;
        let known = appender.known();
        let (queue, messages) = mpsc::channel(QUEUE);
        let figures = Arc::new(Figures::default());
        tokio::spawn(Worker { appender, messages, figures: Arc::clone(&figures) }.run());
        Ok(Self { queue, figures, engine, known })
    }

    /// Appends an entry; returns its sequence once the row is on disk, and survives a power cut.
    ///
    /// Waits no longer than `patience`. After [`LedgerError::Timeout`], or when the caller stops waiting, the row may be written or not:
    /// release nothing.
    pub async fn append(&self, entry: LedgerEntry, patience: Duration) -> Result<i64, LedgerError> {
        let (answer, written) = oneshot::channel();
        let message = Message::Append(Box::new(Pending { entry, answer }));
        let appended = async {
            self.queue.send(message).await.map_err(|_| LedgerError::Closed)?;
            written.await.map_err(|_| LedgerError::Closed)?
        };
        tokio::time::timeout(patience, appended).await.unwrap_or(Err(LedgerError::Timeout(patience)))
    }

    /// Whether the stored ledger holds all that this writer knows. Where it does not, nothing is appended to it.
    pub async fn check(&self) -> Result<(), LedgerError> {
        self.known.check(&self.engine).await
    }

    /// Writes what is waiting, then ends the writer. Entries that come later are refused.
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.queue.send(Message::Close(done)).await.is_ok() {
            let _ = closed.await;
        }
    }

    /// The writer's figures now.
    pub fn stats(&self) -> LedgerStats {
        LedgerStats {
            queued: self.queue.max_capacity() - self.queue.capacity(),
            last_batch: self.figures.last_batch.load(Ordering::Relaxed),
            commits: self.figures.commits.load(Ordering::Relaxed),
            rows: self.figures.rows.load(Ordering::Relaxed),
            failing: self.figures.failing.load(Ordering::Relaxed),
        }
    }

    /// Runs a statement on the writer's own connection: a test's way to make it fail.
    #[cfg(test)]
    pub(crate) async fn execute(&self, statement: &'static str) {
        let (done, executed) = oneshot::channel();
        self.queue.send(Message::Execute(statement, done)).await.expect("the writer runs");
        executed.await.expect("the writer runs");
    }
}

impl fmt::Debug for LedgerWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stats().fmt(f)
    }
}

struct Worker {
    appender: Appender,
    messages: mpsc::Receiver<Message>,
    figures: Arc<Figures>,
}

impl Worker {
    async fn run(mut self) {
        let mut messages = Vec::with_capacity(MAX_BATCH);
        let mut batch = Vec::with_capacity(MAX_BATCH);
        let mut closers = Vec::new();
        while self.messages.recv_many(&mut messages, MAX_BATCH).await > 0 {
            for message in messages.drain(..) {
                match message {
                    Message::Append(pending) => batch.push(*pending),
                    Message::Close(done) => {
                        self.messages.close();
                        closers.push(done);
                    }
                    #[cfg(test)]
                    Message::Execute(statement, done) => {
                        self.appender.execute(statement).await;
                        let _ = done.send(());
                    }
                }
            }
            self.write(&mut batch).await;
        }
        self.appender.close().await;
        for done in closers {
            let _ = done.send(());
        }
    }

    async fn write(&mut self, batch: &mut Vec<Pending>) {
        // Whose caller has gone releases nothing, so there is nothing to record.
        batch.retain(|pending| !pending.answer.is_closed());
        if batch.is_empty() {
            return;
        }
        let written = self.append(batch).await;
        if batch.len() > 1 && written.as_ref().is_err_and(is_one_entrys_fault) {
            // One bad entry must not refuse the others.
            for pending in batch.drain(..) {
                let written = self.append(std::slice::from_ref(&pending)).await;
                let _ = pending.answer.send(written);
            }
            return;
        }
        for (index, pending) in (0_i64..).zip(batch.drain(..)) {
            let _ = pending.answer.send(written.clone().map(|first| first + index));
        }
    }

    /// Appends in one transaction; returns the first entry's sequence.
    async fn append(&mut self, batch: &[Pending]) -> Result<i64, LedgerError> {
        let entries: Vec<&LedgerEntry> = batch.iter().map(|pending| &pending.entry).collect();
        let written = self.appender.append(&entries).await;
        // A repeated id is the entry's fault; the ledger works.
        let failing = written.as_ref().is_err_and(|error| !matches!(error, LedgerError::Duplicate(_)));
        let was_failing = self.figures.failing.swap(failing, Ordering::Relaxed);
        match &written {
            Ok(_) => {
                let rows = entries.len() as u64;
                self.figures.last_batch.store(rows, Ordering::Relaxed);
                self.figures.rows.fetch_add(rows, Ordering::Relaxed);
                self.figures.commits.fetch_add(1, Ordering::Relaxed);
                if was_failing {
                    tracing::info!("the ledger is written again");
                }
            }
            Err(error) => {
                tracing::error!(%error, entries = entries.len(), "the ledger was not written; nothing is minted");
            }
        }
        written
    }
}

/// Whether writing the entries one by one may help.
fn is_one_entrys_fault(error: &LedgerError) -> bool {
    matches!(error, LedgerError::Store(error) if error.fault() == Some(Fault::Taken))
}
