//! Which parts of an identity an expression names, and which of them flow into its result.

use cel::{
    IdedExpr,
    common::ast::{EntryExpr, Expr, LiteralValue, operators},
};

/// A part of what an expression sees.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Path {
    /// `identity.subject`
    Subject,
    /// `identity.source`
    Source,
    /// `identity.provider`
    Provider,
    /// `value`, in a tag's `matches`.
    Value,
    /// `identity.attributes.NAME`
    Attribute(String),
    /// `identity.attributes` as a whole, or by a key that is not a literal.
    Attributes,
}

impl Path {
    /// As it is written in a rule.
    pub(super) fn written(&self) -> String {
        match self {
            Self::Subject => "identity.subject".to_owned(),
            Self::Source => "identity.source".to_owned(),
            Self::Provider => "identity.provider".to_owned(),
            Self::Value => "value".to_owned(),
            Self::Attribute(name) => format!("identity.attributes.{name}"),
            Self::Attributes => "identity.attributes".to_owned(),
        }
    }

    /// Whether it is the attribute `name`.
    pub(super) fn is(&self, name: &str) -> bool {
        matches!(self, Self::Attribute(own) if own == name)
    }
}

/// A macro's variable, with what it stands for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Variable<'a> {
    pub(super) name: &'a str,
    pub(super) literal: &'a LiteralValue,
}

/// The literal that `node` is, or that its macro's variable stands for.
pub(super) fn literal<'a>(node: &'a IdedExpr, variable: Option<Variable<'a>>) -> Option<&'a LiteralValue> {
    match &node.expr {
        Expr::Literal(literal) => Some(literal),
        Expr::Ident(name) => variable.filter(|variable| variable.name == name).map(|variable| variable.literal),
        _ => None,
    }
}

/// A literal as text: numbers and truth values as they are written.
pub(super) fn literal_text(literal: &LiteralValue) -> String {
    match literal {
        LiteralValue::String(text) => text.inner().to_owned(),
        LiteralValue::Boolean(bool) => bool.inner().to_string(),
        LiteralValue::Int(int) => int.inner().to_string(),
        LiteralValue::UInt(uint) => uint.inner().to_string(),
        LiteralValue::Double(double) => double.inner().to_string(),
        LiteralValue::Null => "null".to_owned(),
        LiteralValue::Bytes(_) => String::new(),
    }
}

/// The part that `node` is, seen through what keeps distinct texts distinct enough: letter case, white space
/// at the ends, its form as a number or text, `segment`.
pub(super) fn path<'a>(node: &'a IdedExpr, variable: Option<Variable<'a>>) -> Option<Path> {
    match &node.expr {
        Expr::Ident(name) if name == "value" => Some(Path::Value),
        Expr::Select(select) if !select.test => match &select.operand.expr {
            Expr::Ident(name) if name == "identity" => match select.field.as_str() {
                "subject" => Some(Path::Subject),
                "source" => Some(Path::Source),
                "provider" => Some(Path::Provider),
                _ => None,
            },
            _ if is_attributes(&select.operand) => Some(Path::Attribute(select.field.clone())),
            _ => None,
        },
        Expr::Call(call) => match (call.func_name.as_str(), call.target.as_deref(), call.args.as_slice()) {
            (operators::INDEX, None, [object, key]) if is_attributes(object) => {
                literal(key, variable).map(|key| Path::Attribute(literal_text(key)))
            }
            ("lowerAscii" | "upperAscii" | "trim", Some(target), []) => path(target, variable),
            ("string" | "int" | "uint" | "segment", None, [argument]) => path(argument, variable),
            _ => None,
        },
        _ => None,
    }
}

/// Whether `node` is `identity.attributes`.
pub(super) fn is_attributes(node: &IdedExpr) -> bool {
    matches!(&node.expr, Expr::Select(select) if !select.test && select.field == "attributes"
        && matches!(&select.operand.expr, Expr::Ident(name) if name == "identity"))
}

