//! `tagmint rules record`.

use std::{
    fs::OpenOptions,
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
};

use tagmint_core::{
    dry_run::{fixture::FixtureFile, record},
    ledger::LedgerEntry,
};
use tagmint_store::LedgerQuery;

use super::test;
use crate::{
    cli::RulesRecordArgs,
    commands::ledger_rows,
    config::Config,
    error::CliError,
    output::{Output, is_stdout},
};

/// Writes the test of a row.
pub(super) async fn run(args: &RulesRecordArgs, config: &Config, output: Output) -> Result<(), CliError> {
    let entry = find(args, config).await?;
    let fixture = record(&entry, args.name.as_deref()).map_err(|error| CliError::Refused(error.to_string()))?;
    let file = FixtureFile { test: vec![fixture] };
    let text =
        toml::to_string(&file).map_err(|error| CliError::Refused(format!("the test cannot be written: {error}")))?;
    // Of a trusted issuer that is not there any more, of a rule with another name: said now, not in CI.
    let result = file.test[0].run(&config.rules, &config.trusted_issuers());
    match args.out.as_deref().filter(|out| !is_stdout(out)) {
        Some(out) => {
            append(out, &text)?;
            output.talk(&format!("the test is in {}", out.display()));
        }
        None => output.data(&file.test[0], || text)?,
    }
    match result {
        Ok(result) if result.differences.is_empty() => {}
        Ok(_) => output.warn("the rules of the configuration decide otherwise today: the test fails"),
        Err(error) => output.warn(&format!("the test cannot be run with the configuration: {error}")),
    }
    Ok(())
}

async fn find(args: &RulesRecordArgs, config: &Config) -> Result<LedgerEntry, CliError> {
    let query = LedgerQuery { entry_id: Some(args.id.clone()), ..LedgerQuery::default() };
    let mut found = None;
    ledger_rows::for_each(&args.ledgers, config, &query, |row| {
        found = Some(row.clone());
        Ok(())
    })
    .await?;
    let Some(row) = found else {
        return Err(CliError::NotFound(format!(
            "the ledger has no row `{}`; `tagmint ledger list` shows the latest. Rows that were archived are in the archive: give it with --ledger",
            args.id
        )));
    };
    let unreadable = || CliError::Refused(format!("the row `{}` cannot be read; run `tagmint ledger verify`", args.id));
    ledger_rows::entry(&row).ok_or_else(unreadable)
}

/// Adds a test to a file, which is left as it is where it is no test file.
fn append(out: &Path, text: &str) -> Result<(), CliError> {
    let failed = |source| CliError::file("write", out, source);
    if out.try_exists().map_err(failed)? {
        test::read(out)?;
    }
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(out).map_err(failed)?;
    let len = file.seek(SeekFrom::End(0)).map_err(failed)?;
    let mut separator = "";
    if len > 0 {
        let mut last = [0];
        file.seek(SeekFrom::Start(len - 1)).map_err(failed)?;
        file.read_exact(&mut last).map_err(failed)?;
        separator = if last == *b"\n" { "\n" } else { "\n\n" };
    }
    file.write_all(format!("{separator}{text}").as_bytes()).map_err(failed)
}
