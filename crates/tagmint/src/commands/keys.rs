//! `tagmint keys`.

use jiff::Timestamp;
use serde_json::{Value, json};
use tagmint_core::{
    clock::{Clock, SystemClock},
    key_schedule::KeyState,
};
use tagmint_server::flows::keys::KeyContext;

use crate::{
    cli::KeysCommand,
    compose,
    config::Config,
    durations,
    error::CliError,
    output::{Output, table},
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
    match command {
        KeysCommand::List => {
            let states = keys.list().await?.into_iter().map(|record| record.state).collect::<Vec<_>>();
            show(&states, output)?;
            if states.is_empty() {
                output.talk("no keys; the issuer makes the first one when it starts");
            }
            Ok(())
        }
        KeysCommand::Rotate { after } => {
            show(&keys.rotate(after).await?, output)?;
            talk_of_refresh(config, output);
            Ok(())
        }
        KeysCommand::Withdraw { kid, compromised } => {
            show(&keys.withdraw(&kid, compromised).await?, output)?;
            talk_of_refresh(config, output);
            Ok(())
        }
    }
}

fn talk_of_refresh(config: &Config, output: Output) {
    let refresh = config.settings.key_refresh.as_secs();
    output.talk(&format!("A running issuer takes it up within {refresh} s."));
}

fn show(states: &[KeyState], output: Output) -> Result<(), CliError> {
    let now = SystemClock.now();
    let data: Vec<Value> = states.iter().map(|state| as_json(state, now)).collect();
    output.data(&data, || {
        let moment = |at: Option<Timestamp>| at.map_or("-".to_owned(), |at| durations::moment(at, now));
        let rows = states.iter().map(|state @ KeyState { kid, algorithm, schedule }| {
            let (from, until) = signs(state);
            [
                kid.to_string(),
                algorithm.to_string(),
                schedule.phase(now).to_string(),
                moment(Some(schedule.published_at)),
                from.map_or("never".to_owned(), |from| durations::moment(from, now)),
                moment(until),
                moment(schedule.withdrawn_at),
            ]
        });
        table(["kid", "alg", "phase", "published", "signs from", "signs until", "withdrawn"], rows)
    })
}

/// From when and until when a key signs. A key that was withdrawn before its time came never does.
fn signs(state: &KeyState) -> (Option<Timestamp>, Option<Timestamp>) {
    let schedule = &state.schedule;
    match schedule.retiring_at.or(schedule.withdrawn_at) {
        Some(end) if end <= schedule.active_at => (None, None),
        _ => (Some(schedule.active_at), schedule.retiring_at),
    }
}

fn as_json(state: &KeyState, now: Timestamp) -> Value {
    let KeyState { kid, algorithm, schedule } = state;
    let (active_at, retiring_at) = signs(state);
    json!({
        "kid": kid.as_str(),
        "algorithm": algorithm,
        "phase": schedule.phase(now),
        "published_at": durations::rfc3339(schedule.published_at),
        "active_at": active_at.map(durations::rfc3339),
        "retiring_at": retiring_at.map(durations::rfc3339),
        "withdrawn_at": schedule.withdrawn_at.map(durations::rfc3339),
    })
}

#[cfg(test)]
mod tests {
    use tagmint_core::{key_schedule::KeySchedule, signing_key::Algorithm};

    use super::*;

    #[test]
    fn a_key_that_was_withdrawn_before_its_time_never_signs() {
        let at = |second: i64| Timestamp::from_second(1_790_000_000 + second).unwrap();
        let state = |retiring_at: Option<Timestamp>, withdrawn_at| KeyState {
            kid: "a".repeat(43).parse().unwrap(),
            algorithm: Algorithm::Es256,
            schedule: KeySchedule { published_at: at(0), active_at: at(100), retiring_at, withdrawn_at },
        };
        assert_eq!(signs(&state(None, None)), (Some(at(100)), None));
        assert_eq!(signs(&state(Some(at(200)), Some(at(300)))), (Some(at(100)), Some(at(200))));
        let withdrawn = state(Some(at(50)), Some(at(50)));
        assert_eq!(signs(&withdrawn), (None, None));
        let json = as_json(&withdrawn, at(60));
        assert!(json["active_at"].is_null() && json["retiring_at"].is_null(), "{json}");
        assert_eq!(json["phase"], "withdrawn");
    }
}
