//! A new secret for an old name, and a while in which both work.

use jiff::Timestamp;
use tagmint_core::{id::BearerId, issued_secret::SecretHash};

use super::{BearerRecord, Bearers, GET_BY_NAME, LIST_NAME, NewBearer, REVOKE, Row, insert};
use crate::{
    engine::{Transaction, expect_rows, on_engine},
    error::StoreError,
};

/// A new secret for a bearer's name. What else the bearer is (rule, scope, attributes) the new one takes over.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// The name.
    pub name: String,
    /// The new bearer's id.
    pub id: BearerId,
    /// What is kept of its secret.
    pub secret_hash: SecretHash,
    /// Now.
    pub now: Timestamp,
    /// When the old bearer ends, unless it ends sooner by itself.
    pub old_until: Timestamp,
    /// When the new one ends.
    pub life: RotatedLife,
    /// Whether to end at once a bearer that an earlier rotation left.
    pub force: bool,
}

/// When a rotated bearer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotatedLife {
    /// After as long a life as the old one was made for; never, where that had no end.
    AsBefore,
    /// At this moment.
    Until(Timestamp),
}

/// What a rotation did.
#[derive(Debug, Clone, PartialEq)]
pub struct Rotated {
    /// The new bearer.
    pub new: NewBearer,
    /// The old one, as it is now.
    pub old: BearerRecord,
    /// Bearers that were revoked to make room.
    pub ended: Vec<BearerId>,
}

/// Why a bearer was not rotated. Nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RotateError {
    /// No bearer has the name.
    #[error("there is no bearer `{0}`; `tagmint bearer list` shows them")]
    Unknown(String),
    /// The name's last bearer was revoked: it may have leaked, and what it was allowed must be said anew.
    #[error("bearer `{0}` was revoked; make a new one with `tagmint bearer create`")]
    Revoked(String),
    /// Two secrets are good already.
    #[error(
        "bearer `{name}` has two secrets already: `{older}`, of before the last rotation, {}; wait, \
         revoke one of them by its id, or end the older one now with --force",
        until.map_or("has no end".to_owned(), |until| format!("is good until {until}"))
    )]
    Overlap {
        /// The name.
        name: String,
        /// The one that an earlier rotation left.
        older: BearerId,
        /// When it ends.
        until: Option<Timestamp>,
    },
    /// The new one would be good for no time.
    #[error("the bearer would have ended before it begins")]
    Ended,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

const DOING: &str = "rotate a bearer";
const REPLACE: &str = "UPDATE bearers SET replaced_by = $1, expires_at = $2 WHERE id = $3 AND revoked_at IS NULL";

