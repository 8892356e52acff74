//! A token's contents as they are compared: recorded, expected or granted.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::{
    ledger::Minted,
    rules::{Grant, SessionTerms},
};

/// What a token holds, as far as rules decide it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Granted {
    /// The rule that decided.
    pub rule: String,
    /// `sub`.
    pub subject: String,
    /// `aud`.
    pub audience: String,
    /// The roles that the token is for, sorted.
    pub roles: Vec<String>,
    /// How long it is valid, in seconds.
    pub lifetime_seconds: i64,
    /// The session tags.
    pub tags: BTreeMap<String, String>,
    /// The keys of the tags that are transitive, sorted.
    pub transitive: Vec<String>,
    /// What the session at AWS is to be. None: not known, because the ledger does not record it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionTerms>,
}

/// Something that is not as it was or as it was expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What differs: `subject`, `tags.prefix`.
    pub field: String,
    /// How it was or should be. None: it should be absent.
    pub expected: Option<String>,
    /// How it is. None: it is absent.
    pub actual: Option<String>,
}

impl Difference {
    /// A difference, if there is one.
    pub(super) fn between(field: &str, expected: Option<&str>, actual: Option<&str>) -> Option<Self> {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        (expected != actual).then(|| Self { field: field.to_owned(), expected: owned(expected), actual: owned(actual) })
    }
}

impl From<&Grant> for Granted {
    fn from(grant: &Grant) -> Self {
        let tags = grant.tags.iter().map(|(key, value)| (key.as_str().to_owned(), value.as_str().to_owned()));
        Self {
            rule: grant.rule.to_string(),
            subject: grant.subject.to_string(),
            audience: grant.audience.to_string(),
            roles: sorted(grant.roles.iter().map(ToString::to_string).collect()),
            lifetime_seconds: grant.lifetime.seconds().into(),
            tags: tags.collect(),
            transitive: grant.tags.transitive().map(|key| key.as_str().to_owned()).collect(),
            session: Some(grant.session.clone()),
        }
    }
}

impl Granted {
    /// What a recorded token holds. None where its tags are not those of a token.
    pub(super) fn minted(rule: String, minted: &Minted) -> Option<Self> {
        let mut tags = BTreeMap::new();
        if let Some(recorded) = minted.tags.get("principal_tags") {
            for (key, value) in recorded.as_object()? {
                let [Value::String(value)] = value.as_array()?.as_slice() else { return None };
                tags.insert(key.clone(), value.clone());
            }
        }
        let mut transitive = Vec::new();
        if let Some(recorded) = minted.tags.get("transitive_tag_keys") {
            for key in recorded.as_array()? {
                transitive.push(key.as_str()?.to_owned());
            }
        }
        let transitive = sorted(transitive);
        Some(Self {
            rule,
            subject: minted.subject.clone(),
            audience: minted.audience.clone(),
            roles: sorted(minted.roles.clone()),
            lifetime_seconds: minted.expires_at - minted.issued_at,
            tags,
            transitive,
            session: None,
        })
    }

    /// In what `actual` differs from this. What is not known of one of them is not compared.
    pub fn differences(&self, actual: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        let mut text = |field: &str, expected: &str, actual: &str| {
            found.extend(Difference::between(field, Some(expected), Some(actual)));
        };
        text("rule", &self.rule, &actual.rule);
        text("subject", &self.subject, &actual.subject);
        text("audience", &self.audience, &actual.audience);
        if self.roles != actual.roles {
            text("roles", &self.roles.join(" "), &actual.roles.join(" "));
        }
        if self.lifetime_seconds != actual.lifetime_seconds {
            text("lifetime_seconds", &self.lifetime_seconds.to_string(), &actual.lifetime_seconds.to_string());
        }
        if self.tags != actual.tags {
            found.extend(tag_differences(&self.tags, &actual.tags));
        }
        let (keys, actual_keys) = (set(&self.transitive), set(&actual.transitive));
        found.extend(Difference::between("transitive", keys.as_deref(), actual_keys.as_deref()));
        if let (Some(expected), Some(actual)) = (&self.session, &actual.session)
            && expected != actual
        {
            let (of_expected, of_actual) = (set(&expected.policy_arns), set(&actual.policy_arns));
            for (field, expected, actual) in [
                ("session_policy", &expected.policy, &actual.policy),
                ("session_policy_arns", &of_expected, &of_actual),
                ("assume_then", &expected.assume_then, &actual.assume_then),
            ] {
                found.extend(Difference::between(field, expected.as_deref(), actual.as_deref()));
            }
        }
        found
    }
}

/// The texts in a line, sorted. None where there are none.
pub(super) fn set(texts: &[String]) -> Option<String> {
    (!texts.is_empty()).then(|| sorted(texts.to_vec()).join(" "))
}

/// Roles and transitive keys are sets: their order means nothing.
pub(super) fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort_unstable();
    texts
}

/// In what tags differ, by key.
pub(super) fn tag_differences(
    expected: &BTreeMap<String, String>,
    actual: &BTreeMap<String, String>,
) -> Vec<Difference> {
    let mut keys: Vec<&String> =
        expected.keys().chain(actual.keys().filter(|key| !expected.contains_key(*key))).collect();
    keys.sort_unstable();
    let value = |tags: &'_ BTreeMap<String, String>, key: &String| tags.get(key).cloned();
    let difference = |key: &String| {
        let (expected, actual) = (value(expected, key), value(actual, key));
        Difference::between(&format!("tags.{key}"), expected.as_deref(), actual.as_deref())
    };
    keys.into_iter().filter_map(difference).collect()
}
