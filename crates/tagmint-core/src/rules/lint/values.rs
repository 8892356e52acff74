//! The values in the token: strings that strangers choose, and names that another owner can take later.

use cel::{
    Context, IdedExpr,
    common::ast::{EntryExpr, Expr, LiteralValue, operators},
};

use super::{
    Found, WarningId,
    claims::{Bound, is_prefix},
};
use crate::{
    rules::{
        compile::toml_key,
        expression::Expression,
        matching::Match,
        rule::{Choice, Rule, Tag, TagSource, Text},
        template::{Part, Template},
        unbound,
        vocabulary::{CLAIMS, SUBJECT},
    },
    trusted_issuer::{
        IssuerKind,
        kind::{Meaning, Scope},
    },
};

/// Looks at every template of the rule.
pub(super) fn check(kind: IssuerKind, bound: Bound, root: &Context<'static, 'static>, found: &mut Found<'_>) {
    let rule = found.rule;
    let mut looking = Looking { rule, kind, bound, root, found };
    if let Text::Template(template) = &rule.subject {
        // The issuer's own subject is put together unambiguously.
        looking.template("subject", template, &[SUBJECT]);
    }
    for (index, audience) in rule.audiences.iter().enumerate() {
        if let Text::Template(template) = audience {
            looking.template(&format!("audiences[{index}]"), template, &[]);
        }
    }
    for (index, role) in rule.roles.iter().enumerate() {
        if let Text::Template(template) = role {
            looking.template(&rule.role_field(index), template, &[]);
        }
    }
    for tag in &rule.tags {
        looking.tag(tag);
    }
}

/// A claim whose text becomes part of a value.
#[derive(Debug, PartialEq, Eq)]
struct Flow {
    claim: String,
    /// Whether `slug` or `segment` makes one part of it.
    tame: bool,
}

struct Looking<'a, 'f> {
    rule: &'a Rule,
    kind: IssuerKind,
    bound: Bound,
    root: &'a Context<'static, 'static>,
    found: &'a mut Found<'f>,
}

impl Looking<'_, '_> {
    fn tag(&mut self, tag: &Tag) {
        let field = format!("tags.{}", toml_key(tag.key.as_str()));
        let (among, default) = match &tag.value {
            TagSource::Fixed(template) => return self.template(&field, template, &[]),
            TagSource::Chosen { among, default, .. } => (among, default),
        };
        if let Some(default) = default {
            self.template(&format!("{field}.default"), default, &[]);
        }
        let prefix = is_prefix(self.rule, tag);
        match among {
            Choice::Open if prefix => {
                self.open_prefix(&field, "a request may put anything here, and so choose another's prefix");
            }
            Choice::OneOf(values) => {
                for (index, value) in values.iter().enumerate() {
                    self.template(&format!("{field}.one_of[{index}]"), value, &[]);
                }
            }
            Choice::Matches(condition) if prefix => {
                let own = self.bound.repository_id || lists_values(condition) || self.names_repository(condition);
                if unbound::is_unbound(condition, self.root, &tag.key) || starts_amid_a_part(condition) || !own {
                    let text = "a request may choose another's prefix: the condition does not say how the value begins, or says the same for \
                                every repository that the rule takes";
                    self.open_prefix(&format!("{field}.matches"), text);
                }
            }
            Choice::Open | Choice::Matches(_) => {}
        }
    }

    fn open_prefix(&mut self, field: &str, text: &str) {
        let id = self.kind.table().claims.iter().find(|claim| claim.meaning == Meaning::Id(Scope::Repository));
        let id = id.map_or(SUBJECT, |claim| claim.name);
        let fix =
            format!("fix it with a template such as `ci/${{{id}}}`, or begin it with `value.startsWith({id} + \"/\")`");
        self.found.add(field, WarningId::OpenPrefix, text.to_owned(), fix);
    }

