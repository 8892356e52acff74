//! Bearers: long-lived credentials that the operator makes for CI.

mod rotation;

use std::{
    collections::HashMap,
    mem,
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use serde_json::{Map, Value};
use tagmint_core::{
    id::BearerId,
    issued_secret::SecretHash,
    json,
    rules::{RuleName, TagScope},
};

pub use self::rotation::{RotateError, Rotated, RotatedLife, Rotation};
use crate::{
    credential::{
        CredentialFilter, CredentialLookup, Revocation, attributes_from_text, attributes_to_text, moment,
        optional_moment,
    },
    engine::{Engine, Executor, expect_rows, is_taken, on_engine},
    error::StoreError,
    lookup::{BatchSource, Fetched, Stored},
    store::Store,
};

/// A bearer to store. Times are kept in whole seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct NewBearer {
    /// Its id.
    pub id: BearerId,
    /// Its name, unlike that of any bearer that is neither revoked nor replaced. Rules see it as `sub`.
    pub name: String,
    /// What is kept of its secret.
    pub secret_hash: SecretHash,
    /// The one rule that it may use; without one, any that matches.
    pub rule: Option<RuleName>,
    /// What its tokens are confined to.
    pub scope: TagScope,
    /// The claims that rules see.
    pub attributes: Map<String, Value>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends, if ever.
    pub expires_at: Option<Timestamp>,
}

/// A stored bearer, without its secret.
#[derive(Debug, Clone, PartialEq)]
pub struct BearerRecord {
    /// Its id.
    pub id: BearerId,
    /// Its name.
    pub name: String,
    /// The one rule that it may use.
    pub rule: Option<RuleName>,
    /// What its tokens are confined to.
    pub scope: TagScope,
    /// The claims that rules see.
    pub attributes: Map<String, Value>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends, if ever.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// About when it was last presented and good: written once a minute, and the last minute is lost in a crash.
    pub last_used_at: Option<Timestamp>,
    /// The bearer that has its name since a rotation. Until it ends itself both are good.
    pub replaced_by: Option<BearerId>,
}

/// A query of whole rows.
macro_rules! select {
    ($tail:literal) => {
        concat!(
            "SELECT secret_hash, id, name, rule, attributes, created_at, expires_at, revoked_at, last_used_at, scope, replaced_by \
             FROM bearers ",
            $tail
        )
    };
}

const INSERT: &str = "INSERT INTO bearers (id, name, secret_hash, rule, attributes, created_at, expires_at, scope) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const FIND: &str = select!("WHERE secret_hash IN (SELECT value FROM json_each($1))");
const GET: &str = select!("WHERE id = $1");
const GET_BY_NAME: &str = select!(
    "WHERE name = $1 \
     ORDER BY revoked_at IS NULL DESC, replaced_by IS NULL DESC, revoked_at DESC, id DESC LIMIT 1"
);
const LIST: &str = select!(
    "WHERE $1 IS NULL OR (revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $1)) \
     ORDER BY created_at DESC, id DESC LIMIT $2"
);
const LIST_NAME: &str = select!(
    "WHERE name = $1 AND ($2 IS NULL OR (revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2))) \
     ORDER BY replaced_by IS NULL DESC, id DESC"
);
const REVOKE: &str = "UPDATE bearers SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL";
const TOUCH: &str = "UPDATE bearers SET last_used_at = used.at \
     FROM (SELECT value ->> 0 AS id, CAST(value ->> 1 AS BIGINT) AS at FROM json_each($1)) AS used \
     WHERE bearers.id = used.id AND (bearers.last_used_at IS NULL OR bearers.last_used_at < used.at)";

type Row = (
    String,
    String,
    String,
    Option<String>,
    String,
    i64,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    String,
    Option<String>,
);

fn record(row: Row) -> Stored<BearerRecord> {
    let (_, id, name, rule, attributes, created_at, expires_at, revoked_at, last_used_at, scope, replaced_by) = row;
    let read = || {
        Ok(BearerRecord {
            id: id.parse().map_err(|_| "id")?,
            name,
            // A binding that cannot be read must not become no binding.
            rule: rule.map(|rule| RuleName::parse(&rule)).transpose().map_err(|_| "rule")?,
            scope: scope_from_text(&scope)?,
            attributes: attributes_from_text(&attributes)?,
            created_at: moment(created_at, "created_at")?,
            expires_at: optional_moment(expires_at, "expires_at")?,
            revoked_at: optional_moment(revoked_at, "revoked_at")?,
            last_used_at: optional_moment(last_used_at, "last_used_at")?,
            replaced_by: replaced_by.map(|id| id.parse()).transpose().map_err(|_| "replaced_by")?,
        })
    };
    read().map_err(|column| (id, column))
}

