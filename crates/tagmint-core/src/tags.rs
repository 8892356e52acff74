//! Session tags: a set that cannot hold what AWS refuses.
//!
//! Limits: the service model of `AssumeRoleWithWebIdentity` and the IAM user guide, "Pass session tags in AWS STS". Odd input is refused
//! here, before anything is signed, because AWS answers all of it with the same words.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Serialize, Serializer};
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

use crate::sanitize::is_invisible;

/// Most session tags in one token.
pub const MAX_TAGS: usize = 50;
/// Longest tag key, in characters.
pub const MAX_KEY_LEN: usize = 128;
/// Longest tag value, in characters.
pub const MAX_VALUE_LEN: usize = 256;

/// Why a set of tags would be refused by AWS. Every message names the tag and the limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTag {
    /// An empty key.
    #[error("a session tag has an empty key; AWS wants 1 to {MAX_KEY_LEN} characters")]
    EmptyKey,
    /// A key over [`MAX_KEY_LEN`].
    #[error("the session tag key `{key}` has {len} characters; AWS takes at most {MAX_KEY_LEN}")]
    KeyTooLong {
        /// The key's beginning.
        key: String,
        /// Its length in characters.
        len: usize,
    },
    /// A key with a character outside AWS's set.
    #[error("the session tag key `{key}` holds {}; AWS takes letters, digits, space and `_.:/=+-@`", named(*character))]
    KeyCharacter {
        /// The key.
        key: String,
        /// The first character that is not allowed.
        character: char,
    },
    /// A key with AWS's reserved prefix.
    #[error("the session tag key `{key}` begins with `aws:`, which AWS reserves for itself")]
    ReservedPrefix {
        /// The key.
        key: String,
    },
    /// A value over [`MAX_VALUE_LEN`].
    #[error("the value of the session tag `{key}` has {len} characters; AWS takes at most {MAX_VALUE_LEN}")]
    ValueTooLong {
        /// The tag's key.
        key: String,
        /// The value's length in characters.
        len: usize,
    },
    /// A value with a character outside AWS's set.
    #[error(
        "the value of the session tag `{key}` holds {}; AWS takes letters, digits, space and `_.:/=+-@`", named(*character)
    )]
    ValueCharacter {
        /// The tag's key.
        key: String,
        /// The first character that is not allowed.
        character: char,
    },
    /// More than [`MAX_TAGS`].
    #[error("{count} session tags; AWS takes at most {MAX_TAGS}")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// Two keys that AWS cannot tell apart.
    #[error("the session tag keys `{first}` and `{second}` differ in case alone; to AWS they are the same key")]
    SameKey {
        /// The key that was there.
        first: String,
        /// The key that came later.
        second: String,
    },
    /// A transitive key without a tag.
    #[error("the transitive tag key `{key}` names no session tag")]
    TransitiveWithoutTag {
        /// The key.
        key: String,
    },
}

/// Letters and digits of any script, the plain space and AWS's punctuation.
///
/// AWS's pattern `[\p{L}\p{Z}\p{N}_.:/=+\-@]` also lets exotic spaces and separators through (no-break space, line separator). They look
/// like a space or like nothing in a policy, so they stay out, and so do letters without a glyph (the Hangul fillers). Which version of Unicode AWS has is not documented: the newest letters, which
/// one of the two tables here does not know yet, stay out too.
fn is_allowed(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_alphanumeric() || " _.:/=+-@".contains(character);
    }
    let group = character.general_category_group();
    matches!(group, GeneralCategoryGroup::Letter | GeneralCategoryGroup::Number)
        && character.is_alphanumeric()
        && !is_invisible(character)
}

/// A character as a message shows it: by its code point where a reader would not see it.
fn named(character: char) -> String {
    if is_invisible(character) { format!("U+{:04X}", u32::from(character)) } else { format!("{character:?}") }
}

/// The start of a text that is too long to repeat in a message.
fn shortened(text: &str) -> String {
    let mut start: String = text.chars().take(40).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    start
}

