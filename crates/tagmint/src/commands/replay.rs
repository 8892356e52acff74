//! `tagmint replay`: what a change of rules or policies would have done to the requests in the ledger.

mod bucket;
mod policies;
mod progress;
mod rules;
mod text;
mod trust;

use std::time::Instant;

use jiff::Timestamp;
use serde_json::{Value, json};
use tagmint_core::{
    clock::{Clock, SystemClock},
    dry_run::replay::{Change, Example, Group, Tally},
    ledger::LedgerEntry,
};
use tagmint_store::LedgerQuery;

use self::progress::Progress;
use super::ledger_rows;
use crate::{cli::ReplayArgs, config::Config, error::CliError, output::Output};

/// What rows are judged by: rules or a policy.
trait Judge {
    /// Judges a row.
    fn row(&mut self, entry: &LedgerEntry);
    /// The counts so far.
    fn tally(&mut self) -> &mut Tally;
    /// What to know about the result.
    fn notes(&self) -> Vec<String>;
}

/// A replay that is over.
struct Done<'t> {
    against: &'static str,
    since: Timestamp,
    until: Timestamp,
    tally: &'t Tally,
    notes: Vec<String>,
    seconds: f64,
}

/// Replays. The exit code says whether something changes.
pub async fn run(args: ReplayArgs, config: &Config, output: Output) -> Result<(), CliError> {
    let now = SystemClock.now();
    let since = args.since.moment(now);
    let until = args.until.map_or(now, |until| until.moment(now));
    if since >= until {
        return Err(CliError::Usage(format!("--since {since} is not before --until {until}")));
    }
    let query = LedgerQuery {
        since_ms: Some(since.as_millisecond()),
        until_ms: Some(until.as_millisecond()),
        ..LedgerQuery::default()
    };
    if args.trust_policy.is_some() {
        let mut judge = trust::Trust::new(&args, config, output)?;
        replay(&mut judge, "trust_policy", &args, config, &query, (since, until), output).await
    } else if args.bucket_policy.is_some() {
        let mut judge = bucket::Bucket::new(&args, config, output)?;
        replay(&mut judge, "bucket_policy", &args, config, &query, (since, until), output).await
    } else {
        let base = args.base.as_deref().map(Config::load).transpose()?;
        let mut judge = rules::Rules::new(config, base.as_ref());
        replay(&mut judge, "rules", &args, config, &query, (since, until), output).await
    }
}

async fn replay(
    judge: &mut dyn Judge,
    against: &'static str,
    args: &ReplayArgs,
    config: &Config,
    query: &LedgerQuery,
    (since, until): (Timestamp, Timestamp),
    output: Output,
) -> Result<(), CliError> {
    let begun = Instant::now();
    let mut progress = Progress::new(output);
    let cut = ledger_rows::for_each(&args.ledgers, config, query, |row| {
        match ledger_rows::entry(row) {
            Some(entry) => judge.row(&entry),
            None => judge.tally().unreadable(&row.entry_id, row.at_ms),
        }
        progress.step();
        Ok(())
    })
    .await?;
    progress.clear();
    let mut notes = judge.notes();
    notes.extend(cut.map(|seq| {
        format!("rows up to {seq} are archived and were not replayed, also those of this period: give the archives with --ledger, and the database too")
    }));
    let done = Done { against, since, until, tally: judge.tally(), notes, seconds: begun.elapsed().as_secs_f64() };
    output.data(&done.as_json(), || text::render(&done, args.show.into()))?;
    if done.tally.rows() == 0 {
        output.talk("no rows in this period");
    }
    if !done.tally.has_changes() {
        return Ok(());
    }
    let count = |change| done.tally.count(change);
    Err(CliError::Changed(format!(
        "{} newly refused, {} newly allowed, {} changed",
        text::count(count(Change::NewlyRefused)),
        text::count(count(Change::NewlyAllowed)),
        text::count(count(Change::Changed))
    )))
}

impl Done<'_> {
    #[expect(clippy::cast_precision_loss, reason = "a rate of rows")]
    fn rows_per_second(&self) -> f64 {
        if self.seconds > 0.0 { self.tally.rows() as f64 / self.seconds } else { 0.0 }
    }

    fn as_json(&self) -> Value {
        let tally = self.tally;
        let undecided = tally
            .undecided
            .iter()
            .map(|(code, it)| ((*code).to_owned(), json!({"rows": it.rows, "first": example(&it.first)})));
        json!({
            "same": !tally.has_changes(),
            "against": self.against,
            "since": self.since.to_string(),
            "until": self.until.to_string(),
            "rows": tally.rows(),
            "mints": tally.mints,
            "refusals": tally.refusals,
            "refusals_not_recorded": tally.omitted,
            "unchanged": tally.unchanged,
            "newly_refused": tally.count(Change::NewlyRefused),
            "newly_allowed": tally.count(Change::NewlyAllowed),
            "changed": tally.count(Change::Changed),
            "undecided": tally.undecided_rows(),
            "groups": tally.groups().into_iter().map(group).collect::<Vec<_>>(),
            "rows_beyond_groups": tally.rows_beyond,
            "not_affected": tally.not_affected,
            "undecided_rows": undecided.collect::<serde_json::Map<_, _>>(),
            "notes": self.notes,
            "seconds": (self.seconds * 1e3).round() / 1e3,
            "rows_per_second": self.rows_per_second().round(),
        })
    }
}

fn group(group: &Group) -> Value {
    json!({
        "change": group.change,
        "rule": group.rule,
        "repository": group.repository,
        "rows": group.rows,
        "fields": group.fields,
        "first": example(&group.first),
    })
}

fn example(example: &Example) -> Value {
    let at = Timestamp::from_millisecond(example.at_ms).ok().map(|at| at.to_string());
    json!({"id": example.id, "at": at, "reason": example.reason})
}
