//! Look-ups of credentials by the hash of their secret. Concurrent ones share statements. Nothing is cached: what another process has revoked
//! is seen by the next statement.

use std::{collections::HashMap, future::Future, marker::PhantomData};

use tagmint_core::issued_secret::SecretHash;

use crate::{
    batch::{BatchWork, Batches},
    engine::{Connection, Engine, Executor},
    error::StoreError,
};

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

/// The handle of the task that looks up.
pub(crate) struct BatchLookup<S: BatchSource>(Batches<Lookup<S>>);

impl<S: BatchSource> BatchLookup<S> {
    /// Starts the task. It ends when the handle is dropped.
    pub(crate) fn start(engine: Engine) -> Self {
        Self(Batches::start(engine))
    }

    /// The record of a secret, good or not.
    pub(crate) async fn find(&self, hash: SecretHash) -> Result<Option<S::Record>, StoreError> {
        self.0.ask(hash.to_hex()).await
    }

    /// Answers what is waiting and closes the connection.
    pub(crate) async fn close(&self) {
        self.0.close().await;
    }
}

struct Lookup<S>(PhantomData<S>);

impl<S: BatchSource> BatchWork for Lookup<S> {
    type Request = String;
    type Answer = Option<S::Record>;

    async fn run(
        engine: &Engine,
        connection: &mut Connection,
        requests: &[String],
    ) -> Result<Vec<Result<Option<S::Record>, StoreError>>, StoreError> {
        let hashes = serde_json::to_string(requests).expect("texts are JSON");
        let found = S::fetch(connection.executor(), hashes).await.map_err(engine.failed(S::DOING))?;
        let found: HashMap<String, Stored<S::Record>> = found.into_iter().collect();
        let answer = |hash: &String| match found.get(hash) {
            None => Ok(None),
            Some(Ok(record)) => Ok(Some(record.clone())),
            Some(Err((row, column))) => {
                let (database, row) = (engine.name().clone(), row.clone());
                Err(StoreError::Row { database, table: S::TABLE, row, column })
            }
        };
        Ok(requests.iter().map(answer).collect())
    }
}
