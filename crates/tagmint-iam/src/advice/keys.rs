//! Condition keys that requests of an action never have: which actions have them, and what is meant instead.

use super::Warning;
use crate::{
    arn::Arn,
    condition::ConditionTrace,
    evaluate::{Decision, Source, StatementTrace},
    policy::{Condition, Effect, Statement},
    service::{self, ASSUME_WITH_WEB_IDENTITY, KeyKind},
};

/// Keys of requests that list objects.
const OF_LISTS: [&str; 3] = ["s3:prefix", "s3:delimiter", "s3:max-keys"];
/// The actions that are named first.
const COMMON: [&str; 6] = [
    "s3:ListBucket",
    "s3:GetObject",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:GetObjectVersion",
    ASSUME_WITH_WEB_IDENTITY,
];
/// How many actions a text names.
const NAMED_ACTIONS: usize = 3;

/// Why a value for a key cannot be given: requests of these actions never have it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContextError {
    /// There is no such key.
    #[error("`{0}`: there is no such condition key; correct its name")]
    Unknown(String),
    /// The token decides.
    #[error("`{0}`: the key comes from the token and cannot be given; change the token's claims")]
    OfToken(String),
    /// Requests of other actions have it.
    #[error("{0}")]
    OfOtherActions(String),
    /// The action does not exist.
    #[error("there is no action `{action}`{}", hint.map_or(String::new(), |hint| format!(": the operation needs {hint}")))]
    Action {
        /// Its name.
        action: String,
        /// The action that the operation needs.
        hint: Option<&'static str>,
    },
}

/// Whether the call to STS or a request of `action` can have each of these keys. What they never have is refused: a policy that passes with it
/// does not pass at AWS.
pub fn check_context(action: Option<&str>, keys: &[(String, String)]) -> Result<(), ContextError> {
    if let Some(action) = action {
        let prefix = action.split(':').next().unwrap_or_default();
        if service::lists(prefix) && service::action(action).is_none() {
            let hint = service::permission_of(action);
            return Err(ContextError::Action { action: action.to_owned(), hint });
        }
    }
    for (key, value) in keys {
        if is_sent_to_sts(key) || action.is_some_and(|action| is_sent(action, key)) {
            continue;
        }
        if service::key_kind(key) == KeyKind::Unknown {
            return Err(ContextError::Unknown(given(key, value)));
        }
        if action.is_none() && is_of_token(key) {
            return Err(ContextError::OfToken(given(key, value)));
        }
        let action = action.unwrap_or(ASSUME_WITH_WEB_IDENTITY);
        let text = never(action, key).unwrap_or_else(|| format!("requests of {action} never have {key}"));
        let instead = instead(action, key);
        return Err(ContextError::OfOtherActions(format!("`{}`: {text}. Leave it out. {instead}", given(key, value))));
    }
    Ok(())
}

fn given(key: &str, value: &str) -> String {
    format!("{key}={value}")
}

/// Whether the call to STS can have a key that is neither the token's nor put in by STS.
pub(super) fn is_sent_to_sts(key: &str) -> bool {
    let assume = service::action(ASSUME_WITH_WEB_IDENTITY);
    assume.is_some_and(|action| action.has_key(key)) && !is_of_token(key)
}

/// Whether a request of an action can have a key. Of services that the reference does not list nothing is known.
pub(super) fn is_sent(action: &str, key: &str) -> bool {
    match service::key_kind(key) {
        KeyKind::Global | KeyKind::OfActions => service::action(action).is_none_or(|action| action.has_key(key)),
        KeyKind::Unknown => false,
        KeyKind::Foreign => true,
    }
}

/// Whether a key is one of requests that list objects.
pub(super) fn is_of_lists(key: &str) -> bool {
    OF_LISTS.iter().any(|own| own.eq_ignore_ascii_case(key))
}

