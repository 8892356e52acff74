//! Compares a file with the schema of the configuration: unknown keys, missing keys, wrong types, values outside a set. All at once, where
//! serde would stop at the first.

use std::ops::Range;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    problem::{ConfigProblem, Lines, shortened},
    raw::RawConfig,
};

/// How alike a known key must be to be suggested for an unknown one; 1 is the same.
const LIKENESS: f64 = 0.8;

/// The JSON schema of the configuration file.
pub fn schema() -> Value {
    schemars::schema_for!(RawConfig).to_value()
}

/// Reads a file's text, or tells everything in which it differs from the schema.
pub(super) fn parse(text: &str) -> Result<(RawConfig, Lines), Vec<ConfigProblem>> {
    parse_as(text)
}

/// The same for a file of another schema.
pub(super) fn parse_as<T: DeserializeOwned + JsonSchema>(text: &str) -> Result<(T, Lines), Vec<ConfigProblem>> {
    let line = |span: Option<Range<usize>>| span.map(|span| line_of(text, span.start));
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let not_toml = |error: &toml::de::Error| ConfigProblem {
            path: String::new(),
            line: line(error.span()),
            message: format!("not TOML: {}", error.message()),
        };
        return Err(errors.iter().map(not_toml).collect());
    }
    let schema = schemars::schema_for!(T).to_value();
    let empty = Map::new();
    let mut comparison = Comparison { text, schema: &schema, problems: Vec::new(), lines: Lines::default() };
    comparison.table(table.get_ref(), schema.as_object().unwrap_or(&empty), "", 1);
    if !comparison.problems.is_empty() {
        comparison.problems.sort_by_key(|problem| problem.line);
        return Err(comparison.problems);
    }
    // What the schema cannot say (numbers out of range and the like) is left to serde, which names one key.
    let raw = T::deserialize(toml::de::Deserializer::from(table)).map_err(|error| {
        vec![ConfigProblem { path: String::new(), line: line(error.span()), message: error.message().to_owned() }]
    })?;
    Ok((raw, comparison.lines))
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

struct Comparison<'a> {
    text: &'a str,
    schema: &'a Value,
    problems: Vec<ConfigProblem>,
    lines: Lines,
}

impl<'a> Comparison<'a> {
    fn problem(&mut self, path: &str, line: usize, message: String) {
        self.problems.push(ConfigProblem { path: path.to_owned(), line: Some(line), message });
    }

