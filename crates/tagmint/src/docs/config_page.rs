//! `docs/reference/config.md`, from the schema of the configuration.

use serde_json::{Map, Value};

use super::{NOTICE, add, cell};
use crate::config::{self, SCHEMA_URL};

type Node = Map<String, Value>;

/// The page.
pub(super) fn render() -> String {
    let schema = config::schema();
    let empty = Node::new();
    let root = schema.as_object().unwrap_or(&empty);
    let page = Page { schema: &schema };
    let mut text = format!(
        "{NOTICE}\n\n# Configuration\n\n\
         One TOML file for one issuer; `tagmint check` says everything that is wrong with it. Unknown keys are refused. A *duration*\n\
         is text such as `\"90s\"`, `\"5m\"`, `\"1h30m\"`, `\"30d\"`; a day has 24 hours. A relative *path* is taken from the folder of the\n\
         file. No secret stands in the file itself. Whole examples: [deploy/examples](../../deploy/examples).\n\n\
         Editors with TOML support (Even Better TOML, taplo, Zed, Helix) complete and check a file that begins with this line, by the\n\
         [JSON Schema](config.schema.json) of the configuration:\n\n\
         ```toml\n#:schema {SCHEMA_URL}\n```\n"
    );
    let properties = Page::properties(root);
    let (tables, plain): (Vec<_>, Vec<_>) =
        properties.into_iter().partition(|property| page.table_of(property.node).is_some());
    text.push_str("\n## Top level\n\n");
    text.push_str(&page.rows("", &plain));
    for property in &tables {
        if let Some(table) = page.table_of(property.node) {
            let list = property.node.get("type").is_some_and(|kind| kind == "array");
            let header = if list { format!("[[{}]]", property.name) } else { format!("[{}]", property.name) };
            let needed = if property.required { " Required." } else { "" };
            add(&mut text, format_args!("\n## `{header}`\n\n{}{needed}\n\n", description(property.node, table)));
            text.push_str(&page.rows(&format!("{}.", property.name), &Page::properties(table)));
        }
    }
    text
}

struct Page<'a> {
    schema: &'a Value,
}

/// One key.
struct Property<'a> {
    name: &'a str,
    node: &'a Node,
    required: bool,
}

impl<'a> Page<'a> {
    fn resolved(&self, node: &'a Node) -> &'a Node {
        let target = node
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|reference| self.schema.pointer(reference.strip_prefix('#')?)?.as_object());
        target.unwrap_or(node)
    }

    /// The one schema behind an optional value: `anyOf` of it and null.
    fn without_null(&self, node: &'a Node) -> &'a Node {
        let arms = node.get("anyOf").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object);
        let mut arms = arms.filter(|arm| arm.get("type").is_none_or(|kind| kind != "null"));
        match (arms.next(), arms.next()) {
            (Some(only), None) => self.resolved(only),
            _ => self.resolved(node),
        }
    }

