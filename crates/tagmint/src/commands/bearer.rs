//! `tagmint bearer`.

use jiff::SignedDuration;
use serde_json::{Map, Value, json};
use tagmint_core::{
    clock::{Clock, SystemClock},
    environment::Environment,
    id::BearerId,
    issued_secret::{IssuedSecret, SecretKind},
    random::SystemRandom,
    rules::RuleName,
};
use tagmint_store::{BearerRecord, CredentialFilter, NewBearer, Revocation, Store};

use crate::{
    cli::{BearerCommand, BearerName, Named},
    commands::presented,
    compose,
    config::Config,
    durations,
    error::CliError,
    output::{Output, pairs, table},
    redact,
};

/// Longest name, in characters.
const MAX_NAME: usize = 64;

/// Makes, lists or revokes bearers.
pub async fn run(command: BearerCommand, config: &Config, output: Output) -> Result<(), CliError> {
    let create = |name: String, rule, expires, attributes: Vec<(String, String)>| Wish {
        name,
        rule,
        expires,
        attributes: attributes.into_iter().map(|(key, value)| (key, Value::String(value))).collect(),
    };
    let store = compose::open_existing(config).await?;
    let result = match command {
        BearerCommand::Create { name, rule, expires, attributes } => {
            make(create(name, rule, expires, attributes), config, &store, output).await
        }
        BearerCommand::List { all, limit } => list(all, limit, &store, output).await,
        BearerCommand::Revoke { bearer, .. } => revoke(bearer, config, &store, output).await,
    };
    store.close().await;
    result
}

/// A bearer that is asked for.
#[derive(Debug)]
pub struct Wish {
    /// Its name.
    pub name: String,
    /// The only rule that it may use.
    pub rule: Option<RuleName>,
    /// How long it is good.
    pub expires: Option<SignedDuration>,
    /// What rules see as its attributes.
    pub attributes: Map<String, Value>,
}

/// Makes and stores a bearer.
pub async fn create(
    wish: Wish,
    environment: Environment,
    store: &Store,
) -> Result<(NewBearer, IssuedSecret), CliError> {
    if redact::looks_like_a_secret(&wish.name) {
        return Err(CliError::Usage("a bearer's name cannot begin as a secret does".to_owned()));
    }
    // No slash: rules make prefixes of names, and `ci/nightly` would lie below the prefix of `ci`.
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
    if wish.name.is_empty() || wish.name.len() > MAX_NAME || !wish.name.chars().all(plain) {
        let message = format!("`{}` is not a bearer's name: use 1 to {MAX_NAME} letters, digits and `._-@`", wish.name);
        return Err(CliError::Usage(message));
    }
    if wish.name.starts_with(BearerId::PREFIX) {
        return Err(CliError::Usage(format!("a bearer's name cannot begin with `{}`: its id does", BearerId::PREFIX)));
    }
    let now = SystemClock.now();
    let secret = IssuedSecret::generate(SecretKind::Bearer, environment, &SystemRandom)?;
    let expires_at = wish.expires.map(|duration| now.checked_add(duration)).transpose();
    let bearer = NewBearer {
        id: BearerId::generate(now, &SystemRandom)?,
        name: wish.name,
        secret_hash: secret.hash(),
        rule: wish.rule,
        attributes: wish.attributes,
        created_at: now,
        expires_at: expires_at.map_err(|_| CliError::Usage("the bearer would end after the year 9999".to_owned()))?,
    };
    store.bearers().create(&bearer).await?;
    Ok((bearer, secret))
}