impl Bearers<'_> {
    /// Gives a name a new secret. The old one stays good until `old_until`, or its own end where that comes first. All or nothing: a crash
    /// leaves the old bearer as it was.
    pub async fn rotate(self, rotation: &Rotation) -> Result<Rotated, RotateError> {
        let engine = &self.store.inner.engine;
        let mut transaction = engine.begin_write(DOING).await?;
        let planned = match self.read_name(&mut transaction, rotation).await? {
            (Some(current), live) => plan(rotation, current, &live),
            (None, _) => Err(RotateError::Unknown(rotation.name.clone())),
        };
        let rotated = match planned {
            Ok(rotated) => rotated,
            Err(error) => {
                transaction.rollback().await.map_err(engine.failed(DOING))?;
                return Err(error);
            }
        };
        for id in &rotated.ended {
            let touched = on_engine!(transaction.executor(), connection => {
                sqlx::query(REVOKE)
                    .bind(rotation.now.as_second())
                    .bind(id.to_string())
                    .execute(connection)
                    .await
                    .map(|done| done.rows_affected())
            });
            expect_rows(engine.name(), DOING, 1, touched.map_err(engine.failed(DOING))?)?;
        }
        let touched = on_engine!(transaction.executor(), connection => {
            sqlx::query(REPLACE)
                .bind(rotated.new.id.to_string())
                .bind(rotated.old.expires_at.map(Timestamp::as_second))
                .bind(rotated.old.id.to_string())
                .execute(connection)
                .await
                .map(|done| done.rows_affected())
        });
        expect_rows(engine.name(), DOING, 1, touched.map_err(engine.failed(DOING))?)?;
        let written = insert(transaction.executor(), &rotated.new).await;
        expect_rows(engine.name(), DOING, 1, written.map_err(engine.failed(DOING))?)?;
        transaction.commit().await.map_err(engine.failed(DOING))?;
        Ok(rotated)
    }

    /// The bearer that has the name, and all of the name that are good now.
    async fn read_name(
        self,
        transaction: &mut Transaction,
        rotation: &Rotation,
    ) -> Result<(Option<BearerRecord>, Vec<BearerRecord>), StoreError> {
        let engine = &self.store.inner.engine;
        let current: Result<Option<Row>, _> = on_engine!(transaction.executor(), connection => {
            sqlx::query_as(GET_BY_NAME).bind(&rotation.name).fetch_optional(connection).await
        });
        let current = current.map_err(engine.failed(DOING))?.map(|row| self.read(row)).transpose()?;
        let live: Result<Vec<Row>, _> = on_engine!(transaction.executor(), connection => {
            sqlx::query_as(LIST_NAME)
                .bind(&rotation.name)
                .bind(rotation.now.as_second())
                .fetch_all(connection)
                .await
        });
        let live = live.map_err(engine.failed(DOING))?;
        Ok((current, live.into_iter().map(|row| self.read(row)).collect::<Result<_, _>>()?))
    }
}

/// What is to become of a name's bearers. Moments are in whole seconds, as they are stored.
fn plan(rotation: &Rotation, mut old: BearerRecord, live: &[BearerRecord]) -> Result<Rotated, RotateError> {
    // What an earlier rotation has left and has ended since does not come to life again.
    let is_left_over = old.replaced_by.is_some() && live.iter().all(|bearer| bearer.id != old.id);
    if old.revoked_at.is_some() || is_left_over {
        return Err(RotateError::Revoked(rotation.name.clone()));
    }
    let others: Vec<&BearerRecord> = live.iter().filter(|bearer| bearer.id != old.id).collect();
    if let Some(older) = others.first()
        && !rotation.force
    {
        let (name, older, until) = (rotation.name.clone(), older.id, older.expires_at);
        return Err(RotateError::Overlap { name, older, until });
    }
    let now = whole_seconds(rotation.now);
    let expires_at = match (rotation.life, old.expires_at) {
        (RotatedLife::Until(moment), _) => Some(whole_seconds(moment)),
        (RotatedLife::AsBefore, None) => None,
        (RotatedLife::AsBefore, Some(end)) => {
            Some(now.checked_add(end.duration_since(old.created_at)).map_err(|_| RotateError::Ended)?)
        }
    };
    if expires_at.is_some_and(|end| end <= now) {
        return Err(RotateError::Ended);
    }
    let new = NewBearer {
        id: rotation.id,
        name: old.name.clone(),
        secret_hash: rotation.secret_hash,
        rule: old.rule.clone(),
        scope: old.scope.clone(),
        attributes: old.attributes.clone(),
        created_at: now,
        expires_at,
    };
    let old_until = whole_seconds(rotation.old_until);
    old.expires_at = Some(old.expires_at.map_or(old_until, |end| end.min(old_until)));
    old.replaced_by = Some(rotation.id);
    Ok(Rotated { new, old, ended: others.into_iter().map(|bearer| bearer.id).collect() })
}

fn whole_seconds(moment: Timestamp) -> Timestamp {
    Timestamp::from_second(moment.as_second()).unwrap_or(moment)
}

#[cfg(test)]
mod tests;
