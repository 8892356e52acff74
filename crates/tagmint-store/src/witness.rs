//! Fetches of discovery and the key set: sums by hour, and for each key who was shown it last.
//!
//! The sums are additive, so that several nodes write to the same rows, and bounded by whoever makes them: what is written here stays until
//! [`delete_before`](Witness::delete_before).

use jiff::Timestamp;
use tagmint_core::{
    signing_key::KeyId,
    witness::{Document, FetchClass, Witnesses},
};

use crate::{
    engine::{expect_rows, on_engine},
    error::StoreError,
    store::Store,
};

/// Rows that one statement deletes: other writers wait no longer than that.
const DELETE_BATCH: i64 = 1000;

/// Fetches of one document in one hour that were alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchSum {
    /// The beginning of the hour, UTC.
    pub hour: Timestamp,
    /// Who is taken to have fetched.
    pub class: FetchClass,
    /// The network that they came from: a /24 or a /48; `(others)` where an hour had too many.
    pub network: String,
    /// The user agent, shortened and printable; `(others)` with the network.
    pub agent: String,
    /// What was fetched.
    pub document: Document,
    /// The status of the answers.
    pub status: u16,
    /// How many; at least 1.
    pub fetches: u64,
    /// When the last one was.
    pub last_at: Timestamp,
    /// The time that the slowest answer took, in microseconds.
    pub slowest_us: u64,
    /// The time that all took together, in microseconds.
    pub total_us: u64,
}

/// Who was shown a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFetches {
    /// The key.
    pub kid: KeyId,
    /// Who is taken to have fetched.
    pub class: FetchClass,
    /// When the first fetch was.
    pub first_at: Timestamp,
    /// When the last one was.
    pub last_at: Timestamp,
    /// The network of the last one.
    pub network: String,
    /// The user agent of the last one.
    pub agent: String,
    /// How many there were; at least 1. A key is shown from its publication on.
    pub fetches: u64,
}

/// Which sums to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchQuery {
    /// Of this class alone.
    pub class: Option<FetchClass>,
    /// The most to list.
    pub limit: u32,
}

/// The recorded fetches of a store.
#[derive(Debug, Clone, Copy)]
pub struct Witness<'s> {
    pub(crate) store: &'s Store,
}

const ADD_SUMS: &str = "INSERT INTO document_fetches (hour_ms, class, network, agent, document, status, fetches, last_at_ms, slowest_us, \
     total_us) SELECT CAST(value ->> 0 AS BIGINT), value ->> 1, value ->> 2, value ->> 3, value ->> 4, CAST(value ->> 5 AS BIGINT), \
     CAST(value ->> 6 AS BIGINT), CAST(value ->> 7 AS BIGINT), CAST(value ->> 8 AS BIGINT), CAST(value ->> 9 AS BIGINT) \
     FROM json_each($1) WHERE true \
     ON CONFLICT (hour_ms, class, network, agent, document, status) DO UPDATE SET \
     fetches = document_fetches.fetches + excluded.fetches, total_us = document_fetches.total_us + excluded.total_us, \
     last_at_ms = CASE WHEN excluded.last_at_ms > document_fetches.last_at_ms THEN excluded.last_at_ms \
     ELSE document_fetches.last_at_ms END, \
     slowest_us = CASE WHEN excluded.slowest_us > document_fetches.slowest_us THEN excluded.slowest_us \
     ELSE document_fetches.slowest_us END";
