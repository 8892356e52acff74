//! Callers that mint without a pause, each with a connection and a session of its own.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    client::{Connection, Target},
    cpu::{Reading, Spent},
    error::BenchError,
    issuer::{AUDIENCE, AUTH_TOKEN},
};

/// How long callers mint before the measurement begins: until caches are warm and batches have their size.
const WARM_UP: Duration = Duration::from_millis(700);
/// One answer of so many is kept, to be verified afterwards.
const KEEP_EVERY: u64 = 500;

/// A caller: a connection, and a session to mint with.
pub(crate) struct Caller {
    connection: Connection,
    authorization: String,
}

impl Caller {
    /// Connects and opens a session.
    pub(crate) async fn new(target: &Target) -> Result<Self, BenchError> {
        let mut connection = target.connect().await?;
        let body = Bytes::from(json!({"auth_token": AUTH_TOKEN}).to_string());
        let answer = connection.post("/v1/sessions", None, body, StatusCode::CREATED).await?;
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        let session = answer["session"].as_str().ok_or_else(|| BenchError::wrong("the issuer opened no session"))?;
        Ok(Self { connection, authorization: format!("Bearer {session}") })
    }

    /// Takes a fresh connection: a server closes those that have been idle for long.
    pub(crate) async fn reconnect(&mut self, target: &Target) -> Result<(), BenchError> {
        self.connection = target.connect().await?;
        Ok(())
    }

    /// Mints one token; returns the answer's body.
    pub(crate) async fn mint(&mut self) -> Result<Bytes, BenchError> {
        let body = Bytes::from(format!(r#"{{"audience":"{AUDIENCE}"}}"#));
        self.connection.post("/v1/tokens", Some(&self.authorization), body, StatusCode::OK).await
    }
}

/// What callers did together.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Answers within the measured time.
    pub(crate) answers: u64,
    /// All answers, those of the warm-up and of the end included.
    pub(crate) all_answers: u64,
    /// What the measured time cost.
    pub(crate) spent: Spent,
    /// How long each measured answer took, in microseconds.
    pub(crate) latencies: Vec<u32>,
    /// Some answers, whole.
    pub(crate) kept: Vec<Bytes>,
}

#[derive(Default)]
struct Shared {
    measuring: Cell<bool>,
    stop: Cell<bool>,
    outcome: RefCell<Outcome>,
}

impl Shared {
    fn count(&self, took: Duration, body: Bytes) {
        let mut outcome = self.outcome.borrow_mut();
        if outcome.all_answers.is_multiple_of(KEEP_EVERY) {
            outcome.kept.push(body);
        }
        outcome.all_answers += 1;
        if self.measuring.get() {
            outcome.answers += 1;
            outcome.latencies.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
        }
    }
}

/// Lets the callers mint for `span`, and reads what that cost the server. Must run in a `LocalSet`: callers share one thread.
pub(crate) async fn run(callers: &mut Vec<Caller>, server: u32, span: Duration) -> Result<Outcome, BenchError> {
    let shared = Rc::new(Shared::default());
    let mut tasks = JoinSet::new();
    for mut caller in callers.drain(..) {
        let shared = Rc::clone(&shared);
        tasks.spawn_local(async move {
            while !shared.stop.get() {
                let started = Instant::now();
                let body = caller.mint().await?;
                shared.count(started.elapsed(), body);
            }
            Ok::<_, BenchError>(caller)
        });
    }
    let measured = async {
        tokio::time::sleep(WARM_UP).await;
        let before = Reading::take(server)?;
        shared.measuring.set(true);
        tokio::time::sleep(span).await;
        shared.measuring.set(false);
        let after = Reading::take(server)?;
        Ok::<_, BenchError>(after.since(before))
    };
    let spent = tokio::select! {
        spent = measured => spent?,
        // Callers end by themselves on an error alone.
        Some(ended) = tasks.join_next() => match caller(ended) {
            Ok(_) => return Err(BenchError::wrong("a caller ended before its time")),
            Err(error) => return Err(error),
        },
    };
    shared.stop.set(true);
    while let Some(ended) = tasks.join_next().await {
        callers.push(caller(ended)?);
    }
    let mut outcome = shared.outcome.take();
    outcome.spent = spent;
    Ok(outcome)
}

fn caller(ended: Result<Result<Caller, BenchError>, tokio::task::JoinError>) -> Result<Caller, BenchError> {
    ended.map_err(|error| BenchError::wrong(format!("a caller failed: {error}")))?
}
