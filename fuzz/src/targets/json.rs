//! Strict JSON: what is accepted is what `serde_json` reads, and says nothing twice; what is refused beyond that repeats a member.

use crate::reference;
use serde_json::Value;
use tagmint_core::json;

/// Runs one input.
pub fn run(data: &[u8]) {
    let lenient = serde_json::from_slice::<Value>(data).ok();
    let repeats = reference::repeats_a_member(data);
    match json::parse(data) {
        Ok(value) => {
            assert_eq!(repeats, Some(false));
            assert_eq!(Some(&value), lenient.as_ref());
            let text = value.to_string();
            let again = json::parse(text.as_bytes()).expect("what was written can be read");
            // Reading a decimal number may be off by its last bit, so the text is stable from the second time on.
            let settled = json::parse(again.to_string().as_bytes()).expect("what was written can be read");
            assert_eq!(shape(&again), shape(&value));
            assert_eq!(shape(&settled), shape(&value));
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert!(lenient.is_none() || repeats == Some(true), "{error}");
        }
    }
    let object = json::parse_as::<Value>(data).ok();
    assert_eq!(object.is_some(), json::parse(data).is_ok_and(|value| value.is_object()));
}

/// The value with every number that isn't an integer made the same.
fn shape(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => Value::from(0.5),
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), shape(value))).collect(),
        other => other.clone(),
    }
}
