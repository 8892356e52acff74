//! The way of the oldest rows out of the database.
//!
//! The caller reads the rows into a file, makes that durable and checks it; then [`Ledger::record_archive`] notes, sealed and in one
//! transaction, that these rows are archived; then [`Ledger::prune`] removes them, a few at a time, so that mints don't wait. Between
//! any two of these steps the process may be killed: until the note nothing has changed, and after it the rows are in the file as well as,
//! in part, in the database, which still verifies. The next call continues pruning from there.

use tagmint_core::{
    environment::Stamp,
    ledger::{
        LedgerHead,
        archive::{ArchiveRecord, check_records},
    },
    sealing::MasterKey,
};

use super::Ledger;
use crate::{
    engine::{Executor, expect_rows, is_raised, on_engine},
    error::{ArchiveError, StoreError, VerifyError},
};

/// Rows that one transaction removes: the ledger's writer waits no longer than that.
const PRUNE_BATCH: i64 = 500;

const ARCHIVES: &str =
    "SELECT first_seq, last_seq, last_hash, archived_at_ms, sha256, seal FROM ledger_archives ORDER BY last_seq";
const LAST: &str = "SELECT last_seq, last_hash FROM ledger_archives ORDER BY last_seq DESC LIMIT 1";
const RECORD: &str = "INSERT INTO ledger_archives (first_seq, last_seq, last_hash, archived_at_ms, sha256, seal) \
     VALUES ($1, $2, $3, $4, $5, $6)";
/// The errors of the table's triggers for an archive that does not continue the ones before, or whose rows are not here.
const OUT_OF_ORDER: [&str; 2] =
    ["the archive does not begin where the ledger does", "the archive does not end with a row of the ledger"];
const OLDEST: &str = "SELECT coalesce(min(seq), 0) FROM ledger";
const KEEP_PREFIXES: &str = "INSERT INTO archived_prefixes (prefix, repository, last_at_ms) \
     SELECT prefix, coalesce(repository, ''), max(at_ms) FROM (SELECT at_ms, \
     CASE WHEN json_valid(body) THEN CAST(body ->> '$.tags.principal_tags.prefix[0]' AS TEXT) END AS prefix, \
     CASE WHEN json_valid(body) THEN CAST(body ->> '$.tags.principal_tags.repository[0]' AS TEXT) END AS repository \
     FROM ledger WHERE seq <= $1 AND outcome = 'minted' \
     AND CASE WHEN json_valid(body) THEN coalesce(body ->> '$.source', '') ELSE '' END <> 'open') AS minted \
     WHERE prefix IS NOT NULL GROUP BY prefix, coalesce(repository, '') \
     ON CONFLICT (prefix, repository) DO UPDATE SET last_at_ms = \
     CASE WHEN excluded.last_at_ms > archived_prefixes.last_at_ms THEN excluded.last_at_ms ELSE archived_prefixes.last_at_ms END";
const DELETE: &str = "DELETE FROM ledger WHERE seq <= $1";

type Row = (i64, i64, String, i64, String, String);

/// The recorded archives, the oldest first. Their seals are not checked.
pub(super) async fn read_archives(executor: Executor<'_>) -> Result<Vec<ArchiveRecord>, sqlx::Error> {
    let rows: Vec<Row> = on_engine!(executor, connection => sqlx::query_as(ARCHIVES).fetch_all(connection).await?);
    let record = |(first_seq, seq, hash, archived_at_ms, sha256, seal)| ArchiveRecord {
        first_seq,
        last: LedgerHead { seq, hash },
        archived_at_ms,
        sha256,
        seal,
    };
    Ok(rows.into_iter().map(record).collect())
}

/// The last archived row; none: no row is archived. Its seal is not checked.
async fn last_archived(executor: Executor<'_>) -> Result<Option<LedgerHead>, sqlx::Error> {
    let found: Option<(i64, String)> =
        on_engine!(executor, connection => sqlx::query_as(LAST).fetch_optional(connection).await?);
    Ok(found.map(|(seq, hash)| LedgerHead { seq, hash }))
}

/// Whether any row was ever archived.
pub(super) async fn is_archived(executor: Executor<'_>) -> Result<bool, sqlx::Error> {
    Ok(last_archived(executor).await?.is_some())
}

