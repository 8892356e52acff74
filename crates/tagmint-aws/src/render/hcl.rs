//! Values as expressions of Terraform's language, laid out as `terraform fmt` does.

use std::fmt::Write;

use serde_json::Value;

use super::plan::PLACEHOLDER;

/// A value, whose lines after the first are `depth` levels in.
pub(super) fn expression(value: &Value, depth: usize) -> String {
    match value {
        Value::String(text) => string(text),
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            let inner = "  ".repeat(depth + 1);
            let items = items.iter().fold(String::new(), |mut text, item| {
                let _ = writeln!(text, "{inner}{},", expression(item, depth + 1));
                text
            });
            format!("[\n{items}{}]", "  ".repeat(depth))
        }
        Value::Array(items) => {
            let flat = items.iter().map(|item| expression(item, depth)).collect::<Vec<_>>().join(", ");
            format!("[{flat}]")
        }
        Value::Object(members) => {
            let entries: Vec<(String, String)> =
                members.iter().map(|(key, value)| (name(key), expression(value, depth + 1))).collect();
            format!("{{\n{}{}}}", attributes(&entries, depth + 1), "  ".repeat(depth))
        }
        other => other.to_string(),
    }
}

/// Attributes, one a line, with the signs of neighbours below each other.
pub(super) fn attributes(entries: &[(String, String)], depth: usize) -> String {
    let indent = "  ".repeat(depth);
    let mut text = String::new();
    let mut rest = entries;
    while !rest.is_empty() {
        // A value of several lines ends a run of neighbours, and belongs to none.
        let run = rest.iter().take_while(|(_, value)| !value.contains('\n')).count().max(1);
        let (neighbours, others) = rest.split_at(run);
        let width = neighbours.iter().map(|(key, _)| key.chars().count()).max().unwrap_or(0);
        for (key, value) in neighbours {
            let _ = writeln!(text, "{indent}{key:width$} = {value}");
        }
        rest = others;
    }
    text
}

fn name(key: &str) -> String {
    let plain = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain { key.to_owned() } else { string(key) }
}

/// A text. Policy variables are not Terraform's.
pub(super) fn string(text: &str) -> String {
    let escaped = Value::from(text).to_string().replace("${", "$${").replace("%{", "%%{");
    escaped.replace(PLACEHOLDER, "${var.account}")
}
