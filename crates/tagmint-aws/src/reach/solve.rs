//! From a tag's shape and a prefix to values of claims: which values does the tag have to have, so that what is below it and what
//! is below the prefix have keys in common?

use std::collections::BTreeMap;

use serde_json::Value;
use tagmint_core::{
    rules::{Piece, RuleOutline},
    trusted_issuer::{IssuerKind, kind::ClaimType},
};

/// The most steps for one shape. Only shapes of many claims side by side take more.
const MOST_STEPS: usize = 20_000;
/// The most solutions of one shape.
const MOST_SOLUTIONS: usize = 64;
/// The most digits of an id.
const MOST_DIGITS: usize = 20;

/// What solving needs to know.
#[derive(Debug, Clone, Copy)]
pub(super) struct Solver<'a> {
    pub(super) outline: &'a RuleOutline,
    pub(super) kind: Option<IssuerKind>,
    pub(super) prefix: &'a str,
}

/// A part of a tag's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// Text of the rule.
    Text(String),
    /// A claim's value.
    Claim(String, Bound),
    /// What an expression or a request gives.
    Unknown(Bound),
}

/// What is known of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Bound {
    /// It has to be this.
    Is(String),
    /// It has to begin so.
    Begins(String),
    /// It can be anything.
    Free,
}

/// A value of a tag that leads to the prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Solution {
    pub(super) parts: Vec<Part>,
    /// Whether everything below the prefix is below the value.
    pub(super) whole: bool,
}

impl Solution {
    /// Whether a part of it is not a claim's.
    pub(super) fn has_unknown(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Unknown(_)))
    }

    /// What is known of a claim.
    pub(super) fn bound(&self, claim: &str) -> Option<&Bound> {
        self.parts.iter().find_map(|part| match part {
            Part::Claim(name, bound) if name == claim => Some(bound),
            _ => None,
        })
    }

    /// Whether the claim can have only one value.
    pub(super) fn is_determined(&self, claim: &str) -> bool {
        matches!(self.bound(claim), Some(Bound::Is(_)))
    }

    /// The claims that have to have a certain value, or to begin with one.
    pub(super) fn claims(&self) -> impl Iterator<Item = (String, String)> {
        self.parts.iter().filter_map(|part| match part {
            Part::Claim(name, Bound::Is(value)) => Some((name.clone(), value.clone())),
            Part::Claim(name, Bound::Begins(start)) => Some((name.clone(), format!("{start}…"))),
            _ => None,
        })
    }

    /// The value as people read it. `known` gives the value that a rule's `match` fixes.
    pub(super) fn shown(&self, known: impl Fn(&str) -> Option<String>) -> String {
        let shown = self.parts.iter().map(|part| match part {
            Part::Text(text) | Part::Claim(_, Bound::Is(text)) | Part::Unknown(Bound::Is(text)) => text.clone(),
            Part::Claim(name, Bound::Begins(start)) => known(name).unwrap_or_else(|| format!("{start}…")),
            Part::Claim(name, Bound::Free) => known(name).unwrap_or_else(|| format!("${{{name}}}")),
            Part::Unknown(Bound::Begins(start)) => format!("{start}…"),
            Part::Unknown(Bound::Free) => "…".to_owned(),
        });
        shown.collect()
    }
}

impl Solver<'_> {
    /// Values of a shape. Those that are above the whole prefix come first.
    pub(super) fn solve(&self, pieces: &[Piece]) -> Vec<Solution> {
        let mut search =
            Search { solver: self, pieces, steps: 0, parts: Vec::new(), known: BTreeMap::new(), found: Vec::new() };
        search.step(self.prefix);
        let gave_up = search.steps > MOST_STEPS || search.found.len() >= MOST_SOLUTIONS;
        let mut found = search.found;
        found.sort_by_key(|solution| !solution.whole);
        if gave_up && !pieces.contains(&Piece::Expression) {
            // Not everything was tried: what is left may lead there.
            let value = self.prefix.trim_end_matches('/').to_owned();
            found.push(Solution { parts: vec![Part::Unknown(Bound::Is(value))], whole: true });
        }
        found
    }

    /// Values of a tag that the request chooses.
    pub(super) fn solve_unknown(&self) -> Vec<Solution> {
        self.solve(&[Piece::Expression])
    }

    /// Whether a claim's value can be `text`, or begin so.
    fn allows(&self, claim: &str, text: &str, complete: bool) -> bool {
        let fits = |value: &Value| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            if complete { value == text } else { value.starts_with(text) }
        };
        if let Some(values) = self.outline.exact.get(claim) {
            return values.iter().any(fits);
        }
        let digits = || text.len() <= MOST_DIGITS && text.bytes().all(|b| b.is_ascii_digit());
        match self.kind.and_then(|kind| kind.claim(claim)).map(|claim| claim.value) {
            Some(ClaimType::Id) => digits() && !(complete && text.is_empty()),
            Some(ClaimType::Integer) => {
                digits() && !(complete && text.is_empty()) && (text == "0" || !text.starts_with('0'))
            }
            Some(ClaimType::Boolean) => [true, false].iter().any(|flag| fits(&Value::Bool(*flag))),
            Some(ClaimType::Json) => false,
            Some(ClaimType::String) | None => true,
        }
    }
}

