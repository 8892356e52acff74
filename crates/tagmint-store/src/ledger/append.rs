//! Putting a batch of entries at the end of the chain.

use std::sync::{Arc, Mutex, PoisonError};

use tagmint_core::{
    environment::Stamp,
    ledger::{LedgerEntry, LedgerHead, LedgerRow},
    sealing::MasterKey,
};

use super::{StoredHead, archive::is_archived, count_rows, read_head};
use crate::{
    engine::{Connection, Engine, Executor, Transaction, expect_rows, is_raised, is_taken, on_engine},
    error::{Fault, LedgerError},
};

/// A batch is a row of a view whose trigger moves the head and writes the rows: one statement, a transaction by itself, half the cost of
/// the three that it replaces. The trigger counts the rows that it touches.
const APPEND: &str =
    "INSERT INTO ledger_batches (rows, old_seq, old_hash, new_seq, new_hash, new_seal) VALUES ($1, $2, $3, $4, $5, $6)";
/// What the trigger says when another process has appended since.
const HEAD_MOVED: &str = "the ledger's head has moved";
const HASH: &str = "SELECT hash FROM ledger WHERE seq = $1";
const FIRST: &str = "SELECT min(seq) FROM ledger";
const GENESIS: &str = "INSERT INTO ledger_head (id, seq, hash, seal) VALUES (1, $1, $2, $3)";

const DOING: &str = "write the ledger";

/// The end of the chain, as this process knows it, and the connection to lengthen it.
pub(super) struct Appender {
    engine: Engine,
    master_key: Arc<MasterKey>,
    connection: Option<Connection>,
    head: LedgerHead,
    known: KnownHead,
}

/// The end of the chain that a process has written or read last. What is stored must hold it for as long as the process runs: rows are never
/// taken back.
#[derive(Debug, Clone)]
pub(super) struct KnownHead(Arc<Mutex<LedgerHead>>);

impl KnownHead {
    fn get(&self) -> LedgerHead {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, head: &LedgerHead) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone_from(head);
    }

    /// Whether the stored chain holds the known head still.
    pub(super) async fn check(&self, engine: &Engine) -> Result<(), LedgerError> {
        let doing = "check the ledger's head";
        // Known first: what is read afterwards is at least as new.
        let known = self.get();
        let mut snapshot = engine.begin_snapshot(doing).await?;
        let stored = read_head(snapshot.executor()).await.map_err(engine.failed(doing))?;
        let stored = stored.ok_or_else(|| LedgerError::HeadMissing { database: Arc::clone(engine.name()) })?;
        let held = holds(&mut snapshot, &known, &stored.head).await.map_err(engine.failed(doing))?;
        snapshot.commit().await.map_err(engine.failed(doing))?;
        if held { Ok(()) } else { Err(rolled_back(engine, &known, &stored.head)) }
    }
}

fn rolled_back(engine: &Engine, known: &LedgerHead, found: &LedgerHead) -> LedgerError {
    LedgerError::RolledBack { database: Arc::clone(engine.name()), known: known.seq, found: found.seq }
}

/// Something that gives an executor again and again.
trait Executes {
    fn executor(&mut self) -> Executor<'_>;
}

impl Executes for Connection {
    fn executor(&mut self) -> Executor<'_> {
        Self::executor(self)
    }
}

impl Executes for Transaction {
    fn executor(&mut self) -> Executor<'_> {
        Self::executor(self)
    }
}

/// Whether the chain that ends with `stored` holds `known`.
async fn holds<E: Executes + Send>(
    reads: &mut E,
    known: &LedgerHead,
    stored: &LedgerHead,
) -> Result<bool, sqlx::Error> {
    if stored.seq <= known.seq {
        return Ok(stored == known);
    }
    // The head of an empty ledger is no row.
    if known.seq == 0 {
        return Ok(true);
    }
    let row: Option<(String,)> = on_engine!(reads.executor(), connection => {
        sqlx::query_as(HASH).bind(known.seq).fetch_optional(connection).await?
    });
    if let Some((hash,)) = row {
        return Ok(hash == known.hash);
    }
    // Rows from the beginning on may have been moved into an archive.
    let (first,): (Option<i64>,) =
        on_engine!(reads.executor(), connection => sqlx::query_as(FIRST).fetch_one(connection).await?);
    Ok(first.is_none_or(|first| first > known.seq))
}

