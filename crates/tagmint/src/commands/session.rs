//! `tagmint session`.

use serde_json::{Value, json};
use tagmint_core::{
    clock::{Clock, SystemClock},
    id::SessionId,
    issued_secret::SecretKind,
};
use tagmint_store::{CredentialFilter, Revocation, SessionRecord, Store};

use crate::{
    cli::{Named, SessionCommand},
    commands::presented,
    compose,
    config::Config,
    durations,
    error::CliError,
    output::{Output, table},
};

/// Lists or revokes sessions.
pub async fn run(command: SessionCommand, config: &Config, output: Output) -> Result<(), CliError> {
    let store = compose::open_existing(config).await?;
    let result = match command {
        SessionCommand::List { all, limit } => list(all, limit, &store, output).await,
        SessionCommand::Revoke { session, .. } => revoke(session, config, &store, output).await,
    };
    store.close().await;
    result
}

async fn list(all: bool, limit: u32, store: &Store, output: Output) -> Result<(), CliError> {
    let now = SystemClock.now();
    let filter = if all { CredentialFilter::All } else { CredentialFilter::ActiveAt(now) };
    let sessions = store.sessions().list(filter, limit).await?;
    let state = |session: &SessionRecord| match session.revoked_at {
        Some(_) => "revoked",
        None if session.expires_at <= now => "expired",
        None => "good",
    };
    let as_json = |session: &SessionRecord| {
        json!({
            "id": session.id,
            "subject": session.subject,
            "state": state(session),
            "attributes": session.attributes,
            "created_at": durations::rfc3339(session.created_at),
            "expires_at": durations::rfc3339(session.expires_at),
            "revoked_at": session.revoked_at.map(durations::rfc3339),
        })
    };
    let data: Vec<Value> = sessions.iter().map(as_json).collect();
    output.data(&data, || {
        let rows = sessions.iter().map(|session| {
            [
                session.id.to_string(),
                session.subject.clone(),
                state(session).to_owned(),
                durations::moment(session.created_at, now),
                durations::moment(session.expires_at, now),
            ]
        });
        table(["id", "subject", "state", "opened", "expires"], rows)
    })?;
    if sessions.is_empty() {
        output.talk("no sessions");
    }
    Ok(())
}

async fn revoke(
    named: Option<Named<SessionId>>,
    config: &Config,
    store: &Store,
    output: Output,
) -> Result<(), CliError> {
    let id = match presented::or_stdin(named)? {
        Named::Plainly(id) => id,
        Named::Secret(secret) => {
            let hash = presented::hash(&secret, SecretKind::Session, config.environment())?;
            let unknown = || CliError::NotFound("there is no session of this secret; it has ended".to_owned());
            store.sessions().get_by_secret(hash).await?.ok_or_else(unknown)?.id
        }
    };
    match store.sessions().revoke(id, SystemClock.now()).await? {
        Revocation::Done => output.data(&json!({"id": id, "state": "revoked"}), || format!("session {id} is revoked")),
        Revocation::AlreadyRevoked => Err(CliError::Refused(format!("session {id} had been revoked before"))),
    }
}
