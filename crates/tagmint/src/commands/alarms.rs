//! `tagmint alarms`.

use serde_json::{Value, json};
use tagmint_core::{
    alarm::{
        Notice,
        book::{AlarmRecord, AlarmState},
    },
    clock::{Clock, SystemClock},
};

use crate::{
    cli::AlarmsCommand,
    compose,
    config::Config,
    durations,
    error::CliError,
    output::{Output, table},
    sinks,
};

/// Lists alarms, or tries their sinks.
pub async fn run(command: AlarmsCommand, config: &Config, output: Output) -> Result<(), CliError> {
    match command {
        AlarmsCommand::List { all } => list(all, config, output).await,
        AlarmsCommand::Test { sink } => test(sink.as_deref(), config, output).await,
    }
}

async fn list(all: bool, config: &Config, output: Output) -> Result<(), CliError> {
    let store = compose::open_existing(config).await?;
    let known = store.alarms().list().await;
    store.close().await;
    let over = |record: &AlarmRecord| matches!(record.state, AlarmState::Over { .. });
    let known: Vec<AlarmRecord> = known?.into_iter().filter(|record| all || !over(record)).collect();
    let now = SystemClock.now();
    let data: Vec<Value> = known.iter().map(as_json).collect();
    output.data(&data, || {
        let rows = known.iter().map(|AlarmRecord { alarm, state, since, .. }| {
            let subject = alarm.subject.as_ref().map(|subject| format!(" ({subject})")).unwrap_or_default();
            [
                format!("{}{subject}", alarm.kind),
                state.as_str().to_owned(),
                alarm.severity.to_string(),
                durations::moment(*since, now),
                alarm.text.clone(),
            ]
        });
        table(["alarm", "state", "severity", "since", "what was seen"], rows)
    })?;
    if known.is_empty() {
        output.talk("no alarm; docs/alarms.md tells of each that there is");
    }
    Ok(())
}

fn as_json(record: &AlarmRecord) -> Value {
    let AlarmRecord { alarm, state, since, seen_at } = record;
    let moment = match state {
        AlarmState::Pending => None,
        AlarmState::Firing { notified_at: at } | AlarmState::Over { ended_at: at } => Some(durations::rfc3339(*at)),
    };
    let told = |wanted: &str| moment.clone().filter(|_| state.as_str() == wanted);
    json!({
        "alarm": alarm.kind.as_str(),
        "subject": alarm.subject,
        "state": state.as_str(),
        "severity": alarm.severity,
        "since": durations::rfc3339(*since),
        "seen_at": durations::rfc3339(*seen_at),
        "notified_at": told("firing"),
        "ended_at": told("over"),
        "text": alarm.text,
        "fix": alarm.fix,
    })
}

async fn test(name: Option<&str>, config: &Config, output: Output) -> Result<(), CliError> {
    let sinks = sinks::all(config, &compose::outbound(config)?)?;
    let chosen: Vec<_> = sinks.iter().filter(|sink| name.is_none_or(|name| sink.name() == name)).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = sinks.iter().map(|sink| sink.name()).collect();
        return Err(CliError::Refused(match name {
            Some(name) if !names.is_empty() => {
                format!("there is no sink `{name}`; the configuration has {}", names.join(", "))
            }
            _ => "there is no [[alarm_sink]] in the configuration: nobody is told of alarms".to_owned(),
        }));
    }
    let body = Notice::test(SystemClock.now()).body(&config.settings.stamp);
    let mut told = Vec::new();
    for sink in chosen {
        told.push((sink.name().to_owned(), sink.deliver(&body).await.err().map(|error| error.to_string())));
    }
    let data: Vec<Value> =
        told.iter().map(|(sink, error)| json!({"sink": sink, "ok": error.is_none(), "error": error})).collect();
    output.data(&data, || {
        let rows = told.iter().map(|(sink, error)| {
            let mark = if error.is_none() { "ok" } else { "FAILED" };
            [mark.to_owned(), sink.clone(), error.clone().unwrap_or_else(|| "took the notice".to_owned())]
        });
        table(["", "sink", "what it did"], rows)
    })?;
    match told.iter().filter(|(_, error)| error.is_some()).count() {
        0 => Ok(()),
        failed => Err(CliError::Refused(format!("{failed} of {} sinks did not take the notice", told.len()))),
    }
}