    fn properties(node: &'a Node) -> Vec<Property<'a>> {
        let required = |name: &str| {
            node.get("required").and_then(Value::as_array).is_some_and(|names| names.iter().any(|known| known == name))
        };
        let properties = node.get("properties").and_then(Value::as_object).into_iter().flatten();
        properties
            .filter_map(|(name, node)| Some(Property { name, node: node.as_object()?, required: required(name) }))
            .collect()
    }

    /// The table that a key holds, or a list of which it holds.
    fn table_of(&self, node: &'a Node) -> Option<&'a Node> {
        let node = self.without_null(node);
        let inner = match node.get("items").and_then(Value::as_object) {
            Some(items) => self.without_null(items),
            None => node,
        };
        inner.contains_key("properties").then_some(inner)
    }

    fn rows(&self, prefix: &str, properties: &[Property<'a>]) -> String {
        let mut rows = String::from("| key | type | default | meaning |\n|---|---|---|---|\n");
        self.add_rows(&mut rows, prefix, properties);
        rows
    }

    fn add_rows(&self, rows: &mut String, prefix: &str, properties: &[Property<'a>]) {
        for property in properties {
            let node = property.node;
            let default = match node.get("default") {
                Some(Value::Null) | None if property.required => "required".to_owned(),
                Some(Value::Null) | None => "none".to_owned(),
                Some(value) => format!("`{}`", toml_value(value)),
            };
            let resolved = self.without_null(node);
            let mut meaning = description(node, resolved);
            if let Some(example) = node.get("examples").and_then(|examples| examples.get(0)) {
                add(&mut meaning, format_args!(" Example: `{}`.", toml_value(example)));
            }
            let kind = self.kind(node);
            add(rows, format_args!("| `{prefix}{}` | {kind} | {default} | {} |\n", property.name, cell(&meaning)));
            let inner = self.table_of(node).filter(|_| !resolved.contains_key("items"));
            if let Some(table) = inner {
                self.add_rows(rows, &format!("{prefix}{}.", property.name), &Self::properties(table));
            }
            self.add_chosen(rows, prefix, property, resolved);
        }
    }

    /// The keys of a table that is one way to write each value of a map, such as `rule.tags.KEY`.
    fn add_chosen(&self, rows: &mut String, prefix: &str, property: &Property<'a>, resolved: &'a Node) {
        let values =
            resolved.get("additionalProperties").and_then(Value::as_object).map(|values| self.resolved(values));
        let arms = values.and_then(|values| values.get("anyOf")).and_then(Value::as_array);
        for arm in arms.into_iter().flatten().filter_map(Value::as_object) {
            if let Some(table) = self.table_of(arm) {
                self.add_rows(rows, &format!("{prefix}{}.KEY.", property.name), &Self::properties(table));
            }
        }
    }

    fn kind(&self, node: &'a Node) -> String {
        if let Some(format @ ("duration" | "path")) = self.without_null(node).get("format").and_then(Value::as_str) {
            return format.to_owned();
        }
        let node = self.without_null(node);
        let choices = choices(node);
        if !choices.is_empty() {
            return choices.iter().map(|choice| format!("`\"{choice}\"`")).collect::<Vec<_>>().join(", ");
        }
        if let Some(arms) = node.get("anyOf").and_then(Value::as_array) {
            let mut kinds: Vec<String> = arms.iter().filter_map(Value::as_object).map(|arm| self.kind(arm)).collect();
            kinds.dedup();
            return kinds.join(" or ");
        }
        let kind = match node.get("type") {
            Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null"),
            other => other.and_then(Value::as_str),
        };
        match kind {
            Some("string") => "text".to_owned(),
            Some("integer" | "number") => "number".to_owned(),
            Some("boolean") => "true or false".to_owned(),
            Some("array") => match node.get("items").and_then(Value::as_object) {
                Some(items) => format!("list of {}", self.kind(items)),
                None => "list".to_owned(),
            },
            _ => "table".to_owned(),
        }
    }
}

fn choices(node: &Node) -> Vec<&str> {
    let listed = node.get("enum").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let arms = node.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    listed.chain(arms.filter_map(|arm| arm.get("const")?.as_str())).collect()
}

fn description(node: &Node, resolved: &Node) -> String {
    let text =
        node.get("description").or_else(|| resolved.get("description")).and_then(Value::as_str).unwrap_or_default();
    let mut meaning = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for arm in resolved.get("oneOf").and_then(Value::as_array).into_iter().flatten() {
        if let (Some(name), Some(text)) = (arm["const"].as_str(), arm["description"].as_str()) {
            add(&mut meaning, format_args!(" `{name}`: {text}"));
        }
    }
    meaning
}

/// A JSON value as TOML, on one line.
fn toml_value(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(toml_value).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => {
            let members: Vec<String> =
                members.iter().map(|(name, value)| format!("{name} = {}", toml_value(value))).collect();
            format!("{{ {} }}", members.join(", "))
        }
        other => other.to_string(),
    }
}
