//! `tagmint sweep`.

mod args;
mod metrics;
mod text;

use std::{
    ops::ControlFlow,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use tagmint_aws::{
    connection::{Connection, Options, Service},
    failure::Failure,
    render::ACCOUNT_VARIABLE,
    sweep::{self, Bucket, Ended, GitHub, GitHubError, Mint, Minted, Outcome, Progress, Report},
};
use tagmint_core::{
    clock::{Clock, SystemClock},
    sweep::{Found, Ground, MOST_SKEW, Policy},
};

pub use self::args::SweepArgs;
use self::text::Bar;
use super::input;
use crate::{
    compose::{self, Signals, Wanted},
    config::Config,
    durations,
    error::CliError,
    logging,
    output::Output,
    surroundings,
};

/// Younger than this a run may still be at work: no session of the shipped roles lasts longer.
const CAREFUL: SignedDuration = SignedDuration::from_hours(1);

/// Sweeps, or shows what would go.
pub async fn run(args: SweepArgs, file: &Path, output: Output) -> Result<(), CliError> {
    logging::init_quiet(output.is_json());
    let config = Config::load_for(file, args.account.as_deref())?;
    let (ground, owner) = ground(&config)?;
    let bucket_name = ground.bucket().to_owned();
    let swept = sweep(&args, &config, ground, owner, output).await;
    let written = match &args.metrics {
        Some(file) => metrics::write(file, &metrics::render(&bucket_name, swept.as_ref().ok(), SystemClock.now())),
        None => Ok(()),
    };
    let report = swept?;
    output.data(&report, || text::report(&report))?;
    verdict(&report)?;
    written
}

/// What may be swept at all: the flow takes nothing else.
fn ground(config: &Config) -> Result<(Ground, Option<String>), CliError> {
    let aws = config.aws.as_ref();
    let account = aws.and_then(|aws| aws.account.clone());
    let bucket = aws.and_then(|aws| aws.bucket.as_ref()).map(|bucket| bucket.name.as_str()).unwrap_or_default();
    let bucket = bucket.replace(ACCOUNT_VARIABLE, account.as_deref().unwrap_or_default());
    let refused =
        |error: tagmint_core::sweep::NotToBeSwept| CliError::Refused(format!("{}: {error}", config.file.display()));
    if bucket.is_empty() {
        // A prod configuration is told that first.
        Ground::new(config.environment(), "test").map_err(refused)?;
        let text = "there is no [aws.bucket]: `tagmint sweep` removes what is in that bucket alone";
        return Err(CliError::Check(format!("{}: {text}", config.file.display())));
    }
    Ok((Ground::new(config.environment(), &bucket).map_err(refused)?, account))
}

async fn sweep(
    args: &SweepArgs,
    config: &Config,
    ground: Ground,
    owner: Option<String>,
    output: Output,
) -> Result<Report, CliError> {
    let policy = policy(args, output);
    let github = github(args)?;
    let minted = minted(args, config).await?;
    let options = Options {
        endpoint_url: args.endpoint_url.clone(),
        region: None,
        fallback_region: config.aws.as_ref().map(|aws| aws.region.clone()),
        ca_bundle: surroundings::aws_ca_bundle(),
    };
    let connection = Connection::from_environment(&options).await?;
    let bucket = Bucket::new(&connection, ground, owner).await.map_err(failed)?;
    output.talk(&format!("bucket {}, {}", bucket.name(), connection.named(Service::S3)));
    // A signal ends it between two requests; a second one at once.
    let wanted = AtomicBool::new(false);
    let mut signals = Signals::listen()?;
    let impatient = async {
        while signals.next().await != Wanted::End {}
        wanted.store(true, Ordering::Relaxed);
        while signals.next().await != Wanted::End {}
    };
    tokio::select! {
        report = work(args, &policy, github.as_ref(), &minted, &bucket, &wanted, output) => report,
        () = impatient => Err(CliError::Refused("ended by a second signal; the next run goes on where this one was".to_owned())),
    }
}

async fn work(
    args: &SweepArgs,
    policy: &Policy,
    github: Option<&GitHub>,
    minted: &Minted,
    bucket: &Bucket,
    wanted: &AtomicBool,
    output: Output,
) -> Result<Report, CliError> {
    let on = |bar: &mut Bar, progress: Progress| {
        bar.show(progress);
        if wanted.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let mut bar = Bar::new("looked at", output);
    let scanned = sweep::scan(bucket, minted, args.minted, |progress| on(&mut bar, progress)).await;
    bar.end();
    let mut inventory = scanned.map_err(failed)?;
    if inventory.interrupted {
        return Err(CliError::Refused("interrupted while it looked: nothing was removed".to_owned()));
    }
    let now = now(bucket.server_time(), SystemClock.now())?;
    let mut pulls = None;
    if let Some(github) = github {
        // Who is old goes in any case, and who is busy stays in any case.
        let age = |found: &Found| now.duration_since(found.used_at());
        let between = |found: &Found| age(found) < policy.older_than && age(found) >= policy.closed_for;
        let asked = github.ask(&mut inventory.found, minted, between).await;
        if let Some(problem) = &asked.problem {
            output.warn(&format!("{problem}. Pull requests that are not known to be closed stay until they are old"));
        }
        pulls = Some(asked);
    }
    let plan = tagmint_core::sweep::plan(inventory.found, policy, now);
    let mut report = Report::new(bucket.name(), &plan, now);
    report.outside = inventory.outside;
    report.outside_examples = inventory.examples;
    report.pulls = pulls;
    if args.apply {
        let mut bar = Bar::new("removed", output);
        sweep::remove(bucket, &plan, minted, args.minted, &mut report, |progress| on(&mut bar, progress)).await;
        bar.end();
    }
    Ok(report)
}

fn policy(args: &SweepArgs, output: Output) -> Policy {
    if args.older_than < CAREFUL {
        output.warn("--older-than is less than an hour: what a run of CI still works with may go");
    }
    let slashed = |prefix: &String| if prefix.ends_with('/') { prefix.clone() } else { format!("{prefix}/") };
    Policy {
        older_than: args.older_than,
        closed_for: args.closed_for,
        most_objects: args.limit,
        most_prefixes: args.limit_prefixes,
        keep: args.keep.iter().map(slashed).collect(),
    }
}

fn github(args: &SweepArgs) -> Result<Option<GitHub>, CliError> {
    let Some(repository) = &args.github_repository else { return Ok(None) };
    let token = match &args.github_token_file {
        Some(file) => {
            let text = input::secret_text("--github-token-file", file)?;
            if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(CliError::Usage("--github-token-file: there is no token in it, in one line".to_owned()));
            }
            Some(SecretString::from(text.as_str()))
        }
        None => None,
    };
    let github = GitHub::new(&args.github_api, repository, token);
    github.map(Some).map_err(|error| match error {
        GitHubError::Repository(_) | GitHubError::Api(_) => CliError::Usage(error.to_string()),
        GitHubError::Client(_) | GitHubError::Answer { .. } => CliError::Unreachable(error.to_string()),
    })
}

/// What the ledger knows. Without it nothing beside the namespaces may go.
async fn minted(args: &SweepArgs, config: &Config) -> Result<Minted, CliError> {
    if args.without_ledger {
        return Ok(Minted::default());
    }
    let store = compose::open_existing(config).await?;
    let prefixes = store.ledger().minted_prefixes().await;
    store.close().await;
    Ok(Minted::new(prefixes?.into_iter().map(|prefix| {
        let at = Timestamp::from_millisecond(prefix.last_at_ms).unwrap_or(Timestamp::MAX);
        (prefix.value, Mint { at, repository: prefix.repository })
    })))
}

/// The earlier of both clocks: who is in doubt keeps.
fn now(server: Option<Timestamp>, ours: Timestamp) -> Result<Timestamp, CliError> {
    let Some(server) = server else {
        return Err(CliError::Refused(
            "S3 tells no time (its answers have no `Date`): ages cannot be trusted".to_owned(),
        ));
    };
    let skew = server.duration_since(ours).abs();
    if skew > MOST_SKEW {
        return Err(CliError::Refused(format!(
            "this machine's clock and S3's are {} apart ({ours} here, {server} there): ages cannot be trusted. Set the clock (timedatectl)",
            durations::in_words(skew)
        )));
    }
    Ok(server.min(ours))
}

fn failed(failure: Failure) -> CliError {
    match failure {
        Failure::Refused { .. } => CliError::Refused(format!(
            "{failure}: nothing was removed. The permissions that sweeping takes: docs/sweep.md"
        )),
        failure => CliError::Unreachable(failure.to_string()),
    }
}

/// The exit code. What a limit leaves is the next run's, and no failure.
fn verdict(report: &Report) -> Result<(), CliError> {
    match report.ended {
        Ended::Interrupted => Err(CliError::Refused(format!(
            "interrupted: {} of {} prefixes are gone; the next run goes on",
            report.count(Outcome::Gone),
            report.prefixes.len()
        ))),
        Ended::Failed => Err(CliError::Refused(format!(
            "ended early: {}; {} of {} prefixes are gone",
            report.problem.as_deref().unwrap_or("S3 did not answer"),
            report.count(Outcome::Gone),
            report.prefixes.len()
        ))),
        Ended::Complete | Ended::Limit if report.failed > 0 => {
            Err(CliError::Refused(format!("S3 did not remove {}; the report names them", text::things(report.failed))))
        }
        Ended::Complete | Ended::Limit => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earlier_clock_counts_and_they_may_not_be_far_apart() {
        let at = |second: i64| Timestamp::from_second(1_790_000_000 + second).unwrap();
        assert_eq!(now(Some(at(60)), at(0)).unwrap(), at(0));
        assert_eq!(now(Some(at(-60)), at(0)).unwrap(), at(-60));
        let error = now(Some(at(301)), at(0)).unwrap_err().to_string();
        assert!(error.contains("5 minutes 1 second apart"), "{error}");
        assert!(now(Some(at(-301)), at(0)).is_err() && now(None, at(0)).is_err());
    }
}