/// The recorded archives, and the last row in them, if all are genuine and none is missing.
pub(super) async fn genuine_archives(
    executor: Executor<'_>,
    stamp: &Stamp,
    master_key: &MasterKey,
) -> Result<(Vec<ArchiveRecord>, Option<LedgerHead>), GenuineError> {
    let records = read_archives(executor).await.map_err(GenuineError::Database)?;
    let last = check_records(&records, stamp, master_key).map_err(GenuineError::Fault)?;
    Ok((records, last))
}

/// Why the recorded archives cannot be relied on.
pub(super) enum GenuineError {
    Database(sqlx::Error),
    Fault(tagmint_core::ledger::LedgerFault),
}

impl Ledger<'_> {
    /// The last row that has been archived, by the database's own word; none: no row has.
    pub async fn archived_until(self) -> Result<Option<LedgerHead>, StoreError> {
        let doing = "read where the ledger begins";
        let engine = &self.store.inner.engine;
        let mut reader = engine.reader(doing).await?;
        last_archived(reader.executor()).await.map_err(engine.failed(doing))
    }

    /// The recorded archives, the oldest first, if all are genuine and none is missing.
    pub async fn archives(self, master_key: &MasterKey) -> Result<Vec<ArchiveRecord>, VerifyError> {
        let doing = "read the ledger's archives";
        let engine = &self.store.inner.engine;
        let mut reader = engine.reader(doing).await?;
        let found = genuine_archives(reader.executor(), &self.store.inner.stamp, master_key).await;
        Ok(found.map_err(|error| verify_error(error, engine.failed(doing)))?.0)
    }

    /// Notes that rows are in an archive, from where [`prune`](Self::prune) may remove them. The file must be durable and checked.
    ///
    /// Refused where the archive does not begin where the ledger does, as when another process has archived meanwhile, and where its last
    /// row is not in the ledger with this hash.
    pub async fn record_archive(self, record: &ArchiveRecord) -> Result<(), ArchiveError> {
        let doing = "record the archive";
        let engine = &self.store.inner.engine;
        let mut writer = engine.writer(doing).await?;
        let written = on_engine!(writer.executor(), connection => {
            sqlx::query(RECORD)
                .bind(record.first_seq)
                .bind(record.last.seq)
                .bind(&record.last.hash)
                .bind(record.archived_at_ms)
                .bind(&record.sha256)
                .bind(&record.seal)
                .execute(connection)
                .await
                .map(|done| done.rows_affected())
        });
        match written {
            Ok(touched) => Ok(expect_rows(engine.name(), doing, 1, touched)?),
            Err(error) if OUT_OF_ORDER.iter().any(|message| is_raised(&error, message)) => {
                Err(ArchiveError::OutOfOrder { first: record.first_seq, last: record.last.seq })
            }
            Err(error) => Err(engine.failed(doing)(error).into()),
        }
    }

    /// Removes the rows that are archived and still here; returns how many. Other writes may come in between, and it may be broken off at any
    /// time. It keeps the prefixes that tokens were minted for, which sweeps ask for later.
    pub async fn prune(self) -> Result<u64, StoreError> {
        let doing = "remove archived rows of the ledger";
        let engine = &self.store.inner.engine;
        let Some(last) = self.archived_until().await? else { return Ok(0) };
        let mut removed = 0;
        loop {
            let mut transaction = engine.begin_write(doing).await?;
            let oldest: Result<(i64,), _> = on_engine!(transaction.executor(), connection => {
                sqlx::query_as(OLDEST).fetch_one(connection).await
            });
            let (oldest,) = oldest.map_err(engine.failed(doing))?;
            if oldest == 0 || oldest > last.seq {
                transaction.rollback().await.map_err(engine.failed(doing))?;
                return Ok(removed);
            }
            let end = last.seq.min(oldest.saturating_add(PRUNE_BATCH - 1));
            for (statement, counts) in [(KEEP_PREFIXES, false), (DELETE, true)] {
                let touched = on_engine!(transaction.executor(), connection => {
                    sqlx::query(statement).bind(end).execute(connection).await.map(|done| done.rows_affected())
                });
                let touched = touched.map_err(engine.failed(doing))?;
                removed += if counts { touched } else { 0 };
            }
            transaction.commit().await.map_err(engine.failed(doing))?;
        }
    }
}

/// Names the database where a verification could not read.
pub(super) fn verify_error(error: GenuineError, failed: impl FnOnce(sqlx::Error) -> StoreError) -> VerifyError {
    match error {
        GenuineError::Database(error) => failed(error).into(),
        GenuineError::Fault(fault) => VerifyError::Fault { fault, rows: 0 },
    }
}
