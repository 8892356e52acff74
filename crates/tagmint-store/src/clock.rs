//! The latest moment that was seen on the clock, and what is moved when the clock was set.

use jiff::Timestamp;
use tagmint_core::key_schedule::{KeyChange, KeyState, clock::ClockJump};

use crate::{
    engine::{Executor, Transaction, expect_rows, on_engine},
    error::StoreError,
    store::Store,
};

/// The database's record of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockMark {
    /// The latest moment that any process has seen, as far as it was noted. A running issuer notes it now and then, not always.
    pub seen_at: Timestamp,
    /// How often stored moments were moved because the clock was set.
    pub steps: i64,
}

/// The clock of a store.
#[derive(Debug, Clone, Copy)]
pub struct Clock<'s> {
    pub(crate) store: &'s Store,
}

// A key that was published at a later moment has seen that moment.
const MARK: &str = "SELECT seen_at_ms, steps, (SELECT max(published_at_ms) FROM signing_keys) FROM clock WHERE id = 1";
const NOTE: &str = "UPDATE clock SET seen_at_ms = $1 WHERE id = 1 AND seen_at_ms < $1";
const FOLLOWED: &str = "UPDATE clock SET seen_at_ms = $1, steps = steps + 1 WHERE id = 1";

/// Times that a clock that was ahead has written are moved back with it; $1 is now, in seconds or in milliseconds.
///
/// A session or a bearer token that was made in what is the future now keeps the span for which it was made, from now on. Without this it
/// would be good for as long as the clock was ahead. A replaced bearer token's overlap was counted from its successor's beginning.
const SECONDS: [&str; 4] = [
    "UPDATE sessions SET expires_at = expires_at - (created_at - $1), created_at = $1 WHERE created_at > $1",
    "UPDATE bearers SET expires_at = bearers.expires_at - (successor.created_at - $1) FROM bearers AS successor \
     WHERE bearers.replaced_by = successor.id AND successor.created_at > $1 AND bearers.expires_at > successor.created_at",
    "UPDATE bearers SET expires_at = expires_at - (created_at - $1), created_at = $1 WHERE created_at > $1",
    "UPDATE bearers SET last_used_at = $1 WHERE last_used_at > $1",
];
/// Alarms and notices count from now on. A fetch by STS of what is the future was one until now. Renewals of the certificate that failed, or
/// were asked for, did so by now at the latest: the pause after a failure keeps its length, and failed validations count against the CA's limit.
const MILLISECONDS: [&str; 12] = [
    "UPDATE alarms SET since_ms = $1 WHERE since_ms > $1",
    "UPDATE alarms SET seen_at_ms = $1 WHERE seen_at_ms > $1",
    "UPDATE alarms SET state_at_ms = $1 WHERE state_at_ms > $1",
    "UPDATE alarm_notices SET due_ms = $1 WHERE made_ms > $1 AND due_ms > $1",
    "UPDATE alarm_notices SET made_ms = $1 WHERE made_ms > $1",
    "UPDATE key_fetches SET first_at_ms = $1 WHERE first_at_ms > $1",
    "UPDATE key_fetches SET last_at_ms = $1 WHERE last_at_ms > $1",
    "UPDATE acme_state SET retry_at_ms = retry_at_ms - (failed_at_ms - $1), failed_at_ms = $1 WHERE failed_at_ms > $1",
    "UPDATE acme_state SET renew_requested_at_ms = $1 WHERE renew_requested_at_ms > $1",
    "UPDATE acme_state SET rollover_requested_at_ms = $1 WHERE rollover_requested_at_ms > $1",
    // The CA is asked at once what it says of the renewal.
    "UPDATE acme_certificates SET stored_at_ms = $1, lookup_at_ms = NULL WHERE stored_at_ms > $1",
    // No lookup is put off for longer than a day.
    "UPDATE acme_certificates SET lookup_at_ms = NULL WHERE lookup_at_ms > $1 + 86400000",
];
const VALIDATIONS: &str = "SELECT failed_validations FROM acme_state WHERE id = 1";
const PUT_VALIDATIONS: &str = "UPDATE acme_state SET failed_validations = $1 WHERE id = 1";

const DOING: &str = "follow the clock";

async fn mark(executor: Executor<'_>) -> Result<(i64, i64, Option<i64>), sqlx::Error> {
    on_engine!(executor, connection => sqlx::query_as(MARK).fetch_one(connection).await)
}

