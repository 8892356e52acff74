//! Signing keys: their moments, their public halves, and their private halves sealed under the key file.

use jiff::Timestamp;
use tagmint_core::{
    jwk::{Jwk, JwkSet, PublicKey, VerificationKeys},
    key_schedule::{KeyChange, KeySchedule, KeyState},
    random::Random,
    sealing::MasterKey,
    signing_key::{Algorithm, KeyId, Signer, SigningKey},
};

use crate::{
    engine::{Executor, Transaction, expect_rows, is_taken, on_engine},
    error::{KeyChangeError, StoreError},
    ledger::{StoredHead, read_head},
    store::{Inner, Store},
};

/// A stored key, without its private half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its id, algorithm and moments. Moments are kept in whole milliseconds.
    pub state: KeyState,
    /// Its public half.
    pub public: PublicKey,
    /// A certificate over it, DER, for `x5c`.
    pub certificate_der: Option<Vec<u8>>,
    /// Whether the private half is there still: it is wiped after the withdrawal.
    pub has_private: bool,
}

/// The key that a plan may publish.
#[derive(Debug)]
pub struct KeyCandidate<'k> {
    /// The key.
    pub key: &'k SigningKey,
    /// A certificate over it, DER, for `x5c`.
    pub certificate_der: Option<Vec<u8>>,
}

const LIST: &str = "SELECT kid, algorithm, jwks, certificate, private_key IS NOT NULL, published_at_ms, active_at_ms, retiring_at_ms, \
     withdrawn_at_ms, due_at_ms, withdrawn FROM signing_keys ORDER BY published_at_ms, kid";
const PRIVATE: &str = "SELECT algorithm, private_key FROM signing_keys WHERE kid = $1";
const SEALED: &str = "SELECT kid, private_key FROM signing_keys WHERE private_key IS NOT NULL";
const UNWIPED: &str =
    "SELECT count(*) FROM signing_keys WHERE (withdrawn = 1 OR withdrawn_at_ms <= $1) AND private_key IS NOT NULL";
const PUBLISH: &str = "INSERT INTO signing_keys (kid, algorithm, jwks, certificate, private_key, published_at_ms, active_at_ms, \
     retiring_at_ms, withdrawn_at_ms, due_at_ms, withdrawn) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
const RESCHEDULE: &str = "UPDATE signing_keys SET published_at_ms = $1, active_at_ms = $2, retiring_at_ms = $3, withdrawn_at_ms = $4, \
     due_at_ms = $5, withdrawn = CASE WHEN withdrawn = 1 THEN 1 ELSE $6 END WHERE kid = $7";
// A key whose private half is gone cannot come back, whatever the clock says later.
const WIPE: &str = "UPDATE signing_keys SET private_key = NULL, withdrawn = 1 \
     WHERE (withdrawn = 1 OR withdrawn_at_ms <= $1) AND private_key IS NOT NULL";

type Row = (String, String, String, Option<Vec<u8>>, bool, i64, i64, Option<i64>, Option<i64>, Option<i64>, bool);
type PrivateRow = (String, Option<Vec<u8>>);

fn record(row: Row) -> Result<KeyRecord, (String, &'static str)> {
    let (kid, algorithm, jwks, certificate_der, has_private, published, active, retiring, withdrawn_at, due, withdrawn) =
        row;
    let at = |millis: i64, column| Timestamp::from_millisecond(millis).map_err(|_| column);
    let read = || {
        let algorithm: Algorithm = algorithm.parse().map_err(|_| "algorithm")?;
        let keys = VerificationKeys::parse(jwks.as_bytes()).map_err(|_| "jwks")?;
        let public = keys.find(&kid, algorithm).ok_or("jwks")?.clone();
        Ok(KeyRecord {
            state: KeyState {
                kid: Some(public.thumbprint()).filter(|thumbprint| thumbprint.as_str() == kid).ok_or("kid")?,
                algorithm,
                schedule: KeySchedule {
                    published_at: at(published, "published_at_ms")?,
                    active_at: at(active, "active_at_ms")?,
                    retiring_at: retiring.map(|moment| at(moment, "retiring_at_ms")).transpose()?,
                    withdrawn_at: withdrawn_at.map(|moment| at(moment, "withdrawn_at_ms")).transpose()?,
                    due_at: due.map(|moment| at(moment, "due_at_ms")).transpose()?,
                    withdrawn,
                },
            },
            public,
            certificate_der,
            has_private,
        })
    };
    read().map_err(|column| (kid.clone(), column))
}

