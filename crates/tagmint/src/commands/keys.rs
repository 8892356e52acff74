//! `tagmint keys`.

mod fetches;

use std::io::{self, IsTerminal};

use jiff::Timestamp;
use serde_json::{Value, json};
use tagmint_core::{
    clock::{Clock, SystemClock},
    key_schedule::{KeyPhase, KeyState},
    signing_key::KeyId,
    witness::FetchClass,
};
use tagmint_server::flows::keys::KeyContext;
use tagmint_store::{FetchQuery, KeyFetches};

use crate::{
    cli::{ClassArg, KeysCommand},
    compose,
    config::Config,
    durations,
    error::CliError,
    output::{self, Output, table},
};

/// Lists, rotates or withdraws keys.
pub async fn run(command: KeysCommand, config: &Config, output: Output) -> Result<(), CliError> {
    let master_key = compose::master_key(config)?;
    let store = compose::open_existing(config).await?;
    let keys = compose::key_context(config, store.clone(), master_key);
    let result = change(command, &keys, config, output).await;
    store.close().await;
    result
}

async fn change(command: KeysCommand, keys: &KeyContext, config: &Config, output: Output) -> Result<(), CliError> {
    // Of a file of AWS's networks it is enough to know that there is one.
    let knows_sts = config.settings.witness.recognition.is_given();
    match command {
        KeysCommand::List => {
            let (states, behind) = keys.list_by_clock().await?;
            show(&states, &keys.fetches_of_keys().await?, output)?;
            if let Some(behind) = behind {
                output.talk(&format!(
                    "the clock is {} behind the latest moment that the issuer noted: it was ahead then, or is behind now. The issuer moves the \
                     schedule to what is listed here when it starts, or within {} s",
                    durations::in_words(behind),
                    config.settings.key_refresh.as_secs()
                ));
            }
            if states.is_empty() {
                output.talk("no keys; the issuer makes the first one when it starts");
            } else if !knows_sts {
                output
                    .talk("[witness] says nothing of STS: all fetches are counted as others' (`tagmint keys fetches`)");
            }
            Ok(())
        }
        KeysCommand::Fetches { class, limit } => {
            let class = class.map(|class| match class {
                ClassArg::Sts => FetchClass::Sts,
                ClassArg::Other => FetchClass::Other,
            });
            fetches::show(&keys.fetches(FetchQuery { class, limit }).await?, output)
        }
        KeysCommand::Rotate { after } => {
            show(&keys.rotate(after).await?, &keys.fetches_of_keys().await?, output)?;
            talk_of_refresh(config, output);
            Ok(())
        }
        KeysCommand::Withdraw { kid, compromised, yes } => {
            if compromised && !yes {
                confirm(&kid, keys, config).await?;
            }
            let states = keys.withdraw(&kid, compromised).await?;
            show(&states, &keys.fetches_of_keys().await?, output)?;
            talk_of_refresh(config, output);
            if let Some(from) = gap(&states, SystemClock.now()) {
                output.talk(&format!("Nothing is minted until {}.", durations::moment(from, SystemClock.now())));
            }
            Ok(())
        }
    }
}

/// Asks on a terminal before minting stops.
async fn confirm(kid: &KeyId, keys: &KeyContext, config: &Config) -> Result<(), CliError> {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Ok(());
    }
    let now = SystemClock.now();
    let left = keys.list().await?.into_iter().map(|record| record.state).filter(|state| state.kid != *kid);
    let left: Vec<KeyState> = left.collect();
    let stops = match gap(&left, now) {
        None if left.iter().any(|state| signs_at(state, now)) => return Ok(()),
        Some(from) => format!("until {}", durations::moment(from, now)),
        None => {
            let ahead = config.settings.rotation.publish_ahead;
            format!("for up to {}, until a new key may sign", durations::in_words(ahead))
        }
    };
    output::write_note(&format!(
        "Withdrawing {kid} ends its tokens, and minting stops {stops}. Type `yes` to withdraw it (--yes does not ask):"
    ));
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(|source| CliError::Io { what: "stdin", source })?;
    if answer.trim() == "yes" { Ok(()) } else { Err(CliError::Refused("the key was not withdrawn".to_owned())) }
}

/// From when a key signs again, where none does now.
fn gap(states: &[KeyState], now: Timestamp) -> Option<Timestamp> {
    if states.iter().any(|state| signs_at(state, now)) {
        return None;
    }
    states.iter().filter(|state| state.schedule.withdrawn_at.is_none()).filter_map(|state| signs(state).0).min()
}

fn signs_at(state: &KeyState, now: Timestamp) -> bool {
    state.schedule.phase(now) == KeyPhase::Active
}

fn talk_of_refresh(config: &Config, output: Output) {
    let refresh = config.settings.key_refresh.as_secs();
    output.talk(&format!("A running issuer takes it up within {refresh} s."));
}

