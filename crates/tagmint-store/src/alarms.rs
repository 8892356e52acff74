//! Alarms that are known, and notices of them that have not arrived yet.
//!
//! What is known changes in one transaction with the notices that it causes: of several nodes that see the same, one makes the notice.

mod outbox;

use jiff::Timestamp;
use tagmint_core::alarm::{
    Alarm,
    book::{AlarmRecord, AlarmState},
};

pub use self::outbox::{NewNotice, StoredNotice};
use crate::{
    engine::{Executor, Transaction, expect_rows, on_engine},
    error::StoreError,
    store::Store,
};

const LIST: &str = "SELECT kind, subject, state, severity, detail, fix, since_ms, seen_at_ms, state_at_ms FROM alarms ORDER BY kind, subject";
const WRITE: &str = "INSERT INTO alarms (kind, subject, state, severity, detail, fix, since_ms, seen_at_ms, state_at_ms) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
     ON CONFLICT (kind, subject) DO UPDATE SET state = excluded.state, severity = excluded.severity, detail = excluded.detail, \
     fix = excluded.fix, since_ms = excluded.since_ms, seen_at_ms = excluded.seen_at_ms, state_at_ms = excluded.state_at_ms";

type Row = (String, String, String, String, String, String, i64, i64, Option<i64>);

/// What a plan wants written.
#[derive(Debug, Clone, Default)]
pub struct AlarmChanges {
    /// Records that are new or changed.
    pub records: Vec<AlarmRecord>,
    /// Notices to be delivered.
    pub notices: Vec<NewNotice>,
}

impl AlarmChanges {
    /// Whether there is nothing to write.
    pub const fn is_empty(&self) -> bool {
        self.records.is_empty() && self.notices.is_empty()
    }
}

/// The alarms of a store.
#[derive(Debug, Clone, Copy)]
pub struct Alarms<'s> {
    pub(crate) store: &'s Store,
}

impl Alarms<'_> {
    /// All that is known, alarms that are over included. A row that a newer version wrote, about what is not known here, is left out.
    pub async fn list(self) -> Result<Vec<AlarmRecord>, StoreError> {
        let mut reader = self.store.inner.engine.reader("list the alarms").await?;
        self.list_with(reader.executor()).await
    }

    async fn list_with(self, executor: Executor<'_>) -> Result<Vec<AlarmRecord>, StoreError> {
        let engine = &self.store.inner.engine;
        let rows: Result<Vec<Row>, _> =
            on_engine!(executor, connection => sqlx::query_as(LIST).fetch_all(connection).await);
        Ok(rows.map_err(engine.failed("list the alarms"))?.into_iter().filter_map(record).collect())
    }

    /// Changes what is known by a plan, and stores the notices that it makes. All of it happens or nothing does.
    ///
    /// `plan` sees what is known, and no other process changes it until its answer is written. It may be asked twice: a first time
    /// without the lock, and not again when it wants nothing written.
    pub async fn change(
        self,
        plan: impl Fn(&[AlarmRecord]) -> AlarmChanges + Send + Sync,
    ) -> Result<AlarmChanges, StoreError> {
        let doing = "change the alarms";
        let wanted = plan(&self.list().await?);
        if wanted.is_empty() {
            return Ok(wanted);
        }
        let engine = &self.store.inner.engine;
        let mut transaction = engine.begin_write(doing).await?;
        let known = self.list_with(transaction.executor()).await?;
        let changes = plan(&known);
        for record in &changes.records {
            self.write(&mut transaction, record).await?;
        }
        for notice in &changes.notices {
            outbox::insert(engine, &mut transaction, notice).await?;
        }
        transaction.commit().await.map_err(engine.failed(doing))?;
        Ok(changes)
    }

    async fn write(self, transaction: &mut Transaction, record: &AlarmRecord) -> Result<(), StoreError> {
        let doing = "write an alarm";
        let engine = &self.store.inner.engine;
        let AlarmRecord { alarm, state, since, seen_at } = record;
        let state_at = match state {
            AlarmState::Pending => None,
            AlarmState::Firing { notified_at: at } | AlarmState::Over { ended_at: at } => Some(at.as_millisecond()),
        };
        let written = on_engine!(transaction.executor(), connection => {
            sqlx::query(WRITE)
                .bind(alarm.kind.as_str())
                .bind(alarm.subject.as_deref().unwrap_or_default())
                .bind(state.as_str())
                .bind(alarm.severity.as_str())
                .bind(&alarm.text)
                .bind(&alarm.fix)
                .bind(since.as_millisecond())
                .bind(seen_at.as_millisecond())
                .bind(state_at)
                .execute(connection)
                .await
                .map(|done| done.rows_affected())
        });
        expect_rows(engine.name(), doing, 1, written.map_err(engine.failed(doing))?)
    }
}

fn record(row: Row) -> Option<AlarmRecord> {
    let (kind, subject, state, severity, text, fix, since, seen_at, state_at) = row;
    let at = |millis| Timestamp::from_millisecond(millis).ok();
    let state = match (state.as_str(), state_at) {
        ("pending", None) => AlarmState::Pending,
        ("firing", Some(millis)) => AlarmState::Firing { notified_at: at(millis)? },
        ("over", Some(millis)) => AlarmState::Over { ended_at: at(millis)? },
        _ => return None,
    };
    let subject = Some(subject).filter(|subject| !subject.is_empty());
    let alarm = Alarm { kind: kind.parse().ok()?, subject, severity: severity.parse().ok()?, text, fix };
    Some(AlarmRecord { alarm, state, since: at(since)?, seen_at: at(seen_at)? })
}

#[cfg(test)]
mod tests;