/// Every part that `node` names anywhere.
pub(super) fn mentioned(node: &IdedExpr) -> Vec<Path> {
    let mut all = Vec::new();
    walk(node, &mut |path| all.push(path));
    all.sort();
    all.dedup();
    all
}

fn walk(node: &IdedExpr, found: &mut impl FnMut(Path)) {
    if let Some(path) = path(node, None) {
        return found(path);
    }
    if is_attributes(node) {
        return found(Path::Attributes);
    }
    match &node.expr {
        Expr::Select(select) if select.test && is_attributes(&select.operand) => {
            found(Path::Attribute(select.field.clone()));
        }
        Expr::Select(select) => walk(&select.operand, found),
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).for_each(|node| walk(node, found)),
        Expr::List(list) => list.elements.iter().for_each(|node| walk(node, found)),
        Expr::Map(map) => {
            for entry in &map.entries {
                if let EntryExpr::MapEntry(entry) = &entry.expr {
                    walk(&entry.key, found);
                    walk(&entry.value, found);
                }
            }
        }
        Expr::Comprehension(it) => {
            walk(&it.iter_range, found);
            walk(&it.loop_cond, found);
            walk(&it.loop_step, found);
        }
        Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) | Expr::Unspecified => {}
    }
}

/// A piece of a text that is put together by `+` or in a template.
pub(super) enum Piece<'a> {
    Text(String),
    Node(&'a IdedExpr),
}

/// Appends the pieces of what `node` gives.
pub(super) fn pieces<'a>(node: &'a IdedExpr, all: &mut Vec<Piece<'a>>) {
    match &node.expr {
        Expr::Call(call) if call.func_name == operators::ADD => call.args.iter().for_each(|part| pieces(part, all)),
        Expr::Literal(literal) => push_text(&literal_text(literal), all),
        _ => all.push(Piece::Node(node)),
    }
}

/// Appends a fixed text, so that no two of them are next to each other.
pub(super) fn push_text(text: &str, all: &mut Vec<Piece<'_>>) {
    match all.last_mut() {
        Some(Piece::Text(last)) => last.push_str(text),
        _ if text.is_empty() => {}
        _ => all.push(Piece::Text(text.to_owned())),
    }
}

/// The fixed text on one side of a piece, and whether another piece's text follows it, or the whole ends there.
#[derive(Debug, Clone, Default)]
struct Side {
    text: String,
    open: bool,
}

/// What stands around a piece.
#[derive(Debug, Clone, Default)]
struct Around {
    before: Side,
    after: Side,
}

impl Around {
    /// What stands around the piece `at`, where this stands around all of them.
    fn of(&self, pieces: &[Piece<'_>], at: usize) -> Self {
        let side = |next: Option<&Piece<'_>>, last: bool, outer: &Side, before: bool| match next {
            None => outer.clone(),
            Some(Piece::Node(_)) => Side { text: String::new(), open: true },
            Some(Piece::Text(text)) if last => {
                let text = if before { format!("{}{text}", outer.text) } else { format!("{text}{}", outer.text) };
                Side { text, open: outer.open }
            }
            Some(Piece::Text(text)) => Side { text: text.clone(), open: true },
        };
        Self {
            before: side(at.checked_sub(1).map(|at| &pieces[at]), at == 1, &self.before, true),
            after: side(pieces.get(at + 1), at + 2 == pieces.len(), &self.after, false),
        }
    }

    /// Whether a text made of `alphabet` can be taken for a part of its surroundings, or they for a part of it.
    fn touches(&self, alphabet: fn(char) -> bool) -> bool {
        let before = self.before.open && self.before.text.chars().all(alphabet);
        before || self.after.text.chars().next().map_or(self.after.open, alphabet)
    }
}

/// The characters in what a function that tames its argument gives, in any letter case.
fn alphabet(function: &str) -> fn(char) -> bool {
    match function {
        "slug" => |c| c.is_ascii_alphanumeric() || c == '-',
        "size" | "pull_request_number" => |c| c.is_ascii_digit(),
        "segment" => in_segment,
        _ => |c| c.is_ascii_alphanumeric() || "+-.".contains(c),
    }
}

