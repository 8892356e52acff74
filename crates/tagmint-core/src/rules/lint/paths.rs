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

/// A part whose text flows into a result.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Flow {
    pub(super) path: Path,
    /// Through `slug`, `segment` or a number: it cannot shape what stands around it.
    pub(super) tame: bool,
}

/// The parts whose texts flow into what `node` gives.
pub(super) fn flows(node: &IdedExpr) -> Vec<Flow> {
    let mut all = Vec::new();
    flow(node, false, &mut all);
    all.sort();
    all.dedup();
    all
}

fn flow(node: &IdedExpr, tame: bool, all: &mut Vec<Flow>) {
    if let Expr::Call(call) = &node.expr {
        let tame = match call.func_name.as_str() {
            "slug" | "segment" | "int" | "uint" | "double" | "bool" | "size" | "pull_request_number" => true,
            operators::CONDITIONAL => {
                return call.args.iter().skip(1).for_each(|branch| flow(branch, tame, all));
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
            _ => tame,
        };
        if let Some(path) = path(node, None) {
            return all.push(Flow { path, tame });
        }
        // What an index picks comes out of the list or object, not out of the key.
        let operands =
            if call.func_name == operators::INDEX { &call.args[..call.args.len().min(1)] } else { &call.args };
        return call.target.as_deref().into_iter().chain(operands).for_each(|node| flow(node, tame, all));
    }
    if let Some(path) = path(node, None) {
        return all.push(Flow { path, tame });
    }
    if is_attributes(node) {
        return all.push(Flow { path: Path::Attributes, tame });
    }
    match &node.expr {
        Expr::Select(select) if !select.test => flow(&select.operand, tame, all),
        Expr::List(list) => list.elements.iter().for_each(|node| flow(node, tame, all)),
        Expr::Map(map) => {
            for entry in &map.entries {
                if let EntryExpr::MapEntry(entry) = &entry.expr {
                    flow(&entry.value, tame, all);
                }
            }
        }
        Expr::Comprehension(it) => {
            flow(&it.iter_range, tame, all);
            flow(&it.loop_step, tame, all);
        }
        _ => {}
    }
}
