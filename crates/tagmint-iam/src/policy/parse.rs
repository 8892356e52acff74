//! JSON to [`Policy`].

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{
    ActionElement, Condition, Effect, InvalidPolicy, Policy, PrincipalElement, Principals, Problem, ResourceElement,
    Statement, Version,
};
use crate::{condition::Operator, template::Template};

const ELEMENTS: &str = "Version, Id, Statement";
const STATEMENT_ELEMENTS: &str =
    "Sid, Effect, Principal, NotPrincipal, Action, NotAction, Resource, NotResource, Condition";
const OPERATORS: &str = "the condition operators of the IAM user guide, with ForAllValues:, ForAnyValue: or IfExists \
                         (not around Null)";

/// A place in the document, as a chain on the stack: paths are written out for errors alone.
#[derive(Clone, Copy)]
enum At<'a> {
    Root,
    Member(&'a At<'a>, &'a str),
    Item(&'a At<'a>, usize),
}

impl At<'_> {
    fn path(&self) -> String {
        match self {
            Self::Root => "$".to_owned(),
            Self::Member(parent, name) if name.bytes().all(|b| b.is_ascii_alphanumeric()) => {
                format!("{}.{name}", parent.path())
            }
            Self::Member(parent, name) => format!("{}[{name:?}]", parent.path()),
            Self::Item(parent, index) => format!("{}[{index}]", parent.path()),
        }
    }

    fn is(&self, problem: Problem) -> InvalidPolicy {
        InvalidPolicy { path: self.path(), problem }
    }
}

type Parsed<T> = Result<T, InvalidPolicy>;

pub(super) fn policy(text: &str) -> Parsed<Policy> {
    let root = At::Root;
    // AWS's grammar wants each element once; of two that differ neither can be meant.
    let value =
        tagmint_core::json::parse(text.as_bytes()).map_err(|error| root.is(Problem::Json(error.to_string())))?;
    let object = object(root, &value)?;
    for name in object.keys() {
        if !["Version", "Id", "Statement"].contains(&name.as_str()) {
            return Err(At::Member(&root, name).is(Problem::Unknown(ELEMENTS)));
        }
    }
    let version = match object.get("Version") {
        None => Version::V2008,
        Some(value) => version(At::Member(&root, "Version"), value)?,
    };
    let id = object.get("Id").map(|value| string(At::Member(&root, "Id"), value)).transpose()?;
    let statements = object.get("Statement").ok_or_else(|| root.is(Problem::Missing("Statement")))?;
    let at = At::Member(&root, "Statement");
    let statements = match statements {
        Value::Array(items) if items.is_empty() => return Err(at.is(Problem::Empty)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| statement(At::Item(&at, index), item, version))
            .collect::<Parsed<Vec<_>>>()?,
        single => vec![statement(at, single, version)?],
    };
    let mut seen = HashSet::new();
    for sid in statements.iter().filter_map(|statement| statement.sid.as_deref()).filter(|sid| !sid.is_empty()) {
        if !seen.insert(sid) {
            return Err(at.is(Problem::RepeatedSid(sid.to_owned())));
        }
    }
    Ok(Policy { version, id, statements })
}

fn version(at: At<'_>, value: &Value) -> Parsed<Version> {
    match string(at, value)?.as_str() {
        "2012-10-17" => Ok(Version::V2012),
        "2008-10-17" => Ok(Version::V2008),
        other => Err(at.is(Problem::Value { value: shortened(other), allowed: "2012-10-17, 2008-10-17" })),
    }
}

fn statement(at: At<'_>, value: &Value, version: Version) -> Parsed<Statement> {
    let object = object(at, value)?;
    for name in object.keys() {
        if !STATEMENT_ELEMENTS.split(", ").any(|element| element == name) {
            return Err(At::Member(&at, name).is(Problem::Unknown(STATEMENT_ELEMENTS)));
        }
    }
    let variables = version == Version::V2012;
    let sid = object.get("Sid").map(|value| string(At::Member(&at, "Sid"), value)).transpose()?;
    let effect_at = At::Member(&at, "Effect");
    let effect = object.get("Effect").ok_or_else(|| at.is(Problem::Missing("Effect")))?;
    let effect = match string(effect_at, effect)?.as_str() {
        "Allow" => Effect::Allow,
        "Deny" => Effect::Deny,
        other => return Err(effect_at.is(Problem::Value { value: shortened(other), allowed: "Allow, Deny" })),
    };
    let principal = match one_of(at, object, "Principal", "NotPrincipal")? {
        None => None,
        Some((name, value, negated)) => {
            Some(PrincipalElement { negated, principals: principals(At::Member(&at, name), value)? })
        }
    };
    let Some((name, value, negated)) = one_of(at, object, "Action", "NotAction")? else {
        return Err(at.is(Problem::Missing("Action")));
    };
    let action = ActionElement { negated, names: actions(At::Member(&at, name), value)? };
    let resource = match one_of(at, object, "Resource", "NotResource")? {
        None => None,
        Some((name, value, negated)) => {
            let texts = strings(At::Member(&at, name), value)?;
            let arns = texts.iter().map(|text| Template::parse(text, variables)).collect();
            Some(ResourceElement { negated, arns })
        }
    };
    let conditions = match object.get("Condition") {
        None => Vec::new(),
        Some(value) => conditions(At::Member(&at, "Condition"), value, variables)?,
    };
    Ok(Statement { sid, effect, principal, action, resource, conditions })
}