fn scope_from_text(text: &str) -> Result<TagScope, &'static str> {
    let object: Map<String, Value> = json::parse_as(text.as_bytes()).map_err(|_| "scope")?;
    TagScope::from_json(&object).map_err(|_| "scope")
}

/// Writes a new bearer's row; says how many were written.
async fn insert(executor: Executor<'_>, bearer: &NewBearer) -> Result<u64, sqlx::Error> {
    on_engine!(executor, connection => {
        sqlx::query(INSERT)
            .bind(bearer.id.to_string())
            .bind(&bearer.name)
            .bind(bearer.secret_hash.to_hex())
            .bind(bearer.rule.as_ref().map(RuleName::as_str))
            .bind(attributes_to_text(&bearer.attributes))
            .bind(bearer.created_at.as_second())
            .bind(bearer.expires_at.map(Timestamp::as_second))
            .bind(attributes_to_text(&bearer.scope.to_json()))
            .execute(connection)
            .await
            .map(|done| done.rows_affected())
    })
}

pub(crate) struct BearerSource;

impl BatchSource for BearerSource {
    type Record = BearerRecord;
    const TABLE: &'static str = "bearers";
    const DOING: &'static str = "look up a bearer";

    async fn fetch(executor: Executor<'_>, hashes: String) -> Fetched<BearerRecord> {
        let rows: Vec<Row> = on_engine!(executor, connection => {
            sqlx::query_as(FIND).bind(hashes).fetch_all(connection).await?
        });
        Ok(rows.into_iter().map(|row| (row.0.clone(), record(row))).collect())
    }
}

/// The bearers of a store.
#[derive(Debug, Clone, Copy)]
pub struct Bearers<'s> {
    pub(crate) store: &'s Store,
}

