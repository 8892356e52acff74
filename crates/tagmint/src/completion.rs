//! Completion: the shell asks this program, which looks names and ids up in the issuer's database.

use std::{
    ffi::{OsStr, OsString},
    fs,
    future::Future,
    path::PathBuf,
};

use clap::CommandFactory;
use clap_complete::{
    Shell,
    engine::{ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter},
    env::{CompleteEnv, Shells},
};
use jiff::Timestamp;
use tagmint_core::{
    clock::{Clock, SystemClock},
    rules::RuleFrom,
};
use tagmint_store::{CredentialFilter, LedgerOrder, LedgerQuery, Store, StoreError};

use crate::{
    cli::{Cli, DEFAULT_CONFIG},
    commands::rules::TESTS_FOLDER,
    compose,
    config::Config,
    error::CliError,
    surroundings,
};

/// The variable by which the shell's script asks.
const VARIABLE: &str = "_TAGMINT_COMPLETE";
/// How many names are offered at most.
const MOST: u32 = 200;

/// Answers a shell that asks for completions. Returns whether one did.
pub(crate) fn answer(args: &[OsString]) -> bool {
    let asked = CompleteEnv::with_factory(Cli::command).var(VARIABLE).try_complete(args.iter().cloned(), None);
    asked.unwrap_or_else(|error| error.exit())
}

/// The script that makes a shell ask.
pub(crate) fn script(shell: Shell) -> Result<Vec<u8>, CliError> {
    let name = shell.to_string();
    let known = Shells::builtins();
    let found = known.iter().find(|known| known.is(&name));
    let found = found.ok_or_else(|| CliError::Usage(format!("there are no completions for {name}")))?;
    let mut script = Vec::new();
    found
        .write_registration(VARIABLE, "tagmint", "tagmint", "tagmint", &mut script)
        .map_err(|source| CliError::Io { what: "the completion script", source })?;
    Ok(script)
}

/// Names of bearer tokens that can be used.
pub(crate) fn bearers() -> ArgValueCompleter {
    from_store(|store, now| async move {
        let found = store.bearers().list(CredentialFilter::ActiveAt(now), MOST).await?;
        Ok(found.into_iter().map(|bearer| bearer.name).collect())
    })
}

/// Ids of sessions that can be used.
pub(crate) fn sessions() -> ArgValueCompleter {
    from_store(|store, now| async move {
        let found = store.sessions().list(CredentialFilter::ActiveAt(now), MOST).await?;
        Ok(found.into_iter().map(|session| session.id.to_string()).collect())
    })
}

/// Ids of keys that are not withdrawn.
pub(crate) fn keys() -> ArgValueCompleter {
    from_store(|store, _| async move {
        let found = store.keys().list().await?.into_iter().map(|record| record.state);
        let left = found.filter(|state| state.schedule.withdrawn_at.is_none());
        Ok(left.map(|state| state.kid.to_string()).collect())
    })
}

/// Names of rules.
pub(crate) fn rules() -> ArgValueCompleter {
    from_config(|config| config.rule_notes.into_iter().map(|rule| rule.name).collect())
}

/// Files of rules' tests.
pub(crate) fn rules_tests() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let folder = config_file().parent().map(|folder| folder.join(TESTS_FOLDER)).unwrap_or_default();
        let tests = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let tests = tests.filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
        let begun = current.to_string_lossy().into_owned();
        let named = tests.filter(|path| path.to_string_lossy().starts_with(&begun)).map(CompletionCandidate::new);
        let mut candidates: Vec<CompletionCandidate> = named.collect();
        candidates.extend(PathCompleter::file().complete(current));
        candidates
    })
}

/// Ids of the latest rows of the ledger.
pub(crate) fn ledger_rows() -> ArgValueCompleter {
    from_store(|store, _| async move {
        let query = LedgerQuery { order: LedgerOrder::NewestFirst, ..LedgerQuery::default() };
        let rows = store.ledger().page(&query, MOST).await?;
        Ok(rows.into_iter().filter(|row| row.outcome != "fetched").map(|row| row.entry_id).collect())
    })
}

/// What a rule's `from` can be.
pub(crate) fn sources() -> ArgValueCompleter {
    from_config(|config| {
        let issuers = config.issuers.iter().map(|config| config.issuer.name.to_string());
        issuers.chain(RuleFrom::RESERVED.map(str::to_owned)).collect()
    })
}

/// A failure offers nothing: the shell shows no errors.
fn from_store<F>(read: fn(Store, Timestamp) -> F) -> ArgValueCompleter
where
    F: Future<Output = Result<Vec<String>, StoreError>> + 'static,
{
    from_config(move |config| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let names = runtime.ok().and_then(|runtime| {
            runtime.block_on(async {
                let store = compose::open_existing(&config).await.ok()?;
                let names = read(store.clone(), SystemClock.now()).await.ok();
                store.close().await;
                names
            })
        });
        names.unwrap_or_default()
    })
}

fn from_config(read: impl Fn(Config) -> Vec<String> + Send + Sync + 'static) -> ArgValueCompleter {
    ArgValueCompleter::new(move |current: &OsStr| {
        let begun = current.to_string_lossy().into_owned();
        let names = Config::load(&config_file()).map(&read).unwrap_or_default();
        names.into_iter().filter(|name| name.starts_with(&begun)).map(CompletionCandidate::new).collect()
    })
}

/// The configuration that the command line names so far, or the environment, or the default.
fn config_file() -> PathBuf {
    let words: Vec<OsString> = std::env::args_os().collect();
    let after = words.iter().position(|word| word == "--config").and_then(|index| words.get(index + 1));
    let joined = words.iter().find_map(|word| word.to_str()?.strip_prefix("--config=").map(OsString::from));
    let named = after.cloned().or(joined).or_else(surroundings::config_file);
    named.map_or_else(|| PathBuf::from(DEFAULT_CONFIG), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_gets_a_script_that_asks_this_program() {
        for shell in [Shell::Bash, Shell::Elvish, Shell::Fish, Shell::PowerShell, Shell::Zsh] {
            let script = String::from_utf8(script(shell).unwrap()).unwrap();
            assert!(script.contains(VARIABLE), "{shell}: {script}");
        }
    }
}
