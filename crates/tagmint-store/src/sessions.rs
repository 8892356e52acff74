//! Sessions: opened on the session backend's word, found by the hash of their secret.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};
use tagmint_core::{id::SessionId, issued_secret::SecretHash};

use crate::{
    credential::{
        CredentialFilter, CredentialLookup, Revocation, attributes_from_text, attributes_to_text, moment,
        optional_moment,
    },
    engine::{Executor, expect_rows, on_engine},
    error::StoreError,
    lookup::{BatchSource, Fetched, Stored},
    store::Store,
};

/// Expired sessions that one statement deletes: the ledger's writer waits no longer than that.
const DELETE_BATCH: i64 = 1000;

/// A session to store. Times are kept in whole seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSession {
    /// Its id.
    pub id: SessionId,
    /// What is kept of its secret.
    pub secret_hash: SecretHash,
    /// Whose session it is, as the backend says.
    pub subject: String,
    /// What else the backend says.
    pub attributes: Map<String, Value>,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// A stored session, without its secret.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionRecord {
    /// Its id.
    pub id: SessionId,
    /// Whose session it is.
    pub subject: String,
    /// What else the backend said.
    pub attributes: Map<String, Value>,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

const INSERT: &str = "INSERT INTO sessions (id, secret_hash, subject, attributes, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)";
const INSERT_WITHIN: &str = "INSERT INTO sessions (id, secret_hash, subject, attributes, created_at, expires_at) \
     SELECT $1, $2, $3, $4, $5, $6 WHERE (SELECT count(*) FROM (SELECT id FROM sessions \
     WHERE subject = $3 AND revoked_at IS NULL AND expires_at > $5 LIMIT $7) AS open) < $7";
const FIRST_END: &str =
    "SELECT min(expires_at) FROM sessions WHERE subject = $1 AND revoked_at IS NULL AND expires_at > $2";
const FIND: &str = "SELECT secret_hash, id, subject, attributes, created_at, expires_at, revoked_at FROM sessions \
     WHERE secret_hash IN (SELECT value FROM json_each($1))";
const GET: &str =
    "SELECT secret_hash, id, subject, attributes, created_at, expires_at, revoked_at FROM sessions WHERE id = $1";
const LIST: &str = "SELECT secret_hash, id, subject, attributes, created_at, expires_at, revoked_at FROM sessions \
     WHERE $1 IS NULL OR (revoked_at IS NULL AND expires_at > $1) ORDER BY created_at DESC, id DESC LIMIT $2";
const REVOKE: &str = "UPDATE sessions SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL";
const DELETE: &str = "DELETE FROM sessions WHERE id IN \
     (SELECT id FROM sessions WHERE expires_at < $1 AND expires_at - created_at <= $2 LIMIT $3)";

type Row = (String, String, String, String, i64, i64, Option<i64>);

fn record((_, id, subject, attributes, created_at, expires_at, revoked_at): Row) -> Stored<SessionRecord> {
    let read = || {
        Ok(SessionRecord {
            id: id.parse().map_err(|_| "id")?,
            subject,
            attributes: attributes_from_text(&attributes)?,
            created_at: moment(created_at, "created_at")?,
            expires_at: moment(expires_at, "expires_at")?,
            revoked_at: optional_moment(revoked_at, "revoked_at")?,
        })
    };
    read().map_err(|column| (id, column))
}

pub(crate) struct SessionSource;

impl BatchSource for SessionSource {
    type Record = SessionRecord;
    const TABLE: &'static str = "sessions";
    const DOING: &'static str = "look up a session";

    async fn fetch(executor: Executor<'_>, hashes: String) -> Fetched<SessionRecord> {
        let rows: Vec<Row> = on_engine!(executor, connection => {
            sqlx::query_as(FIND).bind(hashes).fetch_all(connection).await?
        });
        Ok(rows.into_iter().map(|row| (row.0.clone(), record(row))).collect())
    }
}

/// The sessions of a store.
#[derive(Debug, Clone, Copy)]
pub struct Sessions<'s> {
    pub(crate) store: &'s Store,
}

