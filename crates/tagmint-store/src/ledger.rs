//! The mint ledger: reading it, and proving that it is as it was written. Appending is [`LedgerWriter`]'s.

mod append;
mod archive;
mod writer;

use std::sync::Arc;

use tagmint_core::{
    ledger::{ChainVerifier, LedgerFault, LedgerHead, LedgerRow},
    sealing::MasterKey,
};

use self::archive::{genuine_archives, verify_error};
pub use self::writer::{LedgerStats, LedgerWriter};
use crate::{
    engine::{Executor, on_engine},
    error::{StoreError, VerifyError},
    store::Store,
};

/// Rows that are read at a time while verifying.
const VERIFY_PAGE: i64 = 1000;

/// The stored end of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredHead {
    /// The last sequence and hash.
    pub head: LedgerHead,
    /// The seal over them, under the key file.
    pub seal: String,
}

/// What a verification has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// How many rows were checked: all that are in the database.
    pub rows: u64,
    /// The last row that has been archived, whose hash the rows after it build on; none: the ledger begins with its first row.
    pub archived: Option<LedgerHead>,
    /// Rows that are archived and have not been removed yet, because the removal was broken off.
    pub unpruned: u64,
    /// The end of the chain, worth noting elsewhere: it shows later whether the whole database was put back.
    pub head: LedgerHead,
}

/// In which order rows are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LedgerOrder {
    /// The oldest first: for going on from page to page.
    #[default]
    OldestFirst,
    /// The youngest first.
    NewestFirst,
}

/// Which rows to read. The default takes all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LedgerQuery {
    /// Rows after this sequence.
    pub after_seq: Option<i64>,
    /// Rows before this sequence.
    pub before_seq: Option<i64>,
    /// `minted` or `refused`.
    pub outcome: Option<String>,
    /// Rows from this moment on; milliseconds since the epoch.
    pub since_ms: Option<i64>,
    /// Rows before this moment; milliseconds since the epoch.
    pub until_ms: Option<i64>,
    /// The row of this mint or refusal.
    pub entry_id: Option<String>,
    /// In which order.
    pub order: LedgerOrder,
}

/// A prefix that tokens were minted for: the value of their tag `prefix`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MintedPrefix {
    /// The tag's value, as it was minted.
    pub value: String,
    /// The tag `repository` beside it.
    pub repository: Option<String>,
    /// When the last one was minted; milliseconds since the epoch.
    pub last_at_ms: i64,
}

const HEAD: &str = "SELECT seq, hash, seal FROM ledger_head WHERE id = 1";
const COUNT: &str = "SELECT count(*) FROM ledger";
const AFTER: &str =
    "SELECT seq, entry_id, at_ms, outcome, body, prev_hash, hash FROM ledger WHERE seq > $1 ORDER BY seq LIMIT $2";
const BY_ID: &str = "SELECT seq, entry_id, at_ms, outcome, body, prev_hash, hash FROM ledger WHERE entry_id = $1";
const OLDEST_FIRST: &str = "SELECT seq, entry_id, at_ms, outcome, body, prev_hash, hash FROM ledger \
     WHERE seq > $1 AND seq < $2 AND at_ms >= $3 AND at_ms < $4 AND ($5 IS NULL OR outcome = $5) ORDER BY seq LIMIT $6";
const NEWEST_FIRST: &str = "SELECT seq, entry_id, at_ms, outcome, body, prev_hash, hash FROM ledger \
     WHERE seq > $1 AND seq < $2 AND at_ms >= $3 AND at_ms < $4 AND ($5 IS NULL OR outcome = $5) ORDER BY seq DESC LIMIT $6";

// A body that was tampered with is no JSON, perhaps, and says nothing then. Callers without proof read alone: what they ask for says nothing of what is
// written there, and must neither keep a prefix nor make one.
const MINTED_PREFIXES: &str = "SELECT prefix, repository, max(at_ms) FROM (SELECT at_ms, \
     CASE WHEN json_valid(body) THEN CAST(body ->> '$.tags.principal_tags.prefix[0]' AS TEXT) END AS prefix, \
     CASE WHEN json_valid(body) THEN CAST(body ->> '$.tags.principal_tags.repository[0]' AS TEXT) END AS repository \
     FROM ledger WHERE outcome = 'minted' AND CASE WHEN json_valid(body) THEN coalesce(body ->> '$.source', '') ELSE '' END <> 'open' \
     UNION ALL SELECT last_at_ms, prefix, nullif(repository, '') FROM archived_prefixes) AS minted \
     WHERE prefix IS NOT NULL GROUP BY prefix, repository ORDER BY prefix, repository";

type Row = (i64, String, i64, String, String, String, String);

fn row((seq, entry_id, at_ms, outcome, body, prev_hash, hash): Row) -> LedgerRow {
    LedgerRow { seq, entry_id, at_ms, outcome, body, prev_hash, hash }
}

/// The stored head, if there is one.
pub(crate) async fn read_head(executor: Executor<'_>) -> Result<Option<StoredHead>, sqlx::Error> {
    let found: Option<(i64, String, String)> = on_engine!(executor, connection => {
        sqlx::query_as(HEAD).fetch_optional(connection).await?
    });
    Ok(found.map(|(seq, hash, seal)| StoredHead { head: LedgerHead { seq, hash }, seal }))
}

/// How many rows are stored.
pub(crate) async fn count_rows(executor: Executor<'_>) -> Result<u64, sqlx::Error> {
    let (count,): (i64,) = on_engine!(executor, connection => sqlx::query_as(COUNT).fetch_one(connection).await?);
    Ok(count.unsigned_abs())
}

