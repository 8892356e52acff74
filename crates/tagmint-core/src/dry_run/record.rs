//! A fixture from a row of the ledger.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    Granted, Recorded, Undecidable, UnprovenIdentity,
    fixture::{Claims, Expectation, Fixture},
};
use crate::{
    identity::IdentitySource,
    ledger::{LedgerEntry, Outcome},
    rules::DenialReason,
};

/// Why no fixture can be made of a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no test can be made of {id}: {reason}")]
pub struct NotRecordable {
    /// The row's id.
    pub id: String,
    /// Why.
    pub reason: Undecidable,
}

/// Makes a test of a row: what was asked, and what came of it.
pub fn record(entry: &LedgerEntry, name: Option<&str>) -> Result<Fixture, NotRecordable> {
    let failed = |reason| NotRecordable { id: entry.id(), reason };
    let expect = expectation(entry).map_err(failed)?;
    let (identity, request) = Recorded::asked(entry).map_err(failed)?;
    let name = name.map_or_else(|| format!("{} of {}", entry.id(), entry.at()), str::to_owned);
    let anonymous = identity.source() == IdentitySource::Anonymous;
    Ok(Fixture {
        name,
        from: identity.from().to_owned(),
        sub: (!anonymous).then(|| identity.subject().to_owned()),
        only_rule: identity.only_rule().map(ToString::to_string),
        scope: scope(&identity),
        claims: None,
        attributes: (!anonymous && !identity.attributes().is_empty()).then(|| attributes(identity.attributes())),
        request,
        expect,
    })
}

fn expectation(entry: &LedgerEntry) -> Result<Expectation, Undecidable> {
    let refused = match &entry.outcome {
        Outcome::Fetched(_) => return Err(Undecidable::Fetch),
        Outcome::Minted(minted) => {
            let granted = Granted::minted(entry.rule.clone().unwrap_or_default(), minted);
            return Ok(Expectation::of(granted.ok_or(Undecidable::Unreadable("tags"))?));
        }
        Outcome::Refused(refused) => refused,
    };
    let by_rules = DenialReason::CODES.contains(&refused.code.as_str());
    match (&entry.rule, by_rules) {
        (rule, true) => {
            Ok(Expectation { refused: Some(refused.code.clone()), rule: rule.clone(), ..Expectation::default() })
        }
        // The rules granted, and something else refused then: a token that was used up, a claim that AWS does not take.
        (Some(rule), false) => Ok(Expectation { rule: Some(rule.clone()), ..Expectation::default() }),
        (None, false) => Err(Undecidable::NotByRules(refused.code.clone())),
    }
}

fn scope(identity: &UnprovenIdentity) -> BTreeMap<String, String> {
    let text = |(key, value): (String, Value)| Some((key, value.as_str()?.to_owned()));
    identity.scope().to_json().into_iter().filter_map(text).collect()
}

/// A table where TOML has all the values.
fn attributes(attributes: &Map<String, Value>) -> Claims {
    if attributes.values().all(is_toml) {
        Claims::Table(attributes.clone())
    } else {
        Claims::Json(serde_json::to_string_pretty(attributes).expect("JSON values are JSON"))
    }
}

fn is_toml(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Number(number) => number.is_i64() || number.is_f64(),
        Value::Array(items) => items.iter().all(is_toml),
        Value::Object(object) => object.values().all(is_toml),
        Value::Bool(_) | Value::String(_) => true,
    }
}
