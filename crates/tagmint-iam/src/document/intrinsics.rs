//! CloudFormation's functions in a policy: what has a value without a deployment is filled in.

use serde_json::{Map, Value};

use super::DocumentError;

/// The policy with texts in the place of functions. Pseudo parameters stay as `${AWS::AccountId}`, which stands for an account as other
/// placeholders do.
pub(super) fn resolved(policy: Value) -> Result<Value, DocumentError> {
    at("$", policy)
}

fn at(path: &str, value: Value) -> Result<Value, DocumentError> {
    match value {
        Value::Object(members) => match function(&members) {
            Some(name) => text(path, &name, members.get(&name).unwrap_or(&Value::Null)).map(Value::String),
            None => members
                .into_iter()
                .map(|(name, value)| at(&format!("{path}.{name}"), value).map(|value| (name, value)))
                .collect(),
        },
        Value::Array(items) => {
            items.into_iter().enumerate().map(|(index, item)| at(&format!("{path}[{index}]"), item)).collect()
        }
        other => Ok(other),
    }
}

/// The function that an object with a single member is.
fn function(members: &Map<String, Value>) -> Option<String> {
    let mut names = members.keys();
    let (only, None) = (names.next()?, names.next()) else { return None };
    (only.starts_with("Fn::") || only == "Ref").then(|| only.clone())
}

fn text(path: &str, name: &str, argument: &Value) -> Result<String, DocumentError> {
    let undeployed = || DocumentError::Undeployed { path: path.to_owned(), function: name.to_owned() };
    match (name, argument) {
        // `${!X}` is the literal `${X}`.
        ("Fn::Sub", Value::String(text)) => Ok(text.replace("${!", "${")),
        ("Fn::Sub", Value::Array(list)) => match list.as_slice() {
            [Value::String(text), Value::Object(values)] => {
                let mut text = text.clone();
                for (key, value) in values {
                    let value = at(path, value.clone())?;
                    text = text.replace(&format!("${{{key}}}"), value.as_str().ok_or_else(undeployed)?);
                }
                Ok(text.replace("${!", "${"))
            }
            _ => Err(undeployed()),
        },
        ("Ref", Value::String(name)) if name.starts_with("AWS::") => Ok(format!("${{{name}}}")),
        ("Fn::Join", Value::Array(list)) => match list.as_slice() {
            [Value::String(separator), Value::Array(parts)] => {
                let parts: Result<Vec<String>, DocumentError> = parts
                    .iter()
                    .map(|part| at(path, part.clone())?.as_str().map(str::to_owned).ok_or_else(undeployed))
                    .collect();
                Ok(parts?.join(separator))
            }
            _ => Err(undeployed()),
        },
        _ => Err(undeployed()),
    }
}