const ADD_KEYS: &str = "INSERT INTO key_fetches (kid, class, first_at_ms, last_at_ms, network, agent, fetches) \
     SELECT value ->> 0, value ->> 1, CAST(value ->> 2 AS BIGINT), CAST(value ->> 3 AS BIGINT), value ->> 4, value ->> 5, \
     CAST(value ->> 6 AS BIGINT) FROM json_each($1) WHERE true \
     ON CONFLICT (kid, class) DO UPDATE SET fetches = key_fetches.fetches + excluded.fetches, \
     first_at_ms = CASE WHEN excluded.first_at_ms < key_fetches.first_at_ms THEN excluded.first_at_ms ELSE key_fetches.first_at_ms END, \
     network = CASE WHEN excluded.last_at_ms >= key_fetches.last_at_ms THEN excluded.network ELSE key_fetches.network END, \
     agent = CASE WHEN excluded.last_at_ms >= key_fetches.last_at_ms THEN excluded.agent ELSE key_fetches.agent END, \
     last_at_ms = CASE WHEN excluded.last_at_ms >= key_fetches.last_at_ms THEN excluded.last_at_ms ELSE key_fetches.last_at_ms END";
const KEYS: &str =
    "SELECT kid, class, first_at_ms, last_at_ms, network, agent, fetches FROM key_fetches ORDER BY kid, class";
const LIST: &str = "SELECT hour_ms, class, network, agent, document, status, fetches, last_at_ms, slowest_us, total_us \
     FROM document_fetches WHERE $1 IS NULL OR class = $1 ORDER BY last_at_ms DESC, network, agent, document, status LIMIT $2";
const DELETE: &str = "DELETE FROM document_fetches WHERE (hour_ms, class, network, agent, document, status) IN \
     (SELECT hour_ms, class, network, agent, document, status FROM document_fetches WHERE hour_ms < $1 LIMIT $2)";

type SumRow = (i64, String, String, String, String, i64, i64, i64, i64, i64);
type KeyRow = (String, String, i64, i64, String, String, i64);

impl Witness<'_> {
    /// Adds sums to what is stored. All of it or nothing; the caller names each row once.
    pub async fn add(self, sums: &[FetchSum], keys: &[KeyFetches]) -> Result<(), StoreError> {
        let doing = "record fetches of the key set";
        let engine = &self.store.inner.engine;
        let sum_rows: Vec<_> = sums.iter().map(sum_columns).collect();
        let key_rows: Vec<_> = keys.iter().map(key_columns).collect();
        let mut transaction = engine.begin_write(doing).await?;
        for (statement, rows, count) in [
            (ADD_SUMS, serde_json::to_string(&sum_rows), sums.len()),
            (ADD_KEYS, serde_json::to_string(&key_rows), keys.len()),
        ] {
            let rows = rows.expect("texts and integers are JSON");
            let written = on_engine!(transaction.executor(), connection => {
                sqlx::query(statement).bind(rows).execute(connection).await.map(|done| done.rows_affected())
            });
            expect_rows(engine.name(), doing, count as u64, written.map_err(engine.failed(doing))?)?;
        }
        transaction.commit().await.map_err(engine.failed(doing))
    }

    /// Who was shown each key, on all nodes.
    pub async fn keys(self) -> Result<Vec<KeyFetches>, StoreError> {
        let doing = "read who fetched the keys";
        let engine = &self.store.inner.engine;
        let mut reader = engine.reader(doing).await?;
        let rows: Result<Vec<KeyRow>, _> =
            on_engine!(reader.executor(), connection => sqlx::query_as(KEYS).fetch_all(connection).await);
        let rows = rows.map_err(engine.failed(doing))?;
        rows.into_iter().map(|row| key_fetches(row).map_err(self.unusable("key_fetches"))).collect()
    }

    /// When STS last fetched each key.
    pub async fn by_sts(self) -> Result<Witnesses, StoreError> {
        let by_sts = self.keys().await?.into_iter().filter(|row| row.class == FetchClass::Sts);
        Ok(by_sts.map(|row| (row.kid, row.last_at)).collect())
    }

    /// The sums, the latest first.
    pub async fn list(self, query: FetchQuery) -> Result<Vec<FetchSum>, StoreError> {
        let doing = "list fetches of the key set";
        let engine = &self.store.inner.engine;
        let mut reader = engine.reader(doing).await?;
        let rows: Result<Vec<SumRow>, _> = on_engine!(reader.executor(), connection => {
            sqlx::query_as(LIST)
                .bind(query.class.map(FetchClass::as_str))
                .bind(i64::from(query.limit))
                .fetch_all(connection)
                .await
        });
        let rows = rows.map_err(engine.failed(doing))?;
        rows.into_iter().map(|row| fetch_sum(row).map_err(self.unusable("document_fetches"))).collect()
    }

    /// Deletes the sums of hours that began before. Returns how many rows. What is known of keys stays: two rows a key at most.
    pub async fn delete_before(self, before: Timestamp) -> Result<u64, StoreError> {
        let doing = "delete old fetches of the key set";
        let engine = &self.store.inner.engine;
        let mut deleted = 0;
        loop {
            let mut writer = engine.writer(doing).await?;
            let touched = on_engine!(writer.executor(), connection => {
                sqlx::query(DELETE)
                    .bind(before.as_millisecond())
                    .bind(DELETE_BATCH)
                    .execute(connection)
                    .await
                    .map(|done| done.rows_affected())
            });
            let touched = touched.map_err(engine.failed(doing))?;
            deleted += touched;
            if touched < DELETE_BATCH.unsigned_abs() {
                return Ok(deleted);
            }
        }
    }

    fn unusable(self, table: &'static str) -> impl Fn((String, &'static str)) -> StoreError {
        let database = self.store.inner.engine.name().clone();
        move |(row, column)| StoreError::Row { database: database.clone(), table, row, column }
    }
}

