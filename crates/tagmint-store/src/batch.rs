//! Requests that share work on the database: one task, its own connection, and a queue before it.
//!
//! A statement costs more to hand to the database than to run, and a commit waits for the disk, so whatever requests are waiting are
//! answered together. Nobody waits for company: a single request is a batch by itself, and while it is worked on the next one gathers.

use std::future::Future;

use tokio::sync::{mpsc, oneshot};

use crate::{
    engine::{Connection, Engine},
    error::StoreError,
};

/// Requests in one batch.
const MAX_BATCH: usize = 64;
/// Requests that wait; more make their callers wait.
const QUEUE: usize = 1024;

/// What is done with a batch.
pub(crate) trait BatchWork: Send + 'static {
    /// What is asked.
    type Request: Send + Sync + 'static;
    /// What is answered.
    type Answer: Send + 'static;

    /// Answers each request, in order. After an error, which all callers get, the connection is dropped: it may be in a transaction still.
    fn run(
        engine: &Engine,
        connection: &mut Connection,
        requests: &[Self::Request],
    ) -> impl Future<Output = Result<Vec<Result<Self::Answer, StoreError>>, StoreError>> + Send;
}

enum Message<W: BatchWork> {
    Ask { request: W::Request, answer: oneshot::Sender<Result<W::Answer, StoreError>> },
    Close { done: oneshot::Sender<()> },
}

/// The handle of the task.
pub(crate) struct Batches<W: BatchWork> {
    queue: mpsc::Sender<Message<W>>,
}

impl<W: BatchWork> Batches<W> {
    /// Starts the task. It ends when the handle is dropped.
    pub(crate) fn start(engine: Engine) -> Self {
        let (queue, messages) = mpsc::channel(QUEUE);
        tokio::spawn(Worker::<W> { engine, connection: None, messages }.run());
        Self { queue }
    }

    /// Asks, and waits for the answer.
    pub(crate) async fn ask(&self, request: W::Request) -> Result<W::Answer, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.queue.send(Message::Ask { request, answer }).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// Answers what is waiting and closes the connection.
    pub(crate) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.queue.send(Message::Close { done }).await.is_ok() {
            let _ = closed.await;
        }
    }
}

struct Worker<W: BatchWork> {
    engine: Engine,
    connection: Option<Connection>,
    messages: mpsc::Receiver<Message<W>>,
}

impl<W: BatchWork> Worker<W> {
    async fn run(mut self) {
        let mut messages = Vec::with_capacity(MAX_BATCH);
        let mut closers = Vec::new();
        while self.messages.recv_many(&mut messages, MAX_BATCH).await > 0 {
            let (mut requests, mut answers) = (Vec::with_capacity(messages.len()), Vec::with_capacity(messages.len()));
            for message in messages.drain(..) {
                match message {
                    // Whose caller has gone gets nothing, so nothing is done for it.
                    Message::Ask { answer, .. } if answer.is_closed() => {}
                    Message::Ask { request, answer } => {
                        requests.push(request);
                        answers.push(answer);
                    }
                    Message::Close { done } => {
                        self.messages.close();
                        closers.push(done);
                    }
                }
            }
            if !requests.is_empty() {
                self.answer(&requests, answers).await;
            }
        }
        if let Some(connection) = self.connection.take() {
            connection.close().await;
        }
        for done in closers {
            let _ = done.send(());
        }
    }

    async fn answer(&mut self, requests: &[W::Request], answers: Vec<oneshot::Sender<Result<W::Answer, StoreError>>>) {
        match self.work(requests).await {
            Ok(results) => {
                for (answer, result) in answers.into_iter().zip(results) {
                    let _ = answer.send(result);
                }
            }
            Err(error) => {
                for answer in answers {
                    let _ = answer.send(Err(error.clone()));
                }
            }
        }
    }

    /// Connects where there is no connection; drops one that failed, so that the next batch begins with a fresh one.
    async fn work(&mut self, requests: &[W::Request]) -> Result<Vec<Result<W::Answer, StoreError>>, StoreError> {
        self.engine.check_in_place()?;
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.engine.connect().await?,
        };
        let worked = W::run(&self.engine, &mut connection, requests).await?;
        self.connection = Some(connection);
        Ok(worked)
    }
}
