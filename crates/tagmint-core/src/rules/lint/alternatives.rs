//! A condition as alternatives: every way in which it can be true, each as the tests that then hold.
//!
//! Nothing is ever added: an alternative lists some of what must hold, never more. Where an expression says
//! something that is not understood here, the alternative says nothing of it, and so counts as open.

use cel::{
    IdedExpr,
    common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators},
};

use super::{
    paths::{self, Path, Variable, literal, literal_text, path},
    pattern::Pattern,
};

/// Most alternatives of one condition that are looked at.
const MAX_ALTERNATIVES: usize = 256;

/// What holds of one part of an identity.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test<'a> {
    /// It equals one of these.
    OneOf(Vec<String>),
    /// It equals none of these.
    NoneOf(Vec<String>),
    /// It is there.
    Present,
    /// It is not there.
    Absent,
    Starts(String),
    Ends(String),
    Contains(String),
    Matches(Pattern),
    MatchesNot(Pattern),
    /// It equals what this gives.
    Same(&'a IdedExpr),
    /// It begins with what this gives.
    Below(&'a IdedExpr),
    /// Some other condition on it alone.
    Other,
}

impl Test<'_> {
    /// Whether a text can pass.
    pub(super) fn admits(&self, text: &str) -> bool {
        match self {
            Self::OneOf(texts) => texts.iter().any(|it| it == text),
            Self::NoneOf(texts) => texts.iter().all(|it| it != text),
            Self::Starts(start) => text.starts_with(start),
            Self::Ends(end) => text.ends_with(end),
            Self::Contains(part) => text.contains(part),
            Self::Matches(pattern) => pattern.matches(text),
            Self::MatchesNot(pattern) => !pattern.matches(text),
            Self::Absent => false,
            Self::Present | Self::Same(_) | Self::Below(_) | Self::Other => true,
        }
    }

    /// Whether a text that begins with `start` can pass.
    pub(super) fn admits_some_below(&self, start: &str) -> bool {
        let agree = |other: &str| other.starts_with(start) || start.starts_with(other);
        match self {
            Self::OneOf(texts) => texts.iter().any(|text| text.starts_with(start)),
            Self::Starts(other) => agree(other),
            Self::Matches(pattern) => agree(&pattern.start()),
            Self::Absent => false,
            _ => true,
        }
    }

    /// Whether it asks for something particular, be it only a part of a name.
    pub(super) fn narrows(&self) -> bool {
        match self {
            Self::OneOf(_) | Self::Same(_) | Self::Below(_) | Self::Other => true,
            Self::Starts(text) | Self::Ends(text) | Self::Contains(text) => !text.is_empty(),
            Self::Matches(pattern) => pattern.has_text(),
            Self::NoneOf(_) | Self::Present | Self::Absent | Self::MatchesNot(_) => false,
        }
    }

    /// Whether only texts pass that stand in the rule.
    pub(super) fn is_exact(&self) -> bool {
        match self {
            Self::OneOf(_) => true,
            Self::Matches(pattern) => pattern.is_a_list(),
            _ => false,
        }
    }
}

/// One way in which a condition can be true: tests that all hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Alternative<'a>(Vec<(Path, Test<'a>)>);

impl<'a> Alternative<'a> {
    fn of(path: Path, test: Test<'a>) -> Self {
        Self(vec![(path, test)])
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&Path, &Test<'a>)> {
        self.0.iter().map(|(path, test)| (path, test))
    }

    /// The tests of one part.
    pub(super) fn tests<'s>(&'s self, path: &'s Path) -> impl Iterator<Item = &'s Test<'a>> {
        self.0.iter().filter(move |(own, _)| own == path).map(|(_, test)| test)
    }

    /// The tests of one attribute.
    pub(super) fn attribute<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Test<'a>> {
        self.0.iter().filter(move |(own, _)| own.is(name)).map(|(_, test)| test)
    }

    /// Both together, unless they contradict each other.
    fn and(&self, other: &Self) -> Option<Self> {
        let mut both = self.clone();
        for (path, test) in &other.0 {
            if both.tests(path).any(|own| contradict(own, test)) {
                return None;
            }
            if !both.0.iter().any(|(own, own_test)| own == path && own_test == test) {
                both.0.push((path.clone(), test.clone()));
            }
        }
        Some(both)
    }
}

/// Careful: parts are seen through `lowerAscii` and `trim`, so texts that differ in these may be the same.
fn contradict(one: &Test<'_>, other: &Test<'_>) -> bool {
    let alike = |one: &str, other: &str| one.trim().eq_ignore_ascii_case(other.trim());
    match (one, other) {
        (Test::OneOf(ours), Test::OneOf(theirs)) => !ours.iter().any(|our| theirs.iter().any(|it| alike(our, it))),
        (Test::Absent, test) | (test, Test::Absent) => !matches!(test, Test::Absent | Test::Other),
        _ => false,
    }
}

