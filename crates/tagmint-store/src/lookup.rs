//! Look-ups that share statements.
//!
//! A statement costs more to hand to the database than to run, so whatever look-ups are waiting go into one. Nobody waits for company: a
//! single look-up is a statement by itself. Nothing is cached: what another process has revoked is seen by the next statement.

use std::{collections::HashMap, future::Future};

use tagmint_core::issued_secret::SecretHash;
use tokio::sync::{mpsc, oneshot};

use crate::{
    engine::{Connection, Engine, Executor},
    error::StoreError,
};

/// Look-ups in one statement.
const MAX_BATCH: usize = 64;
/// Look-ups that wait; more make their callers wait.
const QUEUE: usize = 1024;

/// Where records are looked up.
pub(crate) trait BatchSource: Send + 'static {
    /// What is found.
    type Record: Clone + Send + 'static;
    /// The table, for errors.
    const TABLE: &'static str;
    /// What is done, for errors.
    const DOING: &'static str;

    /// The records whose secret's hash is in `hashes`, a JSON array of hexadecimal texts.
    fn fetch(executor: Executor<'_>, hashes: String) -> impl Future<Output = Fetched<Self::Record>> + Send;
}

/// A record, or the row's id and the column that is unusable.
pub(crate) type Stored<R> = Result<R, (String, &'static str)>;

/// What one statement found: records by the hash of their secret.
pub(crate) type Fetched<R> = Result<Vec<(String, Stored<R>)>, sqlx::Error>;

type Found<S> = Result<Option<<S as BatchSource>::Record>, StoreError>;

enum Request<S: BatchSource> {
    Find { hash: String, answer: oneshot::Sender<Found<S>> },
    Close { done: oneshot::Sender<()> },
}

/// The handle of the task that looks up.
pub(crate) struct BatchLookup<S: BatchSource> {
    queue: mpsc::Sender<Request<S>>,
}

impl<S: BatchSource> BatchLookup<S> {
    /// Starts the task. It ends when the handle is dropped.
    pub(crate) fn start(engine: Engine) -> Self {
        let (queue, requests) = mpsc::channel(QUEUE);
        tokio::spawn(Worker::<S> { engine, connection: None, requests }.run());
        Self { queue }
    }

    /// The record of a secret, good or not.
    pub(crate) async fn find(&self, hash: SecretHash) -> Found<S> {
        let (answer, found) = oneshot::channel();
        let request = Request::Find { hash: hash.to_hex(), answer };
        self.queue.send(request).await.map_err(|_| StoreError::Closed)?;
        found.await.map_err(|_| StoreError::Closed)?
    }

    /// Answers what is waiting and closes the connection.
    pub(crate) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.queue.send(Request::Close { done }).await.is_ok() {
            let _ = closed.await;
        }
    }
}

struct Worker<S: BatchSource> {
    engine: Engine,
    connection: Option<Connection>,
    requests: mpsc::Receiver<Request<S>>,
}

impl<S: BatchSource> Worker<S> {
    async fn run(mut self) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        let mut closers = Vec::new();
        while self.requests.recv_many(&mut batch, MAX_BATCH).await > 0 {
            let mut waiting: HashMap<String, Vec<oneshot::Sender<Found<S>>>> = HashMap::with_capacity(batch.len());
            for request in batch.drain(..) {
                match request {
                    Request::Find { hash, answer } => waiting.entry(hash).or_default().push(answer),
                    Request::Close { done } => {
                        self.requests.close();
                        closers.push(done);
                    }
                }
            }
            if !waiting.is_empty() {
                self.answer(waiting).await;
            }
        }
        if let Some(connection) = self.connection.take() {
            connection.close().await;
        }
        for done in closers {
            let _ = done.send(());
        }
    }

    async fn answer(&mut self, waiting: HashMap<String, Vec<oneshot::Sender<Found<S>>>>) {
        let hashes: Vec<&String> = waiting.keys().collect();
        let hashes = serde_json::to_string(&hashes).expect("texts are JSON");
        let found = self.fetch(hashes).await.map(HashMap::from_iter);
        let mut found: HashMap<String, Stored<S::Record>> = match found {
            Ok(found) => found,
            Err(error) => {
                for answer in waiting.into_values().flatten() {
                    let _ = answer.send(Err(error.clone()));
                }
                return;
            }
        };
        for (hash, answers) in waiting {
            let found: Found<S> = found.remove(&hash).transpose().map_err(|(row, column)| StoreError::Row {
                database: self.engine.name().clone(),
                table: S::TABLE,
                row,
                column,
            });
            for answer in answers {
                let _ = answer.send(found.clone());
            }
        }
    }

    /// Connects where there is no connection; drops one that failed, so that the next look-up begins with a fresh one.
    async fn fetch(&mut self, hashes: String) -> Result<Vec<(String, Stored<S::Record>)>, StoreError> {
        self.engine.check_in_place()?;
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.engine.connect().await?,
        };
        let found = S::fetch(self.connection.insert(connection).executor(), hashes).await;
        found.map_err(|error| {
            self.connection = None;
            self.engine.failed(S::DOING)(error)
        })
    }
}
