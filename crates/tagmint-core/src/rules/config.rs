//! Rules as they are written in the configuration.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{
        self, MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};

/// The audience that STS wants.
const STS_AUDIENCE: &str = "sts.amazonaws.com";

/// A rule: the source of the identities, the required claims, and the contents of the token.
///
/// In a template, `${…}` contains a claim's name or a CEL expression over the claims; `$${` is a literal `${`. docs/rules.md describes the
/// language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleConfig {
    /// The rule's name, in the ledger and in refusals: 1 to 64 characters of `a-z`, `0-9` and `-`, unique.
    pub name: String,
    /// The purpose of the rule. `tagmint check` shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The source of the identities: the name of a `[[trusted_issuer]]`, or `session`, `bearer` or `anonymous`.
    pub from: String,
    /// The required claims. All entries must match. A key is a claim's name, `sub` for the identity's subject, or a JSON pointer such as
    /// `/kubernetes.io/namespace` for a value inside a claim.
    #[serde(rename = "match", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub matches: BTreeMap<String, MatchConfig>,
    /// A further condition: a CEL expression that returns a boolean. An error refuses the request; later rules are not tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// `enforce`: the rule decides. `shadow`: the issuer records the rule's decision and never grants anything by it.
    #[serde(default, skip_serializing_if = "RuleMode::is_enforce")]
    pub mode: RuleMode,
    /// The token's `sub`. A template; the result has 6 to 255 characters.
    pub subject: String,
    /// The audiences that a request may choose from. Templates; the first is the default. Default: STS's, `sts.amazonaws.com`.
    #[serde(default = "default_audiences")]
    pub audiences: Vec<String>,
    /// The role that the token is for: an ARN, or the name of a role in the account of `[aws]`. A template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Several roles instead of `role`. A request may choose one of them, otherwise the token names them all. Without `role` and
    /// `roles` the token names none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// The lifetime where the request asks for none: `"5m"`, `"300s"`, seconds as a number, or a template
    /// that gives one of these. 60 seconds to 15 minutes. Default: 5 minutes, or `max_lifetime` if that is less.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<LifetimeConfig>,
    /// The longest lifetime that a request may ask for, written like `lifetime`. Default: the same as `lifetime`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_lifetime: Option<LifetimeConfig>,
    /// Keys of the tags that are transitive: kept when the session assumes another role. Templates. Each
    /// must be a tag of this rule; one that a token does not have is left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transitive: Vec<String>,
    /// A session policy as JSON, at most 2,048 characters without white space. The container endpoint and the client commands pass it to
    /// STS. A caller who has the token can call STS without it: limit the role's own policy as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_policy: Option<String>,
    /// ARNs of managed policies to use as session policies, at most 10. They apply in addition to `session_policy`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub session_policy_arns: Vec<String>,
    /// The ARN of a second role, for example in a spoke account, that the session assumes next. Callers get the second session, which lasts at
    /// most an hour. Only transitive tags reach it. Session policies apply to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assume_then: Option<String>,
    /// The session tags, by key. A template fixes the value; a table lets the request choose.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, TagConfig>,
}

/// The effect of a rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RuleMode {
    /// The rule decides.
    #[default]
    Enforce,
    /// The issuer records the rule's decision, and grants nothing by it.
    Shadow,
}

impl RuleMode {
    // By reference, as serde calls it.
    #[allow(clippy::trivially_copy_pass_by_ref)]
    fn is_enforce(&self) -> bool {
        *self == Self::Enforce
    }
}

fn default_audiences() -> Vec<String> {
    vec![STS_AUDIENCE.to_owned()]
}

/// The required value of a claim: a value, a list of allowed values, or a test.
///
/// If the claim allows globs, `*` in a string matches any characters except `/`, and `**` any characters. A claim that is a list matches if
/// one of its elements does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MatchConfig {
    /// One of these values.
    Values(Vec<MatchValue>),
    /// A test.
    Test(MatchTest),
}

/// A value of a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum MatchValue {
    /// true or false.
    Boolean(bool),
    /// A number.
    Integer(i64),
    /// A text.
    Text(String),
}

/// A test of a claim: exactly one of its fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MatchTest {
    /// `true`: the claim is present, with any value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub present: Option<bool>,
    /// `true`: the claim is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub absent: Option<bool>,
    /// This value. `*` is a literal character.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exact: Option<MatchValue>,
}

impl Serialize for MatchConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Values(values) => match values.as_slice() {
                [value] => value.serialize(serializer),
                values => values.serialize(serializer),
            },
            Self::Test(test) => test.serialize(serializer),
        }
    }
}

