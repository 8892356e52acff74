//! Names of condition operators.

use std::fmt;

/// How a condition compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Operator {
    /// How the request's values are counted when there may be several.
    pub set: Option<Set>,
    /// What is compared.
    pub test: Test,
    /// Whether no value may fit instead of one having to (`StringNotEquals`, `NotIpAddress`).
    pub negated: bool,
    /// Whether a request without the key satisfies it.
    pub if_exists: bool,
}

/// The set operators for multivalued keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Set {
    /// Every value of the request has to satisfy the operator; none at all do, too.
    ForAllValues,
    /// At least one value has to.
    ForAnyValue,
}

/// What is compared, as what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Test {
    /// Texts, exactly.
    StringEquals,
    /// Texts, but for the case of letters.
    StringEqualsIgnoreCase,
    /// Texts with wildcards.
    StringLike,
    /// Numbers, equal.
    NumericEquals,
    /// Numbers, the request's smaller.
    NumericLessThan,
    /// Numbers, the request's not greater.
    NumericLessThanEquals,
    /// Numbers, the request's greater.
    NumericGreaterThan,
    /// Numbers, the request's not smaller.
    NumericGreaterThanEquals,
    /// Times, equal.
    DateEquals,
    /// Times, the request's earlier.
    DateLessThan,
    /// Times, the request's not later.
    DateLessThanEquals,
    /// Times, the request's later.
    DateGreaterThan,
    /// Times, the request's not earlier.
    DateGreaterThanEquals,
    /// `true` or `false`.
    Bool,
    /// Bytes in base64.
    BinaryEquals,
    /// Addresses in ranges.
    IpAddress,
    /// ARNs, part by part, with wildcards. AWS gives it and [`Test::ArnLike`] the same meaning.
    ArnEquals,
    /// ARNs, part by part, with wildcards.
    ArnLike,
    /// Whether the key is absent.
    Null,
}

/// Every name without prefix and suffix.
const NAMES: [(&str, Test, bool); 27] = [
    ("StringEquals", Test::StringEquals, false),
    ("StringNotEquals", Test::StringEquals, true),
    ("StringEqualsIgnoreCase", Test::StringEqualsIgnoreCase, false),
    ("StringNotEqualsIgnoreCase", Test::StringEqualsIgnoreCase, true),
    ("StringLike", Test::StringLike, false),
    ("StringNotLike", Test::StringLike, true),
    ("NumericEquals", Test::NumericEquals, false),
    ("NumericNotEquals", Test::NumericEquals, true),
    ("NumericLessThan", Test::NumericLessThan, false),
    ("NumericLessThanEquals", Test::NumericLessThanEquals, false),
    ("NumericGreaterThan", Test::NumericGreaterThan, false),
    ("NumericGreaterThanEquals", Test::NumericGreaterThanEquals, false),
    ("DateEquals", Test::DateEquals, false),
    ("DateNotEquals", Test::DateEquals, true),
    ("DateLessThan", Test::DateLessThan, false),
    ("DateLessThanEquals", Test::DateLessThanEquals, false),
    ("DateGreaterThan", Test::DateGreaterThan, false),
    ("DateGreaterThanEquals", Test::DateGreaterThanEquals, false),
    ("Bool", Test::Bool, false),
    ("BinaryEquals", Test::BinaryEquals, false),
    ("IpAddress", Test::IpAddress, false),
    ("NotIpAddress", Test::IpAddress, true),
    ("ArnEquals", Test::ArnEquals, false),
    ("ArnNotEquals", Test::ArnEquals, true),
    ("ArnLike", Test::ArnLike, false),
    ("ArnNotLike", Test::ArnLike, true),
    ("Null", Test::Null, false),
];

impl Operator {
    /// Reads an operator's name as a policy writes it. `Null` takes neither prefix nor suffix.
    pub fn parse(name: &str) -> Option<Self> {
        let (set, rest) = if let Some(rest) = name.strip_prefix("ForAllValues:") {
            (Some(Set::ForAllValues), rest)
        } else if let Some(rest) = name.strip_prefix("ForAnyValue:") {
            (Some(Set::ForAnyValue), rest)
        } else {
            (None, name)
        };
        let (base, if_exists) = rest.strip_suffix("IfExists").map_or((rest, false), |base| (base, true));
        let (_, test, negated) = *NAMES.iter().find(|(name, ..)| *name == base)?;
        let fits = test != Test::Null || (set.is_none() && !if_exists);
        fits.then_some(Self { set, test, negated, if_exists })
    }

    /// The name without prefix and suffix.
    pub fn base_name(self) -> &'static str {
        NAMES
            .iter()
            .find(|(_, test, negated)| *test == self.test && *negated == self.negated)
            .map_or("", |(name, ..)| name)
    }

    /// All operators that a policy may use.
    pub fn all() -> impl Iterator<Item = Self> {
        let sets = [None, Some(Set::ForAllValues), Some(Set::ForAnyValue)];
        NAMES.into_iter().flat_map(move |(_, test, negated)| {
            sets.into_iter()
                .flat_map(move |set| [false, true].map(|if_exists| Self { set, test, negated, if_exists }))
                .filter(|operator| operator.test != Test::Null || (operator.set.is_none() && !operator.if_exists))
        })
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(set) = self.set {
            write!(f, "{set}:")?;
        }
        f.write_str(self.base_name())?;
        f.write_str(if self.if_exists { "IfExists" } else { "" })
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ForAllValues => "ForAllValues",
            Self::ForAnyValue => "ForAnyValue",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        let all: Vec<Operator> = Operator::all().collect();
        assert_eq!(all.len(), 26 * 6 + 1);
        for operator in all {
            assert_eq!(Operator::parse(&operator.to_string()), Some(operator));
        }
    }

    #[test]
    fn other_names_are_none() {
        let bad = [
            "",
            "stringEquals",
            "StringEqual",
            "NullIfExists",
            "ForAnyValue:Null",
            "ForAnyValue:",
            "IfExists",
            "ForSome:Bool",
        ];
        for name in bad {
            assert_eq!(Operator::parse(name), None, "{name}");
        }
    }
}