/// The signing keys of a store.
#[derive(Debug, Clone, Copy)]
pub struct Keys<'s> {
    pub(crate) store: &'s Store,
}

impl Keys<'_> {
    /// All keys, withdrawn ones included, in the order of their publication.
    pub async fn list(self) -> Result<Vec<KeyRecord>, StoreError> {
        let engine = &self.store.inner.engine;
        let mut reader = engine.reader("list the signing keys").await?;
        self.list_with(reader.executor()).await
    }

    pub(crate) async fn list_with(self, executor: Executor<'_>) -> Result<Vec<KeyRecord>, StoreError> {
        let engine = &self.store.inner.engine;
        let rows: Result<Vec<Row>, _> =
            on_engine!(executor, connection => sqlx::query_as(LIST).fetch_all(connection).await);
        let rows = rows.map_err(engine.failed("list the signing keys"))?;
        let unusable = |(row, column)| self.unusable(row, column);
        rows.into_iter().map(|row| record(row).map_err(unusable)).collect()
    }

    /// Opens a key's private half.
    pub async fn load_signing_key(self, kid: &KeyId, master_key: &MasterKey) -> Result<SigningKey, StoreError> {
        let doing = "load a signing key";
        let engine = &self.store.inner.engine;
        let mut reader = engine.reader(doing).await?;
        let found: Result<Option<PrivateRow>, _> = on_engine!(reader.executor(), connection => {
            sqlx::query_as(PRIVATE).bind(kid.as_str()).fetch_optional(connection).await
        });
        let (algorithm, sealed) =
            found.map_err(engine.failed(doing))?.ok_or_else(|| StoreError::UnknownKey(kid.clone()))?;
        let sealed = sealed.ok_or_else(|| StoreError::KeyWiped(kid.clone()))?;
        let algorithm = algorithm.parse().map_err(|_| self.unusable(kid.to_string(), "algorithm"))?;
        let pkcs8 = master_key.open(&sealed, &self.store.inner.stamp, kid).map_err(|cause| StoreError::Sealing {
            database: engine.name().clone(),
            kid: kid.clone(),
            cause,
        })?;
        let key = SigningKey::from_pkcs8(algorithm, &pkcs8).map_err(|cause| StoreError::Signing {
            database: engine.name().clone(),
            kid: kid.clone(),
            cause,
        })?;
        if key.kid() == kid { Ok(key) } else { Err(self.unusable(kid.to_string(), "private_key")) }
    }

    /// Whether a withdrawn key's private half is waiting to be wiped; [`change`](Self::change) does it.
    pub async fn has_withdrawn_private(self, now: Timestamp) -> Result<bool, StoreError> {
        let doing = "look for withdrawn signing keys";
        let engine = &self.store.inner.engine;
        let mut reader = engine.reader(doing).await?;
        let found: Result<(i64,), _> = on_engine!(reader.executor(), connection => {
            sqlx::query_as(UNWIPED).bind(now.as_millisecond()).fetch_one(connection).await
        });
        Ok(found.map_err(engine.failed(doing))?.0 > 0)
    }

    /// Changes the keys by a plan, and wipes the private halves of keys that are withdrawn at `now`. All of it happens or nothing does.
    ///
    /// `plan` sees all keys as they are; no other process changes them until its answer is written. It may publish `candidate`, once.
    /// Returns the keys that were published or given new moments.
    ///
    /// Refused where `master_key` is not the one that the database was made with: a key sealed under another one could never sign.
    pub async fn change<E: Send>(
        self,
        now: Timestamp,
        candidate: &KeyCandidate<'_>,
        master_key: &MasterKey,
        random: &dyn Random,
        plan: impl FnOnce(&[KeyState]) -> Result<Vec<KeyChange>, E> + Send,
    ) -> Result<Vec<KeyState>, KeyChangeError<E>> {
        let doing = "change the signing keys";
        let engine = &self.store.inner.engine;
        // Sealed beforehand: the transaction does nothing that takes time.
        let sealed = self.seal(candidate.key, master_key, random)?;
        let mut transaction = engine.begin_write(doing).await?;
        let states: Vec<KeyState> =
            self.list_with(transaction.executor()).await?.into_iter().map(|record| record.state).collect();
        let own_key_file = self.is_own_key_file(&mut transaction, master_key).await?;
        let proven = own_key_file.then_some(()).ok_or_else(|| self.other_key_file().into());
        let changes = proven.and_then(|()| plan(&states).map_err(KeyChangeError::Plan)).and_then(|changes| {
            let published = changes.iter().filter(|change| matches!(change, KeyChange::Publish(_))).count();
            if published > 1 { Err(StoreError::TooManyKeys(published).into()) } else { Ok(changes) }
        });
        let changes = match changes {
            Ok(changes) => changes,
            Err(refused) => {
                transaction.rollback().await.map_err(engine.failed(doing))?;
                return Err(refused);
            }
        };
        let mut written = Vec::with_capacity(changes.len());
        for change in changes {
            let (kid, schedule) = match change {
                KeyChange::Publish(schedule) => {
                    self.publish(&mut transaction, candidate, &sealed, schedule).await?;
                    (candidate.key.kid().clone(), schedule)
                }
                KeyChange::Reschedule { kid, schedule } => {
                    self.reschedule(&mut transaction, &kid, schedule).await?;
                    (kid, schedule)
                }
            };
            let known = states.iter().find(|state| state.kid == kid).map(|state| state.algorithm);
            written.push(KeyState { algorithm: known.unwrap_or_else(|| candidate.key.algorithm()), kid, schedule });
        }
        self.wipe(&mut transaction, now).await?;
        transaction.commit().await.map_err(engine.failed(doing))?;
        Ok(written)
    }

    /// Whether the database was made with this key file: it has sealed the ledger's head. Where that was altered, or there is none yet, the
    /// file that opens every key will do: a compromised key can be withdrawn whatever was done to the ledger.
    async fn is_own_key_file(self, transaction: &mut Transaction, master_key: &MasterKey) -> Result<bool, StoreError> {
        let doing = "check the key file";
        let Inner { engine, stamp, .. } = &*self.store.inner;
        let stored = read_head(transaction.executor()).await.map_err(engine.failed(doing))?;
        let genuine =
            |StoredHead { head, seal }: &StoredHead| master_key.ledger_head_is_genuine(head.seq, &head.hash, seal);
        if stored.as_ref().is_some_and(genuine) {
            return Ok(true);
        }
        let sealed: Result<Vec<(String, Vec<u8>)>, _> =
            on_engine!(transaction.executor(), connection => sqlx::query_as(SEALED).fetch_all(connection).await);
        let sealed = sealed.map_err(engine.failed(doing))?;
        let opens = |(kid, sealed): &(String, Vec<u8>)| {
            kid.parse().is_ok_and(|kid| master_key.open(sealed, stamp, &kid).is_ok())
        };
        Ok(if sealed.is_empty() { stored.is_none() } else { sealed.iter().all(opens) })
    }

    fn other_key_file(self) -> StoreError {
        StoreError::OtherKeyFile { database: self.store.inner.engine.name().clone() }
    }

    fn seal(self, key: &SigningKey, master_key: &MasterKey, random: &dyn Random) -> Result<Vec<u8>, StoreError> {
        let (database, kid) = (self.store.inner.engine.name(), key.kid());
        let pkcs8 = key.to_pkcs8().map_err(|cause| StoreError::Signing {
            database: database.clone(),
            kid: kid.clone(),
            cause,
        })?;
        master_key.seal(&pkcs8, &self.store.inner.stamp, kid, random).map_err(|cause| StoreError::Sealing {
            database: database.clone(),
            kid: kid.clone(),
            cause,
        })
    }

    async fn publish(
        self,
        transaction: &mut Transaction,
        candidate: &KeyCandidate<'_>,
        sealed: &[u8],
        schedule: KeySchedule,
    ) -> Result<(), StoreError> {
        let doing = "publish a signing key";
        let engine = &self.store.inner.engine;
        let kid = candidate.key.kid();
        let jwks = JwkSet { keys: vec![Jwk::new(candidate.key.public(), None)] };
        let written = on_engine!(transaction.executor(), connection => {
            sqlx::query(PUBLISH)
                .bind(kid.as_str())
                .bind(candidate.key.algorithm().as_str())
                .bind(serde_json::to_string(&jwks).expect("a key set is JSON"))
                .bind(candidate.certificate_der.as_deref())
                .bind(sealed)
                .bind(schedule.published_at.as_millisecond())
                .bind(schedule.active_at.as_millisecond())
                .bind(schedule.retiring_at.map(Timestamp::as_millisecond))
                .bind(schedule.withdrawn_at.map(Timestamp::as_millisecond))
                .bind(schedule.due_at.map(Timestamp::as_millisecond))
                .bind(i64::from(schedule.withdrawn))
                .execute(connection)
                .await
                .map(|done| done.rows_affected())
        });
        match written {
            Err(error) if is_taken(&error, "signing_keys.kid") => Err(StoreError::KeyExists(kid.clone())),
            written => expect_rows(engine.name(), doing, 1, written.map_err(engine.failed(doing))?),
        }
    }

    pub(crate) async fn reschedule(
        self,
        transaction: &mut Transaction,
        kid: &KeyId,
        schedule: KeySchedule,
    ) -> Result<(), StoreError> {
        let doing = "reschedule a signing key";
        let engine = &self.store.inner.engine;
        let written = on_engine!(transaction.executor(), connection => {
            sqlx::query(RESCHEDULE)
                .bind(schedule.published_at.as_millisecond())
                .bind(schedule.active_at.as_millisecond())
                .bind(schedule.retiring_at.map(Timestamp::as_millisecond))
                .bind(schedule.withdrawn_at.map(Timestamp::as_millisecond))
                .bind(schedule.due_at.map(Timestamp::as_millisecond))
                .bind(i64::from(schedule.withdrawn))
                .bind(kid.as_str())
                .execute(connection)
                .await
                .map(|done| done.rows_affected())
        });
        match written.map_err(engine.failed(doing))? {
            0 => Err(StoreError::UnknownKey(kid.clone())),
            touched => expect_rows(engine.name(), doing, 1, touched),
        }
    }

    async fn wipe(self, transaction: &mut Transaction, now: Timestamp) -> Result<(), StoreError> {
        let doing = "wipe withdrawn signing keys";
        let engine = &self.store.inner.engine;
        let now = now.as_millisecond();
        let expected: Result<(i64,), _> = on_engine!(transaction.executor(), connection => {
            sqlx::query_as(UNWIPED).bind(now).fetch_one(connection).await
        });
        let expected = expected.map_err(engine.failed(doing))?.0.unsigned_abs();
        let wiped = on_engine!(transaction.executor(), connection => {
            sqlx::query(WIPE).bind(now).execute(connection).await.map(|done| done.rows_affected())
        });
        expect_rows(engine.name(), doing, expected, wiped.map_err(engine.failed(doing))?)
    }

    fn unusable(self, row: String, column: &'static str) -> StoreError {
        StoreError::Row { database: self.store.inner.engine.name().clone(), table: "signing_keys", row, column }
    }
}

#[cfg(test)]
mod tests;