impl Sessions<'_> {
    /// Stores a session.
    pub async fn create(self, session: &NewSession) -> Result<(), StoreError> {
        let doing = "store a session";
        let engine = &self.store.inner.engine;
        let mut writer = engine.writer(doing).await?;
        let written = on_engine!(writer.executor(), connection => {
            sqlx::query(INSERT)
                .bind(session.id.to_string())
                .bind(session.secret_hash.to_hex())
                .bind(&session.subject)
                .bind(attributes_to_text(&session.attributes))
                .bind(session.created_at.as_second())
                .bind(session.expires_at.as_second())
                .execute(connection)
                .await
                .map(|done| done.rows_affected())
        });
        expect_rows(engine.name(), doing, 1, written.map_err(engine.failed(doing))?)
    }

    /// Stores a session if its subject has fewer than `most` that are good when it is opened. `Err`: it has as many, and the first of them ends
    /// then.
    pub async fn create_within(self, session: &NewSession, most: u32) -> Result<Result<(), Timestamp>, StoreError> {
        let doing = "store a session";
        let engine = &self.store.inner.engine;
        let mut transaction = engine.begin_write(doing).await?;
        let written = on_engine!(transaction.executor(), connection => {
            sqlx::query(INSERT_WITHIN)
                .bind(session.id.to_string())
                .bind(session.secret_hash.to_hex())
                .bind(&session.subject)
                .bind(attributes_to_text(&session.attributes))
                .bind(session.created_at.as_second())
                .bind(session.expires_at.as_second())
                .bind(i64::from(most))
                .execute(connection)
                .await
                .map(|done| done.rows_affected())
        });
        let written = written.map_err(engine.failed(doing))?;
        if written > 0 {
            transaction.commit().await.map_err(engine.failed(doing))?;
            return expect_rows(engine.name(), doing, 1, written).map(Ok);
        }
        let first: Result<(Option<i64>,), _> = on_engine!(transaction.executor(), connection => {
            sqlx::query_as(FIRST_END)
                .bind(&session.subject)
                .bind(session.created_at.as_second())
                .fetch_one(connection)
                .await
        });
        let (first,) = first.map_err(engine.failed(doing))?;
        transaction.rollback().await.map_err(engine.failed(doing))?;
        Ok(Err(first.and_then(|at| Timestamp::from_second(at).ok()).unwrap_or(session.created_at)))
    }

    /// The session of a secret, if it is good at `now`; otherwise why not. Concurrent look-ups share statements; nothing is cached.
    pub async fn find_by_secret(
        self,
        hash: SecretHash,
        now: Timestamp,
    ) -> Result<CredentialLookup<SessionRecord>, StoreError> {
        let found = self.store.inner.session_lookup.find(hash).await?;
        Ok(found.map_or(CredentialLookup::NotFound, |session| {
            let (expires_at, revoked_at) = (session.expires_at, session.revoked_at);
            CredentialLookup::judge(session, Some(expires_at), revoked_at, now)
        }))
    }

    /// The session of a secret, good or not: for who administers it.
    pub async fn get_by_secret(self, hash: SecretHash) -> Result<Option<SessionRecord>, StoreError> {
        self.store.inner.session_lookup.find(hash).await
    }

    /// The session of an id, good or not.
    pub async fn get(self, id: SessionId) -> Result<Option<SessionRecord>, StoreError> {
        let doing = SessionSource::DOING;
        let engine = &self.store.inner.engine;
        let mut reader = engine.reader(doing).await?;
        let found: Result<Option<Row>, _> = on_engine!(reader.executor(), connection => {
            sqlx::query_as(GET).bind(id.to_string()).fetch_optional(connection).await
        });
        found.map_err(engine.failed(doing))?.map(|row| self.read(row)).transpose()
    }

    /// Sessions, the youngest first.
    pub async fn list(self, filter: CredentialFilter, limit: u32) -> Result<Vec<SessionRecord>, StoreError> {
        let doing = "list the sessions";
        let engine = &self.store.inner.engine;
        let mut reader = engine.reader(doing).await?;
        let rows: Result<Vec<Row>, _> = on_engine!(reader.executor(), connection => {
            sqlx::query_as(LIST).bind(filter.active_at()).bind(i64::from(limit)).fetch_all(connection).await
        });
        rows.map_err(engine.failed(doing))?.into_iter().map(|row| self.read(row)).collect()
    }

    /// Ends a session. Every process refuses it from its next look-up on.
    pub async fn revoke(self, id: SessionId, now: Timestamp) -> Result<Revocation, StoreError> {
        let doing = "revoke a session";
        let engine = &self.store.inner.engine;
        let mut writer = engine.writer(doing).await?;
        let revoked = on_engine!(writer.executor(), connection => {
            sqlx::query(REVOKE)
                .bind(now.as_second())
                .bind(id.to_string())
                .execute(connection)
                .await
                .map(|done| done.rows_affected())
        });
        drop(writer);
        match revoked.map_err(engine.failed(doing))? {
            0 if self.get(id).await?.is_some() => Ok(Revocation::AlreadyRevoked),
            0 => Err(StoreError::UnknownSession(id)),
            touched => expect_rows(engine.name(), doing, 1, touched).map(|()| Revocation::Done),
        }
    }

    /// Deletes sessions that ended before a moment and were made for at most `lifetime`; returns how many. Other writes may come in between.
    ///
    /// A clock that is ahead shows sessions as ended that are good again when it is right. One that ran for `lifetime` without being set
    /// has seen them end.
    pub async fn delete_expired(self, before: Timestamp, lifetime: SignedDuration) -> Result<u64, StoreError> {
        let doing = "delete expired sessions";
        let engine = &self.store.inner.engine;
        let mut deleted = 0;
        loop {
            let mut writer = engine.writer(doing).await?;
            let touched = on_engine!(writer.executor(), connection => {
                sqlx::query(DELETE)
                    .bind(before.as_second())
                    .bind(lifetime.as_secs())
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

    fn read(self, row: Row) -> Result<SessionRecord, StoreError> {
        let database = self.store.inner.engine.name();
        record(row).map_err(|(row, column)| StoreError::Row {
            database: database.clone(),
            table: SessionSource::TABLE,
            row,
            column,
        })
    }
}

#[cfg(test)]
mod tests;