fn in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.".contains(c)
}

fn in_segment(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._=@+:-".contains(c)
}

/// A part whose text flows into a result.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Flow {
    pub(super) path: Path,
    /// Through `slug`, `segment` or a number: it has no separator in it.
    pub(super) tame: bool,
    /// Nothing that it cannot have in it keeps it apart from what stands around it; of what is not tame this is
    /// said as if it were a plain name.
    pub(super) glued: bool,
}

/// The parts whose texts flow into what `node` gives.
pub(super) fn flows(node: &IdedExpr) -> Vec<Flow> {
    let mut all = Vec::new();
    pieces(node, &mut all);
    flows_of(&all)
}

/// The parts whose texts flow into what `pieces` give together.
pub(super) fn flows_of(pieces: &[Piece<'_>]) -> Vec<Flow> {
    let mut all = Vec::new();
    flow_together(pieces, &Flowing::default(), &mut all);
    all.sort();
    all.dedup();
    all
}

/// Through what and into what a text flows.
#[derive(Debug, Clone, Default)]
struct Flowing {
    tame: bool,
    glued: bool,
    around: Around,
}

impl Flowing {
    /// What arrives of `path`.
    fn end(&self, path: Path) -> Flow {
        let glued = self.around.touches(if self.tame { in_segment } else { in_name });
        Flow { path, tame: self.tame, glued: self.glued || glued }
    }
}

fn flow_together(pieces: &[Piece<'_>], into: &Flowing, all: &mut Vec<Flow>) {
    for (at, piece) in pieces.iter().enumerate() {
        if let Piece::Node(node) = piece {
            flow(node, &Flowing { around: into.around.of(pieces, at), ..into.clone() }, all);
        }
    }
}

fn flow(node: &IdedExpr, into: &Flowing, all: &mut Vec<Flow>) {
    if let Expr::Call(call) = &node.expr {
        let tamed;
        let into = match call.func_name.as_str() {
            name @ ("slug" | "segment" | "int" | "uint" | "double" | "bool" | "size" | "pull_request_number") => {
                let glued = into.glued || into.around.touches(alphabet(name));
                tamed = Flowing { tame: true, glued, around: Around::default() };
                &tamed
            }
            operators::ADD => {
                let mut parts = Vec::new();
                pieces(node, &mut parts);
                return flow_together(&parts, into, all);
            }
            operators::CONDITIONAL => {
                return call.args.iter().skip(1).for_each(|branch| flow(branch, into, all));
            }
            // What a comparison gives is true or false.
            operators::EQUALS
            | operators::NOT_EQUALS
            | operators::LESS
            | operators::LESS_EQUALS
            | operators::GREATER
            | operators::GREATER_EQUALS
            | operators::IN
            | operators::LOGICAL_AND
            | operators::LOGICAL_OR
            | operators::LOGICAL_NOT
            | "startsWith"
            | "endsWith"
            | "contains"
            | "matches" => return,
            _ => into,
        };
        if let Some(path) = path(node, None) {
            return all.push(into.end(path));
        }
        // What an index picks comes out of the list or object, not out of the key.
        let operands =
            if call.func_name == operators::INDEX { &call.args[..call.args.len().min(1)] } else { &call.args };
        return call.target.as_deref().into_iter().chain(operands).for_each(|node| flow(node, into, all));
    }
    if let Some(path) = path(node, None) {
        return all.push(into.end(path));
    }
    if is_attributes(node) {
        return all.push(into.end(Path::Attributes));
    }
    match &node.expr {
        Expr::Select(select) if !select.test => flow(&select.operand, into, all),
        Expr::List(list) => list.elements.iter().for_each(|node| flow(node, into, all)),
        Expr::Map(map) => {
            for entry in &map.entries {
                if let EntryExpr::MapEntry(entry) = &entry.expr {
                    flow(&entry.value, into, all);
                }
            }
        }
        Expr::Comprehension(it) => {
            flow(&it.iter_range, into, all);
            flow(&it.loop_step, into, all);
        }
        _ => {}
    }
}