fn show(states: &[KeyState], fetches: &[KeyFetches], output: Output) -> Result<(), CliError> {
    let now = SystemClock.now();
    let data: Vec<Value> = states.iter().map(|state| as_json(state, fetches, now)).collect();
    output.data(&data, || {
        let moment = |at: Option<Timestamp>| at.map_or("-".to_owned(), |at| durations::moment(at, now));
        let rows = states.iter().map(|state @ KeyState { kid, algorithm, schedule }| {
            let (from, until) = signs(state);
            let by_sts = fetches::of_key(fetches, kid, FetchClass::Sts);
            [
                kid.to_string(),
                algorithm.to_string(),
                schedule.phase(now).to_string(),
                moment(Some(schedule.published_at)),
                from.map_or("never".to_owned(), |from| durations::moment(from, now)),
                moment(until),
                moment(schedule.withdrawn_at),
                by_sts.map_or("never".to_owned(), |seen| fetches::told(seen, now)),
                note(state, by_sts.is_some(), now),
            ]
        });
        table(
            ["kid", "alg", "phase", "published", "signs from", "signs until", "withdrawn", "fetched by STS", "note"],
            rows,
        )
    })
}

/// What a wait for STS has come to.
fn note(state: &KeyState, seen: bool, now: Timestamp) -> String {
    let schedule = &state.schedule;
    match schedule.due_at {
        Some(due_at) if schedule.waits(now) => format!(
            "waits for STS to fetch it: signs then, not before {}, and at its deadline without",
            durations::rfc3339(due_at)
        ),
        Some(_) if schedule.began_at_deadline(now) && !seen => "signs since its deadline, unseen by STS".to_owned(),
        Some(_) if schedule.began_at_deadline(now) => "signs since its deadline".to_owned(),
        _ => String::new(),
    }
}

/// From when and until when a key signs. A key that was withdrawn before its time came never does.
fn signs(state: &KeyState) -> (Option<Timestamp>, Option<Timestamp>) {
    let schedule = &state.schedule;
    match schedule.retiring_at.or(schedule.withdrawn_at) {
        Some(end) if end <= schedule.active_at => (None, None),
        _ => (Some(schedule.active_at), schedule.retiring_at),
    }
}

fn as_json(state: &KeyState, fetches: &[KeyFetches], now: Timestamp) -> Value {
    let KeyState { kid, algorithm, schedule } = state;
    let (active_at, retiring_at) = signs(state);
    let shown_to = |class| fetches::of_key(fetches, kid, class).map(fetches::as_json);
    json!({
        "kid": kid.as_str(),
        "algorithm": algorithm,
        "phase": schedule.phase(now),
        "published_at": durations::rfc3339(schedule.published_at),
        "active_at": active_at.map(durations::rfc3339),
        "retiring_at": retiring_at.map(durations::rfc3339),
        "withdrawn_at": schedule.withdrawn_at.map(durations::rfc3339),
        "due_at": schedule.due_at.map(durations::rfc3339),
        "waits_for_witness": schedule.waits(now),
        "began_at_deadline": schedule.began_at_deadline(now),
        "fetched_by_sts": shown_to(FetchClass::Sts),
        "fetched_by_others": shown_to(FetchClass::Other),
    })
}

#[cfg(test)]
mod tests {
    use tagmint_core::{key_schedule::KeySchedule, signing_key::Algorithm};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    fn state(retiring_at: Option<Timestamp>, withdrawn_at: Option<Timestamp>) -> KeyState {
        let schedule = KeySchedule {
            published_at: at(0),
            active_at: at(100),
            retiring_at,
            withdrawn_at,
            due_at: None,
            withdrawn: false,
        };
        KeyState { kid: "a".repeat(43).parse().unwrap(), algorithm: Algorithm::Es256, schedule }
    }

    #[test]
    fn a_key_that_was_withdrawn_before_its_time_never_signs() {
        assert_eq!(signs(&state(None, None)), (Some(at(100)), None));
        assert_eq!(signs(&state(Some(at(200)), Some(at(300)))), (Some(at(100)), Some(at(200))));
        let withdrawn = state(Some(at(50)), Some(at(50)));
        assert_eq!(signs(&withdrawn), (None, None));
        let json = as_json(&withdrawn, &[], at(60));
        assert!(json["active_at"].is_null() && json["retiring_at"].is_null(), "{json}");
        assert_eq!(json["phase"], "withdrawn");
    }

    #[test]
    fn a_key_that_waits_says_so_and_says_later_that_its_deadline_came() {
        let mut waiting = state(None, None);
        waiting.schedule.due_at = Some(at(50));
        let fetched = KeyFetches {
            kid: waiting.kid.clone(),
            class: FetchClass::Other,
            first_at: at(10),
            last_at: at(20),
            network: "192.0.2.0/24".to_owned(),
            agent: "curl/8".to_owned(),
            fetches: 3,
        };
        assert!(
            note(&waiting, false, at(60))
                .starts_with("waits for STS to fetch it: signs then, not before 2026-09-21T14:14:10Z")
        );
        assert_eq!(note(&waiting, false, at(100)), "signs since its deadline, unseen by STS");
        assert_eq!(note(&waiting, true, at(100)), "signs since its deadline");
        assert_eq!(note(&state(None, None), false, at(100)), "");
        let json = as_json(&waiting, &[fetched], at(60));
        assert_eq!((&json["waits_for_witness"], &json["began_at_deadline"]), (&json!(true), &json!(false)));
        assert_eq!(json["due_at"], "2026-09-21T14:14:10Z");
        assert!(json["fetched_by_sts"].is_null(), "{json}");
        assert_eq!(json["fetched_by_others"]["fetches"], 3);
    }
}
