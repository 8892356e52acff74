//! One CEL expression: parsed and checked when the rules are loaded, evaluated per request.

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
};

use cel::{
    Context, IdedExpr, Value,
    common::{
        ast::{EntryExpr, Expr},
        types::{CelBool, CelInt, CelString, CelUInt},
        value::CowVal,
    },
    parser::Parser,
};

use super::{
    check::{self, Regexes},
    limits::{MAX_BRACKETS, MAX_EXPRESSION_STEPS, MAX_MACROS, MAX_REGEX_SIZE, MAX_SOURCE, MAX_TOKENS, MAX_TREE_DEPTH},
    scan::scan,
    vocabulary::{UnknownClaim, Vocabulary},
};

/// What is wrong with an expression. Every message says what is allowed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ExpressionError {
    #[error("the expression is empty; write a CEL expression such as `pull_request > 100`")]
    Empty,
    #[error("{0} bytes; an expression may have {MAX_SOURCE}")]
    TooLong(usize),
    #[error("brackets nest too deep; {MAX_BRACKETS} levels are allowed")]
    Brackets,
    #[error("too many operators and words; {MAX_TOKENS} are allowed (about 200 operators)")]
    Tokens,
    #[error("a string is not closed on its line; end it with the quote it began with")]
    UnclosedString,
    #[error("not a CEL expression: {0}")]
    Syntax(String),
    #[error("the parser gave up on this expression; write it more simply")]
    ParserPanicked,
    #[error(
        "operators chain or nest too deep; {MAX_TREE_DEPTH} levels are allowed (use `in [\"a\", \"b\"]` \
         instead of a chain, and a template's text instead of `+`)"
    )]
    TreeDepth,
    #[error("{0} macros; {MAX_MACROS} are allowed in one expression")]
    Macros(usize),
    #[error("a macro inside another macro; `all`, `exists`, `exists_one`, `map` and `filter` may not nest")]
    NestedMacro,
    #[error(transparent)]
    UnknownClaim(UnknownClaim),
    #[error(
        "`identity` is no claim here; write a claim by its name alone (`team`), and the identity's subject as `sub`"
    )]
    Identity,
    #[error("`claims` is used as a whole; name a claim: `claims.name`, or `claims[\"na/me\"]`")]
    BareClaims,
    #[error("a macro's variable is called `{0}`, which already means something; use another name")]
    Shadowed(String),
    #[error("`{0}` is not a function with {1} here; there are {functions}", functions = check::function_list())]
    UnknownFunction(String, String),
    #[error("`{0}` is not part of the rule language")]
    Unsupported(&'static str),
    #[error(
        "`matches` wants its regular expression as a text in quotes, so that it is checked now and no identity can supply it"
    )]
    RegexNotLiteral,
    #[error("the regular expression `{pattern}` is not valid: {message}")]
    InvalidRegex { pattern: String, message: String },
    #[error(
        "the regular expression `{0}` is too large compiled; {MAX_REGEX_SIZE} bytes are allowed (use smaller counts in `{{…}}`)"
    )]
    RegexTooLarge(String),
    #[error(
        "it could take {0} steps for the largest identity; {MAX_EXPRESSION_STEPS} are allowed (inside a \
         macro, compare with fewer or shorter values; join fewer texts with `+`)"
    )]
    TooExpensive(u64),
}

/// A checked expression.
#[derive(Debug)]
pub(super) struct Expression {
    tree: IdedExpr,
    steps: u64,
}

