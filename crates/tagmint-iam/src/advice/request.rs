//! Condition keys that are neither the token's nor put in: those of the call itself, and those of the role.

use super::{Asker, Warning};
use crate::evaluate::Decision;

/// Keys that depend on who calls, from where, and how (IAM user guide, "AWS global condition context keys").
const OF_THE_CALL: [&str; 7] = [
    "aws:sourceip",
    "aws:requestedregion",
    "aws:useragent",
    "aws:referer",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:vpcsourceip",
];
/// The role's tags.
const OF_THE_ROLE: [&str; 2] = ["aws:resourcetag/", "iam:resourcetag/"];

/// Whether a key, in any case of letters, is the call's own.
pub(super) fn is_of_the_call(key: &str) -> bool {
    OF_THE_CALL.iter().any(|own| own.eq_ignore_ascii_case(key))
}

/// What to do about a key that nobody told; none where the key is of another kind.
pub(super) fn advice(key: &str, asker: Asker) -> Option<String> {
    if is_of_the_call(key) {
        let telling = asker.telling(key);
        return Some(format!("{key} comes from the request, not from the token, and is not known here{telling}"));
    }
    let lower = key.to_lowercase();
    let of_the_role = OF_THE_ROLE.iter().any(|prefix| lower.starts_with(prefix));
    of_the_role.then(|| {
        let otherwise = match asker {
            Asker::Explain => format!(", or, where --role does not read its tags, give `--context {key}=…`"),
            Asker::Maker => String::new(),
        };
        format!("{key} comes from the role's tags, and no such tag is known here: tag the role{otherwise}")
    })
}

/// Whether a key comes from the call or the role.
pub(super) fn is_outside(key: &str) -> bool {
    advice(key, Asker::Maker).is_some()
}

/// The call's own keys that the trust policy asks for and nobody told.
pub(super) fn unknown(decisions: &[(String, Decision)], asker: Asker) -> Option<Warning> {
    let statements = decisions.iter().flat_map(|(_, decision)| &decision.statements);
    let consulted = statements.filter(|statement| statement.action && statement.principal != Some(false));
    let absent = consulted.flat_map(|statement| &statement.conditions).filter(|condition| condition.actual.is_none());
    let mut keys: Vec<&str> =
        absent.map(|condition| condition.key.as_str()).filter(|key| is_of_the_call(key)).collect();
    keys.sort_unstable();
    keys.dedup();
    let first = keys.first()?;
    let telling = match asker {
        Asker::Explain => format!(". Give it, as `--context {first}=…`"),
        Asker::Maker => String::new(),
    };
    let text = format!(
        "the trust policy asks for {}, which the request has and which is not known here: the answer is for a request without{telling}",
        keys.join(", ")
    );
    Some(Warning { id: "request-key-unknown", text })
}
