//! `docs/reference/config.schema.json`: the schema of the configuration as editors and validators read it.

use serde_json::{Map, Value, json};

use crate::config::{self, SCHEMA_URL};

/// What a duration looks like. JSON Schema's own format `duration` is ISO 8601 (`PT5M`), which is another one.
const DURATION: &str = "^[0-9].*[a-z]$";

/// The page.
pub(super) fn render() -> String {
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("$id".to_owned(), json!(SCHEMA_URL));
    schema.insert("title".to_owned(), json!("Tagmint configuration"));
    if let Value::Object(own) = published(config::schema()) {
        for (name, value) in own {
            schema.entry(name).or_insert(value);
        }
    }
    format!("{:#}\n", Value::Object(schema))
}

/// The schema without the formats that only the program knows, and with paragraphs instead of lines in its descriptions.
fn published(node: Value) -> Value {
    match node {
        Value::Object(members) => {
            let mut published = Map::new();
            for (name, value) in members {
                match (name.as_str(), value) {
                    ("format", Value::String(format)) => {
                        if format == "duration" {
                            published.insert("pattern".to_owned(), json!(DURATION));
                        }
                    }
                    ("description", Value::String(text)) => {
                        published.insert(name, Value::String(unwrapped(&text)));
                    }
                    // Values, not schemas.
                    ("default" | "examples" | "const" | "enum", value) => {
                        published.insert(name, value);
                    }
                    (_, value) => {
                        published.insert(name, self::published(value));
                    }
                }
            }
            Value::Object(published)
        }
        Value::Array(items) => items.into_iter().map(published).collect(),
        other => other,
    }
}

/// Text whose lines were broken to fit the source.
fn unwrapped(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_of_the_draft_that_it_names() {
        let schema: Value = serde_json::from_str(&render()).unwrap();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!((&schema["$id"], &schema["title"]), (&json!(SCHEMA_URL), &json!("Tagmint configuration")));
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["properties"]["log"]["default"]["format"], "json", "defaults stay as they are");
        // Every reference leads somewhere.
        let mut nodes = vec![&schema];
        while let Some(node) = nodes.pop() {
            if let Some(reference) = node.get("$ref").and_then(Value::as_str) {
                assert!(schema.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
            }
            assert!(node.get("format").is_none_or(Value::is_object), "{node}");
            match node {
                Value::Object(members) => {
                    nodes.extend(members.iter().filter(|(name, _)| *name != "default").map(|(_, value)| value));
                }
                Value::Array(items) => nodes.extend(items),
                _ => {}
            }
        }
    }

    #[test]
    fn durations_are_those_that_the_program_reads() {
        let schema = config::schema();
        let defaults: Vec<&str> = schema["$defs"]["RawKeys"]["properties"]
            .as_object()
            .unwrap()
            .values()
            .filter(|key| key.get("format").is_some_and(|format| format == "duration"))
            .filter_map(|key| key["default"].as_str())
            .collect();
        assert!(defaults.len() >= 4, "{defaults:?}");
        for text in defaults {
            assert!(text.starts_with(|c: char| c.is_ascii_digit()) && text.ends_with(|c: char| c.is_ascii_lowercase()));
        }
        assert_eq!(unwrapped("a\nb\n\nc"), "a b\n\nc");
    }
}