impl Expression {
    /// Parses and checks `source`. `with_value` says whether it may use `value`, the requested value of
    /// a tag. Regular expressions go into `regexes`.
    ///
    /// To be called on a thread with [`super::limits::COMPILE_STACK`].
    pub(super) fn compile(
        source: &str,
        with_value: bool,
        vocabulary: &Vocabulary<'_>,
        regexes: &mut Regexes,
    ) -> Result<Self, ExpressionError> {
        if source.trim().is_empty() {
            return Err(ExpressionError::Empty);
        }
        if source.len() > MAX_SOURCE {
            return Err(ExpressionError::TooLong(source.len()));
        }
        scan(source, false)?;
        let parsed = catch_unwind(AssertUnwindSafe(|| Parser::new().parse(source)));
        let tree = parsed.map_err(|_| ExpressionError::ParserPanicked)?.map_err(|errors| {
            let first = errors.errors.first();
            let text = first.map_or_else(String::new, |e| format!("line {}, column {}: {}", e.pos.0, e.pos.1, e.msg));
            ExpressionError::Syntax(shortened(&text, 200))
        })?;
        let steps = check::check(&tree, with_value, vocabulary, regexes)?;
        Ok(Self { tree, steps })
    }

    /// Its parsed form, macros expanded.
    pub(super) fn tree(&self) -> &IdedExpr {
        &self.tree
    }

    /// The most steps that evaluating it can take.
    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    /// The value of a condition.
    pub(super) fn holds(&self, context: &Context<'_, '_>) -> Result<bool, String> {
        self.evaluate(context, |value| {
            value
                .downcast_ref::<CelBool>()
                .map(|result| *result.inner())
                .ok_or_else(|| format!("the condition gives a {}, not true or false", type_of(value)))
        })
    }

    /// Appends the value of a template's part to `text`.
    pub(super) fn render(&self, context: &Context<'_, '_>, text: &mut String) -> Result<(), String> {
        self.evaluate(context, |value| {
            if let Some(part) = value.downcast_ref::<CelString<'_>>() {
                text.push_str(part.inner());
            } else if let Some(part) = value.downcast_ref::<CelInt>() {
                text.push_str(&part.inner().to_string());
            } else if let Some(part) = value.downcast_ref::<CelUInt>() {
                text.push_str(&part.inner().to_string());
            } else if let Some(part) = value.downcast_ref::<CelBool>() {
                text.push_str(if *part.inner() { "true" } else { "false" });
            } else {
                return Err(format!(
                    "a template part gives a {}; only text, whole numbers, true and false can stand in a template",
                    type_of(value)
                ));
            }
            Ok(())
        })
    }

    /// Evaluates and reads the result. A panic in the interpreter is an error like any other.
    fn evaluate<T>(
        &self,
        context: &Context<'_, '_>,
        read: impl FnOnce(&CowVal<'_, '_>) -> Result<T, String>,
    ) -> Result<T, String> {
        let run = || {
            let value = Value::resolve_val(&self.tree, context);
            value.map_err(|error| shortened(&error.to_string(), 300)).and_then(|value| read(&value))
        };
        catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err("the evaluation panicked".to_owned()))
    }
}

/// The names that an expression uses, a macro's variables among them.
pub(super) fn names(expression: &Expression) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    collect_names(&expression.tree, &mut names);
    names
}

fn collect_names(node: &IdedExpr, names: &mut BTreeSet<String>) {
    match &node.expr {
        Expr::Ident(name) => {
            names.insert(name.clone());
        }
        Expr::Literal(_) | Expr::Struct(_) | Expr::Unspecified => {}
        Expr::Select(select) => collect_names(&select.operand, names),
        Expr::Call(call) => {
            for node in call.target.as_deref().into_iter().chain(&call.args) {
                collect_names(node, names);
            }
        }
        Expr::Comprehension(it) => {
            for node in [&it.iter_range, &it.accu_init, &it.loop_cond, &it.loop_step, &it.result] {
                collect_names(node, names);
            }
        }
        Expr::List(list) => {
            for node in &list.elements {
                collect_names(node, names);
            }
        }
        Expr::Map(map) => {
            for entry in &map.entries {
                if let EntryExpr::MapEntry(entry) = &entry.expr {
                    collect_names(&entry.key, names);
                    collect_names(&entry.value, names);
                }
            }
        }
    }
}

fn type_of(value: &CowVal<'_, '_>) -> String {
    value.get_type().name().to_owned()
}

/// At most `characters` of `text`.
pub(super) fn shortened(text: &str, characters: usize) -> String {
    let mut start: String = text.chars().take(characters).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    start
}