/// Why one attempt failed.
enum Attempt {
    /// Another process has appended since the head was read.
    HeadMoved,
    Failed(LedgerError),
}

impl Appender {
    /// Reads the head and checks its seal; an empty ledger gets one.
    pub(super) async fn start(engine: Engine, stamp: &Stamp, master_key: Arc<MasterKey>) -> Result<Self, LedgerError> {
        let head = head_to_start_from(&engine, stamp, &master_key).await?;
        let known = KnownHead(Arc::new(Mutex::new(head.clone())));
        Ok(Self { engine, master_key, connection: None, head, known })
    }

    /// The end of the chain, for others to look at.
    pub(super) fn known(&self) -> KnownHead {
        self.known.clone()
    }

    /// Writes the entries in this order, durably; returns the first one's sequence. After an error none is in the ledger, as far as is known,
    /// and the next call begins anew. Rows in a file that has been replaced are in no ledger: nothing is written to it, and should it have
    /// been replaced while it was written, this is an error too.
    pub(super) async fn append(&mut self, entries: &[&LedgerEntry]) -> Result<i64, LedgerError> {
        self.engine.check_in_place()?;
        let written = match self.append_to_known_head(entries).await {
            Err(Attempt::HeadMoved) => self.append_under_lock(entries).await,
            Err(Attempt::Failed(error)) => Err(error),
            Ok(head) => Ok(head),
        };
        match written {
            Ok((first, head)) => {
                self.known.set(&head);
                self.head = head;
                self.engine.check_in_place()?;
                Ok(first)
            }
            Err(error) => {
                if !leaves_connection_usable(&error) {
                    self.connection = None;
                }
                Err(error)
            }
        }
    }

    /// The usual way: nobody else appends, so the head is the one that was written last.
    async fn append_to_known_head(&mut self, entries: &[&LedgerEntry]) -> Result<(i64, LedgerHead), Attempt> {
        let old = self.head.clone();
        let (rows, head) = chain(&old, entries);
        let seal = self.master_key.seal_ledger_head(head.seq, &head.hash);
        let connection = self.connection().await.map_err(Attempt::Failed)?;
        match insert(connection.executor(), &rows, &old, &head, &seal).await {
            Ok(()) => Ok((old.seq + 1, head)),
            Err(error) if is_raised(&error, HEAD_MOVED) => Err(Attempt::HeadMoved),
            Err(error) => Err(Attempt::Failed(named(&self.engine, error, entries))),
        }
    }

    /// Another process has appended, or the database was restored to an earlier state: reads the head with the write lock in hand, so that it cannot move again.
    async fn append_under_lock(&mut self, entries: &[&LedgerEntry]) -> Result<(i64, LedgerHead), LedgerError> {
        self.connection().await?;
        let mut connection = self.connection.take().ok_or(LedgerError::Closed)?;
        let written = self.append_in_transaction(&mut connection, entries).await?;
        // Only now: one that has failed may be in its transaction still.
        self.connection = Some(connection);
        Ok(written)
    }

    async fn append_in_transaction(
        &self,
        connection: &mut Connection,
        entries: &[&LedgerEntry],
    ) -> Result<(i64, LedgerHead), LedgerError> {
        let engine = &self.engine;
        connection.begin_write().await.map_err(engine.failed(DOING))?;
        let stored = read_head(connection.executor()).await.map_err(engine.failed(DOING))?;
        let old = genuine(stored, engine, &self.master_key)?;
        if !holds(connection, &self.head, &old).await.map_err(engine.failed(DOING))? {
            return Err(rolled_back(engine, &self.head, &old));
        }
        let (rows, head) = chain(&old, entries);
        let seal = self.master_key.seal_ledger_head(head.seq, &head.hash);
        let inserted = insert(connection.executor(), &rows, &old, &head, &seal).await;
        inserted.map_err(|error| named(engine, error, entries))?;
        connection.commit().await.map_err(engine.failed(DOING))?;
        Ok((old.seq + 1, head))
    }

