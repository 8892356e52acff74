//! The parts that the issuer stands on: ledger, database, disk, session backend, CI platforms, clock.

use super::{ClockStep, DiskView, Observations, ProviderView, ReuseView, about};
use crate::alarm::{Alarm, AlarmKind, Severity};

const MIB: u64 = 1024 * 1024;

impl DiskView {
    /// Below which free space somebody should look: a twentieth, and 1 GiB at most. A mint takes about a kibibyte.
    pub fn low_below(&self) -> u64 {
        (self.size / 20).min(1024 * MIB)
    }

    /// Below which free space somebody must act now: a fiftieth, and 256 MiB at most.
    pub fn urgent_below(&self) -> u64 {
        (self.size / 50).min(256 * MIB)
    }
}

pub(super) fn alarms(seen: &Observations) -> Vec<Alarm> {
    let alarm =
        |kind, severity, text: String, fix: &str| Alarm { kind, subject: None, severity, text, fix: fix.to_owned() };
    let mut alarms = Vec::new();
    if seen.ledger_failures > 0 {
        alarms.push(alarm(
            AlarmKind::LedgerFailing,
            Severity::Critical,
            format!(
                "{} writes to the ledger failed in the last minute, and no token left for them",
                seen.ledger_failures
            ),
            "see the log: the disk is full or read-only, or another process holds the database",
        ));
    }
    if let Some(why) = &seen.ledger_rolled_back {
        alarms.push(alarm(
            AlarmKind::LedgerRolledBack,
            Severity::Critical,
            format!("the database was restored under the running issuer, and nothing is minted: {why}"),
            "put the newer database back, or accept the older one with a restart: see \"The ledger was rolled back\" in the runbook",
        ));
    }
    if let Some(why) = &seen.database {
        alarms.push(alarm(
            AlarmKind::DatabaseUnwritable,
            Severity::Critical,
            format!("the database takes no writes, and nothing is minted: {why}"),
            "free some space, or find the process that holds the database",
        ));
    }
    alarms.extend(seen.disk.and_then(|disk| {
        let severity = if disk.free < disk.urgent_below() { Severity::Critical } else { Severity::Warning };
        let text = format!("{} of {} MiB are free on the database's disk", disk.free / MIB, disk.size / MIB);
        let fix = "free some space before it is full: then nothing is minted";
        (disk.free < disk.low_below()).then(|| alarm(AlarmKind::DiskNearlyFull, severity, text, fix))
    }));
    if let Some(why) = &seen.session_backend {
        alarms.push(alarm(
            AlarmKind::SessionBackendDown,
            Severity::Critical,
            format!("no sessions are opened: {why}"),
            "see to the session backend; sessions and bearers that exist go on working",
        ));
    }
    alarms.extend(seen.providers.iter().filter_map(provider));
    let recent = |view: &&ReuseView| seen.now.duration_since(view.last).abs() < ReuseView::TOLD_FOR;
    alarms.extend(seen.reuse.iter().filter(recent).map(|ReuseView { provider, count, last }| Alarm {
        kind: AlarmKind::CiTokenFromSeveralNetworks,
        subject: Some(provider.clone()),
        severity: Severity::Warning,
        text: format!(
            "a token of `{provider}` that may be reused came from another network than before, last at {last:.0} ({count} since the start)"
        ),
        fix: "see the log for the token's id and the networks; where it was not the job itself the token is in other hands".to_owned(),
    }));
    alarms.extend(seen.clock_step.filter(|step| seen.now.duration_since(step.at).abs() < ClockStep::TOLD_FOR).map(
        |ClockStep { at, by }| {
            // A machine that slept shows a clock that is ahead of the time that passed for its programs.
            let (direction, or) = if by.is_negative() { ("back", "") } else { ("ahead", ", or the machine slept") };
            alarm(
                AlarmKind::ClockStepped,
                Severity::Warning,
                format!("the clock was set {direction} by {} at {at:.0}{or}", about(by)),
                "see `timedatectl`: a time service must run, and STS refuses tokens that are five minutes off. The key schedule has moved with the clock: `tagmint keys list`",
            )
        },
    ));
    alarms
}

/// The most keys that an alarm names.
const KEYS_NAMED: usize = 5;

/// Keys that cannot be fetched are used for `stale_after`. By half of that the trouble is no passing one, and there is as much time again.
fn provider(provider: &ProviderView) -> Option<Alarm> {
    let ProviderView { name, usable, age, stale_after, failing, passed_over } = provider;
    let alarm = |severity, text, fix: &str| Alarm {
        kind: AlarmKind::ProviderKeysStale,
        subject: Some(name.clone()),
        severity,
        text,
        fix: fix.to_owned(),
    };
    let unreachable = "the log says why its keys cannot be fetched: its issuer is down, or the way to it is closed";
    let old = age.is_some_and(|age| age.abs() * 2 > *stale_after);
    let text = match age {
        // The first fetch is under way: nothing is known yet.
        None if !failing => return None,
        None => format!("the tokens of `{name}` are refused: its keys could not be fetched since the start"),
        Some(age) if *usable == 0 && age.abs() > *stale_after => {
            format!("the tokens of `{name}` are refused: its keys were last fetched {} ago", about(*age))
        }
        Some(age) if *usable == 0 => {
            let (ago, why) = (about(*age), unused(passed_over));
            let text =
                format!("the tokens of `{name}` are refused: its key set, fetched {ago} ago, has no usable key{why}");
            let fix = "have its issuer publish an RSA key of 2048 bits or more, or an EC key on P-256, P-384 or P-521";
            return Some(alarm(Severity::Critical, text, fix));
        }
        Some(age) if *failing && old => {
            let (ago, limit) = (about(*age), about(*stale_after));
            let text =
                format!("the keys of `{name}` were last fetched {ago} ago; after {limit} its tokens are refused");
            return Some(alarm(Severity::Warning, text, unreachable));
        }
        Some(_) => return None,
    };
    Some(alarm(Severity::Critical, text, unreachable))
}

fn unused(passed_over: &[String]) -> String {
    let named: Vec<&str> = passed_over.iter().take(KEYS_NAMED).map(String::as_str).collect();
    let more = passed_over.len() - named.len();
    match (named.as_slice(), more) {
        ([], _) => ": it is empty".to_owned(),
        (_, 0) => format!(" ({})", named.join("; ")),
        (_, more) => format!(" ({}; and {more} more)", named.join("; ")),
    }
}
