//! `tagmint prove`.

mod args;
mod text;
mod tokens;

use std::{
    ops::ControlFlow,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use tagmint_aws::{
    connection::{Connection, Options, Service},
    prove::{self, Access, Neighbour, Outcome, Plan, Prefix, PrefixError, Report},
    token::Token,
};
use tagmint_core::{clock::SystemClock, random::SystemRandom};

pub use self::args::ProveArgs;
use self::text::Table;
use super::input;
use crate::{
    compose::{Signals, Wanted},
    error::CliError,
    output::Output,
    surroundings,
};

/// Proves. The exit code is the verdict.
pub async fn run(args: ProveArgs, output: Output) -> Result<(), CliError> {
    if !args.stray.is_empty() {
        return Err(CliError::Usage(
            "`prove` takes options alone; tokens and credentials come from files, or from stdin with -".to_owned(),
        ));
    }
    let roots = match &args.ca_file {
        Some(file) => Some(input::file("the CA file", file)?),
        None => None,
    };
    let options = Options {
        endpoint_url: args.endpoint_url.clone(),
        region: args.region.clone(),
        fallback_region: None,
        ca_bundle: surroundings::aws_ca_bundle(),
    };
    let connection = Connection::from_environment(&options).await?;
    let (tokens, mut terms) = tokens::all(&args, roots.as_deref()).await?;
    terms.assume_then = args.assume_then.clone().or(terms.assume_then);
    let (own, tag) = own_prefix(&args, &tokens.good)?;
    let neighbours = neighbours(&args, &own)?;
    let access =
        if args.read_only { Access::ReadOnly { own_object: args.own_object.clone() } } else { Access::ReadWrite };
    let plan = Plan {
        role_arn: args.role.clone(),
        terms,
        session_name: args.session_name.clone(),
        bucket: args.bucket.clone(),
        own,
        tag,
        neighbours,
        neighbour_object: args.neighbour_object.clone(),
        access,
        tokens,
        issuer_roots: roots,
        require_all: args.require_all,
    };
    let table = Table::new(&plan, output);
    table.head(&connection.named(Service::Sts), &connection.named(Service::S3))?;
    let mut told = Ok(());
    // The first signal ends it between two checks, so that what was written is removed; the second at once.
    let wanted = AtomicBool::new(false);
    let mut signals = Signals::listen()?;
    let impatient = async {
        while signals.next().await != Wanted::End {}
        wanted.store(true, Ordering::Relaxed);
        while signals.next().await != Wanted::End {}
    };
    let on_row = |row: &prove::Row| {
        if told.is_ok() {
            told = table.row(row);
        }
        if wanted.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let report = tokio::select! {
        report = prove::run(&plan, &connection, &SystemClock, &SystemRandom, on_row) => report?,
        () = impatient => {
            let text = "ended by a second signal: what was written may still be there, as `.tagmint-prove-…`";
            return Err(CliError::Refused(text.to_owned()));
        }
    };
    told?;
    output.data(&report, || text::conclusion(&report))?;
    if let Some(file) = &args.junit {
        write_junit(file, &report, &plan)?;
    }
    if report.passed() {
        Ok(())
    } else {
        let failed = report.count(Outcome::Failed);
        Err(CliError::Refused(format!("not proved: {} of {} failed", failed, text::checks(report.rows.len()))))
    }
}

fn write_junit(file: &Path, report: &Report, plan: &Plan) -> Result<(), CliError> {
    let proof = format!("{} as {}", plan.bucket, plan.role_arn);
    std::fs::write(file, report.junit(&proof))
        .map_err(|source| CliError::Io { what: "the JUnit file (--junit)", source })
}

/// The prefix that the session is to have, and the tag that it comes from.
fn own_prefix(args: &ProveArgs, token: &Token) -> Result<(Prefix, Option<String>), CliError> {
    let tags = token.tags();
    let (prefix, tag) = match (&args.prefix, &args.tag) {
        (None, Some(key)) => {
            let value = token.tag(key).ok_or_else(|| {
                CliError::Refused(format!("the token has no tag {key}; its tags are: {}", names(&tags)))
            })?;
            (value.to_owned(), Some(key.clone()))
        }
        (Some(prefix), Some(key)) => (prefix.clone(), Some(key.clone())),
        (Some(prefix), None) => {
            let bare = prefix.trim_end_matches('/');
            let tag = tags.iter().find(|(_, value)| *value == bare).or(tags.first().filter(|_| tags.len() == 1));
            (prefix.clone(), tag.map(|(key, _)| (*key).to_owned()))
        }
        (None, None) => {
            let [(key, value)] = tags.as_slice() else {
                let message = format!(
                    "which prefix is the session's? Name the tag that holds it with --tag, or the prefix with --prefix; the token's tags are: {}",
                    names(&tags)
                );
                return Err(CliError::Usage(message));
            };
            ((*value).to_owned(), Some((*key).to_owned()))
        }
    };
    Ok((Prefix::parse(&prefix).map_err(usage)?, tag))
}

fn names(tags: &[(&str, &str)]) -> String {
    if tags.is_empty() { "none".to_owned() } else { tags.iter().map(|(key, _)| *key).collect::<Vec<_>>().join(", ") }
}

fn neighbours(args: &ProveArgs, own: &Prefix) -> Result<Vec<Neighbour>, CliError> {
    if args.neighbours.is_empty() {
        return Ok(Neighbour::made_up(own, &SystemRandom)?);
    }
    let prefixes = args.neighbours.iter().map(|text| Prefix::parse(text)).collect::<Result<Vec<_>, _>>();
    let neighbours = Neighbour::named(own, &prefixes.map_err(usage)?).map_err(usage)?;
    if let Some(object) = &args.neighbour_object
        && !neighbours.iter().any(|neighbour| neighbour.prefix.holds(object))
    {
        return Err(CliError::Usage(format!("--neighbour-object {object} lies below no prefix of --neighbour")));
    }
    Ok(neighbours)
}

fn usage(error: PrefixError) -> CliError {
    CliError::Usage(error.to_string())
}

#[cfg(test)]
mod tests;