type Alternatives<'a> = Option<Vec<Alternative<'a>>>;

/// The alternatives of `node` being `wanted`; none at all where it never is. None where there are too many.
pub(super) fn alternatives(node: &IdedExpr, wanted: bool) -> Alternatives<'_> {
    of(node, wanted, None)
}

fn of<'a>(node: &'a IdedExpr, wanted: bool, variable: Option<Variable<'a>>) -> Alternatives<'a> {
    if let Some(LiteralValue::Boolean(bool)) = literal(node, variable) {
        return Some(if *bool.inner() == wanted { vec![Alternative::default()] } else { Vec::new() });
    }
    if let Some(path) = path(node, variable) {
        return one(path, Test::OneOf(vec![wanted.to_string()]));
    }
    match &node.expr {
        Expr::Call(call) => of_call(node, call, wanted, variable),
        Expr::Select(select) if select.test && paths::is_attributes(&select.operand) => {
            one(Path::Attribute(select.field.clone()), presence(wanted))
        }
        Expr::Comprehension(comprehension) => of_macro(node, comprehension, wanted, variable),
        _ => opaque(node, wanted),
    }
}

#[allow(clippy::unnecessary_wraps)] // what its users return
fn one(path: Path, test: Test<'_>) -> Alternatives<'_> {
    Some(vec![Alternative::of(path, test)])
}

fn presence<'a>(there: bool) -> Test<'a> {
    if there { Test::Present } else { Test::Absent }
}

fn either<'a>(one: Alternatives<'a>, other: Alternatives<'a>) -> Alternatives<'a> {
    let mut all = one?;
    all.extend(other?);
    (all.len() <= MAX_ALTERNATIVES).then_some(all)
}

fn both<'a>(one: Alternatives<'a>, other: Alternatives<'a>) -> Alternatives<'a> {
    let (one, other) = (one?, other?);
    let mut all = Vec::new();
    for (left, right) in one.iter().flat_map(|left| other.iter().map(move |right| (left, right))) {
        all.extend(left.and(right));
        if all.len() > MAX_ALTERNATIVES {
            return None;
        }
    }
    Some(all)
}

fn of_call<'a>(
    node: &'a IdedExpr,
    call: &'a CallExpr,
    wanted: bool,
    variable: Option<Variable<'a>>,
) -> Alternatives<'a> {
    let part = |node: &'a IdedExpr, wanted| of(node, wanted, variable);
    match (call.func_name.as_str(), call.target.as_deref(), call.args.as_slice()) {
        (operators::LOGICAL_NOT, None, [operand]) => part(operand, !wanted),
        (operators::LOGICAL_AND, None, [left, right]) if wanted => both(part(left, true), part(right, true)),
        (operators::LOGICAL_AND, None, [left, right]) => either(part(left, false), part(right, false)),
        (operators::LOGICAL_OR, None, [left, right]) if wanted => either(part(left, true), part(right, true)),
        (operators::LOGICAL_OR, None, [left, right]) => both(part(left, false), part(right, false)),
        (operators::CONDITIONAL, None, [condition, yes, no]) => {
            either(both(part(condition, true), part(yes, wanted)), both(part(condition, false), part(no, wanted)))
        }
        ("bool", None, [operand]) => part(operand, wanted),
        (operators::EQUALS, None, [left, right]) => equal(node, left, right, wanted, variable),
        (operators::NOT_EQUALS, None, [left, right]) => equal(node, left, right, !wanted, variable),
        (operators::IN, None, [element, list]) => contained(node, element, list, wanted, variable),
        ("matches", Some(text), [pattern]) | ("matches", None, [text, pattern]) => {
            let pattern = literal(pattern, variable).and_then(|pattern| Pattern::parse(&literal_text(pattern)));
            match (path(text, variable), pattern) {
                (Some(path), Some(pattern)) if wanted => one(path, Test::Matches(pattern)),
                (Some(path), Some(pattern)) => one(path, Test::MatchesNot(pattern)),
                _ => opaque(node, wanted),
            }
        }
        (name @ ("startsWith" | "endsWith" | "contains"), Some(text), [other]) => {
            let Some(path) = path(text, variable).filter(|_| wanted) else { return opaque(node, wanted) };
            match (name, literal(other, variable).map(literal_text)) {
                ("startsWith", Some(start)) => one(path, Test::Starts(start)),
                ("endsWith", Some(end)) => one(path, Test::Ends(end)),
                (_, Some(part)) => one(path, Test::Contains(part)),
                ("startsWith", None) => related(path, other, Test::Below(other)),
                (_, None) => opaque(node, wanted),
            }
        }
        _ => opaque(node, wanted),
    }
}

