//! Checks a parsed expression: only known names and functions, no deep trees, no nested macros, and a
//! bound on what evaluating it can cost.
//!
//! The bound is computed from the tree: every node has a size (how many values and bytes its result may
//! hold) and a number of steps. Sizes start from the limits that every identity is held to. A macro's
//! variable has the average size of its list's elements: steps grow at most linearly with sizes and
//! macros don't nest, so the sum over all elements is bounded by their number times the average.

use std::collections::HashMap;

use cel::{
    IdedExpr,
    common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, SelectExpr, operators},
};
use regex::{Regex, RegexBuilder};

use super::{
    expression::{ExpressionError, shortened},
    functions, limits,
    vocabulary::{CLAIMS, SUBJECT, Vocabulary},
};
use crate::trusted_issuer::kind::ClaimType;

/// The compiled regular expressions of a rule set, by their text.
pub(super) type Regexes = HashMap<String, Regex>;

/// The functions of the rule language: name, called on a target, least and most arguments (the target
/// not counted).
const FUNCTIONS: &[(&str, bool, usize, usize)] = &[
    ("size", true, 0, 0),
    ("size", false, 1, 1),
    ("contains", true, 1, 1),
    ("startsWith", true, 1, 1),
    ("endsWith", true, 1, 1),
    ("matches", true, 1, 1),
    ("matches", false, 2, 2),
    ("lowerAscii", true, 0, 0),
    ("upperAscii", true, 0, 0),
    ("trim", true, 0, 0),
    ("substring", true, 1, 2),
    ("split", true, 1, 2),
    ("string", false, 1, 1),
    ("int", false, 1, 1),
    ("uint", false, 1, 1),
    ("double", false, 1, 1),
    ("bool", false, 1, 1),
    ("slug", false, 1, 1),
    ("segment", false, 1, 1),
    ("pull_request_number", false, 1, 1),
];

/// The functions and macros by name, for messages.
pub(super) fn function_list() -> String {
    let mut names: Vec<&str> = FUNCTIONS.iter().map(|(name, ..)| *name).collect();
    names.dedup();
    names.extend(["has", "all", "exists", "exists_one", "map", "filter"]);
    format!("`{}`", names.join("`, `"))
}

/// Checks `tree` and returns the most steps that evaluating it can take.
pub(super) fn check(
    tree: &IdedExpr,
    with_value: bool,
    vocabulary: &Vocabulary<'_>,
    regexes: &mut Regexes,
) -> Result<u64, ExpressionError> {
    let mut checker = Checker { with_value, vocabulary, variable: None, macros: 0, regexes };
    let bound = checker.visit(tree, 1)?;
    if checker.macros > limits::MAX_MACROS {
        return Err(ExpressionError::Macros(checker.macros));
    }
    if bound.steps > limits::MAX_EXPRESSION_STEPS {
        return Err(ExpressionError::TooExpensive(bound.steps));
    }
    Ok(bound.steps)
}

/// How much a value may hold, everything inside it counted.
#[derive(Debug, Clone, Copy)]
struct Size {
    values: u64,
    bytes: u64,
}

impl Size {
    const NOTHING: Self = Self { values: 0, bytes: 0 };
    /// A number, a boolean, null.
    const SCALAR: Self = Self { values: 1, bytes: 8 };

    const fn text(bytes: u64) -> Self {
        Self { values: 1, bytes }
    }

    /// Steps to look at all of it once.
    fn steps(self) -> u64 {
        self.values.saturating_add(self.bytes.div_ceil(64))
    }

    fn plus(self, other: Self) -> Self {
        Self { values: self.values.saturating_add(other.values), bytes: self.bytes.saturating_add(other.bytes) }
    }

    fn times(self, count: u64) -> Self {
        Self { values: self.values.saturating_mul(count), bytes: self.bytes.saturating_mul(count) }
    }
}

/// What a node's evaluation takes and gives at most.
#[derive(Debug, Clone, Copy)]
struct Bound {
    size: Size,
    steps: u64,
}

struct Checker<'a> {
    with_value: bool,
    vocabulary: &'a Vocabulary<'a>,
    /// The variable of the macro that we are in.
    variable: Option<(&'a str, Size)>,
    macros: usize,
    regexes: &'a mut Regexes,
}

/// What a macro's expansion calls its result.
const ACCUMULATOR: &str = "@result";