type SumColumns<'r> = (i64, &'static str, &'r str, &'r str, &'static str, u16, u64, i64, u64, u64);
type KeyColumns<'r> = (&'r str, &'static str, i64, i64, &'r str, &'r str, u64);

fn sum_columns(sum: &FetchSum) -> SumColumns<'_> {
    let FetchSum { hour, class, network, agent, document, status, fetches, last_at, slowest_us, total_us } = sum;
    let (hour, last_at) = (hour.as_millisecond(), last_at.as_millisecond());
    (hour, class.as_str(), network, agent, document.as_str(), *status, *fetches, last_at, *slowest_us, *total_us)
}

fn key_columns(key: &KeyFetches) -> KeyColumns<'_> {
    let KeyFetches { kid, class, first_at, last_at, network, agent, fetches } = key;
    (kid.as_str(), class.as_str(), first_at.as_millisecond(), last_at.as_millisecond(), network, agent, *fetches)
}

fn moment(millis: i64, column: &'static str) -> Result<Timestamp, &'static str> {
    Timestamp::from_millisecond(millis).map_err(|_| column)
}

fn key_fetches(row: KeyRow) -> Result<KeyFetches, (String, &'static str)> {
    let (kid, class, first_at, last_at, network, agent, fetches) = row;
    let read = || {
        Ok(KeyFetches {
            kid: kid.parse().map_err(|_| "kid")?,
            class: class.parse().map_err(|_| "class")?,
            first_at: moment(first_at, "first_at_ms")?,
            last_at: moment(last_at, "last_at_ms")?,
            network,
            agent,
            fetches: fetches.try_into().map_err(|_| "fetches")?,
        })
    };
    read().map_err(|column| (kid.clone(), column))
}

fn fetch_sum(row: SumRow) -> Result<FetchSum, (String, &'static str)> {
    let (hour, class, network, agent, document, status, fetches, last_at, slowest_us, total_us) = row;
    let name = format!("{hour}/{class}/{document}/{status}");
    let read = || {
        Ok(FetchSum {
            hour: moment(hour, "hour_ms")?,
            class: class.parse().map_err(|_| "class")?,
            network,
            agent,
            document: document.parse().map_err(|_| "document")?,
            status: status.try_into().map_err(|_| "status")?,
            fetches: fetches.try_into().map_err(|_| "fetches")?,
            last_at: moment(last_at, "last_at_ms")?,
            slowest_us: slowest_us.try_into().map_err(|_| "slowest_us")?,
            total_us: total_us.try_into().map_err(|_| "total_us")?,
        })
    };
    read().map_err(|column| (name, column))
}

#[cfg(test)]
mod tests;