    fn names_repository(&self, condition: &Expression) -> bool {
        let mut flows = Vec::new();
        names(condition.tree(), &mut flows);
        flows
            .iter()
            .any(|name| self.kind.claim(name).is_some_and(|claim| claim.meaning == Meaning::Id(Scope::Repository)))
    }

    fn template(&mut self, field: &str, template: &Template, fine: &[&str]) {
        let Template::Parts(parts) = template else { return };
        for (at, part) in parts.iter().enumerate() {
            let flows = match part {
                Part::Text(_) => continue,
                Part::Claim(name) => vec![Flow { claim: name.clone(), tame: false }],
                Part::Expression(expression) => flows(expression.tree()),
            };
            let joined = flows.len() > 1;
            let apart = !joined
                && !matches!(at.checked_sub(1).map(|at| &parts[at]), Some(Part::Claim(_) | Part::Expression(_)))
                && match parts.get(at + 1) {
                    None => true,
                    Some(Part::Text(text)) => text.starts_with('/'),
                    Some(_) => false,
                };
            for flow in flows {
                self.flow(field, &flow, apart, fine);
            }
        }
    }

    fn flow(&mut self, field: &str, Flow { claim, tame }: &Flow, apart: bool, fine: &[&str]) {
        let meaning = match self.kind.claim(claim) {
            Some(known) => known.meaning,
            // Nothing is known of it: whoever can choose anything could choose it.
            None => Meaning::Shapeable,
        };
        if self.is_settled(claim) {
            return;
        }
        match meaning {
            Meaning::Shapeable | Meaning::Workflow if *tame && apart => {}
            Meaning::Shapeable | Meaning::Workflow if *tame => {
                let text = format!(
                    "`{claim}` has no `/` between it and the part beside it, so whoever chooses it can make the two look like others"
                );
                let fix = "write `/` between the parts, and right after this one".to_owned();
                self.found.add(field, WarningId::ShapeableValue, text, fix);
            }
            Meaning::Shapeable | Meaning::Workflow if fine.contains(&claim.as_str()) => {}
            Meaning::Shapeable | Meaning::Workflow => {
                let text = format!(
                    "`{claim}` goes in as it is, and whoever names a branch or starts a job can choose it, with `/` and all"
                );
                let fix = format!(
                    "write `${{slug({claim})}}`, or `${{segment({claim})}}` to refuse what is not one plain part"
                );
                self.found.add(field, WarningId::ShapeableValue, text, fix);
            }
            Meaning::Name { scope: Scope::Repository | Scope::Owner, id: Some(id) } if !self.bound.repository_id => {
                let text = format!("`{claim}` puts a name into the token, and another owner can take the name later");
                self.found.add(field, WarningId::NameWithoutId, text, format!("use `${{{id}}}`"));
            }
            Meaning::Id(_) | Meaning::Name { .. } | Meaning::Issuer => {}
        }
    }

    /// Whether the rule's matches leave only texts that its author wrote.
    fn is_settled(&self, claim: &str) -> bool {
        let exact = |names: &[&str]| {
            self.rule.matches.iter().any(|it: &Match| names.contains(&it.name.as_str()) && it.exact().is_some())
        };
        // A ref, its branch and its tag are one thing under several names.
        let git_ref = ["ref", "branch", "tag", "ref_path"];
        exact(&[claim]) || (git_ref.contains(&claim) && self.kind.claim("ref").is_some() && exact(&git_ref))
    }
}

/// The claims whose texts flow into what an expression gives.
fn flows(node: &IdedExpr) -> Vec<Flow> {
    let mut all = Vec::new();
    collect(node, false, &mut all);
    all
}

