//! Reads verified claims into attributes, checking that each is what its platform writes.

use serde_json::{Map, Value};

use super::TokenError;

/// The most digits of an id: as many as a 64-bit number has.
const MAX_DIGITS: usize = 20;
/// A claim is absent that every token of the kind has.
const MISSING: &str = "is missing; tokens of this kind of provider have it";

/// Reads claims and collects attributes. A claim that is absent or null gives no attribute: a rule that looks at it then fails.
pub(super) struct Reader<'a> {
    claims: &'a Map<String, Value>,
    attributes: Map<String, Value>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(claims: &'a Map<String, Value>) -> Self {
        Self { claims, attributes: Map::new() }
    }

    fn value(&self, name: &str) -> Option<&'a Value> {
        self.claims.get(name).filter(|value| !value.is_null())
    }

    /// A claim that is a text, if it is there.
    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, TokenError> {
        let as_text = |value: &'a Value| value.as_str().ok_or_else(|| TokenError::claim(name, "is not a text"));
        self.value(name).map(as_text).transpose()
    }

    /// A claim that is a text with something in it.
    pub(super) fn required(&self, name: &str) -> Result<&'a str, TokenError> {
        let text = self.text(name)?.filter(|text| !text.is_empty());
        text.ok_or_else(|| TokenError::claim(name, MISSING))
    }

    /// An id: decimal digits, in a JSON string or as a JSON number, which some platforms and self-hosted instances write. Never in the
    /// form of a fraction or with an exponent: `1e3` and `1000.0` are not how an id is written.
    pub(super) fn id(&self, name: &str) -> Result<Option<String>, TokenError> {
        let text = match self.value(name) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_u64().map(|number| number.to_string()),
            Some(value) => value.as_str().map(str::to_owned),
        };
        let text = text.filter(|text| is_id(text));
        text.map(Some).ok_or_else(|| TokenError::claim(name, "is not a number in decimal digits"))
    }

    /// An id that must be there.
    pub(super) fn required_id(&self, name: &str) -> Result<String, TokenError> {
        self.id(name)?.ok_or_else(|| TokenError::claim(name, MISSING))
    }

    /// Claims that are texts, unchanged.
    pub(super) fn add_texts(&mut self, names: &[&str]) -> Result<(), TokenError> {
        for name in names {
            if let Some(text) = self.text(name)? {
                self.add(name, text);
            }
        }
        Ok(())
    }

    /// Claims that are decimal numbers, as text whichever way the platform writes them.
    pub(super) fn add_ids(&mut self, names: &[&str]) -> Result<(), TokenError> {
        for name in names {
            if let Some(id) = self.id(name)? {
                self.add(name, id);
            }
        }
        Ok(())
    }

    /// Claims that are `"true"` or `"false"`, as booleans.
    pub(super) fn add_flags(&mut self, names: &[&str]) -> Result<(), TokenError> {
        for name in names {
            let flag = match self.value(name) {
                None => continue,
                Some(Value::Bool(flag)) => Some(*flag),
                Some(value) => match value.as_str() {
                    Some("true") => Some(true),
                    Some("false") => Some(false),
                    _ => None,
                },
            };
            let flag = flag.ok_or_else(|| TokenError::claim(name, "is neither `true` nor `false`"))?;
            self.add(name, flag);
        }
        Ok(())
    }

    /// Claims as they are, whose names `wanted` picks and that no attribute stands for yet.
    pub(super) fn add_unchanged(&mut self, wanted: impl Fn(&str) -> bool) {
        for (name, value) in self.claims.iter().filter(|(name, value)| wanted(name) && !value.is_null()) {
            if !self.attributes.contains_key(name) {
                self.attributes.insert(name.clone(), value.clone());
            }
        }
    }

    pub(super) fn add(&mut self, name: &str, value: impl Into<Value>) {
        self.attributes.insert(name.to_owned(), value.into());
    }

    pub(super) fn finish(self) -> Map<String, Value> {
        self.attributes
    }
}

/// Whether a text is an id as platforms write them: decimal digits.
pub(super) fn is_id(text: &str) -> bool {
    (1..=MAX_DIGITS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// The number in `PREFIX` N `SUFFIX`, where `suffixes` are allowed.
pub(super) fn number_in_ref(text: &str, prefix: &str, suffixes: &[&str]) -> Option<i64> {
    let (digits, suffix) = text.strip_prefix(prefix)?.split_once('/')?;
    let number: i64 = digits.parse().ok()?;
    (number > 0 && number.to_string() == digits && suffixes.contains(&suffix)).then_some(number)
}
