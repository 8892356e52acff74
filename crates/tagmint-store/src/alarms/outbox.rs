//! Notices that have not arrived yet. A node takes the oldest one of each sink for a while; when the node dies meanwhile, another takes it
//! after that.

use jiff::{SignedDuration, Timestamp};

use super::Alarms;
use crate::{
    engine::{Engine, Transaction, expect_rows, on_engine},
    error::StoreError,
};

/// A notice to be delivered to one sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNotice {
    /// What tells it from all others.
    pub id: String,
    /// The sink's name.
    pub sink: String,
    /// When it was made.
    pub made_at: Timestamp,
    /// Its place among the notices that were made at once.
    pub place: u32,
    /// What is delivered: JSON.
    pub body: String,
}

/// A notice that this node has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredNotice {
    /// What tells it from all others.
    pub id: String,
    /// The sink's name.
    pub sink: String,
    /// When it was made.
    pub made_at: Timestamp,
    /// What is delivered: JSON.
    pub body: String,
    /// How often it was tried before.
    pub attempts: u32,
}

type Row = (String, String, i64, String, i64);

const INSERT: &str =
    "INSERT INTO alarm_notices (id, sink, made_ms, place, body, attempts, due_ms) VALUES ($1, $2, $3, $4, $5, 0, $3)";
/// The oldest notice of a sink stands for all of its: they arrive in order.
const TAKE: &str = "UPDATE alarm_notices SET due_ms = $3 WHERE id = \
     (SELECT id FROM alarm_notices WHERE sink = $1 ORDER BY made_ms, place LIMIT 1) AND (due_ms <= $2 OR due_ms > $4) \
     RETURNING id, sink, made_ms, body, attempts";
const REMOVE: &str = "DELETE FROM alarm_notices WHERE id = $1";
const PUT_OFF: &str = "UPDATE alarm_notices SET attempts = attempts + 1, due_ms = $2 WHERE id = $1";
const WAITING: &str = "SELECT count(*) FROM alarm_notices WHERE sink = $1";
const GIVE_UP: &str = "DELETE FROM alarm_notices WHERE made_ms < $1";

pub(super) async fn insert(
    engine: &Engine,
    transaction: &mut Transaction,
    notice: &NewNotice,
) -> Result<(), StoreError> {
    let doing = "store a notice";
    let written = on_engine!(transaction.executor(), connection => {
        sqlx::query(INSERT)
            .bind(&notice.id)
            .bind(&notice.sink)
            .bind(notice.made_at.as_millisecond())
            .bind(i64::from(notice.place))
            .bind(&notice.body)
            .execute(connection)
            .await
            .map(|done| done.rows_affected())
    });
    expect_rows(engine.name(), doing, 1, written.map_err(engine.failed(doing))?)
}

impl Alarms<'_> {
    /// Takes the sink's oldest notice if it is due at `now`, and keeps it from other nodes for `lease`.
    pub async fn take(
        self,
        sink: &str,
        now: Timestamp,
        lease: SignedDuration,
    ) -> Result<Option<StoredNotice>, StoreError> {
        /// Nothing is put off for longer: what seems to be was stored before the clock was set back.
        const MOST: SignedDuration = SignedDuration::from_hours(2);
        let doing = "take a notice";
        let engine = &self.store.inner.engine;
        // Most of the time there is none: that costs no write.
        if self.waiting(sink).await? == 0 {
            return Ok(None);
        }
        let mut writer = engine.writer(doing).await?;
        let taken: Result<Option<Row>, _> = on_engine!(writer.executor(), connection => {
            sqlx::query_as(TAKE)
                .bind(sink)
                .bind(now.as_millisecond())
                .bind((now + lease).as_millisecond())
                .bind((now + MOST).as_millisecond())
                .fetch_optional(connection)
                .await
        });
        let Some((id, sink, made, body, attempts)) = taken.map_err(engine.failed(doing))? else { return Ok(None) };
        let made_at = Timestamp::from_millisecond(made).map_err(|_| StoreError::Row {
            database: engine.name().clone(),
            table: "alarm_notices",
            row: id.clone(),
            column: "made_ms",
        })?;
        let attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
        Ok(Some(StoredNotice { id, sink, made_at, body, attempts }))
    }

    /// How many notices wait for a sink.
    pub async fn waiting(self, sink: &str) -> Result<u64, StoreError> {
        let doing = "count the notices";
        let engine = &self.store.inner.engine;
        let mut reader = engine.reader(doing).await?;
        let count: Result<(i64,), _> = on_engine!(reader.executor(), connection => {
            sqlx::query_as(WAITING).bind(sink).fetch_one(connection).await
        });
        Ok(count.map_err(engine.failed(doing))?.0.unsigned_abs())
    }

    /// It has arrived. No error when another node was told so before: the lease may have run out.
    pub async fn arrived(self, id: &str) -> Result<(), StoreError> {
        let doing = "remove a notice that has arrived";
        let engine = &self.store.inner.engine;
        let mut writer = engine.writer(doing).await?;
        let removed = on_engine!(writer.executor(), connection => {
            sqlx::query(REMOVE).bind(id).execute(connection).await.map(|done| done.rows_affected())
        });
        match removed.map_err(engine.failed(doing))? {
            0 => Ok(()),
            touched => expect_rows(engine.name(), doing, 1, touched),
        }
    }

    /// It did not arrive: it is tried again at `due_at`.
    pub async fn put_off(self, id: &str, due_at: Timestamp) -> Result<(), StoreError> {
        let doing = "put a notice off";
        let engine = &self.store.inner.engine;
        let mut writer = engine.writer(doing).await?;
        let written = on_engine!(writer.executor(), connection => {
            sqlx::query(PUT_OFF)
                .bind(id)
                .bind(due_at.as_millisecond())
                .execute(connection)
                .await
                .map(|done| done.rows_affected())
        });
        match written.map_err(engine.failed(doing))? {
            0 => Ok(()),
            touched => expect_rows(engine.name(), doing, 1, touched),
        }
    }

    /// Gives up notices that were made before `before`, of whatever sink. Returns how many.
    pub async fn give_up(self, before: Timestamp) -> Result<u64, StoreError> {
        let doing = "give up old notices";
        let engine = &self.store.inner.engine;
        let mut writer = engine.writer(doing).await?;
        let removed = on_engine!(writer.executor(), connection => {
            sqlx::query(GIVE_UP).bind(before.as_millisecond()).execute(connection).await.map(|done| done.rows_affected())
        });
        removed.map_err(engine.failed(doing))
    }
}
