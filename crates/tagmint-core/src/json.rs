//! JSON from strangers, read strictly.
//!
//! RFC 8259 leaves open what a repeated member means, and readers differ: a token or a body that says two things is refused.

use std::fmt;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Why a text is not acceptable JSON: the parser's words, with line and column.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidJson(String);

/// Parses one JSON value. Repeated members, trailing text, numbers out of range and invalid UTF-8 are refused.
pub fn parse(bytes: &[u8]) -> Result<Value, InvalidJson> {
    serde_json::from_slice::<Strict>(bytes).map(|strict| strict.0).map_err(|error| InvalidJson(error.to_string()))
}

/// Parses a JSON object strictly into `T`: no member stands twice, on any level, even where `T` would not notice. An array is refused: serde
/// would take its elements for the members of `T` in their order.
pub fn parse_as<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, InvalidJson> {
    let value = parse(bytes)?;
    if !value.is_object() {
        return Err(InvalidJson("it must be a JSON object".to_owned()));
    }
    serde_json::from_value(value).map_err(|error| InvalidJson(error.to_string()))
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number that is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Strict(item)) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            if map.contains_key(&key) {
                let shown: String = key.chars().take(40).collect();
                return Err(serde::de::Error::custom(format_args!("the member `{shown}` stands twice")));
            }
            let Strict(value) = access.next_value()?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn repeated_members_are_refused_on_every_level() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":2}"#, r#"[{"x":{"b":[{"c":1,"c":2}]}}]"#] {
            assert!(parse(text.as_bytes()).unwrap_err().to_string().contains("stands twice"), "{text}");
        }
    }

    #[test]
    fn what_serde_json_refuses_stays_refused() {
        for text in ["", "{", "{} x", "1e400", "NaN", r#""\ud800""#, "{\"a\":1,}", "\u{feff}{}"] {
            assert!(parse(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(parse(b"\"\xff\"").is_err());
        assert!(parse("[".repeat(5000).as_bytes()).is_err(), "nesting is bounded");
    }

    #[test]
    fn an_array_does_not_pass_for_an_object() {
        #[derive(Debug, serde::Deserialize, PartialEq)]
        struct One {
            first: u8,
        }
        assert!(parse_as::<One>(b"[1]").unwrap_err().to_string().contains("JSON object"));
        assert_eq!(parse_as::<One>(b"{\"first\": 1}"), Ok(One { first: 1 }));
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json_where_nothing_is_repeated(keys in proptest::collection::btree_set("[a-c]{1,3}", 0..4), number in any::<i64>()) {
            let object: Map<String, Value> = keys.into_iter().map(|key| (key, Value::from(number))).collect();
            let text = Value::Object(object.clone()).to_string();
            prop_assert_eq!(parse(text.as_bytes()).unwrap(), Value::Object(object));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
