//! Certificates by ACME: accounts, the order under way, what it has led to, and what the nodes of an issuer agree on.
//!
//! Everything is written before the ACME server hears of it or before it is served, so that a process that is killed at any moment can be
//! followed by another one. Private keys are sealed under the key file.

mod accounts;
mod certificates;

use std::sync::Arc;

use jiff::Timestamp;
use tagmint_core::{id::CertificateId, random::Random, sealing::MasterKey};
use zeroize::Zeroizing;

pub use self::{accounts::AcmeAccount, certificates::CertificateRecord};
use crate::{
    engine::{Transaction, expect_rows, on_engine},
    error::StoreError,
    store::{Inner, Store},
};

/// Runs one statement that writes; gives the rows that it touched.
macro_rules! write {
    ($engine:expr, $executor:expr, $doing:expr, $sql:expr $(, $value:expr)* $(,)?) => {
        on_engine!($executor, connection => {
            sqlx::query($sql)$(.bind($value))*.execute(connection).await.map(|done| done.rows_affected())
        })
        .map_err($engine.failed($doing))
    };
}
use write;

/// The order under way.
#[derive(Debug)]
pub struct AcmeOrder {
    /// The certificate to be.
    pub id: CertificateId,
    /// The directory URL of the server.
    pub directory: String,
    /// The DNS names.
    pub names: Vec<String>,
    /// The order's URL.
    pub url: String,
    /// The key of the certificate to be, PKCS#8.
    pub private_key: Zeroizing<Vec<u8>>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An order that was made just now.
#[derive(Debug, Clone, Copy)]
pub struct NewOrder<'a> {
    /// The certificate to be.
    pub id: CertificateId,
    /// The directory URL of the server.
    pub directory: &'a str,
    /// The DNS names.
    pub names: &'a [String],
    /// The order's URL.
    pub url: &'a str,
    /// The key of the certificate to be, PKCS#8.
    pub private_key: &'a [u8],
    /// Now.
    pub now: Timestamp,
}

/// What the nodes of an issuer agree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcmeState {
    /// Who orders, until when.
    pub lease: Option<(String, Timestamp)>,
    /// When an operator asked for a renewal; none once a certificate came of it.
    pub renew_requested_at: Option<Timestamp>,
    /// When an operator asked for another account key; none once it was tried.
    pub rollover_requested_at: Option<Timestamp>,
    /// The last attempt, if no certificate came of it.
    pub failure: Option<AcmeFailure>,
    /// Before when no attempt is made.
    pub retry_at: Option<Timestamp>,
    /// The moments of the last failed validations.
    pub failed_validations: Vec<Timestamp>,
}

/// An attempt of which no certificate came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcmeFailure {
    /// When.
    pub at: Timestamp,
    /// What kind it was, in one word.
    pub kind: String,
    /// What went wrong.
    pub problem: String,
    /// How many attempts have failed in a row.
    pub consecutive: u32,
}

/// What is kept for certificates by ACME.
#[derive(Debug, Clone, Copy)]
pub struct Acme<'s> {
    pub(crate) store: &'s Store,
}

const STATE: &str = "SELECT lease_holder, lease_until_ms, renew_requested_at_ms, rollover_requested_at_ms, failures, failed_at_ms, \
     failure_kind, failure, retry_at_ms, failed_validations FROM acme_state WHERE id = 1";
const TAKE_LEASE: &str = "UPDATE acme_state SET lease_holder = $1, lease_until_ms = $2 \
     WHERE id = 1 AND (lease_holder IS NULL OR lease_holder = $1 OR lease_until_ms <= $3 OR lease_until_ms > $4)";
const RELEASE_LEASE: &str =
    "UPDATE acme_state SET lease_holder = NULL, lease_until_ms = 0 WHERE id = 1 AND lease_holder = $1";