impl JsonSchema for MatchConfig {
    fn schema_name() -> Cow<'static, str> {
        "MatchConfig".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<MatchValue>();
        let test = generator.subschema_for::<MatchTest>();
        json_schema!({
            "description": "The required value of a claim: a value, a list of allowed values, or a test.",
            "anyOf": [value, {"type": "array", "items": value, "minItems": 1}, test],
        })
    }
}

/// A lifetime: seconds as a number, or text such as `"5m"`, `"300s"` or a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum LifetimeConfig {
    /// Seconds.
    Seconds(i64),
    /// `"5m"`, `"300s"`, `"300"`, or a template that gives one of these.
    Text(String),
}

/// A session tag: a template that fixes its value, or a table that says what a request may put there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum TagConfig {
    /// A template. A request may repeat the same value, nothing else.
    Fixed(String),
    /// The request chooses.
    Chosen(ChosenTag),
}

/// What a request may put into a tag: exactly one of `open`, `one_of` and `matches`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChosenTag {
    /// `true`: any value that AWS takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open: Option<bool>,
    /// One of these values. Templates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub one_of: Option<Vec<String>>,
    /// Any value for which this CEL condition is true. It sees `value` and the claims.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matches: Option<String>,
    /// The value where the request gives none. A template; it is held to `one_of` and `matches` too.
    /// Without it the tag is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// `true`: a request that gives no value is refused. Not together with `default`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
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

impl<'de> Deserialize<'de> for MatchConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = MatchConfig;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a text, a number, true, false, a list of these, or a table with `present`, `absent` or `exact`",
                )
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Self::Value, E> {
                Ok(MatchConfig::Values(vec![MatchValue::Boolean(value)]))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
                Ok(MatchConfig::Values(vec![MatchValue::Integer(value)]))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
                let value =
                    i64::try_from(value).map_err(|_| E::custom("the number is too large; write it in quotes"))?;
                self.visit_i64(value)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(MatchConfig::Values(vec![MatchValue::Text(text.to_owned())]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(MatchConfig::Values)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                MatchTest::deserialize(MapAccessDeserializer::new(map)).map(MatchConfig::Test)
            }
        }

        deserializer.deserialize_any(Any)
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
        let base = "name = \"a\"\nfrom = \"session\"\nsubject = \"s\"\n";
        assert!(toml::from_str::<RuleConfig>(base).is_ok());
        let cases = [
            ("lifetim = 3", "unknown field `lifetim`"),
            ("lifetime = 3.5", "a lifetime such as \"5m\""),
            ("mode = \"off\"", "unknown variant `off`"),
            ("match = \"x\"", "expected a map"),
            ("match = { a = 1.5 }", "a text, a number, true, false, a list of these, or a table"),
            ("match = { a = { glob = \"x\" } }", "unknown field `glob`"),
            ("match = { a = [[1]] }", "did not match any variant"),
            ("[tags]\na = 3", "a tag's value as text, or a table"),
            ("[tags]\na = { opn = true }", "unknown field `opn`"),
            ("[tags]\na = { one_of = \"x\" }", "sequence"),
        ];
        for (line, expected) in cases {
            let message = error(&format!("{base}{line}"));
            assert!(message.contains(expected), "{line}: {message}");
        }
        assert!(error("name = \"a\"").contains("missing field `from`"));
        assert!(error("name = \"a\"\nfrom = \"session\"").contains("missing field `subject`"));
    }

    #[test]
    fn a_rule_is_the_same_after_it_was_written_out() {
        let text = "name = \"a\"\nfrom = \"github\"\nmode = \"shadow\"\nsubject = \"s\"\n\
                    match = { a = \"x\", b = [\"x\", 2, true], c = { present = true }, d = 7, e = { exact = \"*\" } }\n\
                    lifetime = 60\n[tags]\nt = \"v\"\nu = { open = true }\n";
        let rule: RuleConfig = toml::from_str(text).unwrap();
        let json = serde_json::to_string(&rule).unwrap();
        assert_eq!(serde_json::from_str::<RuleConfig>(&json).unwrap(), rule);
        assert_eq!(rule.audiences, ["sts.amazonaws.com"]);
    }

    #[test]
    fn the_schema_describes_every_field() {
        let schema = schemars::schema_for!(RuleConfig);
        let properties = schema.as_value()["properties"].as_object().unwrap().clone();
        assert_eq!(properties.len(), 17);
        for (name, property) in properties {
            let described = property.get("description").is_some() || property.get("$ref").is_some();
            assert!(described, "{name}");
        }
    }
}
