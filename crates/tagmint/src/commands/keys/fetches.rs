//! Who fetched discovery and the key set.

use jiff::Timestamp;
use serde_json::{Value, json};
use tagmint_core::{
    clock::{Clock, SystemClock},
    signing_key::KeyId,
    witness::FetchClass,
};
use tagmint_store::{FetchSum, KeyFetches};

use crate::{
    durations,
    error::CliError,
    output::{Output, table},
};

/// Shows the hourly sums.
pub(super) fn show(sums: &[FetchSum], output: Output) -> Result<(), CliError> {
    let now = SystemClock.now();
    let data: Vec<Value> = sums.iter().map(sum_as_json).collect();
    output.data(&data, || {
        let rows = sums.iter().map(|sum| {
            [
                durations::moment(sum.last_at, now),
                sum.class.to_string(),
                sum.network.clone(),
                sum.document.to_string(),
                sum.status.to_string(),
                sum.fetches.to_string(),
                format!("{} / {}", in_ms(average_us(sum)), in_ms(sum.slowest_us)),
                sum.agent.clone(),
            ]
        });
        table(["last", "class", "network", "document", "status", "fetches", "average / slowest", "user agent"], rows)
    })?;
    if sums.is_empty() {
        output.talk("no fetches yet; a running issuer writes them down every few seconds");
    }
    Ok(())
}

/// The row of this key and class.
pub(super) fn of_key<'f>(fetches: &'f [KeyFetches], kid: &KeyId, class: FetchClass) -> Option<&'f KeyFetches> {
    fetches.iter().find(|row| row.kid == *kid && row.class == class)
}

/// The last fetch of a key, and how many there were.
pub(super) fn told(seen: &KeyFetches, now: Timestamp) -> String {
    format!("{} from {}, {}×", durations::moment(seen.last_at, now), seen.network, seen.fetches)
}

/// The same for programs.
pub(super) fn as_json(seen: &KeyFetches) -> Value {
    json!({
        "fetches": seen.fetches,
        "first_at": durations::rfc3339(seen.first_at),
        "last_at": durations::rfc3339(seen.last_at),
        "last_network": seen.network,
        "last_user_agent": seen.agent,
    })
}

fn sum_as_json(sum: &FetchSum) -> Value {
    json!({
        "hour": durations::rfc3339(sum.hour),
        "class": sum.class,
        "network": sum.network,
        "user_agent": sum.agent,
        "document": sum.document,
        "status": sum.status,
        "fetches": sum.fetches,
        "last_at": durations::rfc3339(sum.last_at),
        "average_us": average_us(sum),
        "slowest_us": sum.slowest_us,
    })
}

fn average_us(sum: &FetchSum) -> u64 {
    sum.total_us.checked_div(sum.fetches).unwrap_or_default()
}

fn in_ms(us: u64) -> String {
    format!("{}.{:02} ms", us / 1000, us % 1000 / 10)
}
