//! `tagmint bearer`.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use tagmint_core::{
    clock::{Clock, SystemClock},
    environment::Environment,
    id::BearerId,
    issued_secret::{IssuedSecret, SecretKind},
    random::SystemRandom,
    rules::{RuleName, TagScope},
};
use tagmint_store::{BearerRecord, CredentialFilter, NewBearer, Revocation, RotateError, RotatedLife, Rotation, Store};

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

/// Makes, rotates, lists or revokes bearers.
pub async fn run(command: BearerCommand, config: &Config, output: Output) -> Result<(), CliError> {
    let store = compose::open_existing(config).await?;
    let result = match command {
        BearerCommand::Create { name, rule, expires, attributes, scopes } => {
            let attributes = attributes.into_iter().map(|(key, value)| (key, Value::String(value))).collect();
            match TagScope::new(scopes) {
                Ok(scope) => make(Wish { name, rule, expires, attributes, scope }, config, &store, output).await,
                Err(error) => Err(CliError::Usage(format!("--prefix-scope: {error}"))),
            }
        }
        BearerCommand::Rotate { name, overlap, expires, force } => {
            rotate(Turn { name, overlap, expires, force }, config, &store, output).await
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
    /// What its tokens are confined to.
    pub scope: TagScope,
}

/// A rotation that is asked for.
#[derive(Debug)]
struct Turn {
    name: String,
    overlap: SignedDuration,
    expires: Option<SignedDuration>,
    force: bool,
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
    let expires_at = wish.expires.map(|duration| after(now, duration)).transpose()?;
    let bearer = NewBearer {
        id: BearerId::generate(now, &SystemRandom)?,
        name: wish.name,
        secret_hash: secret.hash(),
        rule: wish.rule,
        scope: wish.scope,
        attributes: wish.attributes,
        created_at: now,
        expires_at,
    };
    store.bearers().create(&bearer).await?;
    Ok((bearer, secret))
}

fn after(now: Timestamp, duration: SignedDuration) -> Result<Timestamp, CliError> {
    now.checked_add(duration).map_err(|_| CliError::Usage("the bearer would end after the year 9999".to_owned()))
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
    output.data(&shown(&bearer, &secret), || pairs(described(&bearer, &secret)))?;
    output.talk("The bearer is not shown again: put it into your CI's secret store now.");
    Ok(())
}

/// A bearer with its secret, as JSON.
fn shown(bearer: &NewBearer, secret: &IssuedSecret) -> Value {
    json!({
        "id": bearer.id,
        "name": bearer.name,
        "bearer": secret.expose(),
        "rule": bearer.rule,
        "scope": bearer.scope.to_json(),
        "attributes": bearer.attributes,
        "expires_at": bearer.expires_at.map(durations::rfc3339),
    })
}

/// The same for people.
fn described(bearer: &NewBearer, secret: &IssuedSecret) -> Vec<(String, String)> {
    let row = |name: &str, value: String| (name.to_owned(), value);
    let now = bearer.created_at;
    let until = bearer.expires_at.map_or("until it is revoked".to_owned(), |at| durations::moment(at, now));
    let mut rows = vec![row("id", bearer.id.to_string()), row("name", bearer.name.clone()), row("good", until)];
    if !bearer.scope.is_empty() {
        rows.push(row("scope", bearer.scope.to_string()));
    }
    rows.push(row("bearer", secret.expose().to_owned()));
    rows
}

async fn rotate(turn: Turn, config: &Config, store: &Store, output: Output) -> Result<(), CliError> {
    let now = SystemClock.now();
    let secret = IssuedSecret::generate(SecretKind::Bearer, config.environment(), &SystemRandom)?;
    let life = turn.expires.map(|duration| after(now, duration)).transpose()?;
    let rotation = Rotation {
        name: turn.name,
        id: BearerId::generate(now, &SystemRandom)?,
        secret_hash: secret.hash(),
        now,
        old_until: after(now, turn.overlap)?,
        life: life.map_or(RotatedLife::AsBefore, RotatedLife::Until),
        force: turn.force,
    };
    let rotated = store.bearers().rotate(&rotation).await.map_err(|error| match error {
        RotateError::Unknown(_) => CliError::NotFound(error.to_string()),
        RotateError::Store(error) => error.into(),
        refused => CliError::Refused(refused.to_string()),
    })?;
    let mut data = shown(&rotated.new, &secret);
    data["replaces"] = json!({"id": rotated.old.id, "expires_at": rotated.old.expires_at.map(durations::rfc3339)});
    data["ended"] = json!(rotated.ended);
    output.data(&data, || {
        let mut rows = described(&rotated.new, &secret);
        let end = rotated.old.expires_at.map_or("never".to_owned(), |at| durations::moment(at, now));
        rows.push(("the old one".to_owned(), format!("{}, ends {end}", rotated.old.id)));
        rows.extend(rotated.ended.iter().map(|id| ("ended now".to_owned(), id.to_string())));
        pairs(rows)
    })?;
    output.talk(&format!(
        "The bearer is not shown again: put it into your CI's secret store now. Should it get lost: \
         `tagmint bearer revoke {}`, and rotate again.",
        rotated.new.id
    ));
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
            "scope": bearer.scope.to_json(),
            "attributes": bearer.attributes,
            "created_at": durations::rfc3339(bearer.created_at),
            "expires_at": bearer.expires_at.map(durations::rfc3339),
            "revoked_at": bearer.revoked_at.map(durations::rfc3339),
            "last_used_at": bearer.last_used_at.map(durations::rfc3339),
            "replaced_by": bearer.replaced_by,
        })
    };
    let data: Vec<Value> = bearers.iter().map(as_json).collect();
    output.data(&data, || {
        let rows = bearers.iter().map(|bearer| {
            [
                bearer.id.to_string(),
                bearer.name.clone(),
                match (state(bearer), bearer.replaced_by) {
                    ("good", Some(_)) => "good, replaced".to_owned(),
                    (state, _) => state.to_owned(),
                },
                bearer.rule.as_ref().map_or("any", RuleName::as_str).to_owned(),
                bearer.scope.to_string(),
                bearer.expires_at.map_or("never".to_owned(), |at| durations::moment(at, now)),
                bearer.last_used_at.map_or("never".to_owned(), |at| durations::relative(at, now)),
            ]
        });
        table(["id", "name", "state", "rule", "scope", "expires", "last used"], rows)
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
    let mut by_name = false;
    let (found, called) = match presented::or_stdin(named)? {
        Named::Secret(secret) => {
            let hash = presented::hash(&secret, SecretKind::Bearer, config.environment())?;
            (bearers.get_by_secret(hash).await?, "of this secret".to_owned())
        }
        Named::Plainly(BearerName(name)) => {
            let found = if let Ok(id) = name.parse::<BearerId>() {
                bearers.get(id).await?
            } else {
                by_name = true;
                bearers.get_by_name(&name).await?
            };
            (found, format!("`{name}`"))
        }
    };
    let Some(bearer) = found else {
        return Err(CliError::NotFound(format!("there is no bearer {called}; `tagmint bearer list` shows them")));
    };
    let now = SystemClock.now();
    let mut ids = vec![bearer.id];
    if by_name {
        let others = bearers.list_name(&bearer.name, CredentialFilter::All).await?;
        let others = others.into_iter().filter(|other| other.revoked_at.is_none() && other.id != bearer.id);
        ids.extend(others.map(|other| other.id));
    }
    let mut revoked = Vec::with_capacity(ids.len());
    for id in ids {
        if bearers.revoke(id, now).await? == Revocation::Done {
            revoked.push(id);
        }
    }
    if revoked.is_empty() {
        return Err(CliError::Refused(format!("bearer `{}` ({}) had been revoked before", bearer.name, bearer.id)));
    }
    output.data(&json!({"id": bearer.id, "name": bearer.name, "state": "revoked", "ids": revoked}), || {
        let ids: Vec<String> = revoked.iter().map(ToString::to_string).collect();
        format!("bearer `{}` ({}) is revoked", bearer.name, ids.join(", "))
    })
}