/// An element or its negation: which of them stands there, and what it holds.
fn one_of<'a>(
    at: At<'_>,
    object: &'a Map<String, Value>,
    plain: &'static str,
    not: &'static str,
) -> Parsed<Option<(&'static str, &'a Value, bool)>> {
    match (object.get(plain), object.get(not)) {
        (Some(_), Some(_)) => Err(at.is(Problem::Both(plain, not))),
        (Some(value), None) => Ok(Some((plain, value, false))),
        (None, Some(value)) => Ok(Some((not, value, true))),
        (None, None) => Ok(None),
    }
}

fn principals(at: At<'_>, value: &Value) -> Parsed<Principals> {
    const KINDS: &str = "AWS, Federated, Service, CanonicalUser";
    if let Value::String(text) = value {
        return match text.as_str() {
            "*" => Ok(Principals::Everyone),
            other => {
                Err(at.is(Problem::Value { value: shortened(other), allowed: "`*` or an object of lists by kind" }))
            }
        };
    }
    let object = value.as_object().ok_or_else(|| at.is(Problem::Type("`*` or an object of lists by kind")))?;
    if object.is_empty() {
        return Err(at.is(Problem::Empty));
    }
    let (mut aws, mut federated, mut service, mut canonical_user) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (kind, value) in object {
        let at = At::Member(&at, kind);
        let list = match kind.as_str() {
            "AWS" => &mut aws,
            "Federated" => &mut federated,
            "Service" => &mut service,
            "CanonicalUser" => &mut canonical_user,
            _ => return Err(at.is(Problem::Unknown(KINDS))),
        };
        *list = strings(at, value)?;
    }
    Ok(Principals::Listed { aws, federated, service, canonical_user })
}

fn actions(at: At<'_>, value: &Value) -> Parsed<Vec<String>> {
    let names = strings(at, value)?;
    for name in &names {
        // "Actions must be prefaced by a vendor": a service's prefix, a colon, a name; or `*` alone.
        let fits = name == "*"
            || name.split_once(':').is_some_and(|(vendor, action)| {
                let word = |text: &str| {
                    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_*?".contains(&b))
                };
                word(vendor) && word(action)
            });
        if !fits {
            return Err(at.is(Problem::Value { value: shortened(name), allowed: "`*` or SERVICE:ACTION" }));
        }
    }
    Ok(names)
}

fn conditions(at: At<'_>, value: &Value, variables: bool) -> Parsed<Vec<Condition>> {
    let mut conditions = Vec::new();
    for (name, keys) in object(at, value)? {
        let at = At::Member(&at, name);
        let operator = Operator::parse(name).ok_or_else(|| at.is(Problem::Unknown(OPERATORS)))?;
        for (key, values) in object(at, keys)? {
            let at = At::Member(&at, key);
            let values = match values {
                // IAM stores a condition without values (recorded answer of UpdateAssumeRolePolicy): nothing fits it.
                Value::Array(items) => items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| scalar(At::Item(&at, index), item))
                    .collect::<Parsed<Vec<_>>>()?,
                single => vec![scalar(at, single)?],
            };
            let values = values.iter().map(|text| Template::parse(text, variables)).collect();
            conditions.push(Condition { operator, key: key.clone(), values });
        }
    }
    Ok(conditions)
}

fn object<'a>(at: At<'_>, value: &'a Value) -> Parsed<&'a Map<String, Value>> {
    value.as_object().ok_or_else(|| at.is(Problem::Type("an object")))
}

fn string(at: At<'_>, value: &Value) -> Parsed<String> {
    value.as_str().map(str::to_owned).ok_or_else(|| at.is(Problem::Type("a string")))
}

/// A string or a list of at least one.
fn strings(at: At<'_>, value: &Value) -> Parsed<Vec<String>> {
    match value {
        Value::Array(items) if items.is_empty() => Err(at.is(Problem::Empty)),
        Value::Array(items) => {
            items.iter().enumerate().map(|(index, item)| string(At::Item(&at, index), item)).collect()
        }
        Value::String(text) => Ok(vec![text.clone()]),
        _ => Err(at.is(Problem::Type("a string or a list of strings"))),
    }
}

/// A condition's value: "the value can be a string, a number or a boolean" (grammar, `condition_value`).
fn scalar(at: At<'_>, value: &Value) -> Parsed<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        _ => Err(at.is(Problem::Type("a string, a number, true, false, or a list of these"))),
    }
}

fn shortened(text: &str) -> String {
    let mut start: String = text.chars().take(60).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    start
}