fn collect(node: &IdedExpr, tame: bool, flows: &mut Vec<Flow>) {
    if let Some(claim) = claim_of(node) {
        let flow = Flow { claim: claim.to_owned(), tame };
        if !flows.contains(&flow) {
            flows.push(flow);
        }
        return;
    }
    match &node.expr {
        Expr::Select(select) if !select.test => collect(&select.operand, tame, flows),
        Expr::Call(call) => {
            let operands = call.target.as_deref().into_iter().chain(&call.args);
            match call.func_name.as_str() {
                "slug" | "segment" => operands.for_each(|node| collect(node, true, flows)),
                // The condition chooses, and is no part of the value.
                operators::CONDITIONAL => operands.skip(1).for_each(|node| collect(node, tame, flows)),
                name if gives_no_text(name) => {}
                _ => operands.for_each(|node| collect(node, tame, flows)),
            }
        }
        Expr::List(list) => list.elements.iter().for_each(|node| collect(node, tame, flows)),
        Expr::Map(map) => map.entries.iter().for_each(|entry| {
            if let EntryExpr::MapEntry(entry) = &entry.expr {
                collect(&entry.value, tame, flows);
            }
        }),
        Expr::Comprehension(it) => {
            for node in [&it.iter_range, &it.loop_step] {
                collect(node, tame, flows);
            }
        }
        Expr::Select(_) | Expr::Literal(_) | Expr::Ident(_) | Expr::Struct(_) | Expr::Unspecified => {}
    }
}

/// The claim that a node is: `name`, `claims.name` or `claims["name"]`.
fn claim_of(node: &IdedExpr) -> Option<&str> {
    let is_claims = |node: &IdedExpr| matches!(&node.expr, Expr::Ident(name) if name == CLAIMS);
    match &node.expr {
        Expr::Ident(name) if name != "value" && !name.starts_with('@') => Some(name),
        Expr::Select(select) if !select.test && is_claims(&select.operand) => Some(&select.field),
        Expr::Call(call) if call.func_name == operators::INDEX => match call.args.as_slice() {
            [operand, key] if is_claims(operand) => match &key.expr {
                Expr::Literal(LiteralValue::String(name)) => Some(name.inner()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// Operators and functions whose result is a number or a boolean.
fn gives_no_text(name: &str) -> bool {
    matches!(
        name,
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
            | "size"
            | "contains"
            | "startsWith"
            | "endsWith"
            | "matches"
            | "int"
            | "uint"
            | "double"
            | "bool"
            | "pull_request_number"
    )
}

/// The claims that an expression names anywhere.
fn names(node: &IdedExpr, found: &mut Vec<String>) {
    if let Some(claim) = claim_of(node) {
        return found.push(claim.to_owned());
    }
    match &node.expr {
        Expr::Select(select) => names(&select.operand, found),
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).for_each(|node| names(node, found)),
        Expr::List(list) => list.elements.iter().for_each(|node| names(node, found)),
        _ => {}
    }
}

/// Whether a condition is `value.startsWith("…")` with a text that does not end where a part of a prefix does.
fn starts_amid_a_part(condition: &Expression) -> bool {
    let Expr::Call(call) = &condition.tree().expr else { return false };
    match call.args.first().map(|node| &node.expr) {
        Some(Expr::Literal(LiteralValue::String(start))) => {
            call.func_name == "startsWith" && !start.inner().ends_with('/')
        }
        _ => false,
    }
}

/// Whether a condition is `value == "…"` or `value in ["…"]`.
fn lists_values(condition: &Expression) -> bool {
    let Expr::Call(call) = &condition.tree().expr else { return false };
    let is_value = |node: &IdedExpr| matches!(&node.expr, Expr::Ident(name) if name == "value");
    let literal = |node: &IdedExpr| matches!(&node.expr, Expr::Literal(_));
    match (call.func_name.as_str(), call.args.as_slice()) {
        (operators::EQUALS, [left, right]) => is_value(left) && literal(right) || literal(left) && is_value(right),
        (operators::IN, [left, right]) => {
            is_value(left) && matches!(&right.expr, Expr::List(list) if list.elements.iter().all(literal))
        }
        _ => false,
    }
}
