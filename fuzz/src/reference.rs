//! Definitions without cleverness: what the code under test has to agree with.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use tagmint_iam::pattern::Token;

/// Whether a text fits a pattern: every prefix of the one against every prefix of the other.
pub fn fits(pattern: &[Token], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    // `row[n]`: the pattern so far fits the first `n` characters.
    let mut row = vec![false; text.len() + 1];
    row[0] = true;
    for token in pattern {
        let mut next = vec![false; row.len()];
        for n in 0..row.len() {
            next[n] = match token {
                Token::Many => row[n] || (n > 0 && next[n - 1]),
                Token::One => n > 0 && row[n - 1],
                Token::Char(expected) => n > 0 && row[n - 1] && text[n - 1] == *expected,
            };
        }
        row = next;
    }
    row[text.len()]
}

/// Whether a JSON text has an object, at any depth, in which a member stands twice. None when it isn't JSON.
pub fn repeats_a_member(json: &[u8]) -> Option<bool> {
    serde_json::from_slice::<Repeats>(json).ok().map(|found| found.0)
}

struct Repeats(bool);

impl<'de> Deserialize<'de> for Repeats {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Look).map(Repeats)
    }
}

struct Look;

impl<'de> Visitor<'de> for Look {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_str<E>(self, _: &str) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<bool, A::Error> {
        let mut found = false;
        while let Some(Repeats(inside)) = access.next_element()? {
            found |= inside;
        }
        Ok(found)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<bool, A::Error> {
        let (mut found, mut names) = (false, Vec::new());
        while let Some((name, Repeats(inside))) = access.next_entry::<String, Repeats>()? {
            found |= inside;
            names.push(name);
        }
        names.sort();
        Ok(found || names.windows(2).any(|pair| pair[0] == pair[1]))
    }
}