struct Search<'a> {
    solver: &'a Solver<'a>,
    pieces: &'a [Piece],
    steps: usize,
    parts: Vec<Part>,
    known: BTreeMap<String, String>,
    found: Vec<Solution>,
}

impl Search<'_> {
    /// Goes on with the next piece. `rest` is what is left of the prefix.
    fn step(&mut self, rest: &str) {
        self.steps += 1;
        if self.steps > MOST_STEPS || self.found.len() >= MOST_SOLUTIONS {
            return;
        }
        let pieces = self.pieces;
        match pieces.get(self.parts.len()) {
            // The value is above the prefix, or equals it. Without the slash it would be beside it.
            None if rest.starts_with('/') => self.found(true),
            None if rest.is_empty() => self.found(false),
            None => {}
            Some(_) if rest.is_empty() => self.free_rest(),
            Some(Piece::Text(text)) => self.text(text.clone(), text, rest),
            Some(Piece::Claim(name)) => match self.known.get(name).cloned() {
                Some(value) => {
                    let part = Part::Claim(name.clone(), Bound::Is(value.clone()));
                    self.fixed(part, &value, rest);
                }
                None => self.open(rest, Some(name)),
            },
            Some(Piece::Expression) => self.open(rest, None),
        }
    }

    fn text(&mut self, part: String, text: &str, rest: &str) {
        self.fixed(Part::Text(part), text, rest);
    }

    fn fixed(&mut self, part: Part, text: &str, rest: &str) {
        let rest = match rest.strip_prefix(text) {
            Some(rest) => rest,
            None if text.starts_with(rest) => "",
            None => return,
        };
        self.parts.push(part);
        self.step(rest);
        self.parts.pop();
    }

    /// A part whose value is searched.
    fn open(&mut self, rest: &str, claim: Option<&String>) {
        let part = |bound: Bound| match claim {
            Some(name) => Part::Claim(name.clone(), bound),
            None => Part::Unknown(bound),
        };
        let ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
        for end in ends {
            let value = &rest[..end];
            if let Some(name) = claim {
                if !self.solver.allows(name, value, true) {
                    continue;
                }
                self.known.insert(name.clone(), value.to_owned());
            }
            self.parts.push(part(Bound::Is(value.to_owned())));
            self.step(&rest[end..]);
            self.parts.pop();
        }
        if let Some(name) = claim {
            self.known.remove(name);
            if !self.solver.allows(name, rest, false) {
                return;
            }
        }
        self.parts.push(part(Bound::Begins(rest.to_owned())));
        self.free_rest();
        self.parts.pop();
    }

    /// The prefix ends within the value: what follows can be anything.
    fn free_rest(&mut self) {
        let before = self.parts.len();
        for piece in &self.pieces[before..] {
            self.parts.push(match piece {
                Piece::Text(text) => Part::Text(text.clone()),
                Piece::Claim(name) => {
                    let bound = self.known.get(name).cloned().map_or(Bound::Free, Bound::Is);
                    Part::Claim(name.clone(), bound)
                }
                Piece::Expression => Part::Unknown(Bound::Free),
            });
        }
        self.found(false);
        self.parts.truncate(before);
    }

    fn found(&mut self, whole: bool) {
        let solution = Solution { parts: self.parts.clone(), whole };
        if !self.found.contains(&solution) {
            self.found.push(solution);
        }
    }
}