    async fn connection(&mut self) -> Result<&mut Connection, LedgerError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.engine.connect().await?,
        };
        Ok(self.connection.insert(connection))
    }

    pub(super) async fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.close().await;
        }
    }

    /// Runs a statement on the writer's own connection.
    #[cfg(test)]
    pub(super) async fn execute(&mut self, statement: &'static str) {
        let connection = self.connection().await.expect("the database opens");
        on_engine!(connection.executor(), connection => sqlx::query(statement).execute(connection).await.map(|_| ()))
            .expect("the statement runs");
    }
}

fn named(engine: &Engine, error: sqlx::Error, entries: &[&LedgerEntry]) -> LedgerError {
    match entries {
        [entry] if is_taken(&error, "ledger.entry_id") => LedgerError::Duplicate(entry.id()),
        _ => engine.failed(DOING)(error).into(),
    }
}

/// Whether the same connection can be expected to work when the cause has gone. A fresh one costs little, so doubt says no.
fn leaves_connection_usable(error: &LedgerError) -> bool {
    match error {
        LedgerError::Store(error) => {
            matches!(error.fault(), Some(Fault::DiskFull | Fault::ReadOnly | Fault::Locked | Fault::Taken))
        }
        LedgerError::Duplicate(_) | LedgerError::Seal { .. } | LedgerError::HeadMissing { .. } => true,
        LedgerError::RolledBack { .. } | LedgerError::Timeout(_) | LedgerError::Closed => false,
    }
}

fn chain(old: &LedgerHead, entries: &[&LedgerEntry]) -> (Vec<LedgerRow>, LedgerHead) {
    let mut head = old.clone();
    let rows = entries.iter().map(|entry| head.append(entry)).collect();
    (rows, head)
}

async fn insert(
    executor: Executor<'_>,
    rows: &[LedgerRow],
    old: &LedgerHead,
    new: &LedgerHead,
    seal: &str,
) -> Result<(), sqlx::Error> {
    // Arrays, not objects: a fifth cheaper to take apart.
    let rows: Vec<_> = rows
        .iter()
        .map(|row| (row.seq, &row.entry_id, row.at_ms, &row.outcome, &row.body, &row.prev_hash, &row.hash))
        .collect();
    let rows = serde_json::to_string(&rows).expect("texts and integers are JSON");
    on_engine!(executor, connection => {
        sqlx::query(APPEND)
            .bind(rows)
            .bind(old.seq)
            .bind(&old.hash)
            .bind(new.seq)
            .bind(&new.hash)
            .bind(seal)
            .execute(connection)
            .await
            .map(|_| ())
    })
}

/// The stored head, if it was sealed under this key file.
fn genuine(stored: Option<StoredHead>, engine: &Engine, master_key: &MasterKey) -> Result<LedgerHead, LedgerError> {
    let StoredHead { head, seal } =
        stored.ok_or_else(|| LedgerError::HeadMissing { database: Arc::clone(engine.name()) })?;
    if master_key.ledger_head_is_genuine(head.seq, &head.hash, &seal) {
        Ok(head)
    } else {
        Err(LedgerError::Seal { database: Arc::clone(engine.name()) })
    }
}

/// The stored head; that of an empty ledger is written where there is none.
async fn head_to_start_from(engine: &Engine, stamp: &Stamp, master_key: &MasterKey) -> Result<LedgerHead, LedgerError> {
    let doing = "start the ledger";
    let mut transaction = engine.begin_write(doing).await?;
    let stored = read_head(transaction.executor()).await.map_err(engine.failed(doing))?;
    let rows = count_rows(transaction.executor()).await.map_err(engine.failed(doing))?;
    let archived = is_archived(transaction.executor()).await.map_err(engine.failed(doing))?;
    if stored.is_some() || rows > 0 || archived {
        transaction.rollback().await.map_err(engine.failed(doing))?;
        return genuine(stored, engine, master_key);
    }
    let head = LedgerHead::genesis(stamp);
    let seal = master_key.seal_ledger_head(head.seq, &head.hash);
    let written = on_engine!(transaction.executor(), connection => {
        sqlx::query(GENESIS)
            .bind(head.seq)
            .bind(&head.hash)
            .bind(seal)
            .execute(connection)
            .await
            .map(|done| done.rows_affected())
    });
    expect_rows(engine.name(), doing, 1, written.map_err(engine.failed(doing))?)?;
    transaction.commit().await.map_err(engine.failed(doing))?;
    Ok(head)
}