async fn make(wish: Wish, config: &Config, store: &Store, output: Output) -> Result<(), CliError> {
    if let Some(rule) = &wish.rule
        && !config.rules.names().any(|name| name == rule)
    {
        let known: Vec<&str> = config.rules.names().map(RuleName::as_str).collect();
        return Err(CliError::NotFound(format!(
            "there is no rule `{rule}`; the configuration has {}",
            known.join(", ")
        )));
    }
    let (bearer, secret) = create(wish, config.environment(), store).await?;
    let now = bearer.created_at;
    let data = json!({
        "id": bearer.id,
        "name": bearer.name,
        "bearer": secret.expose(),
        "rule": bearer.rule,
        "attributes": bearer.attributes,
        "expires_at": bearer.expires_at.map(durations::rfc3339),
    });
    output.data(&data, || {
        let row = |name: &str, value: String| (name.to_owned(), value);
        let until = bearer.expires_at.map_or("until it is revoked".to_owned(), |at| durations::moment(at, now));
        pairs([
            row("id", bearer.id.to_string()),
            row("name", bearer.name.clone()),
            row("good", until),
            row("bearer", secret.expose().to_owned()),
        ])
    })?;
    output.talk("The bearer is not shown again: put it into your CI's secret store now.");
    Ok(())
}

async fn list(all: bool, limit: u32, store: &Store, output: Output) -> Result<(), CliError> {
    let now = SystemClock.now();
    let filter = if all { CredentialFilter::All } else { CredentialFilter::ActiveAt(now) };
    let bearers = store.bearers().list(filter, limit).await?;
    let state = |bearer: &BearerRecord| match (bearer.revoked_at, bearer.expires_at) {
        (Some(_), _) => "revoked",
        (None, Some(at)) if at <= now => "expired",
        _ => "good",
    };
    let as_json = |bearer: &BearerRecord| {
        json!({
            "id": bearer.id,
            "name": bearer.name,
            "state": state(bearer),
            "rule": bearer.rule,
            "attributes": bearer.attributes,
            "created_at": durations::rfc3339(bearer.created_at),
            "expires_at": bearer.expires_at.map(durations::rfc3339),
            "revoked_at": bearer.revoked_at.map(durations::rfc3339),
            "last_used_at": bearer.last_used_at.map(durations::rfc3339),
        })
    };
    let data: Vec<Value> = bearers.iter().map(as_json).collect();
    output.data(&data, || {
        let rows = bearers.iter().map(|bearer| {
            [
                bearer.id.to_string(),
                bearer.name.clone(),
                state(bearer).to_owned(),
                bearer.rule.as_ref().map_or("any", RuleName::as_str).to_owned(),
                bearer.expires_at.map_or("never".to_owned(), |at| durations::moment(at, now)),
                bearer.last_used_at.map_or("never".to_owned(), |at| durations::relative(at, now)),
            ]
        });
        table(["id", "name", "state", "rule", "expires", "last used"], rows)
    })?;
    if bearers.is_empty() {
        output.talk("no bearers; `tagmint bearer create --name NAME` makes one");
    }
    Ok(())
}

async fn revoke(
    named: Option<Named<BearerName>>,
    config: &Config,
    store: &Store,
    output: Output,
) -> Result<(), CliError> {
    let bearers = store.bearers();
    let (found, called) = match presented::or_stdin(named)? {
        Named::Secret(secret) => {
            let hash = presented::hash(&secret, SecretKind::Bearer, config.environment())?;
            (bearers.get_by_secret(hash).await?, "of this secret".to_owned())
        }
        Named::Plainly(BearerName(name)) => {
            let found = match name.parse::<BearerId>() {
                Ok(id) => bearers.get(id).await?,
                Err(_) => bearers.get_by_name(&name).await?,
            };
            (found, format!("`{name}`"))
        }
    };
    let Some(bearer) = found else {
        return Err(CliError::NotFound(format!("there is no bearer {called}; `tagmint bearer list` shows them")));
    };
    match store.bearers().revoke(bearer.id, SystemClock.now()).await? {
        Revocation::Done => output.data(&json!({"id": bearer.id, "name": bearer.name, "state": "revoked"}), || {
            format!("bearer `{}` ({}) is revoked", bearer.name, bearer.id)
        }),
        Revocation::AlreadyRevoked => {
            Err(CliError::Refused(format!("bearer `{}` ({}) had been revoked before", bearer.name, bearer.id)))
        }
    }
}
