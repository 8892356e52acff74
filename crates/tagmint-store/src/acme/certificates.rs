//! Certificates that came of orders.

use jiff::Timestamp;
use tagmint_core::{id::CertificateId, renewal::RenewalWindow, sealing::MasterKey};
use zeroize::Zeroizing;

use super::{Acme, millis, optional_millis, order_owner, write};
use crate::{
    engine::{expect_rows, on_engine},
    error::StoreError,
    store::Inner,
};

/// Certificates whose keys are kept: the newest, and the one before for nodes that have not taken up the newest yet.
const KEYS_KEPT: i64 = 2;
/// Certificates that are kept at all.
const KEPT: i64 = 50;

/// A certificate, without its private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRecord {
    /// The order's.
    pub id: CertificateId,
    /// The directory URL of the server that it came from.
    pub directory: String,
    /// PEM, the issuer's own first.
    pub chain: String,
    /// Whether its private key is there still.
    pub has_private: bool,
    /// When it ends.
    pub not_after: Timestamp,
    /// When it was stored.
    pub stored_at: Timestamp,
    /// When the server suggests to renew it (RFC 9773).
    pub window: Option<RenewalWindow>,
    /// Where the server explains the window.
    pub explanation_url: Option<String>,
    /// When the server is asked for the window again; none before the first time.
    pub lookup_at: Option<Timestamp>,
}

const COLUMNS_AND_ORDER: &str = "SELECT id, directory, chain, private_key IS NOT NULL, not_after_ms, stored_at_ms, window_start_ms, \
     window_end_ms, explanation_url, lookup_at_ms FROM acme_certificates ORDER BY seq DESC";
const KEY: &str = "SELECT private_key FROM acme_certificates WHERE id = $1";
const STORE: &str = "INSERT INTO acme_certificates (seq, id, directory, chain, private_key, not_after_ms, stored_at_ms) \
     SELECT (SELECT coalesce(max(seq), 0) + 1 FROM acme_certificates), id, directory, $2, private_key, $3, $4 FROM acme_orders WHERE id = $1";
const SUCCEEDED: &str = "UPDATE acme_state SET renew_requested_at_ms = NULL, failures = 0, failed_at_ms = NULL, failure_kind = NULL, \
     failure = NULL, retry_at_ms = NULL WHERE id = 1";
const WIPE: &str = "UPDATE acme_certificates SET private_key = NULL WHERE private_key IS NOT NULL AND id NOT IN \
     (SELECT id FROM acme_certificates ORDER BY seq DESC LIMIT $1)";
const FORGET: &str = "DELETE FROM acme_certificates WHERE id NOT IN \
     (SELECT id FROM acme_certificates ORDER BY seq DESC LIMIT $1)";
const RENEWAL_INFO: &str = "UPDATE acme_certificates SET window_start_ms = $2, window_end_ms = $3, explanation_url = $4, lookup_at_ms = $5 \
     WHERE id = $1";

type Row = (String, String, String, bool, i64, i64, Option<i64>, Option<i64>, Option<String>, Option<i64>);

fn record(row: Row) -> Result<CertificateRecord, (String, &'static str)> {
    let (id, directory, chain, has_private, not_after, stored_at, start, end, explanation_url, lookup_at) = row;
    let read = || {
        let start = optional_millis(start, "window_start_ms")?;
        let end = optional_millis(end, "window_end_ms")?;
        Ok(CertificateRecord {
            id: id.parse().map_err(|_| "id")?,
            directory,
            chain,
            has_private,
            not_after: millis(not_after, "not_after_ms")?,
            stored_at: millis(stored_at, "stored_at_ms")?,
            window: start.zip(end).and_then(|(start, end)| RenewalWindow::new(start, end)),
            explanation_url,
            lookup_at: optional_millis(lookup_at, "lookup_at_ms")?,
        })
    };
    let id = id.clone();
    read().map_err(|column| (id, column))
}

impl Acme<'_> {
    /// All certificates that are kept, the newest first.
    pub async fn certificates(self) -> Result<Vec<CertificateRecord>, StoreError> {
        let doing = "list the certificates";
        let Inner { engine, .. } = &*self.store.inner;
        let mut reader = engine.reader(doing).await?;
        let rows: Result<Vec<Row>, _> =
            on_engine!(reader.executor(), connection => sqlx::query_as(COLUMNS_AND_ORDER).fetch_all(connection).await);
        let unusable = |(row, column): (String, _)| self.unusable("acme_certificates", &row, column);
        rows.map_err(engine.failed(doing))?.into_iter().map(|row| record(row).map_err(unusable)).collect()
    }

    /// The private key of a certificate, PKCS#8; none where it is gone.
    pub async fn certificate_key(
        self,
        id: CertificateId,
        master_key: &MasterKey,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let doing = "read the key of a certificate";
        let Inner { engine, .. } = &*self.store.inner;
        let mut reader = engine.reader(doing).await?;
        let row: Result<Option<(Option<Vec<u8>>,)>, _> = on_engine!(reader.executor(), connection => {
            sqlx::query_as(KEY).bind(id.to_string()).fetch_optional(connection).await
        });
        let sealed = row.map_err(engine.failed(doing))?.and_then(|(sealed,)| sealed);
        sealed.map(|sealed| self.open(&sealed, &order_owner(id), master_key)).transpose()
    }

    /// Keeps the certificate that came of the order under way, with the order's key. The order and what failed before are forgotten,
    /// and the keys of certificates that are superseded for good. All of it happens or nothing does.
    pub async fn store_certificate(
        self,
        id: CertificateId,
        chain: &str,
        not_after: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let doing = "store a certificate";
        let Inner { engine, .. } = &*self.store.inner;
        let mut transaction = engine.begin_write(doing).await?;
        let (id, not_after, now) = (id.to_string(), not_after.as_millisecond(), now.as_millisecond());
        let touched = write!(engine, transaction.executor(), doing, STORE, &id, chain, not_after, now)?;
        expect_rows(engine.name(), doing, 1, touched)?;
        self.forget_orders(&mut transaction, doing).await?;
        let touched = write!(engine, transaction.executor(), doing, SUCCEEDED)?;
        expect_rows(engine.name(), doing, 1, touched)?;
        write!(engine, transaction.executor(), doing, WIPE, KEYS_KEPT)?;
        write!(engine, transaction.executor(), doing, FORGET, KEPT)?;
        transaction.commit().await.map_err(engine.failed(doing))
    }

    /// Notes what the server says about renewing a certificate, and when it is asked again.
    pub async fn put_renewal_info(
        self,
        id: CertificateId,
        window: Option<RenewalWindow>,
        explanation_url: Option<&str>,
        lookup_at: Timestamp,
    ) -> Result<(), StoreError> {
        let doing = "note when a certificate is to be renewed";
        let Inner { engine, .. } = &*self.store.inner;
        let mut writer = engine.writer(doing).await?;
        let touched = write!(
            engine,
            writer.executor(),
            doing,
            RENEWAL_INFO,
            id.to_string(),
            window.map(|window| window.start().as_millisecond()),
            window.map(|window| window.end().as_millisecond()),
            explanation_url,
            lookup_at.as_millisecond(),
        )?;
        expect_rows(engine.name(), doing, 1, touched)
    }
}