impl Clock<'_> {
    /// The latest moment that was noted, and how often moments were moved.
    pub async fn mark(self) -> Result<ClockMark, StoreError> {
        let doing = "read the latest moment that was seen";
        let engine = &self.store.inner.engine;
        let mut reader = engine.reader(doing).await?;
        let (seen_at, steps, published_at) = mark(reader.executor()).await.map_err(engine.failed(doing))?;
        let seen_at = published_at.map_or(seen_at, |published_at| seen_at.max(published_at));
        let seen_at = Timestamp::from_millisecond(seen_at).map_err(|_| StoreError::Row {
            database: engine.name().clone(),
            table: "clock",
            row: "1".to_owned(),
            column: "seen_at_ms",
        })?;
        Ok(ClockMark { seen_at, steps })
    }

    /// Notes a moment that was seen. An earlier one than is noted changes nothing.
    pub async fn note(self, now: Timestamp) -> Result<(), StoreError> {
        let doing = "note the latest moment that was seen";
        let engine = &self.store.inner.engine;
        let mut writer = engine.writer(doing).await?;
        let written = on_engine!(writer.executor(), connection => {
            sqlx::query(NOTE).bind(now.as_millisecond()).execute(connection).await.map(|_| ())
        });
        written.map_err(engine.failed(doing))
    }

    /// Moves what is stored after the clock was set: the keys by `plan`, and where it was set back whatever was made in what is the future
    /// now. All of it happens or nothing does.
    ///
    /// `steps` is what the caller has read. Nothing happens, and none is returned, where another process has moved it since.
    pub async fn follow(
        self,
        jump: &ClockJump,
        steps: i64,
        plan: impl FnOnce(&[KeyState]) -> Vec<KeyChange> + Send,
    ) -> Result<Option<Vec<KeyState>>, StoreError> {
        let engine = &self.store.inner.engine;
        let mut transaction = engine.begin_write(DOING).await?;
        let (_, found, _) = mark(transaction.executor()).await.map_err(engine.failed(DOING))?;
        if found != steps {
            transaction.rollback().await.map_err(engine.failed(DOING))?;
            return Ok(None);
        }
        let keys = self.store.keys();
        let states: Vec<KeyState> =
            keys.list_with(transaction.executor()).await?.into_iter().map(|record| record.state).collect();
        let mut moved = Vec::new();
        for change in plan(&states) {
            // A clock that was set makes no key.
            let KeyChange::Reschedule { kid, schedule } = change else { continue };
            keys.reschedule(&mut transaction, &kid, schedule).await?;
            let known = states.iter().find(|state| state.kid == kid);
            moved.extend(known.map(|state| KeyState { schedule, ..state.clone() }));
        }
        if jump.is_back() {
            self.move_back(&mut transaction, jump.now).await?;
        }
        let written = on_engine!(transaction.executor(), connection => {
            let now = jump.now.as_millisecond();
            sqlx::query(FOLLOWED).bind(now).execute(connection).await.map(|done| done.rows_affected())
        });
        expect_rows(engine.name(), DOING, 1, written.map_err(engine.failed(DOING))?)?;
        transaction.commit().await.map_err(engine.failed(DOING))?;
        Ok(Some(moved))
    }

    async fn move_back(self, transaction: &mut Transaction, now: Timestamp) -> Result<(), StoreError> {
        let engine = &self.store.inner.engine;
        let seconds = SECONDS.map(|statement| (statement, now.as_second()));
        let milliseconds = MILLISECONDS.map(|statement| (statement, now.as_millisecond()));
        for (statement, now) in seconds.into_iter().chain(milliseconds) {
            let moved = on_engine!(transaction.executor(), connection => {
                sqlx::query(statement).bind(now).execute(connection).await.map(|_| ())
            });
            moved.map_err(engine.failed(DOING))?;
        }
        let found: Result<(String,), _> = on_engine!(transaction.executor(), connection => {
            sqlx::query_as(VALIDATIONS).fetch_one(connection).await
        });
        let (validations,) = found.map_err(engine.failed(DOING))?;
        // An unreadable value stays: the next reader reports it.
        let Ok(validations) = serde_json::from_str::<Vec<i64>>(&validations) else { return Ok(()) };
        let validations: Vec<i64> = validations.into_iter().map(|at| at.min(now.as_millisecond())).collect();
        let validations = serde_json::to_string(&validations).expect("integers are JSON");
        let written = on_engine!(transaction.executor(), connection => {
            sqlx::query(PUT_VALIDATIONS).bind(validations).execute(connection).await.map(|done| done.rows_affected())
        });
        expect_rows(engine.name(), DOING, 1, written.map_err(engine.failed(DOING))?)
    }
}

#[cfg(test)]
mod tests;
