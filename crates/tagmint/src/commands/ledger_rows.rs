//! The ledger's rows, from the issuer's database or from files.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use tagmint_core::ledger::{LedgerEntry, LedgerRow};
use tagmint_store::{DatabaseUrl, LedgerQuery, Store, StoreOptions};

use super::ledger::PAGE;
use crate::{compose, config::Config, error::CliError};

/// How a SQLite database begins.
const SQLITE: &[u8] = b"SQLite format 3\0";
/// The longest line that is read, in bytes. A row has some kilobytes.
const LONGEST_LINE: u64 = 4 * 1_048_576;

/// Where rows are read from.
enum Source {
    Database(Store),
    Lines(PathBuf, Box<dyn BufRead>),
}

/// Calls `each` with every row that the query takes, in order.
///
/// Reads the configuration's database, or instead the files. Holds one page at a time. Returns the last archived row where the database's own
/// first row was reached: rows of the period may be in the archive.
pub(super) async fn for_each(
    files: &[PathBuf],
    config: &Config,
    query: &LedgerQuery,
    mut each: impl FnMut(&LedgerRow) -> Result<(), CliError>,
) -> Result<Option<i64>, CliError> {
    if files.is_empty() {
        return from_database(compose::open_existing(config).await?, query, &mut each).await;
    }
    for file in files {
        match open(file, config).await? {
            Source::Database(store) => {
                from_database(store, query, &mut each).await?;
            }
            Source::Lines(file, lines) => from_lines(&file, lines, query, &mut each)?,
        }
    }
    Ok(None)
}

/// The entry in a row, if it can be read.
pub(super) fn entry(row: &LedgerRow) -> Option<LedgerEntry> {
    serde_json::from_str(&row.body).ok()
}

async fn open(file: &Path, config: &Config) -> Result<Source, CliError> {
    let failed = |source| CliError::file("read", file, source);
    let input: Box<dyn Read> =
        if file == Path::new("-") { Box::new(io::stdin()) } else { Box::new(File::open(file).map_err(failed)?) };
    let mut input = BufReader::with_capacity(256 * 1024, input);
    if file != Path::new("-") && input.fill_buf().map_err(failed)?.starts_with(SQLITE) {
        let options = StoreOptions::new(DatabaseUrl::from(file), config.settings.stamp.clone());
        return Ok(Source::Database(Store::open_existing(&options).await?));
    }
    Ok(Source::Lines(file.to_owned(), Box::new(input)))
}

async fn from_database(
    store: Store,
    query: &LedgerQuery,
    each: &mut impl FnMut(&LedgerRow) -> Result<(), CliError>,
) -> Result<Option<i64>, CliError> {
    let result = pages(&store, query.clone(), each).await;
    store.close().await;
    result
}

async fn pages(
    store: &Store,
    mut query: LedgerQuery,
    each: &mut impl FnMut(&LedgerRow) -> Result<(), CliError>,
) -> Result<Option<i64>, CliError> {
    let ledger = store.ledger();
    let mut first = None;
    loop {
        let page = ledger.page(&query, PAGE).await?;
        page.iter().try_for_each(&mut *each)?;
        first = first.or(page.first().map(|row| row.seq));
        match page.last() {
            // One row has an id.
            Some(last) if query.entry_id.is_none() => query.after_seq = Some(last.seq),
            _ => break,
        }
    }
    let cut = ledger.archived_until().await?.map(|head| head.seq);
    Ok(cut.filter(|cut| first.is_none_or(|first| first == cut + 1)))
}

fn from_lines(
    file: &Path,
    mut lines: Box<dyn BufRead>,
    query: &LedgerQuery,
    each: &mut impl FnMut(&LedgerRow) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let mut line = Vec::new();
    let mut number = 0_u64;
    loop {
        line.clear();
        number += 1;
        let read = lines.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line);
        if read.map_err(|source| CliError::file("read", file, source))? == 0 {
            return Ok(());
        }
        // The first and the last line of an archive.
        if line.starts_with(b"{\"archive\":") || line.starts_with(b"{\"end\":") || line.trim_ascii().is_empty() {
            continue;
        }
        let row: LedgerRow = serde_json::from_slice(&line).map_err(|error| {
            CliError::Usage(format!(
                "{}: line {number} is not a row of the ledger ({error}). Give a file of `tagmint ledger export` or `ledger archive`, or the \
                 issuer's database",
                if file == Path::new("-") { "stdin".to_owned() } else { file.display().to_string() }
            ))
        })?;
        if is_wanted(&row, query) {
            each(&row)?;
        }
    }
}

fn is_wanted(row: &LedgerRow, query: &LedgerQuery) -> bool {
    query.since_ms.is_none_or(|since| row.at_ms >= since)
        && query.until_ms.is_none_or(|until| row.at_ms < until)
        && query.outcome.as_ref().is_none_or(|outcome| *outcome == row.outcome)
        && query.entry_id.as_ref().is_none_or(|id| *id == row.entry_id)
}