/// A session tag's key: 1 to 128 characters that AWS accepts, without the prefix `aws:`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct TagKey(String);

impl TagKey {
    /// Checks a key.
    pub fn parse(key: &str) -> Result<Self, InvalidTag> {
        let len = key.chars().count();
        if len == 0 {
            return Err(InvalidTag::EmptyKey);
        }
        if len > MAX_KEY_LEN {
            return Err(InvalidTag::KeyTooLong { key: shortened(key), len });
        }
        if let Some(character) = key.chars().find(|c| !is_allowed(*c)) {
            return Err(InvalidTag::KeyCharacter { key: key.to_owned(), character });
        }
        if key.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:")) {
            return Err(InvalidTag::ReservedPrefix { key: key.to_owned() });
        }
        Ok(Self(key.to_owned()))
    }

    /// The key's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What AWS compares: keys are case-insensitive.
    fn folded(&self) -> String {
        self.0.to_lowercase()
    }
}

/// A session tag's value: at most 256 characters that AWS accepts. It may be empty.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct TagValue(String);

impl TagValue {
    /// Checks the value of the tag `key`.
    pub fn parse(key: &TagKey, value: &str) -> Result<Self, InvalidTag> {
        let len = value.chars().count();
        if len > MAX_VALUE_LEN {
            return Err(InvalidTag::ValueTooLong { key: key.0.clone(), len });
        }
        if let Some(character) = value.chars().find(|c| !is_allowed(*c)) {
            return Err(InvalidTag::ValueCharacter { key: key.0.clone(), character });
        }
        Ok(Self(value.to_owned()))
    }

    /// The value's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TagKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Debug for TagValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The session tags of one token, sorted by key, and which of them are transitive (kept when the session assumes another role).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionTags {
    tags: BTreeMap<TagKey, TagValue>,
    transitive: BTreeSet<TagKey>,
}

impl SessionTags {
    /// Checks a whole set: every key and value, their number, keys that differ in case alone, and that each transitive key has its tag.
    pub fn new<K, V, T>(
        tags: impl IntoIterator<Item = (K, V)>,
        transitive: impl IntoIterator<Item = T>,
    ) -> Result<Self, InvalidTag>
    where
        K: AsRef<str>,
        V: AsRef<str>,
        T: AsRef<str>,
    {
        let mut by_folded: BTreeMap<String, TagKey> = BTreeMap::new();
        let mut set = Self::default();
        let mut count = 0;
        for (key, value) in tags {
            count += 1;
            let key = TagKey::parse(key.as_ref())?;
            let value = TagValue::parse(&key, value.as_ref())?;
            if let Some(first) = by_folded.insert(key.folded(), key.clone()) {
                return Err(InvalidTag::SameKey { first: first.0, second: key.0 });
            }
            set.tags.insert(key, value);
        }
        if count > MAX_TAGS {
            return Err(InvalidTag::TooMany { count });
        }
        for key in transitive {
            let key = TagKey::parse(key.as_ref())?;
            if !set.tags.contains_key(&key) {
                return Err(InvalidTag::TransitiveWithoutTag { key: key.0 });
            }
            set.transitive.insert(key);
        }
        Ok(set)
    }

    /// The tags, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&TagKey, &TagValue)> {
        self.tags.iter()
    }

    /// The transitive keys, sorted.
    pub fn transitive(&self) -> impl Iterator<Item = &TagKey> {
        self.transitive.iter()
    }

    /// The value of one tag.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.tags.iter().find(|(k, _)| k.as_str() == key).map(|(_, value)| value.as_str())
    }

    /// Whether there is no tag at all.
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }
}