// An operator who asks for a renewal has done something about what failed: the pause ends. The server's limit on validations stays.
const REQUEST_RENEWAL: &str = "UPDATE acme_state SET renew_requested_at_ms = $1, retry_at_ms = NULL WHERE id = 1";
const REQUEST_ROLLOVER: &str = "UPDATE acme_state SET rollover_requested_at_ms = $1 WHERE id = 1";
const END_ROLLOVER_REQUEST: &str = "UPDATE acme_state SET rollover_requested_at_ms = NULL WHERE id = 1";
const FAILED: &str = "UPDATE acme_state SET failures = $1, failed_at_ms = $2, failure_kind = $3, failure = $4, retry_at_ms = $5, \
     failed_validations = $6 WHERE id = 1";

const ORDER: &str = "SELECT id, directory, names, url, private_key, created_at_ms FROM acme_orders WHERE slot = 1";
const PUT_ORDER: &str = "INSERT INTO acme_orders (slot, id, directory, names, url, private_key, created_at_ms) \
     VALUES (1, $1, $2, $3, $4, $5, $6)";
const DROP_ORDERS: &str = "DELETE FROM acme_orders";
const DROP_CHALLENGES: &str = "DELETE FROM acme_challenges";
const PUT_CHALLENGE: &str = "INSERT INTO acme_challenges (token, key_authorization) VALUES ($1, $2) \
     ON CONFLICT (token) DO UPDATE SET key_authorization = excluded.key_authorization";
const CHALLENGE: &str = "SELECT key_authorization FROM acme_challenges WHERE token = $1";

type StateRow = (
    Option<String>,
    i64,
    Option<i64>,
    Option<i64>,
    i64,
    Option<i64>,
    Option<String>,
    Option<String>,
    Option<i64>,
    String,
);
type OrderRow = (String, String, String, String, Vec<u8>, i64);