/// Keys that STS makes of the token's claims.
fn is_of_token(key: &str) -> bool {
    let lower = key.to_lowercase();
    lower.starts_with("aws:requesttag/")
        || ["aws:tagkeys", "sts:transitivetagkeys", "sts:sourceidentity", "sts:roleauthorizedbyidp"]
            .contains(&lower.as_str())
        || is_claim(key)
}

/// Whether a key is a claim of an identity provider: `id.example.com:sub`.
fn is_claim(key: &str) -> bool {
    key.split_once(':').is_some_and(|(issuer, _)| issuer.contains('.'))
}

/// That requests of an action never have a key, and which ones do. None where they can have it, or where nothing is known.
pub(super) fn never(action: &str, key: &str) -> Option<String> {
    let action = service::action(action)?;
    if action.has_key(key) {
        return None;
    }
    match service::key_kind(key) {
        KeyKind::Unknown => return Some(format!("there is no condition key {key}")),
        KeyKind::Foreign if is_claim(key) => {
            let never = format!("requests of {action} never have {key}, a claim that only the call to STS shows");
            return (action.to_string() != ASSUME_WITH_WEB_IDENTITY).then_some(never);
        }
        KeyKind::Foreign => return None,
        KeyKind::Global | KeyKind::OfActions => {}
    }
    let mut with: Vec<String> = service::actions_with(key).map(ToString::to_string).collect();
    with.sort_by_key(|action| COMMON.iter().position(|common| common == action).unwrap_or(COMMON.len()));
    let who = match with.as_slice() {
        [] => String::new(),
        [only] => format!(" ({only} has it)"),
        all if all.len() <= NAMED_ACTIONS => format!(" ({} have it)", all.join(", ")),
        all => format!(" ({} and {} more have it)", all[..NAMED_ACTIONS].join(", "), all.len() - NAMED_ACTIONS),
    };
    Some(format!("requests of {action} never have {key}{who}"))
}

/// Advises what to write instead of a key that requests of the action never have.
pub(super) fn instead(action: &str, key: &str) -> String {
    let lower = key.to_lowercase();
    let behind = |prefix: &str| key.get(prefix.len()..).filter(|_| lower.starts_with(prefix));
    let to_sts = action.eq_ignore_ascii_case(ASSUME_WITH_WEB_IDENTITY);
    if to_sts {
        if let Some(tag) = behind("aws:principaltag/") {
            return format!(
                "Principal tags are there once the session exists; in a trust policy the token's tag is aws:RequestTag/{tag}: write that"
            );
        }
        return match lower.as_str() {
            "aws:sourceidentity" => {
                "In a trust policy the token's source identity is sts:SourceIdentity: write that".to_owned()
            }
            "aws:federatedprovider" => {
                "In a trust policy the provider is the principal: write \"Principal\": {\"Federated\": PROVIDER_ARN}"
                    .to_owned()
            }
            "aws:principalarn" | "aws:username" => {
                "The holder of a token is nobody in AWS yet: write a condition on the subject, HOST:sub".to_owned()
            }
            _ if lower.starts_with("s3:") => {
                "A trust policy sees the call to STS: write the condition in the role's or the bucket's policy"
                    .to_owned()
            }
            _ => "Take the condition out, or bind the subject (HOST:sub) or a tag (aws:RequestTag/KEY)".to_owned(),
        };
    }
    if is_of_lists(key) {
        return "Write two statements: s3:ListBucket on the bucket with this condition, and the actions on objects by their ARN without it"
            .to_owned();
    }
    if let Some(tag) = behind("aws:requesttag/") {
        return format!("The session's tag is aws:PrincipalTag/{tag}: write that");
    }
    if let Some(tag) = behind("s3:existingobjecttag/") {
        return format!(
            "It is a tag of an object that is there. The tags that an upload brings are s3:RequestObjectTag/{tag}: write that for s3:PutObject"
        );
    }
    if let Some(tag) = behind("s3:requestobjecttag/") {
        return format!(
            "The tags of an object that is there are s3:ExistingObjectTag/{tag}: write that for s3:GetObject"
        );
    }
    match lower.as_str() {
        "sts:sourceidentity" => "The session's source identity is aws:SourceIdentity: write that".to_owned(),
        "aws:tagkeys" => "To demand a session tag, write \"Null\": {\"aws:PrincipalTag/KEY\": \"false\"}".to_owned(),
        "s3:versionid" => {
            "A request for one version needs an action of its own: write the condition for s3:GetObjectVersion"
                .to_owned()
        }
        _ if is_claim(key) => {
            "What the policy must see of the token has to be in a session tag: write aws:PrincipalTag/KEY".to_owned()
        }
        _ if lower.starts_with("s3:x-amz-server-side-encryption") => {
            "Encryption is chosen when an object is written: give the condition a statement of its own for s3:PutObject"
                .to_owned()
        }
        _ => "Give the condition a statement of its own for the actions that have the key".to_owned(),
    }
}