/// The claim's form: values are arrays of one element. STS refuses plain strings.
impl Serialize for SessionTags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;

        let principal_tags: BTreeMap<&TagKey, [&TagValue; 1]> = self.tags.iter().map(|(k, v)| (k, [v])).collect();
        let mut claim = serializer.serialize_struct("SessionTags", 2)?;
        claim.serialize_field("principal_tags", &principal_tags)?;
        if self.transitive.is_empty() {
            claim.skip_field("transitive_tag_keys")?;
        } else {
            claim.serialize_field("transitive_tag_keys", &self.transitive)?;
        }
        claim.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(key: &str, value: &str) -> Result<SessionTags, InvalidTag> {
        SessionTags::new([(key, value)], [""; 0])
    }

    fn numbered(count: usize) -> Vec<(String, String)> {
        (0..count).map(|i| (format!("k{i}"), "v".to_owned())).collect()
    }

    #[test]
    fn limits_hold_on_both_sides() {
        assert!(SessionTags::new(numbered(50), [""; 0]).is_ok());
        assert_eq!(SessionTags::new(numbered(51), [""; 0]), Err(InvalidTag::TooMany { count: 51 }));
        assert!(one(&"k".repeat(128), "v").is_ok());
        assert!(matches!(one(&"k".repeat(129), "v"), Err(InvalidTag::KeyTooLong { len: 129, .. })));
        assert!(one("k", &"v".repeat(256)).is_ok());
        assert_eq!(one("k", &"v".repeat(257)), Err(InvalidTag::ValueTooLong { key: "k".into(), len: 257 }));
        assert!(one("k", &"é".repeat(256)).is_ok(), "the limit counts characters, not bytes");
        assert!(one("k", "").is_ok());
        assert_eq!(one("", "v"), Err(InvalidTag::EmptyKey));
    }

    #[test]
    fn odd_characters_are_refused() {
        for bad in [
            "a*",
            "a\n",
            "a\0",
            "a\u{200b}",
            "a\u{202e}",
            "a\u{a0}",
            "a\u{2028}",
            "a\u{ad}",
            "a\u{115f}",
            "a\u{1160}",
            "a\u{3164}",
            "a\u{ffa0}",
            "\u{3164}",
            "😀",
            "e\u{301}",
            "a,b",
            "a;b",
            "a\\b",
            "${x}",
            "a?",
            "\u{24b6}",
        ] {
            assert!(matches!(one("k", bad), Err(InvalidTag::ValueCharacter { .. })), "{bad:?}");
            assert!(matches!(one(bad, "v"), Err(InvalidTag::KeyCharacter { .. })), "{bad:?}");
        }
        for good in ["azAZ09 _.:/=+-@", "Zoë", "日本語", "٣"] {
            assert!(one("k", good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn reserved_and_ambiguous_keys_are_refused() {
        for key in ["aws:x", "AWS:x", "Aws:"] {
            assert!(matches!(one(key, "v"), Err(InvalidTag::ReservedPrefix { .. })), "{key}");
        }
        assert!(one("aws", "v").is_ok());
        let doubled = SessionTags::new([("Team", "a"), ("team", "b")], [""; 0]);
        assert_eq!(doubled, Err(InvalidTag::SameKey { first: "Team".into(), second: "team".into() }));
        assert!(matches!(SessionTags::new([("k", "a"), ("k", "b")], [""; 0]), Err(InvalidTag::SameKey { .. })));
    }

    #[test]
    fn transitive_keys_need_their_tag() {
        assert!(SessionTags::new([("a", "1")], ["a"]).is_ok());
        assert_eq!(SessionTags::new([("a", "1")], ["A"]), Err(InvalidTag::TransitiveWithoutTag { key: "A".into() }));
    }

    #[test]
    fn the_claim_has_the_form_that_sts_reads() {
        let tags = SessionTags::new([("b", "2"), ("a", "1")], ["b"]).unwrap();
        let json = serde_json::to_string(&tags).unwrap();
        assert_eq!(json, r#"{"principal_tags":{"a":["1"],"b":["2"]},"transitive_tag_keys":["b"]}"#);
        let plain = serde_json::to_string(&one("a", "1").unwrap()).unwrap();
        assert_eq!(plain, r#"{"principal_tags":{"a":["1"]}}"#);
    }
}
