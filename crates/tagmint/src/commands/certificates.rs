//! `tagmint certificates`.

use jiff::Timestamp;
use serde_json::{Value, json};
use tagmint_core::clock::{Clock, SystemClock};
use tagmint_server::acme::{Overview, RenewalFailure, StoredCertificate};
use tagmint_store::Store;

use crate::{
    cli::CertificatesCommand,
    compose,
    config::{AcmeConfig, Config, Tls},
    durations,
    error::CliError,
    output::{Output, pairs, table},
};

/// Lists certificates, or asks the running issuer for something.
pub async fn run(command: CertificatesCommand, config: &Config, output: Output) -> Result<(), CliError> {
    let Tls::Acme(acme) = &config.tls else {
        let message = "`tls.mode` is not `acme`: this issuer orders no certificates";
        return Err(CliError::Refused(message.to_owned()));
    };
    let store = compose::open_existing(config).await?;
    let result = match command {
        CertificatesCommand::List => list(acme, &store, output).await,
        CertificatesCommand::Renew => {
            let asked = store.acme().request_renewal(SystemClock.now()).await;
            asked.map_err(CliError::from).and_then(|()| asked_for("renewal", config, output))
        }
        CertificatesCommand::RotateAccountKey => {
            let asked = store.acme().request_rollover(SystemClock.now()).await;
            asked.map_err(CliError::from).and_then(|()| asked_for("account_key", config, output))
        }
    };
    store.close().await;
    result
}

fn asked_for(what: &str, config: &Config, output: Output) -> Result<(), CliError> {
    output.data(&json!({"requested": what}), || format!("requested: {}", what.replace('_', " ")))?;
    let refresh = config.settings.key_refresh.as_secs();
    output.talk(&format!(
        "A running issuer begins within {refresh} s; its log and `tagmint certificates list` tell what comes of it."
    ));
    Ok(())
}

async fn list(acme: &AcmeConfig, store: &Store, output: Output) -> Result<(), CliError> {
    let now = SystemClock.now();
    let found = Overview::read(store, &acme.directory, &acme.names, now).await?;
    let data = json!({
        "certificates": found.certificates.iter().map(|stored| as_json(stored, now)).collect::<Vec<Value>>(),
        "next_renewal_at": durations::rfc3339(found.next_renewal_at),
        "renew_requested_at": found.renew_requested_at.map(durations::rfc3339),
        "last_failure": found.last_failure.as_ref().map(failure_as_json),
    });
    output.data(&data, || as_text(&found, now))?;
    if found.certificates.is_empty() {
        output.talk("no certificates; a running issuer orders the first one");
    }
    Ok(())
}

fn state(stored: &StoredCertificate, now: Timestamp) -> &'static str {
    match (stored.record.not_after <= now, stored.to_serve) {
        (true, _) => "expired",
        (false, true) => "served",
        (false, false) => "superseded",
    }
}

fn as_json(stored: &StoredCertificate, now: Timestamp) -> Value {
    let StoredCertificate { record, facts, .. } = stored;
    let window = record
        .window
        .map(|window| json!({"start": durations::rfc3339(window.start()), "end": durations::rfc3339(window.end())}));
    json!({
        "id": record.id,
        "state": state(stored, now),
        "names": facts.as_ref().map(|facts| &facts.names),
        "serial": facts.as_ref().map(|facts| &facts.serial),
        "issuer": facts.as_ref().map(|facts| &facts.issuer),
        "not_before": facts.as_ref().map(|facts| durations::rfc3339(facts.not_before)),
        "not_after": durations::rfc3339(record.not_after),
        "stored_at": durations::rfc3339(record.stored_at),
        "directory": record.directory,
        "renewal_window": window,
        "explanation_url": record.explanation_url,
    })
}

fn failure_as_json(failure: &RenewalFailure) -> Value {
    json!({
        "at": durations::rfc3339(failure.at),
        "kind": failure.kind.as_str(),
        "problem": failure.problem,
        "consecutive": failure.consecutive,
    })
}

fn as_text(found: &Overview, now: Timestamp) -> String {
    let row = |name: &str, value: String| (name.to_owned(), value);
    let mut facts = vec![row("next renewal", durations::moment(found.next_renewal_at, now))];
    if let Some(at) = found.renew_requested_at {
        facts.push(row("asked for", durations::moment(at, now)));
    }
    if let Some(failure) = &found.last_failure {
        let when = durations::moment(failure.at, now);
        facts.push(row("last failure", format!("{when}, {} in a row: {}", failure.consecutive, failure.problem)));
    }
    let rows = found.certificates.iter().map(|stored| {
        let (record, facts) = (&stored.record, stored.facts.as_ref());
        [
            facts.map_or_else(|| record.id.to_string(), |facts| facts.serial.clone()),
            state(stored, now).to_owned(),
            facts.map(|facts| facts.names.join(", ")).unwrap_or_default(),
            facts.map(|facts| durations::moment(facts.not_before, now)).unwrap_or_default(),
            durations::moment(record.not_after, now),
            facts.map(|facts| facts.issuer.clone()).unwrap_or_default(),
        ]
    });
    let certificates = table(["serial", "state", "names", "from", "until", "issuer"], rows);
    format!("{}\n\n{certificates}", pairs(facts))
}