impl<'a> Checker<'a> {
    fn visit(&mut self, node: &'a IdedExpr, depth: usize) -> Result<Bound, ExpressionError> {
        if depth > limits::MAX_TREE_DEPTH {
            return Err(ExpressionError::TreeDepth);
        }
        match &node.expr {
            Expr::Literal(literal) => {
                let size = match literal {
                    LiteralValue::String(text) => Size::text(text.inner().len() as u64),
                    LiteralValue::Bytes(_) => return Err(ExpressionError::Unsupported("b\"…\"")),
                    _ => Size::SCALAR,
                };
                Ok(Bound { size, steps: 1 })
            }
            Expr::Ident(name) => Ok(Bound { size: self.name(name)?, steps: 1 }),
            Expr::Select(select) => self.select(select, depth),
            Expr::Call(call) => self.call(call, depth),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension, depth),
            Expr::List(list) => self.elements(list.elements.iter(), depth),
            Expr::Map(map) => {
                let entries = map.entries.iter().filter_map(|entry| match &entry.expr {
                    EntryExpr::MapEntry(entry) => Some([&entry.key, &entry.value]),
                    EntryExpr::StructField(_) => None,
                });
                self.elements(entries.flatten(), depth)
            }
            Expr::Struct(_) => Err(ExpressionError::Unsupported("Name{…}")),
            Expr::Unspecified => Err(ExpressionError::ParserPanicked),
        }
    }

    fn name(&self, name: &str) -> Result<Size, ExpressionError> {
        match (name, self.variable) {
            (ACCUMULATOR, _) => Ok(Size::NOTHING),
            (_, Some((variable, size))) if variable == name => Ok(size),
            ("value", _) if self.with_value => Ok(Size::text(4 * crate::tags::MAX_VALUE_LEN as u64)),
            (SUBJECT, _) => Ok(Size::text(limits::MAX_IDENTITY_SUBJECT as u64)),
            (CLAIMS, _) => Err(ExpressionError::BareClaims),
            ("identity", _) => Err(ExpressionError::Identity),
            _ => self.claim(name),
        }
    }

    /// The size of a claim.
    fn claim(&self, name: &str) -> Result<Size, ExpressionError> {
        let claim = self.vocabulary.look_up(name).map_err(ExpressionError::UnknownClaim)?;
        Ok(match claim.map(|claim| claim.value) {
            Some(ClaimType::Id) => Size::text(20),
            Some(ClaimType::Integer | ClaimType::Boolean) => Size::SCALAR,
            Some(ClaimType::String) => Size::text(limits::MAX_ATTRIBUTE_BYTES as u64),
            Some(ClaimType::Json) | None => {
                Size { values: limits::MAX_ATTRIBUTE_VALUES as u64, bytes: limits::MAX_ATTRIBUTE_BYTES as u64 }
            }
        })
    }

    fn select(&mut self, select: &'a SelectExpr, depth: usize) -> Result<Bound, ExpressionError> {
        if is_claims(&select.operand) {
            let size = self.claim(&select.field)?;
            return Ok(Bound { size: if select.test { Size::SCALAR } else { size }, steps: 1 });
        }
        let operand = self.visit(&select.operand, depth + 1)?;
        let size = if select.test { Size::SCALAR } else { operand.size };
        Ok(Bound { size, steps: operand.steps.saturating_add(1) })
    }

    fn elements(
        &mut self,
        elements: impl Iterator<Item = &'a IdedExpr>,
        depth: usize,
    ) -> Result<Bound, ExpressionError> {
        let mut sum = Bound { size: Size::NOTHING, steps: 1 };
        for element in elements {
            let bound = self.visit(element, depth + 1)?;
            sum.size = sum.size.plus(bound.size);
            sum.steps = sum.steps.saturating_add(bound.steps).saturating_add(bound.size.steps());
        }
        Ok(sum)
    }

    fn call(&mut self, call: &'a CallExpr, depth: usize) -> Result<Bound, ExpressionError> {
        if let (operators::INDEX, [operand, key]) = (call.func_name.as_str(), call.args.as_slice())
            && is_claims(operand)
        {
            let Expr::Literal(LiteralValue::String(name)) = &key.expr else { return Err(ExpressionError::BareClaims) };
            return Ok(Bound { size: self.claim(name.inner())?, steps: 1 });
        }
        let mut operands = Vec::with_capacity(call.args.len() + 1);
        for node in call.target.as_deref().into_iter().chain(&call.args) {
            operands.push(self.visit(node, depth + 1)?);
        }
        let size_of = |at: usize| operands.get(at).map_or(Size::NOTHING, |operand| operand.size);
        let (first, second) = (size_of(0), size_of(1));
        let total = operands.iter().fold(Size::NOTHING, |sum, operand| sum.plus(operand.size));
        let (size, steps) = match call.func_name.as_str() {
            operators::CONDITIONAL => (size_of(1).plus(size_of(2)), 1),
            operators::ADD => (total, total.steps()),
            operators::INDEX => (first, second.steps()),
            operators::EQUALS
            | operators::NOT_EQUALS
            | operators::LESS
            | operators::LESS_EQUALS
            | operators::GREATER
            | operators::GREATER_EQUALS => (Size::SCALAR, first.steps().min(second.steps())),
            operators::IN => (Size::SCALAR, total.steps()),
            operators::LOGICAL_AND
            | operators::LOGICAL_OR
            | operators::LOGICAL_NOT
            | operators::NOT_STRICTLY_FALSE
            | operators::SUBSTRACT
            | operators::MULTIPLY
            | operators::DIVIDE
            | operators::MODULO
            | operators::NEGATE => (Size::SCALAR, 1),
            name => self.function(call, name, first, total)?,
        };
        let own = steps.saturating_add(1);
        let steps = operands.iter().fold(own, |sum, operand| sum.saturating_add(operand.steps));
        Ok(Bound { size, steps })
    }

    /// Size and own steps of a call of a named function.
    fn function(
        &mut self,
        call: &CallExpr,
        name: &str,
        first: Size,
        total: Size,
    ) -> Result<(Size, u64), ExpressionError> {
        let (member, count) = (call.target.is_some(), call.args.len());
        let fits = |(known, on_target, least, most): &(&str, bool, usize, usize)| {
            *known == name && *on_target == member && (*least..=*most).contains(&count)
        };
        if !FUNCTIONS.iter().any(fits) {
            let arguments = match (count, member) {
                (0, false) => "no argument".to_owned(),
                (0, true) => "a target".to_owned(),
                (_, false) => format!("{count} arguments"),
                (_, true) => format!("a target and {count} arguments"),
            };
            return Err(ExpressionError::UnknownFunction(shortened(name, 60), arguments));
        }
        Ok(match name {
            "matches" => {
                self.regex(call.args.last())?;
                let looked_at = first.bytes.min(limits::MAX_REGEX_INPUT as u64);
                (Size::SCALAR, Size::text(looked_at).steps().saturating_mul(16))
            }
            "lowerAscii" | "upperAscii" | "trim" | "substring" => (Size::text(first.bytes), total.steps()),
            "split" => {
                let parts = first.bytes.saturating_add(1);
                (Size { values: parts, bytes: first.bytes }, parts)
            }
            "slug" => (Size::text(functions::MAX_SLUG as u64), total.steps()),
            "segment" => (Size::text(functions::MAX_SEGMENT as u64), total.steps()),
            // The longest number in digits is a double of some 330.
            "string" => (Size::text(first.bytes.saturating_add(400)), total.steps()),
            _ => (Size::SCALAR, total.steps()),
        })
    }

    fn regex(&mut self, pattern: Option<&IdedExpr>) -> Result<(), ExpressionError> {
        let Some(Expr::Literal(LiteralValue::String(pattern))) = pattern.map(|node| &node.expr) else {
            return Err(ExpressionError::RegexNotLiteral);
        };
        let pattern = pattern.inner();
        if self.regexes.contains_key(pattern) {
            return Ok(());
        }
        let built = RegexBuilder::new(pattern)
            .size_limit(limits::MAX_REGEX_SIZE)
            .dfa_size_limit(limits::MAX_REGEX_SIZE)
            .build();
        let regex = built.map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => ExpressionError::RegexTooLarge(shortened(pattern, 60)),
            other => {
                let text = other.to_string();
                let message = text.lines().last().unwrap_or_default();
                let message = shortened(message.trim_start_matches("error: "), 200);
                ExpressionError::InvalidRegex { pattern: shortened(pattern, 60), message }
            }
        })?;
        self.regexes.insert(pattern.to_owned(), regex);
        Ok(())
    }

    fn comprehension(&mut self, comprehension: &'a ComprehensionExpr, depth: usize) -> Result<Bound, ExpressionError> {
        self.macros += 1;
        if self.variable.is_some() {
            return Err(ExpressionError::NestedMacro);
        }
        let name = comprehension.iter_var.as_str();
        if [SUBJECT, CLAIMS, "value"].contains(&name) || name.starts_with('.') {
            return Err(ExpressionError::Shadowed(shortened(name, 60)));
        }
        let range = self.visit(&comprehension.iter_range, depth + 1)?;
        let count = range.size.values.max(1);
        let average = Size { values: range.size.values.div_ceil(count), bytes: range.size.bytes.div_ceil(count) };
        self.variable = Some((name, average));
        let condition = self.visit(&comprehension.loop_cond, depth + 1)?;
        let step = self.visit(&comprehension.loop_step, depth + 1)?;
        self.variable = None;
        let collects = matches!(&comprehension.accu_init.expr, Expr::List(_));
        let size = if collects { step.size.times(count) } else { Size::SCALAR };
        let each = condition.steps.saturating_add(step.steps).saturating_add(average.steps()).saturating_add(4);
        Ok(Bound { size, steps: range.steps.saturating_add(each.saturating_mul(count)) })
    }
}

fn is_claims(node: &IdedExpr) -> bool {
    matches!(&node.expr, Expr::Ident(name) if name == CLAIMS)
}
