//! The request context: keys and values that conditions and policy variables speak of.

use std::collections::BTreeMap;

/// Keys with their values. Key names are case-insensitive, the whole name with its tag key too (IAM user guide, "Condition").
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context(BTreeMap<String, Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    name: String,
    values: Vec<String>,
    /// Whether the key may have several values, however many it has here.
    multivalued: bool,
}

impl Context {
    /// A request without any key.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with a single-valued key. A key that was there is replaced.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.set(name, vec![value.into()]);
        self
    }

    /// The same with a multivalued key. A key that was there is replaced.
    #[must_use]
    pub fn with_many<T: Into<String>>(mut self, name: &str, values: impl IntoIterator<Item = T>) -> Self {
        self.insert(name, values.into_iter().map(Into::into).collect(), true);
        self
    }

    /// Sets a key's values. With one it is a single-valued key ([`Context::with_many`] sets the others), otherwise a multivalued one. A key
    /// that was there is replaced.
    pub fn set(&mut self, name: &str, values: Vec<String>) {
        let multivalued = values.len() != 1;
        self.insert(name, values, multivalued);
    }

    fn insert(&mut self, name: &str, values: Vec<String>, multivalued: bool) {
        self.0.insert(name.to_lowercase(), Entry { name: name.to_owned(), values, multivalued });
    }

    /// A key's values; none when the request doesn't have the key.
    pub fn get(&self, name: &str) -> Option<&[String]> {
        self.0.get(&name.to_lowercase()).map(|entry| entry.values.as_slice())
    }

    /// The value of a single-valued key. A multivalued one has none here, not even with exactly one value: "You can't use a multivalued
    /// condition key as a variable" (IAM user guide, "Variables and tags").
    pub fn single(&self, name: &str) -> Option<&str> {
        let entry = self.0.get(&name.to_lowercase())?;
        match entry.values.as_slice() {
            [value] if !entry.multivalued => Some(value),
            _ => None,
        }
    }

    /// The same without some keys.
    #[must_use]
    pub fn only(mut self, keep: impl Fn(&str) -> bool) -> Self {
        self.0.retain(|_, entry| keep(&entry.name));
        self
    }

    /// Keys as they were given, with their values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0.values().map(|entry| (entry.name.as_str(), entry.values.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_case_insensitive_and_replace_each_other() {
        let context = Context::new().with("aws:RequestTag/Team", "a").with("AWS:requesttag/TEAM", "b");
        assert_eq!(context.get("aws:requestTag/team"), Some(&["b".to_owned()][..]));
        assert_eq!(context.iter().count(), 1);
        assert_eq!(context.get("aws:RequestTag"), None);
    }

    #[test]
    fn only_a_single_valued_key_has_a_single_value() {
        let mut context = Context::new().with("one", "x").with_many("list", ["a", "b"]).with_many("none", [""; 0]);
        context = context.with_many("list-of-one", ["a"]).with_many("replaced", ["a"]).with("replaced", "b");
        context.set("set", vec!["y".to_owned()]);
        context.set("set-list", vec!["y".to_owned(), "z".to_owned()]);
        for name in ["list", "none", "list-of-one", "set-list", "absent"] {
            assert_eq!(context.single(name), None, "{name}");
        }
        assert_eq!(["one", "replaced", "set"].map(|name| context.single(name)), [Some("x"), Some("b"), Some("y")]);
    }
}
