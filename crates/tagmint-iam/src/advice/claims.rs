//! A token's claims as its sender wrote them, unverified: for explanations alone.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use crate::arn::RoleArn;

const TAGS: &str = "https://aws.amazon.com/tags";
const ROLES: &str = "https://aws.amazon.com/roles";

/// The claims of a token; empty where it is none.
#[derive(Debug, Default)]
pub(super) struct Claims(Map<String, Value>);

/// Whose tokens have claims like these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Maker {
    GitHub,
    GitLab,
    Other,
}

impl Claims {
    pub(super) fn read(token: &str) -> Self {
        let payload = token.trim().split('.').nth(1).and_then(|part| BASE64_URL_SAFE_NO_PAD.decode(part).ok());
        Self(payload.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.is_null())
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// A text or a number as a text.
    pub(super) fn scalar(&self, name: &str) -> Option<String> {
        match self.0.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// A time in seconds, in either form that STS takes.
    pub(super) fn seconds(&self, name: &str) -> Option<i64> {
        let value = self.0.get(name)?;
        value.as_i64().or_else(|| value.as_str()?.parse().ok())
    }

    /// What STS takes for the audience: `azp`, otherwise the only `aud`.
    pub(super) fn audience(&self) -> Option<&str> {
        let only = match self.0.get("aud") {
            Some(Value::Array(list)) => match list.as_slice() {
                [only] => only.as_str(),
                _ => None,
            },
            other => other.and_then(Value::as_str),
        };
        self.text("azp").or(only)
    }

    /// The values of `aud`.
    pub(super) fn audiences(&self) -> Vec<&str> {
        match self.0.get("aud") {
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
            other => other.and_then(Value::as_str).into_iter().collect(),
        }
    }

    /// Whether `aud` is a list, which is a multivalued key.
    pub(super) fn has_several_audiences(&self) -> bool {
        self.0.get("aud").is_some_and(Value::is_array)
    }

    /// The keys of the session tags, in either form that STS takes.
    pub(super) fn tag_keys(&self) -> Vec<&str> {
        let nested = self.0.get(TAGS).and_then(|claim| claim.get("principal_tags")).and_then(Value::as_object);
        let nested = nested.into_iter().flatten().map(|(key, _)| key.as_str());
        let flat = self.0.keys().filter_map(|name| name.strip_prefix(TAGS)?.strip_prefix("/principal_tags/"));
        nested.chain(flat).collect()
    }

    /// The roles that the token may be used for; none where it may be used for any.
    pub(super) fn roles(&self) -> Option<Vec<&str>> {
        let entries: Vec<&str> = match self.0.get(ROLES)? {
            Value::String(text) => text.split(';').collect(),
            Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
            _ => return None,
        };
        Some(entries.into_iter().map(str::trim).filter(|entry| RoleArn::parse(entry).is_some()).collect())
    }

    pub(super) fn maker(&self) -> Maker {
        if self.has("repository") && self.has("repository_owner") {
            Maker::GitHub
        } else if self.has("project_path") && self.has("namespace_path") {
            Maker::GitLab
        } else {
            Maker::Other
        }
    }
}
