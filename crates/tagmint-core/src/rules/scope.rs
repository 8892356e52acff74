//! What one credential is confined to, whatever the rules would give it.

use std::{collections::BTreeMap, fmt};

use serde_json::{Map, Value};

use super::denial::{DenialReason, quoted};
use crate::tags::{InvalidTag, SessionTags, TagKey, TagValue};

/// Tags, by key, that every token of a credential must have, with the prefix below which the value must lie.
///
/// A scope only takes away: rules decide first, and a grant outside the scope is a refusal. The empty scope confines nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagScope(BTreeMap<TagKey, String>);

/// Why a scope cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidScope {
    /// The key or the prefix is nothing that AWS takes in a tag.
    #[error(transparent)]
    Tag(#[from] InvalidTag),
    /// The prefix has no parts, or one that a path could be made of.
    #[error("the prefix `{0}` has an empty part, `.` or `..`; write it as `ci/team-a`, without a slash at either end")]
    Parts(String),
    /// Two prefixes for one tag.
    #[error("the tag `{0}` has two prefixes; a value can lie below one alone")]
    Twice(String),
    /// Not a JSON object of texts.
    #[error("a scope is an object of texts")]
    Form,
}

impl TagScope {
    /// A scope of these tag keys and prefixes.
    pub fn new<K, P>(prefixes: impl IntoIterator<Item = (K, P)>) -> Result<Self, InvalidScope>
    where
        K: AsRef<str>,
        P: AsRef<str>,
    {
        let mut scope = Self::default();
        for (key, prefix) in prefixes {
            let key = TagKey::parse(key.as_ref())?;
            let prefix = TagValue::parse(&key, prefix.as_ref())?;
            if !are_plain(prefix.as_str()) {
                return Err(InvalidScope::Parts(prefix.as_str().to_owned()));
            }
            if scope.0.contains_key(&key) {
                return Err(InvalidScope::Twice(key.as_str().to_owned()));
            }
            scope.0.insert(key, prefix.as_str().to_owned());
        }
        Ok(scope)
    }

    /// A scope in its JSON form: `{"prefix": "ci/team-a"}`.
    pub fn from_json(object: &Map<String, Value>) -> Result<Self, InvalidScope> {
        let texts: Option<Vec<(&String, &str)>> =
            object.iter().map(|(key, prefix)| Some((key, prefix.as_str()?))).collect();
        Self::new(texts.ok_or(InvalidScope::Form)?)
    }

    /// The JSON form.
    pub fn to_json(&self) -> Map<String, Value> {
        self.0.iter().map(|(key, prefix)| (key.as_str().to_owned(), Value::String(prefix.clone()))).collect()
    }

    /// Whether it confines nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the tags lie within the scope.
    pub(super) fn check(&self, tags: &SessionTags) -> Result<(), DenialReason> {
        let outside = self.0.iter().find(|(key, prefix)| !tags.get(key.as_str()).is_some_and(|it| lies_in(it, prefix)));
        let Some((key, prefix)) = outside else { return Ok(()) };
        Err(DenialReason::OutOfScope {
            key: key.as_str().to_owned(),
            prefix: prefix.clone(),
            value: tags.get(key.as_str()).map(quoted),
        })
    }
}

impl fmt::Display for TagScope {
    /// `prefix=ci/team-a`, separated by commas; `-` where it confines nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("-");
        }
        for (index, (key, prefix)) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{}={prefix}", key.as_str())?;
        }
        Ok(())
    }
}

/// The prefix itself, or something below it. S3 takes `..` as it stands, but whatever makes a path of a key does not.
fn lies_in(value: &str, prefix: &str) -> bool {
    value == prefix || value.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/')).is_some_and(are_plain)
}

fn are_plain(parts: &str) -> bool {
    parts.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(prefix: &str) -> Result<TagScope, InvalidScope> {
        TagScope::new([("prefix", prefix)])
    }

    #[test]
    fn a_value_lies_in_its_scope_or_below_it() {
        let scope = scope("ci/team-a").unwrap();
        let check = |value: &str| scope.check(&SessionTags::new([("prefix", value)], [""; 0]).unwrap());
        for inside in ["ci/team-a", "ci/team-a/x", "ci/team-a/x/y", "ci/team-a/..."] {
            assert_eq!(check(inside), Ok(()), "{inside}");
        }
        for outside in [
            "",
            "ci",
            "ci/",
            "ci/team-b",
            "ci/team-ab",
            "ci/team-a-b/x",
            "CI/team-a",
            "x/ci/team-a",
            "ci/team-a/",
            "ci/team-a//x",
            "ci/team-a/../team-b",
            "ci/team-a/x/..",
            "ci/team-a/./x",
        ] {
            let refused = check(outside).unwrap_err();
            let expected = DenialReason::OutOfScope {
                key: "prefix".to_owned(),
                prefix: "ci/team-a".to_owned(),
                value: Some(outside.to_owned()),
            };
            assert_eq!((refused.code(), refused), ("out_of_scope", expected));
        }
        let without = scope.check(&SessionTags::new([("Prefix", "ci/team-a")], [""; 0]).unwrap()).unwrap_err();
        assert!(matches!(without, DenialReason::OutOfScope { value: None, .. }), "{without}");
        assert_eq!(TagScope::default().check(&SessionTags::default()), Ok(()));
    }

    #[test]
    fn every_tag_of_a_scope_counts() {
        let scope = TagScope::new([("prefix", "a"), ("team", "blue")]).unwrap();
        let check = |team: &str| scope.check(&SessionTags::new([("prefix", "a/b"), ("team", team)], [""; 0]).unwrap());
        assert!(check("blue").is_ok() && check("red").is_err());
        assert_eq!((scope.to_string(), TagScope::default().to_string()), ("prefix=a, team=blue".into(), "-".into()));
        assert_eq!(TagScope::from_json(&scope.to_json()), Ok(scope));
    }

    #[test]
    fn a_scope_that_would_say_something_else_is_refused() {
        for bad in ["", "/", "a/", "/a", "a//b", "..", "a/../b", "./a"] {
            assert_eq!(scope(bad), Err(InvalidScope::Parts(bad.to_owned())));
        }
        assert!(matches!(scope("a*"), Err(InvalidScope::Tag(InvalidTag::ValueCharacter { .. }))));
        assert!(matches!(TagScope::new([("aws:x", "a")]), Err(InvalidScope::Tag(_))));
        assert_eq!(TagScope::new([("k", "a"), ("k", "b")]), Err(InvalidScope::Twice("k".to_owned())));
        let number = serde_json::json!({"prefix": 1});
        assert_eq!(TagScope::from_json(number.as_object().unwrap()), Err(InvalidScope::Form));
    }
}
