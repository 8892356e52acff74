//! `tagmint ledger`.

mod archive;
mod ocsf;

use std::{
    fs::OpenOptions,
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tagmint_core::{
    clock::{Clock, SystemClock},
    ledger::{LedgerEntry, LedgerHead, LedgerRow, Outcome},
};
use tagmint_store::{LedgerOrder, LedgerQuery, Store, VerifyReport};

use crate::{
    cli::{LedgerCommand, OutcomeArg, Since},
    compose,
    config::Config,
    durations,
    error::CliError,
    output::{ExportFormat, Format, Output, is_stdout, table},
};

/// Rows that are read at a time for an export or an archive.
pub(super) const PAGE: u32 = 1_000;

/// Lists, verifies or exports the ledger.
pub async fn run(command: LedgerCommand, config: &Config, output: Output) -> Result<(), CliError> {
    let store = compose::open_existing(config).await?;
    let result = match command {
        LedgerCommand::List { limit, since, outcome, id } => {
            list(query(since, outcome, id), limit, &store, output).await
        }
        LedgerCommand::Verify { expect_head, archives } => {
            verify(expect_head.as_ref(), &archives, config, &store, output).await
        }
        LedgerCommand::Archive(args) => archive::run(&args, config, &store, output).await,
        LedgerCommand::Export { format, out } => export(format, out.as_deref(), config, &store, output).await,
    };
    store.close().await;
    result
}

fn query(since: Option<Since>, outcome: Option<OutcomeArg>, entry_id: Option<String>) -> LedgerQuery {
    let outcome = outcome.map(|outcome| match outcome {
        OutcomeArg::Minted => "minted".to_owned(),
        OutcomeArg::Refused => "refused".to_owned(),
        OutcomeArg::Fetched => "fetched".to_owned(),
    });
    let since_ms = since.map(|since| since.moment(SystemClock.now()).as_millisecond());
    LedgerQuery { outcome, since_ms, entry_id, order: LedgerOrder::NewestFirst, ..LedgerQuery::default() }
}

async fn list(query: LedgerQuery, limit: u32, store: &Store, output: Output) -> Result<(), CliError> {
    let mut rows = store.ledger().page(&query, limit).await?;
    let cut = store.ledger().archived_until().await?;
    if let Some(id) = query.entry_id.as_ref().filter(|_| rows.is_empty()) {
        let cut = cut.as_ref().map(|cut| format!(" ({}; `grep` for it in the archives)", archive::cut_in_words(cut)));
        return Err(CliError::NotFound(format!("the ledger has no row `{id}`{}", cut.unwrap_or_default())));
    }
    rows.reverse();
    let data: Vec<Value> = rows.iter().map(as_json).collect();
    output
        .data(&data, || table(["seq", "at", "outcome", "id", "identity", "rule", "what"], rows.iter().map(as_line)))?;
    if rows.is_empty() {
        output.talk("no rows");
    }
    if let Some(cut) = cut {
        output.talk(&archive::cut_in_words(&cut));
    }
    Ok(())
}

fn entry(row: &LedgerRow) -> Option<LedgerEntry> {
    tagmint_core::json::parse_as(row.body.as_bytes()).ok()
}

fn as_json(row: &LedgerRow) -> Value {
    let entry = entry(row).and_then(|entry| serde_json::to_value(entry).ok());
    json!({
        "seq": row.seq,
        "id": row.entry_id,
        "at": jiff::Timestamp::from_millisecond(row.at_ms).map(|at| at.to_string()).ok(),
        "outcome": row.outcome,
        // A body that cannot be read is shown as it is stored.
        "entry": entry.unwrap_or_else(|| Value::String(row.body.clone())),
        "hash": row.hash,
    })
}

fn as_line(row: &LedgerRow) -> [String; 7] {
    let known = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let at = jiff::Timestamp::from_millisecond(row.at_ms).map_or_else(|_| row.at_ms.to_string(), durations::rfc3339);
    let (seq, outcome, id) = (row.seq.to_string(), row.outcome.clone(), row.entry_id.clone());
    let Some(entry) = entry(row) else {
        return [seq, at, outcome, id, known(None), known(None), "unreadable: run `tagmint ledger verify`".to_owned()];
    };
    let what = match entry.outcome {
        Outcome::Minted(minted) => format!("{} for {}", minted.subject, minted.audience),
        Outcome::Refused(refused) => format!("{}: {}", refused.code, refused.detail),
        Outcome::Fetched(fetched) => format!("credentials of {} for {}", fetched.role, fetched.mint_id),
    };
    [seq, at, outcome, id, known(entry.identity), known(entry.rule), what]
}

async fn verify(
    expected: Option<&LedgerHead>,
    files: &[PathBuf],
    config: &Config,
    store: &Store,
    output: Output,
) -> Result<(), CliError> {
    let master_key = compose::master_key(config)?;
    let report = store.ledger().verify(&master_key).await?;
    let records = store.ledger().archives(&master_key).await?;
    let archives = archive::verify(files, &report, &records, &config.settings.stamp, &master_key, expected)?;
    if let Some(expected) = expected {
        holds(expected, &report, &archives, config, store).await?;
    }
    let noted = format!("{}:{}", report.head.seq, report.head.hash);
    let data = json!({
        "verified": true,
        "rows": report.rows,
        "head": report.head,
        "expected_head_held": expected.map(|_| true),
        "archived": report.archived,
        "archives": archives.as_json(),
        "rows_to_remove": report.unpruned,
    });
    output.data(&data, || {
        let held = expected.map_or_else(String::new, |head| format!("\nit still holds the noted head at row {}", head.seq));
        format!(
            "{} rows are as they were written: each hash fits its row, each row follows from the one before, the head is sealed\n\
             {}head {noted}{held}",
            report.rows,
            archives.as_text(&report)
        )
    })?;
    if report.unpruned > 0 {
        output.talk(&format!(
            "{} of them are archived and still here, because `tagmint ledger archive` was interrupted; the next one removes them",
            report.unpruned
        ));
    }
    output.talk(&format!("Note the head elsewhere; later: tagmint ledger verify --expect-head {noted}"));
    Ok(())
}

/// Whether the ledger still holds a head that was noted before.
async fn holds(
    expected: &LedgerHead,
    report: &VerifyReport,
    archives: &archive::Archives,
    config: &Config,
    store: &Store,
) -> Result<(), CliError> {
    let not_held = |message| CliError::NotHeld { seq: expected.seq, rows: report.rows, message };
    if expected.seq > report.head.seq {
        return Err(not_held(format!(
            "the ledger ends at row {}, and row {} was noted: the database was put back to an earlier state",
            report.head.seq, expected.seq
        )));
    }
    let found = if expected.seq == 0 {
        LedgerHead::genesis(&config.settings.stamp).hash
    } else if report.archived.as_ref().is_some_and(|cut| expected.seq <= cut.seq) {
        let Some(hash) = &archives.expected else {
            return Err(CliError::Refused(format!(
                "row {} was noted, and it is archived: give the archives too (`--archive FILE`)",
                expected.seq
            )));
        };
        hash.clone()
    } else {
        let query = LedgerQuery { after_seq: Some(expected.seq - 1), ..LedgerQuery::default() };
        store.ledger().page(&query, 1).await?.pop().map(|row| row.hash).unwrap_or_default()
    };
    if found == expected.hash {
        return Ok(());
    }
    Err(not_held(format!(
        "row {} has the hash {found}, and {} was noted: the ledger was written anew, or the head is another issuer's",
        expected.seq, expected.hash
    )))
}

async fn export(
    format: Format,
    out: Option<&Path>,
    config: &Config,
    store: &Store,
    output: Output,
) -> Result<(), CliError> {
    let ocsf = format == Format::Export(ExportFormat::Ocsf);
    let stamp = &config.settings.stamp;
    let failed = |source| CliError::Io { what: "the export", source };
    let mut sink: Box<dyn Write + Send> = match out.filter(|file| !is_stdout(file)) {
        Some(file) => {
            let options = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
            let opened = options.map_err(|source| match source.kind() {
                io::ErrorKind::AlreadyExists => {
                    CliError::Refused(format!("{} exists; name another file", file.display()))
                }
                _ => CliError::file("write", file, source),
            })?;
            Box::new(BufWriter::new(opened))
        }
        None => Box::new(BufWriter::new(io::stdout())),
    };
    let mut rows = 0_u64;
    let mut after_seq = None;
    loop {
        let query = LedgerQuery { after_seq, ..LedgerQuery::default() };
        let page = store.ledger().page(&query, PAGE).await?;
        let Some(last) = page.last() else { break };
        after_seq = Some(last.seq);
        for row in &page {
            let line = if ocsf {
                serde_json::to_writer(&mut sink, &ocsf::event(row, entry(row).as_ref(), stamp))
            } else {
                serde_json::to_writer(&mut sink, row)
            };
            let written = line.map_err(io::Error::from).and_then(|()| sink.write_all(b"\n"));
            match written {
                // The reader has what it wanted.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                written => written.map_err(failed)?,
            }
            rows += 1;
        }
    }
    match sink.flush() {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        flushed => flushed.map_err(failed)?,
    }
    if let Some(cut) = store.ledger().archived_until().await? {
        output.talk(&archive::cut_in_words(&cut));
    }
    output.talk(&if ocsf {
        format!("{rows} rows exported as OCSF events; `--format jsonl` gives what can be verified")
    } else {
        format!("{rows} rows exported; each line's hash is SHA-256(prev_hash, seq as 8 bytes big-endian, body)")
    });
    Ok(())
}