async fn rows_after(executor: Executor<'_>, seq: i64) -> Result<Vec<Row>, sqlx::Error> {
    on_engine!(executor, connection => sqlx::query_as(AFTER).bind(seq).bind(VERIFY_PAGE).fetch_all(connection).await)
}

/// The ledger of a store.
#[derive(Debug, Clone, Copy)]
pub struct Ledger<'s> {
    pub(crate) store: &'s Store,
}

impl Ledger<'_> {
    /// At most `limit` rows that fit the query.
    pub async fn page(self, query: &LedgerQuery, limit: u32) -> Result<Vec<LedgerRow>, StoreError> {
        let doing = "read the ledger";
        let engine = &self.store.inner.engine;
        let mut reader = engine.reader(doing).await?;
        if let Some(entry_id) = &query.entry_id {
            let found: Result<Vec<Row>, _> = on_engine!(reader.executor(), connection => {
                sqlx::query_as(BY_ID).bind(entry_id).fetch_all(connection).await
            });
            return Ok(found.map_err(engine.failed(doing))?.into_iter().map(row).collect());
        }
        let statement = match query.order {
            LedgerOrder::OldestFirst => OLDEST_FIRST,
            LedgerOrder::NewestFirst => NEWEST_FIRST,
        };
        let rows: Result<Vec<Row>, _> = on_engine!(reader.executor(), connection => {
            sqlx::query_as(statement)
                .bind(query.after_seq.unwrap_or(i64::MIN))
                .bind(query.before_seq.unwrap_or(i64::MAX))
                .bind(query.since_ms.unwrap_or(i64::MIN))
                .bind(query.until_ms.unwrap_or(i64::MAX))
                .bind(query.outcome.as_deref())
                .bind(i64::from(limit))
                .fetch_all(connection)
                .await
        });
        Ok(rows.map_err(engine.failed(doing))?.into_iter().map(row).collect())
    }

    /// The prefixes that tokens were minted for. It reads every mint: seconds in a ledger of millions.
    pub async fn minted_prefixes(self) -> Result<Vec<MintedPrefix>, StoreError> {
        let doing = "read the prefixes that were minted";
        let engine = &self.store.inner.engine;
        let mut reader = engine.reader(doing).await?;
        let rows: Result<Vec<(String, Option<String>, i64)>, _> =
            on_engine!(reader.executor(), connection => sqlx::query_as(MINTED_PREFIXES).fetch_all(connection).await);
        let prefix = |(value, repository, last_at_ms)| MintedPrefix { value, repository, last_at_ms };
        Ok(rows.map_err(engine.failed(doing))?.into_iter().map(prefix).collect())
    }

    /// The stored end of the chain; `None` before the first writer.
    pub async fn head(self) -> Result<Option<StoredHead>, StoreError> {
        let doing = "read the ledger's head";
        let engine = &self.store.inner.engine;
        let mut reader = engine.reader(doing).await?;
        read_head(reader.executor()).await.map_err(engine.failed(doing))
    }

    /// Checks every row, that they end where the head says, and the head's seal; where rows have been archived, that the rest builds on the
    /// last of them, by its sealed record. Sees one state, while others keep appending.
    pub async fn verify(self, master_key: &MasterKey) -> Result<VerifyReport, VerifyError> {
        let doing = "verify the ledger";
        let engine = &self.store.inner.engine;
        let mut snapshot = engine.begin_snapshot(doing).await?;
        let Some(stored) = read_head(snapshot.executor()).await.map_err(engine.failed(doing))? else {
            let rows = count_rows(snapshot.executor()).await.map_err(engine.failed(doing))?;
            return Err(VerifyError::HeadMissing { database: Arc::clone(engine.name()), rows });
        };
        let stamp = &self.store.inner.stamp;
        let found = genuine_archives(snapshot.executor(), stamp, master_key).await;
        let (_, archived) = found.map_err(|error| verify_error(error, engine.failed(doing)))?;
        let mut chain = archived.clone().map_or_else(|| ChainVerifier::new(stamp), ChainVerifier::after);
        let (mut rows, mut unpruned) = (0, 0);
        // From below all that are ever written: a row before the first is a row too many.
        let mut last = i64::MIN;
        loop {
            let page = rows_after(snapshot.executor(), last).await.map_err(engine.failed(doing))?;
            let Some((end, ..)) = page.last() else { break };
            last = *end;
            for stored in page {
                let row = row(stored);
                if let Some(cut) = archived.as_ref().filter(|cut| row.seq <= cut.seq) {
                    // Archived, and not removed yet. The row before the first of these is gone; that they lead to the cut proves them.
                    if rows == 0 {
                        chain = ChainVerifier::after(LedgerHead { seq: row.seq - 1, hash: row.prev_hash.clone() });
                    }
                    if row.seq == cut.seq && row.hash != cut.hash {
                        return Err(VerifyError::Fault { fault: LedgerFault::Unchained { seq: row.seq }, rows });
                    }
                    unpruned += 1;
                }
                chain.check(&row).map_err(|fault| VerifyError::Fault { fault, rows })?;
                rows += 1;
            }
        }
        snapshot.commit().await.map_err(engine.failed(doing))?;
        let head = chain.finish(&stored.head).map_err(|fault| VerifyError::Fault { fault, rows })?;
        if !master_key.ledger_head_is_genuine(head.seq, &head.hash, &stored.seal) {
            return Err(VerifyError::Fault { fault: LedgerFault::Seal, rows });
        }
        Ok(VerifyReport { rows, archived, unpruned, head })
    }
}

#[cfg(test)]
mod tests;