/// Two statements for one that has a condition of lists on actions on objects.
pub(super) fn two_statements(
    statement: &Statement,
    condition: &Condition,
    action: &str,
    resource: &str,
) -> Option<String> {
    if !condition.key.eq_ignore_ascii_case("s3:prefix") || condition.operator.negated {
        return None;
    }
    let arn = Arn::split(resource).filter(|arn| arn.service == "s3" && arn.account.is_empty())?;
    let bucket = format!("arn:{}:s3:::{}", arn.partition, arn.resource.split('/').next().unwrap_or_default());
    let objects: Vec<String> = condition
        .values
        .iter()
        .map(|value| value.source().trim_end_matches('*').trim_start_matches('/'))
        .filter(|prefix| !prefix.is_empty())
        // Without the slash `team` would also open `team2`.
        .map(|prefix| format!("{bucket}/{}/*", prefix.trim_end_matches('/')))
        .collect();
    if objects.is_empty() {
        return None;
    }
    let on_objects = |name: &&String| {
        service::action(name).is_some_and(|action| action.is_on("object") && !action.has_key(&condition.key))
    };
    let mut actions: Vec<&str> = statement.action.names.iter().filter(on_objects).map(String::as_str).collect();
    if actions.is_empty() || statement.action.negated {
        actions = vec![action];
    }
    Some(format!(
        "Write two statements: s3:ListBucket on {bucket} with the condition {} s3:prefix, and {} on {} without it",
        condition.operator,
        actions.join(", "),
        objects.join(", ")
    ))
}

/// Conditions that let a request pass because it never has their key: they demand nothing of it.
pub(super) fn in_vain(action: &str, decision: &Decision) -> Vec<Warning> {
    let decisive = |statement: &&StatementTrace| {
        statement.effect == Effect::Allow && statement.applies && decision.decisive.contains(&statement.at)
    };
    let mut warnings = Vec::new();
    for statement in decision.statements.iter().filter(decisive) {
        for condition in statement.conditions.iter().filter(|condition| condition.passed && absent(condition)) {
            // `Null` with `"true"` asks for the absence, and gets it.
            let Some(never) = never(action, &condition.key).filter(|_| condition.operator != "Null") else { continue };
            let whose = match statement.at.source {
                Source::Trust => "the trust policy",
                Source::Resource => "the bucket policy",
                Source::Identity | Source::Session => "the role policy",
            };
            let text = format!(
                "{} {} of {} of {whose} demands nothing: {never}. {}",
                condition.operator,
                condition.key,
                super::trust::place(&statement.at),
                instead(action, &condition.key)
            );
            warnings.push(Warning { id: "key-never-sent", text });
        }
    }
    warnings
}

fn absent(condition: &ConditionTrace) -> bool {
    condition.actual.as_ref().is_none_or(Vec::is_empty)
}
