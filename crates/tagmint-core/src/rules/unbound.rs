//! Conditions of tags that leave the beginning of the value open: the client chooses it as if the tag were open.
//!
//! The meaning of a condition cannot be read from its text (`true`, `1 == 1`, `value == value`, `value.matches("")`,
//! `!has(claims.x)` are all the same), so it is tried: on pairs of values that have no beginning in common. A condition that
//! takes both of a pair takes values that its author did not name.

use cel::{
    Context, IdedExpr,
    common::ast::{EntryExpr, Expr, LiteralValue},
};

use super::{
    RuleSet,
    context::{self, Names},
    expression::Expression,
    rule::{Choice, TagSource},
};
use crate::{
    identity::VerifiedIdentity,
    tags::{MAX_VALUE_LEN, TagKey, TagValue},
};

/// A tag whose condition takes values that it does not name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnboundTag {
    /// The tag's key.
    pub key: String,
    /// A value that it takes.
    pub example: String,
}

/// Two halves of the alphabet. No value of the first shares a character with one of the second, but for the signs and for what the condition
/// itself has in quotes.
const HALVES: [&str; 2] = ["qxkzjw", "vygmbp"];
/// Signs that AWS takes in a tag's value.
const SIGNS: [char; 10] = ['-', '/', '.', '_', ':', '=', '+', '@', ' ', '9'];
/// Every length up to this one is tried.
const LENGTHS: usize = 40;

impl RuleSet {
    /// The tags of a rule, by its place, whose `matches` leaves open how the value begins when `identity` asks.
    pub fn unbound_tags(&self, rule: usize, identity: &VerifiedIdentity) -> Vec<UnboundTag> {
        let names = Names::new(&self.root, identity);
        let scope = names.scope();
        let tags = self.rules.get(rule).map(|rule| rule.tags.as_slice()).unwrap_or_default();
        let unbound = tags.iter().filter_map(|tag| {
            let TagSource::Chosen { among: Choice::Matches(condition), .. } = &tag.value else { return None };
            let example = taken(condition, scope, &tag.key)?;
            Some(UnboundTag { key: tag.key.as_str().to_owned(), example })
        });
        unbound.collect()
    }
}

/// Whether the condition leaves open how the value begins, whoever asks.
pub(super) fn is_unbound(condition: &Expression, root: &Context<'static, 'static>, key: &TagKey) -> bool {
    let nobody = VerifiedIdentity::anonymous();
    taken(condition, Names::new(root, &nobody).scope(), key).is_some()
}

/// A value of a pair that the condition takes both of.
fn taken<'r>(condition: &Expression, scope: &Context<'r, 'r>, key: &TagKey) -> Option<String> {
    let takes = |value: &str| {
        TagValue::parse(key, value).is_ok() && condition.holds(&context::scope_with_value(scope, value)) == Ok(true)
    };
    let mut literals = Vec::new();
    collect(condition.tree(), &mut literals);
    // A regular expression that begins anywhere takes a text around its plain part.
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_/".contains(c);
    let parts: Vec<&str> =
        literals.iter().flat_map(|text| text.split(|c| !plain(c))).filter(|part| !part.is_empty()).collect();
    literals.extend(parts);
    let pair = pairs(&literals).find(|pair| pair.iter().all(|value| takes(value)))?;
    let [example, _] = pair;
    Some(example)
}

/// Pairs of values: of letters in every length, with each sign in the middle and at the end, in capitals, and with each text that the condition
/// has in quotes in the middle and at the end.
fn pairs(literals: &[&str]) -> impl Iterator<Item = [String; 2]> {
    let word = |half: &str, length: usize| -> String { half.chars().cycle().take(length).collect() };
    let both = move |make: &dyn Fn(&str) -> String| HALVES.map(make);
    let lengths = [8].into_iter().chain(1..=LENGTHS).chain([50, 63, 64, 100, 127, 128, 200, 255, MAX_VALUE_LEN]);
    let mut all: Vec<[String; 2]> = lengths.map(|length| both(&|half| word(half, length))).collect();
    all.push(both(&|half| word(half, 12).to_uppercase()));
    all.push(both(&|half| format!("{}7{}", word(half, 4).to_uppercase(), word(half, 5))));
    for sign in SIGNS {
        for length in [2, 5] {
            all.push(both(&|half| format!("{}{sign}{}", word(half, length), word(half, length))));
        }
        all.push(both(&|half| format!("{}{sign}{}{sign}{}", word(half, 3), word(half, 4), word(half, 2))));
        all.push(both(&|half| format!("{}{sign}", word(half, 5))));
    }
    for literal in literals {
        all.push(both(&|half| format!("{}{literal}", word(half, 5))));
        all.push(both(&|half| format!("{}/{literal}/{}", word(half, 5), word(half, 3))));
        all.push(both(&|half| format!("{}{literal}{}", word(half, 5), word(half, 3))));
    }
    all.into_iter()
}