/// A test against another expression, unless that looks at the same part.
fn related<'a>(path: Path, other: &'a IdedExpr, test: Test<'a>) -> Alternatives<'a> {
    // Two attributes that are compared with each other may both be a stranger's.
    let says = path == Path::Value && !paths::mentioned(other).contains(&Path::Value);
    one(path, if says { test } else { Test::Present })
}

fn equal<'a>(
    node: &'a IdedExpr,
    left: &'a IdedExpr,
    right: &'a IdedExpr,
    same: bool,
    variable: Option<Variable<'a>>,
) -> Alternatives<'a> {
    if let (Some(left), Some(right)) = (literal(left, variable), literal(right, variable)) {
        let holds = (literal_text(left) == literal_text(right)) == same;
        return Some(if holds { vec![Alternative::default()] } else { Vec::new() });
    }
    for (this, other) in [(left, right), (right, left)] {
        // `(has(x) ? x : "") == "y"`
        if let Some([condition, yes, no]) = conditional(this) {
            return either(
                both(of(condition, true, variable), equal(node, yes, other, same, variable)),
                both(of(condition, false, variable), equal(node, no, other, same, variable)),
            );
        }
    }
    for (this, other) in [(left, right), (right, left)] {
        match (path(this, variable), literal(other, variable)) {
            (Some(path), Some(literal)) => {
                let texts = vec![literal_text(literal)];
                return one(path, if same { Test::OneOf(texts) } else { Test::NoneOf(texts) });
            }
            // `(a && b) == false`
            (None, Some(LiteralValue::Boolean(bool))) => return of(this, *bool.inner() == same, variable),
            _ => {}
        }
    }
    for (this, other) in [(left, right), (right, left)] {
        if let Some(path) = path(this, variable).filter(|path| *path == Path::Value && same) {
            return related(path, other, Test::Same(other));
        }
    }
    opaque(node, same)
}

fn conditional(node: &IdedExpr) -> Option<&[IdedExpr; 3]> {
    match &node.expr {
        Expr::Call(call) if call.func_name == operators::CONDITIONAL => call.args.as_slice().try_into().ok(),
        _ => None,
    }
}

fn contained<'a>(
    node: &'a IdedExpr,
    element: &'a IdedExpr,
    list: &'a IdedExpr,
    wanted: bool,
    variable: Option<Variable<'a>>,
) -> Alternatives<'a> {
    if paths::is_attributes(list) {
        return match literal(element, variable) {
            Some(name) => one(Path::Attribute(literal_text(name)), presence(wanted)),
            None => opaque(node, wanted),
        };
    }
    let elements: Vec<&IdedExpr> = match &list.expr {
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => {
            let keys = map.entries.iter().filter_map(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => Some(&entry.key),
                EntryExpr::StructField(_) => None,
            });
            keys.collect()
        }
        _ => return opaque(node, wanted),
    };
    let texts: Option<Vec<String>> = elements.iter().map(|node| literal(node, variable).map(literal_text)).collect();
    match (path(element, variable), texts) {
        (Some(path), Some(texts)) => one(path, if wanted { Test::OneOf(texts) } else { Test::NoneOf(texts) }),
        _ if wanted => elements
            .into_iter()
            .try_fold(Vec::new(), |all, other| either(Some(all), equal(node, element, other, true, variable))),
        _ => opaque(node, wanted),
    }
}

/// `exists` and `all` over a list of literals are the condition for each of them.
fn of_macro<'a>(
    node: &'a IdedExpr,
    comprehension: &'a ComprehensionExpr,
    wanted: bool,
    variable: Option<Variable<'a>>,
) -> Alternatives<'a> {
    let (Expr::List(list), Expr::Call(step), None, Expr::Ident(_)) =
        (&comprehension.iter_range.expr, &comprehension.loop_step.expr, variable, &comprehension.result.expr)
    else {
        return opaque(node, wanted);
    };
    let exists = match step.func_name.as_str() {
        operators::LOGICAL_OR => true,
        operators::LOGICAL_AND => false,
        _ => return opaque(node, wanted),
    };
    let elements: Option<Vec<&LiteralValue>> = list.elements.iter().map(|element| literal(element, None)).collect();
    let (Some(elements), [_, body]) = (elements, step.args.as_slice()) else { return opaque(node, wanted) };
    let name = comprehension.iter_var.as_str();
    let mut each = elements.into_iter().map(|literal| of(body, wanted, Some(Variable { name, literal })));
    if exists == wanted {
        each.try_fold(Vec::new(), |all, way| either(Some(all), way))
    } else {
        each.try_fold(vec![Alternative::default()], |all, way| both(Some(all), way))
    }
}

/// A condition that is not understood: it says something where it is about one part alone.
fn opaque(node: &IdedExpr, wanted: bool) -> Alternatives<'_> {
    match paths::mentioned(node).as_slice() {
        [path] if wanted => one(path.clone(), Test::Other),
        _ => Some(vec![Alternative::default()]),
    }
}
