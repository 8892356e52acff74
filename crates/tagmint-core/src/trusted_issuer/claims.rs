//! Reads verified claims into attributes, checking that each is what its platform writes.

use serde_json::{Map, Value};

use super::{
    TokenError,
    kind::{Claim, ClaimType},
};

/// The most digits of an id: as many as a 64-bit number has.
const MAX_DIGITS: usize = 20;
/// A claim is absent that every token of the kind has.
const MISSING: &str = "is missing; every token of this kind of trusted issuer has it";

/// Reads claims and collects attributes. A claim that is absent or null gives no attribute: a rule that looks at it then fails.
pub struct Reader<'a> {
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

    /// A claim that is an object, if it is there: a reader of its members, which names them in errors as if they were claims.
    pub(super) fn object(&self, name: &str) -> Result<Option<Self>, TokenError> {
        let as_object = |value: &'a Value| value.as_object().ok_or_else(|| TokenError::claim(name, "is not an object"));
        Ok(self.value(name).map(as_object).transpose()?.map(Self::new))
    }

    /// An object that must be there.
    pub(super) fn required_object(&self, name: &str) -> Result<Self, TokenError> {
        self.object(name)?.ok_or_else(|| TokenError::claim(name, MISSING))
    }

    /// Adds the attribute of a claim of the kind's table.
    pub(super) fn add_claim(&mut self, claim: &Claim) -> Result<(), TokenError> {
        let name = claim.name;
        let value = self.read(name, claim.value)?;
        let empty = value.as_ref().is_none_or(|value| value.as_str() == Some(""));
        if claim.required && empty {
            return Err(TokenError::claim(name, MISSING));
        }
        if let Some(value) = value {
            self.add(name, value);
        }
        Ok(())
    }

    /// Adds a claim under another name: templates and conditions cannot write a name such as `example.com/project-id`.
    pub(super) fn add_renamed(&mut self, claim: &str, value: ClaimType, attribute: &str) -> Result<(), TokenError> {
        if let Some(value) = self.read(claim, value)? {
            self.add(attribute, value);
        }
        Ok(())
    }

    fn read(&self, name: &str, value: ClaimType) -> Result<Option<Value>, TokenError> {
        Ok(match value {
            ClaimType::String => self.text(name)?.map(Value::from),
            ClaimType::Id => self.id(name)?.map(Value::from),
            ClaimType::Integer => self.integer(name)?,
            ClaimType::Boolean => self.flag(name)?.map(Value::from),
            ClaimType::Json => self.value(name).cloned(),
        })
    }

    /// A claim that is an integer, if it is there.
    fn integer(&self, name: &str) -> Result<Option<Value>, TokenError> {
        let as_integer = |value: &'a Value| {
            let whole = value.is_i64() || value.is_u64();
            whole.then(|| value.clone()).ok_or_else(|| TokenError::claim(name, "is not an integer"))
        };
        self.value(name).map(as_integer).transpose()
    }

    /// A claim that is a boolean, or the string `true` or `false`.
    fn flag(&self, name: &str) -> Result<Option<bool>, TokenError> {
        let flag = match self.value(name) {
            None => return Ok(None),
            Some(Value::Bool(flag)) => Some(*flag),
            Some(value) => match value.as_str() {
                Some("true") => Some(true),
                Some("false") => Some(false),
                _ => None,
            },
        };
        flag.map(Some).ok_or_else(|| TokenError::claim(name, "is neither `true` nor `false`"))
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