/// The texts in quotes.
fn collect<'a>(node: &'a IdedExpr, literals: &mut Vec<&'a str>) {
    match &node.expr {
        Expr::Literal(LiteralValue::String(text)) => literals.push(text.inner()),
        Expr::Literal(_) | Expr::Ident(_) | Expr::Struct(_) | Expr::Unspecified => {}
        Expr::Select(select) => collect(&select.operand, literals),
        Expr::Call(call) => {
            call.target.as_deref().into_iter().chain(&call.args).for_each(|node| collect(node, literals));
        }
        Expr::Comprehension(it) => {
            for node in [&it.iter_range, &it.accu_init, &it.loop_cond, &it.loop_step, &it.result] {
                collect(node, literals);
            }
        }
        Expr::List(list) => list.elements.iter().for_each(|node| collect(node, literals)),
        Expr::Map(map) => map.entries.iter().for_each(|entry| {
            if let EntryExpr::MapEntry(entry) = &entry.expr {
                collect(&entry.key, literals);
                collect(&entry.value, literals);
            }
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{RuleConfig, TrustedIssuers};

    fn unbound(condition: &str) -> Option<String> {
        #[derive(serde::Deserialize)]
        struct File {
            rule: Vec<RuleConfig>,
        }
        let text = format!(
            "[[rule]]\nname = \"open\"\nfrom = \"anonymous\"\nsubject = \"anonymous:reader\"\n\
             [rule.tags]\nshared = {{ matches = '{condition}', required = true }}\n"
        );
        let rules = RuleSet::compile(&toml::from_str::<File>(&text).unwrap().rule, &TrustedIssuers::default())
            .unwrap_or_else(|error| panic!("{condition}: {error:?}"));
        rules.unbound_tags(0, &VerifiedIdentity::anonymous()).pop().map(|tag| tag.example)
    }

    #[test]
    fn a_condition_that_does_not_bind_the_value_is_found_whatever_it_looks_like() {
        for condition in [
            "true",
            "1 == 1",
            "!false",
            "true || value == \"a\"",
            "value == \"a\" || !(value == \"a\")",
            "value == value",
            "value != \"\"",
            "value != \"prod\"",
            "!(value in [\"a\", \"b\"])",
            "!value.startsWith(\"prod\")",
            "size(value) >= 0",
            "value.size() < 5",
            "value.size() == 10",
            "value.startsWith(\"\")",
            "value.contains(\"\")",
            "value.contains(\"/\")",
            "value.contains(\"docs\")",
            "value.endsWith(\"-test\")",
            "value.matches(\"\")",
            "value.matches(\".*\")",
            "value.matches(\"^.+$\")",
            "value.matches(\"[a-z]\")",
            "value.matches(\"^[a-z]{1,8}$\")",
            "value.matches(\"^[A-Z]+$\")",
            "value.matches(\"^[a-z]+-[a-z]+$\")",
            "value.matches(\"^[^/]+/$\")",
            "value.lowerAscii() == value",
            "sub == sub",
            "sub == \"anonymous\"",
            "[1, 2].exists(n, n == 1)",
            "true ? true : false",
            "value in [value]",
        ] {
            assert!(unbound(condition).is_some(), "{condition}");
        }
    }

    #[test]
    fn a_condition_that_says_how_the_value_begins_is_fine() {
        for condition in [
            "value == \"docs\"",
            "value in [\"docs\", \"fixtures\"]",
            "value.startsWith(\"pr-\")",
            "value.startsWith(\"dev/\") && value.size() < 30",
            "value.matches(\"^pr-[0-9]{1,9}$\")",
            "value.matches(\"^(docs|fixtures)/[a-z0-9-]+$\")",
            "value.matches(\"^[0-9]{1,9}$\")",
            "value == sub",
            "value.startsWith(sub + \"/\")",
            "[\"docs\", \"fixtures\"].exists(it, value == it)",
            "false",
        ] {
            assert_eq!(unbound(condition), None, "{condition}");
        }
    }
}
