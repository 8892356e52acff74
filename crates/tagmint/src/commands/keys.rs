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
        let rows = states.iter().map(|KeyState { kid, algorithm, schedule }| {
            [
                kid.to_string(),
                algorithm.to_string(),
                schedule.phase(now).to_string(),
                moment(Some(schedule.published_at)),
                moment(Some(schedule.active_at)),
                moment(schedule.retiring_at),
                moment(schedule.withdrawn_at),
            ]
        });
        table(["kid", "alg", "phase", "published", "signs from", "signs until", "withdrawn"], rows)
    })
}

fn as_json(state: &KeyState, now: Timestamp) -> Value {
    let KeyState { kid, algorithm, schedule } = state;
    json!({
        "kid": kid.as_str(),
        "algorithm": algorithm,
        "phase": schedule.phase(now),
        "published_at": durations::rfc3339(schedule.published_at),
        "active_at": durations::rfc3339(schedule.active_at),
        "retiring_at": schedule.retiring_at.map(durations::rfc3339),
        "withdrawn_at": schedule.withdrawn_at.map(durations::rfc3339),
    })
}