fn millis(value: i64, column: &'static str) -> Result<Timestamp, &'static str> {
    Timestamp::from_millisecond(value).map_err(|_| column)
}

fn optional_millis(value: Option<i64>, column: &'static str) -> Result<Option<Timestamp>, &'static str> {
    value.map(|value| millis(value, column)).transpose()
}

fn texts(json: &str, column: &'static str) -> Result<Vec<String>, &'static str> {
    serde_json::from_str(json).map_err(|_| column)
}

fn to_json(texts: &[String]) -> String {
    serde_json::to_string(texts).expect("texts are JSON")
}

fn order_owner(id: CertificateId) -> String {
    format!("order {id}")
}

impl AcmeState {
    fn read(row: StateRow) -> Result<Self, &'static str> {
        let (holder, until, renew, rollover, failures, failed_at, kind, problem, retry_at, validations) = row;
        let until = millis(until, "lease_until_ms")?;
        let failure = match (optional_millis(failed_at, "failed_at_ms")?, kind, problem) {
            (Some(at), Some(kind), Some(problem)) => {
                let consecutive = u32::try_from(failures).map_err(|_| "failures")?;
                Some(AcmeFailure { at, kind, problem, consecutive })
            }
            _ => None,
        };
        let validations: Vec<i64> = serde_json::from_str(&validations).map_err(|_| "failed_validations")?;
        let validation = |value| millis(value, "failed_validations");
        Ok(Self {
            lease: holder.map(|holder| (holder, until)),
            renew_requested_at: optional_millis(renew, "renew_requested_at_ms")?,
            rollover_requested_at: optional_millis(rollover, "rollover_requested_at_ms")?,
            failure,
            retry_at: optional_millis(retry_at, "retry_at_ms")?,
            failed_validations: validations.into_iter().map(validation).collect::<Result<_, _>>()?,
        })
    }
}

impl Acme<'_> {
    /// What the nodes agree on.
    pub async fn state(self) -> Result<AcmeState, StoreError> {
        let doing = "read the state of the certificates";
        let Inner { engine, .. } = &*self.store.inner;
        let mut reader = engine.reader(doing).await?;
        let row: Result<StateRow, _> =
            on_engine!(reader.executor(), connection => sqlx::query_as(STATE).fetch_one(connection).await);
        AcmeState::read(row.map_err(engine.failed(doing))?).map_err(|column| self.unusable("acme_state", "1", column))
    }

    /// Takes or extends the right to order, until `until`. Tells whether `holder` has it now.
    ///
    /// Somebody else's lease that ends later than `until` counts as none: it was taken by a clock that was ahead.
    pub async fn take_lease(self, holder: &str, now: Timestamp, until: Timestamp) -> Result<bool, StoreError> {
        let doing = "take the lease for ordering certificates";
        let Inner { engine, .. } = &*self.store.inner;
        let mut writer = engine.writer(doing).await?;
        let (now, until) = (now.as_millisecond(), until.as_millisecond());
        // Nodes' clocks differ by seconds; no lease is asked for twice its length.
        let absurd = until + (until - now).max(0);
        let touched = write!(engine, writer.executor(), doing, TAKE_LEASE, holder, until, now, absurd)?;
        Ok(touched == 1)
    }

    /// Gives the right to order back.
    pub async fn release_lease(self, holder: &str) -> Result<(), StoreError> {
        let doing = "give back the lease for ordering certificates";
        let Inner { engine, .. } = &*self.store.inner;
        let mut writer = engine.writer(doing).await?;
        write!(engine, writer.executor(), doing, RELEASE_LEASE, holder).map(|_| ())
    }

    /// Asks for a renewal, and ends the pause after a failure.
    pub async fn request_renewal(self, now: Timestamp) -> Result<(), StoreError> {
        let doing = "ask for a renewal";
        let Inner { engine, .. } = &*self.store.inner;
        let mut writer = engine.writer(doing).await?;
        let touched = write!(engine, writer.executor(), doing, REQUEST_RENEWAL, now.as_millisecond())?;
        expect_rows(engine.name(), doing, 1, touched)
    }

    /// Asks for another account key.
    pub async fn request_rollover(self, now: Timestamp) -> Result<(), StoreError> {
        let doing = "ask for another account key";
        let Inner { engine, .. } = &*self.store.inner;
        let mut writer = engine.writer(doing).await?;
        let touched = write!(engine, writer.executor(), doing, REQUEST_ROLLOVER, now.as_millisecond())?;
        expect_rows(engine.name(), doing, 1, touched)
    }

    /// The request for another account key was dealt with.
    pub async fn end_rollover_request(self) -> Result<(), StoreError> {
        let doing = "end the request for another account key";
        let Inner { engine, .. } = &*self.store.inner;
        let mut writer = engine.writer(doing).await?;
        let touched = write!(engine, writer.executor(), doing, END_ROLLOVER_REQUEST)?;
        expect_rows(engine.name(), doing, 1, touched)
    }

    /// Notes a failed attempt, before when no other is made, and the failed validations that still count.
    pub async fn failed(
        self,
        failure: &AcmeFailure,
        retry_at: Timestamp,
        failed_validations: &[Timestamp],
    ) -> Result<(), StoreError> {
        let doing = "note a failed attempt to get a certificate";
        let Inner { engine, .. } = &*self.store.inner;
        let mut writer = engine.writer(doing).await?;
        let validations: Vec<i64> = failed_validations.iter().map(|at| at.as_millisecond()).collect();
        let touched = write!(
            engine,
            writer.executor(),
            doing,
            FAILED,
            i64::from(failure.consecutive),
            failure.at.as_millisecond(),
            &failure.kind,
            &failure.problem,
            retry_at.as_millisecond(),
            serde_json::to_string(&validations).expect("integers are JSON"),
        )?;
        expect_rows(engine.name(), doing, 1, touched)
    }

    /// The order under way.
    pub async fn order(self, master_key: &MasterKey) -> Result<Option<AcmeOrder>, StoreError> {
        let doing = "read the order under way";
        let Inner { engine, .. } = &*self.store.inner;
        let mut reader = engine.reader(doing).await?;
        let row: Result<Option<OrderRow>, _> =
            on_engine!(reader.executor(), connection => sqlx::query_as(ORDER).fetch_optional(connection).await);
        let Some((id, directory, names, url, private_key, created_at)) = row.map_err(engine.failed(doing))? else {
            return Ok(None);
        };
        let unusable = |column| self.unusable("acme_orders", &id, column);
        let parsed: CertificateId = id.parse().map_err(|_| unusable("id"))?;
        Ok(Some(AcmeOrder {
            id: parsed,
            directory,
            names: texts(&names, "names").map_err(unusable)?,
            url,
            private_key: self.open(&private_key, &order_owner(parsed), master_key)?,
            created_at: millis(created_at, "created_at_ms").map_err(unusable)?,
        }))
    }

    /// Keeps an order with its key; another one is forgotten.
    pub async fn put_order(
        self,
        order: &NewOrder<'_>,
        master_key: &MasterKey,
        random: &dyn Random,
    ) -> Result<(), StoreError> {
        let doing = "keep an order";
        let Inner { engine, .. } = &*self.store.inner;
        let sealed = self.seal(order.private_key, &order_owner(order.id), master_key, random)?;
        let mut transaction = engine.begin_write(doing).await?;
        self.forget_orders(&mut transaction, doing).await?;
        let touched = write!(
            engine,
            transaction.executor(),
            doing,
            PUT_ORDER,
            order.id.to_string(),
            order.directory,
            to_json(order.names),
            order.url,
            sealed,
            order.now.as_millisecond(),
        )?;
        expect_rows(engine.name(), doing, 1, touched)?;
        transaction.commit().await.map_err(engine.failed(doing))
    }

    /// Forgets the order under way, its key and its challenges.
    pub async fn drop_order(self) -> Result<(), StoreError> {
        let doing = "forget an order";
        let Inner { engine, .. } = &*self.store.inner;
        let mut transaction = engine.begin_write(doing).await?;
        self.forget_orders(&mut transaction, doing).await?;
        transaction.commit().await.map_err(engine.failed(doing))
    }

    async fn forget_orders(self, transaction: &mut Transaction, doing: &'static str) -> Result<(), StoreError> {
        let Inner { engine, .. } = &*self.store.inner;
        write!(engine, transaction.executor(), doing, DROP_CHALLENGES)?;
        write!(engine, transaction.executor(), doing, DROP_ORDERS).map(|_| ())
    }

    /// Keeps the answer to an HTTP-01 challenge (RFC 8555 §8.3), before the server is asked to look for it.
    pub async fn put_challenge(self, token: &str, key_authorization: &str) -> Result<(), StoreError> {
        let doing = "keep the answer to a challenge";
        let Inner { engine, .. } = &*self.store.inner;
        let mut writer = engine.writer(doing).await?;
        let touched = write!(engine, writer.executor(), doing, PUT_CHALLENGE, token, key_authorization)?;
        expect_rows(engine.name(), doing, 1, touched)
    }

    /// The answer to an HTTP-01 challenge.
    pub async fn challenge(self, token: &str) -> Result<Option<String>, StoreError> {
        let doing = "read the answer to a challenge";
        let Inner { engine, .. } = &*self.store.inner;
        let mut reader = engine.reader(doing).await?;
        let found: Result<Option<(String,)>, _> = on_engine!(reader.executor(), connection => {
            sqlx::query_as(CHALLENGE).bind(token).fetch_optional(connection).await
        });
        Ok(found.map_err(engine.failed(doing))?.map(|(answer,)| answer))
    }

    fn seal(self, key: &[u8], owner: &str, master_key: &MasterKey, random: &dyn Random) -> Result<Vec<u8>, StoreError> {
        let sealed = master_key.seal_tls_key(key, &self.store.inner.stamp, owner, random);
        sealed.map_err(|cause| self.tls_key(owner, cause))
    }

    fn open(self, sealed: &[u8], owner: &str, master_key: &MasterKey) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let opened = master_key.open_tls_key(sealed, &self.store.inner.stamp, owner);
        opened.map_err(|cause| self.tls_key(owner, cause))
    }

    fn tls_key(self, owner: &str, cause: tagmint_core::sealing::SealingError) -> StoreError {
        StoreError::TlsKey { database: Arc::clone(self.store.inner.engine.name()), owner: owner.into(), cause }
    }

    fn unusable(self, table: &'static str, row: &str, column: &'static str) -> StoreError {
        StoreError::Row { database: Arc::clone(self.store.inner.engine.name()), table, row: row.to_owned(), column }
    }
}

#[cfg(test)]
mod tests;