    /// The schema that a `$ref` stands for.
    fn resolved(&self, node: &'a Map<String, Value>) -> &'a Map<String, Value> {
        node.get("$ref")
            .and_then(Value::as_str)
            .and_then(|reference| self.schema.pointer(reference.strip_prefix('#')?))
            .and_then(Value::as_object)
            .unwrap_or(node)
    }

    /// The alternatives of a schema; itself where it has none.
    fn arms(&self, node: &'a Map<String, Value>) -> Vec<&'a Map<String, Value>> {
        let lists = ["anyOf", "oneOf"].iter().filter_map(|key| node.get(*key)?.as_array());
        let arms = lists.flatten().filter_map(Value::as_object);
        let arms: Vec<_> = arms.flat_map(|arm| self.arms(self.resolved(arm))).collect();
        if arms.is_empty() { vec![node] } else { arms }
    }

    fn table(&mut self, table: &DeTable<'_>, node: &'a Map<String, Value>, path: &str, line: usize) {
        let properties = node.get("properties").and_then(Value::as_object);
        let known = |key: &str| properties.and_then(|properties| properties.get(key)).and_then(Value::as_object);
        let others = node.get("additionalProperties").and_then(Value::as_object);
        let open = node.get("additionalProperties").is_some_and(|others| *others == Value::Bool(true));
        for (key, value) in table {
            let line = line_of(self.text, key.span().start);
            let inner = if path.is_empty() { key.get_ref().to_string() } else { format!("{path}.{}", key.get_ref()) };
            self.lines.0.insert(inner.clone(), line);
            if let Some(node) = known(key.get_ref()).or(others) {
                self.value(value, node, &inner, line);
            } else if open {
                self.free(value, &inner, line);
            } else {
                let names = properties.into_iter().flat_map(Map::keys);
                self.problem(&inner, line, unknown_key(key.get_ref(), names.map(String::as_str)));
            }
        }
        for name in node.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            if !table.contains_key(name) {
                let inner = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                let meaning = known(name).map(|node| meaning(node, self.resolved(node))).unwrap_or_default();
                self.problem(&inner, line, format!("is missing. {meaning}").trim_end().to_owned());
            }
        }
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, node: &'a Map<String, Value>, path: &str, line: usize) {
        let node = self.resolved(node);
        let allowed = allowed_values(node);
        if !allowed.is_empty() {
            if value.get_ref().as_str().is_none_or(|text| !allowed.contains(&text)) {
                let found = self.shown(value);
                self.problem(path, line, format!("{found} is not allowed; use {}", choices(&allowed)));
            }
            return;
        }
        let arms = self.arms(node);
        let Some(node) = arms.iter().find(|arm| fits(value.get_ref(), arm)) else {
            let mut expected: Vec<&str> =
                arms.iter().flat_map(|arm| types(arm)).filter(|name| *name != "null").map(in_words).collect();
            expected.dedup();
            let found = self.shown(value);
            return self.problem(path, line, format!("{found} is not allowed; {} is expected", expected.join(" or ")));
        };
        match value.get_ref() {
            DeValue::Table(table) => self.table(table, node, path, line),
            DeValue::Array(items) => {
                let Some(node) = node.get("items").and_then(Value::as_object) else { return };
                for (index, item) in items.iter().enumerate() {
                    let inner = format!("{path}[{index}]");
                    let line = line_of(self.text, item.span().start);
                    self.lines.0.insert(inner.clone(), line);
                    self.value(item, node, &inner, line);
                }
            }
            DeValue::Integer(number) => {
                let within = i64::from_str_radix(number.as_str(), number.radix()).is_ok_and(|number| {
                    let bound = |name: &str| node.get(name).and_then(Value::as_i64);
                    let unsigned_32 = node.get("format").is_some_and(|format| format == "uint32");
                    let most = bound("maximum").or(unsigned_32.then_some(i64::from(u32::MAX)));
                    bound("minimum").is_none_or(|least| least <= number) && most.is_none_or(|most| number <= most)
                });
                if !within {
                    let found = self.shown(value);
                    self.problem(path, line, format!("{found} is out of range; a whole number from 0 is expected"));
                }
            }
            _ => {}
        }
    }

    /// A value of any type that JSON has, too.
    fn free(&mut self, value: &Spanned<DeValue<'_>>, path: &str, line: usize) {
        match value.get_ref() {
            DeValue::Datetime(_) => {
                let found = self.shown(value);
                self.problem(path, line, format!("{found} is a date, which JSON does not have; put it in quotes"));
            }
            DeValue::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let line = line_of(self.text, item.span().start);
                    self.free(item, &format!("{path}[{index}]"), line);
                }
            }
            DeValue::Table(table) => {
                for (key, value) in table {
                    let line = line_of(self.text, key.span().start);
                    self.free(value, &format!("{path}.{}", key.get_ref()), line);
                }
            }
            _ => {}
        }
    }

    /// A value as it stands in the file.
    fn shown(&self, value: &Spanned<DeValue<'_>>) -> String {
        match value.get_ref() {
            DeValue::Table(_) => "a table".to_owned(),
            DeValue::Array(_) => "a list".to_owned(),
            _ => format!("`{}`", shortened(self.text.get(value.span()).unwrap_or_default())),
        }
    }
}

/// The strings that a schema allows, where it allows some alone.
fn allowed_values(node: &Map<String, Value>) -> Vec<&str> {
    if let Some(values) = node.get("enum").and_then(Value::as_array) {
        return values.iter().filter_map(Value::as_str).collect();
    }
    let arms = node.get("oneOf").and_then(Value::as_array);
    let constants = arms.into_iter().flatten().map(|arm| arm.get("const").and_then(Value::as_str));
    constants.collect::<Option<_>>().unwrap_or_default()
}

fn types(node: &Map<String, Value>) -> Vec<&str> {
    match node.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    }
}

fn fits(value: &DeValue<'_>, node: &Map<String, Value>) -> bool {
    let found: &[&str] = match value {
        DeValue::String(_) => &["string"],
        DeValue::Integer(_) => &["integer", "number"],
        DeValue::Float(_) => &["number"],
        DeValue::Boolean(_) => &["boolean"],
        DeValue::Datetime(_) => &[],
        DeValue::Array(_) => &["array"],
        DeValue::Table(_) => &["object"],
    };
    let types = types(node);
    types.is_empty() || types.iter().any(|name| found.contains(name))
}

fn in_words(name: &str) -> &'static str {
    match name {
        "string" => "text in quotes",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        _ => "a table",
    }
}

/// The first sentence of what a key means.
fn meaning(node: &Map<String, Value>, resolved: &Map<String, Value>) -> String {
    let described = node.get("description").or_else(|| resolved.get("description")).and_then(Value::as_str);
    let text = described.unwrap_or_default().replace('\n', " ");
    text.split_inclusive(". ").next().unwrap_or_default().trim_end().to_owned()
}

fn unknown_key<'k>(key: &str, known: impl Iterator<Item = &'k str>) -> String {
    let mut known: Vec<&str> = known.collect();
    known.sort_unstable();
    let likeness = |name: &str| strsim::jaro_winkler(key, name);
    let nearest = known.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match nearest.filter(|name| likeness(name) >= LIKENESS) {
        Some(name) => format!("unknown key; did you mean `{name}`?"),
        None => format!("unknown key; the keys here are {}", known.join(", ")),
    }
}

/// "`a`, `b` or `c`".
fn choices(values: &[&str]) -> String {
    let quoted: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}
