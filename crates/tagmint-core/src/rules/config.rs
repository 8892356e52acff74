//! Rules as they are written in the configuration.

use std::{collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};

/// One rule: who it is for, and what a token made by it holds.
///
/// Where a field takes a template, that is text in which `${…}` holds a CEL expression over the identity
/// (`$${` stands for a plain `${`). docs/rules.md explains the language.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleConfig {
    /// The rule's name, in the ledger and in refusals: 1 to 64 characters of `a-z`, `0-9` and `-`, unique.
    pub name: String,
    /// What the rule is for. For people.
    pub description: Option<String>,
    /// How the identity must have proved itself: any of `session`, `bearer`, `github-actions`, `gitlab` and
    /// `oidc`; or `open` alone, for callers without proof (`[open_mint]`). Checked before `when`. Default: any
    /// but `open`.
    pub source: Option<Vec<String>>,
    /// Names of `[[provider]]` entries, one of which must vouch for the identity. Checked before `when`.
    /// Default: any, or none.
    pub provider: Option<Vec<String>>,
    /// The condition: a CEL expression that gives true or false. An error refuses the request; it does
    /// not go on to the next rule. May be left out only where `source` or `provider` is given.
    pub when: Option<String>,
    /// The token's `sub`. A template; the result has 6 to 255 characters.
    pub subject: String,
    /// The audiences that a request may choose from. Templates; the first is the default.
    pub audiences: Vec<String>,
    /// ARNs of the roles that the token is for. Templates. A request may choose one of them, otherwise
    /// the token names them all. Empty: the token names none.
    #[serde(default)]
    pub roles: Vec<String>,
    /// The lifetime where the request asks for none: `"5m"`, `"300s"`, seconds as a number, or a template
    /// that gives one of these. 60 seconds to 15 minutes. Default: 5 minutes, or `max_lifetime` if that is less.
    pub lifetime: Option<LifetimeConfig>,
    /// The longest lifetime that a request may ask for, written like `lifetime`. Default: the same as `lifetime`.
    pub max_lifetime: Option<LifetimeConfig>,
    /// Keys of the tags that are transitive: kept when the session assumes another role. Templates. Each
    /// must be a tag of this rule; one that a token does not have is left out.
    #[serde(default)]
    pub transitive: Vec<String>,
    /// The session tags, by key. A template fixes the value; a table lets the request choose.
    #[serde(default)]
    pub tags: BTreeMap<String, TagConfig>,
}

/// A lifetime: seconds as a number, or text such as `"5m"`, `"300s"` or a template.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum LifetimeConfig {
    /// Seconds.
    Seconds(i64),
    /// `"5m"`, `"300s"`, `"300"`, or a template that gives one of these.
    Text(String),
}

/// A session tag: a template that fixes its value, or a table that says what a request may put there.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum TagConfig {
    /// A template. A request may repeat the same value, nothing else.
    Fixed(String),
    /// The request chooses.
    Chosen(ChosenTag),
}

/// What a request may put into a tag: exactly one of `open`, `one_of` and `matches`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChosenTag {
    /// `true`: any value that AWS takes.
    pub open: Option<bool>,
    /// One of these values. Templates.
    pub one_of: Option<Vec<String>>,
    /// Any value for which this CEL condition is true. It sees `value` and `identity`.
    pub matches: Option<String>,
    /// The value where the request gives none. A template; it is held to `one_of` and `matches` too.
    /// Without it the tag is left out.
    pub default: Option<String>,
    /// `true`: a request that gives no value is refused. Not together with `default`.
    #[serde(default)]
    pub required: bool,
}

// Written by hand, because serde's untagged enums say no more than "did not match any variant".
impl<'de> Deserialize<'de> for LifetimeConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl Visitor<'_> for Either {
            type Value = LifetimeConfig;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a lifetime such as \"5m\", \"300s\" or 300")
            }

            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Self::Value, E> {
                Ok(LifetimeConfig::Seconds(seconds))
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Self::Value, E> {
                let seconds = i64::try_from(seconds);
                seconds.map(LifetimeConfig::Seconds).map_err(|_| E::custom("the lifetime is too large"))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(LifetimeConfig::Text(text.to_owned()))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl<'de> Deserialize<'de> for TagConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = TagConfig;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a tag's value as text, or a table with `open`, `one_of` or `matches`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(TagConfig::Fixed(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                ChosenTag::deserialize(MapAccessDeserializer::new(map)).map(TagConfig::Chosen)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        toml::from_str::<RuleConfig>(text).unwrap_err().to_string()
    }

    #[test]
    fn wrong_shapes_say_what_is_expected() {
        let base = "name = \"a\"\nsubject = \"s\"\naudiences = [\"a\"]\n";
        assert!(toml::from_str::<RuleConfig>(base).is_ok());
        let cases = [
            ("lifetim = 3", "unknown field `lifetim`"),
            ("lifetime = 3.5", "a lifetime such as \"5m\""),
            ("[tags]\na = 3", "a tag's value as text, or a table"),
            ("[tags]\na = { opn = true }", "unknown field `opn`"),
            ("[tags]\na = { one_of = \"x\" }", "sequence"),
        ];
        for (line, expected) in cases {
            let message = error(&format!("{base}{line}"));
            assert!(message.contains(expected), "{line}: {message}");
        }
        assert!(error("name = \"a\"").contains("missing field `subject`"));
    }

    #[test]
    fn the_schema_describes_every_field() {
        let schema = schemars::schema_for!(RuleConfig);
        let properties = schema.as_value()["properties"].as_object().unwrap().clone();
        assert_eq!(properties.len(), 12);
        for (name, property) in properties {
            let described = property.get("description").is_some() || property.get("$ref").is_some();
            assert!(described, "{name}");
        }
    }
}