impl Bearers<'_> {
    /// Stores a bearer.
    pub async fn create(self, bearer: &NewBearer) -> Result<(), StoreError> {
        let doing = "store a bearer";
        let engine = &self.store.inner.engine;
        let mut writer = engine.writer(doing).await?;
        match insert(writer.executor(), bearer).await {
            Err(error) if is_taken(&error, "bearers.name") => Err(StoreError::BearerNameTaken(bearer.name.clone())),
            written => expect_rows(engine.name(), doing, 1, written.map_err(engine.failed(doing))?),
        }
    }

    /// The bearer of a secret, if it is good at `now`; otherwise why not. Concurrent look-ups share statements; nothing is cached. A good one
    /// is noted as used.
    pub async fn find_by_secret(
        self,
        hash: SecretHash,
        now: Timestamp,
    ) -> Result<CredentialLookup<BearerRecord>, StoreError> {
        let judged = self.state_of_secret(hash, now).await?;
        if let CredentialLookup::Valid(bearer) = &judged {
            self.store.inner.last_uses.note(bearer.id, now);
        }
        Ok(judged)
    }

    /// Whether the bearer of a secret is good at `now`, not noted as a use of it: for who asks about somebody else's.
    pub async fn state_of_secret(
        self,
        hash: SecretHash,
        now: Timestamp,
    ) -> Result<CredentialLookup<BearerRecord>, StoreError> {
        Ok(judge(self.store.inner.bearer_lookup.find(hash).await?, now))
    }

    /// The bearer of a secret, good or not, and not noted as used: for who administers it.
    pub async fn get_by_secret(self, hash: SecretHash) -> Result<Option<BearerRecord>, StoreError> {
        self.store.inner.bearer_lookup.find(hash).await
    }

    /// The bearer of an id, good or not.
    pub async fn get(self, id: BearerId) -> Result<Option<BearerRecord>, StoreError> {
        self.get_where(GET, &id.to_string()).await
    }

    /// The bearer of a name: the one that is neither revoked nor replaced, else one that was replaced, else the one revoked last.
    pub async fn get_by_name(self, name: &str) -> Result<Option<BearerRecord>, StoreError> {
        self.get_where(GET_BY_NAME, name).await
    }

    async fn get_where(self, statement: &'static str, value: &str) -> Result<Option<BearerRecord>, StoreError> {
        let doing = BearerSource::DOING;
        let engine = &self.store.inner.engine;
        let mut reader = engine.reader(doing).await?;
        let found: Result<Option<Row>, _> = on_engine!(reader.executor(), connection => {
            sqlx::query_as(statement).bind(value).fetch_optional(connection).await
        });
        found.map_err(engine.failed(doing))?.map(|row| self.read(row)).transpose()
    }

    /// The bearers of a name. Two are good during a rotation's overlap; the newer one comes first.
    pub async fn list_name(self, name: &str, filter: CredentialFilter) -> Result<Vec<BearerRecord>, StoreError> {
        let doing = "list the bearers";
        let engine = &self.store.inner.engine;
        let mut reader = engine.reader(doing).await?;
        let rows: Result<Vec<Row>, _> = on_engine!(reader.executor(), connection => {
            sqlx::query_as(LIST_NAME).bind(name).bind(filter.active_at()).fetch_all(connection).await
        });
        rows.map_err(engine.failed(doing))?.into_iter().map(|row| self.read(row)).collect()
    }

    /// Bearers, the youngest first.
    pub async fn list(self, filter: CredentialFilter, limit: u32) -> Result<Vec<BearerRecord>, StoreError> {
        let doing = "list the bearers";
        let engine = &self.store.inner.engine;
        let mut reader = engine.reader(doing).await?;
        let rows: Result<Vec<Row>, _> = on_engine!(reader.executor(), connection => {
            sqlx::query_as(LIST).bind(filter.active_at()).bind(i64::from(limit)).fetch_all(connection).await
        });
        rows.map_err(engine.failed(doing))?.into_iter().map(|row| self.read(row)).collect()
    }

    /// Ends a bearer. Every process refuses it from its next look-up on.
    pub async fn revoke(self, id: BearerId, now: Timestamp) -> Result<Revocation, StoreError> {
        let doing = "revoke a bearer";
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
            0 => Err(StoreError::UnknownBearer(id)),
            touched => expect_rows(engine.name(), doing, 1, touched).map(|()| Revocation::Done),
        }
    }

    /// Writes the last uses that were noted since the last time. The store does so once a minute and when it is closed.
    pub async fn flush_last_uses(self) -> Result<(), StoreError> {
        self.store.inner.last_uses.flush(&self.store.inner.engine).await
    }

    fn read(self, row: Row) -> Result<BearerRecord, StoreError> {
        let database = self.store.inner.engine.name();
        record(row).map_err(|(row, column)| StoreError::Row {
            database: database.clone(),
            table: BearerSource::TABLE,
            row,
            column,
        })
    }
}

fn judge(found: Option<BearerRecord>, now: Timestamp) -> CredentialLookup<BearerRecord> {
    found.map_or(CredentialLookup::NotFound, |bearer| {
        let (expires_at, revoked_at) = (bearer.expires_at, bearer.revoked_at);
        CredentialLookup::judge(bearer, expires_at, revoked_at, now)
    })
}

/// Uses of bearers that are not written yet: a write for each request would double its cost.
#[derive(Debug, Default)]
pub(crate) struct LastUses(Mutex<HashMap<BearerId, i64>>);

impl LastUses {
    fn note(&self, id: BearerId, at: Timestamp) {
        let at = at.as_second();
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.entry(id).and_modify(|last| *last = at.max(*last)).or_insert(at);
    }

    /// One statement for all. What could not be written is kept for the next time.
    pub(crate) async fn flush(&self, engine: &Engine) -> Result<(), StoreError> {
        let uses = mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if uses.is_empty() {
            return Ok(());
        }
        let written = write_last_uses(engine, &uses).await;
        if written.is_err() {
            let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            for (id, at) in uses {
                noted.entry(id).and_modify(|last| *last = at.max(*last)).or_insert(at);
            }
        }
        written
    }
}

async fn write_last_uses(engine: &Engine, uses: &HashMap<BearerId, i64>) -> Result<(), StoreError> {
    let doing = "note the bearers' last uses";
    let rows: Vec<_> = uses.iter().collect();
    let rows = serde_json::to_string(&rows).expect("ids and numbers are JSON");
    let mut writer = engine.writer(doing).await?;
    let touched = on_engine!(writer.executor(), connection => {
        sqlx::query(TOUCH).bind(rows).execute(connection).await.map(|done| done.rows_affected())
    });
    // Fewer is right where another process has noted a later use.
    let (touched, most) = (touched.map_err(engine.failed(doing))?, uses.len() as u64);
    expect_rows(engine.name(), doing, most.min(touched), touched)
}

#[cfg(test)]
mod tests;
