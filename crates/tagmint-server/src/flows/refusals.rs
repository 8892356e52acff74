//! Refusals: written to the ledger, or counted where unidentified callers have used up their rows.

use std::net::IpAddr;

use jiff::Timestamp;
use tagmint_core::{
    id::{RefusalId, RequestId},
    ledger::{FORMAT, LedgerEntry, Omitted, Outcome, Refused, Run},
    random::RandomUnavailable,
    sanitize,
};
use tagmint_store::LedgerError;

use crate::{
    app::App,
    limits::{Omission, TooMany},
};

/// A row's details of the caller, as far as they are known.
#[derive(Debug, Default)]
pub(crate) struct Caller {
    pub credential: Option<String>,
    pub source: Option<String>,
    pub identity: Option<String>,
    pub rule: Option<String>,
    /// What the rules saw.
    pub run: Option<Box<Run>>,
}

/// A request that is refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The kind of request: `mint`, `session`.
    pub what: &'static str,
    pub request_id: RequestId,
    pub route: &'static str,
    pub remote: IpAddr,
    pub at: Timestamp,
    pub caller: Caller,
    /// Whether the caller may be anybody: it was not identified, or by something that everybody can get without end.
    pub anybody: bool,
    /// Further details of the caller for the log.
    pub about: Option<String>,
    pub code: &'static str,
    pub detail: String,
}

/// Why a refusal has neither a row nor a place in the count.
#[derive(Debug)]
pub(crate) enum Unrecorded {
    Ledger(LedgerError),
    Random(RandomUnavailable),
}

/// Takes one from the buckets of an address whose credential proves nothing. Beyond them there is no row: it is counted.
pub(crate) fn check_failed(app: &App, remote: IpAddr, now: Timestamp) -> Result<(), TooMany> {
    app.limits.check_failed(remote).inspect_err(|too_many| {
        let why = if too_many.bucket == crate::limits::FAILED_NETWORK { Omission::Network } else { Omission::Address };
        omit(app, remote, why, now);
    })
}

/// Writes a refusal's row. If the caller may be anybody and such callers have used up their rows, counts the refusal instead.
pub(crate) async fn record(app: &App, refusal: Refusal) -> Result<(), Unrecorded> {
    let Refusal { what, request_id, route, remote, at, caller, anybody, about, code, detail } = refusal;
    // The words may quote what a stranger wrote, and a row is for ever.
    let detail = sanitize::text(&detail).into_owned();
    let omission = if anybody { app.refusal_rows.take(remote).err() } else { None };
    if omission.is_some() && caller.identity.is_none() {
        // Strangers must not fill the log either.
        tracing::debug!(%request_id, route, %remote, code, error = detail, "{what} refused");
    } else {
        tracing::info!(%request_id, route, %remote, code, about, error = detail, "{what} refused");
    }
    if let Some(why) = omission {
        omit(app, remote, why, at);
        return Ok(());
    }
    let refusal_id = RefusalId::generate(at, &*app.random).map_err(Unrecorded::Random)?;
    let Caller { credential, source, identity, rule, run } = caller;
    let entry = LedgerEntry {
        format: FORMAT,
        at_ms: at.as_millisecond(),
        request_id,
        route: route.to_owned(),
        remote: Some(remote.to_string()),
        credential,
        source,
        identity,
        rule,
        run,
        outcome: Outcome::Refused(Refused { refusal_id, code: code.to_owned(), detail, omitted: None }),
    };
    append(app, entry).await
}

/// Writes how many refusals have no row of their own since this was written last; nothing where there are none. What cannot be written is
/// counted on.
pub(crate) async fn write_summary(app: &App) {
    let Some(summary) = app.refusal_rows.summary() else { return };
    tracing::warn!(
        count = summary.count,
        limits = ?summary.limits,
        networks = ?summary.networks,
        "refusals of unidentified callers were counted and not recorded"
    );
    if let Err(error) = summarize(app, summary.clone()).await {
        tracing::error!(?error, "the count of refusals that were not recorded could not be written; it is tried again");
        app.refusal_rows.put_back(&summary);
    }
}

async fn summarize(app: &App, omitted: Omitted) -> Result<(), Unrecorded> {
    let now = app.clock.now();
    let moment = |ms| Timestamp::from_millisecond(ms).unwrap_or(now);
    let limits: Vec<String> = omitted.limits.iter().map(|(name, count)| format!("{count} by {name}")).collect();
    let detail = format!(
        "{} refusals of unidentified callers from {} to {} were counted and not recorded: {}",
        omitted.count,
        moment(omitted.since_ms),
        moment(omitted.until_ms),
        limits.join(", ")
    );
    let entry = LedgerEntry {
        format: FORMAT,
        at_ms: now.as_millisecond(),
        request_id: RequestId::generate(now, &*app.random).map_err(Unrecorded::Random)?,
        route: Omitted::ROUTE.to_owned(),
        remote: None,
        credential: None,
        source: None,
        identity: None,
        rule: None,
        run: None,
        outcome: Outcome::Refused(Refused {
            refusal_id: RefusalId::generate(now, &*app.random).map_err(Unrecorded::Random)?,
            code: Omitted::CODE.to_owned(),
            detail,
            omitted: Some(omitted),
        }),
    };
    append(app, entry).await
}

async fn append(app: &App, entry: LedgerEntry) -> Result<(), Unrecorded> {
    let written = app.ledger.append(entry, app.ledger_deadline()).await;
    written.map(|_| ()).map_err(|error| {
        app.figures.ledger_failed();
        Unrecorded::Ledger(error)
    })
}

fn omit(app: &App, remote: IpAddr, why: Omission, now: Timestamp) {
    app.figures.refusal_omitted(why);
    if app.refusal_rows.omit(remote, why, now) {
        tracing::warn!(
            limit = why.as_str(),
            %remote,
            "refusals of unidentified callers are counted from here on, and not recorded"
        );
    }
}
