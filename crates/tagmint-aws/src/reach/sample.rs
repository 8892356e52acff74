//! Identities and tokens that a rule could see and give: a sample of them, with the claims that a solution asks for.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tagmint_core::{
    claims::{Audience, Lifetime, RoleArn, Subject},
    dry_run::UnprovenIdentity,
    rules::{
        Grant, Matched, MatchedBy, MintRequest, Piece, RuleFrom, RuleOutline, RuleSet, Shape, TagOutline, TagValues,
        Verdict,
    },
    tags::SessionTags,
    trusted_issuer::{IssuerKind, kind::ClaimType},
};

use super::solve::{Bound, Part, Solution};

/// The name of the identity's subject in rules.
const SUBJECT: &str = "sub";
/// Stands for what can be anything. A number, because more conditions take one than take a word.
const FILLER: &str = "1";

/// A token that a rule could give, and who could get it.
pub(super) struct Sample<'a> {
    outline: &'a RuleOutline,
    kind: Option<IssuerKind>,
    /// The claims that matter, as text.
    claims: BTreeMap<String, String>,
    tag: &'a TagOutline,
    /// The value of the tag that leads to the prefix.
    pub(super) tag_value: String,
}

impl<'a> Sample<'a> {
    pub(super) fn new(
        outline: &'a RuleOutline,
        kind: Option<IssuerKind>,
        tag: &'a TagOutline,
        solution: &Solution,
    ) -> Self {
        let mut sample = Self { outline, kind, claims: BTreeMap::new(), tag, tag_value: String::new() };
        for part in &solution.parts {
            let text = match part {
                Part::Text(text) | Part::Unknown(Bound::Is(text)) => text.clone(),
                Part::Unknown(Bound::Begins(start)) => format!("{start}{FILLER}"),
                Part::Unknown(Bound::Free) => FILLER.to_owned(),
                Part::Claim(name, bound) => {
                    let value = match bound {
                        Bound::Is(value) => value.clone(),
                        Bound::Begins(start) => sample.beginning_with(name, start),
                        Bound::Free => sample.filler(name),
                    };
                    sample.claims.insert(name.clone(), value.clone());
                    value
                }
            };
            sample.tag_value.push_str(&text);
        }
        let named = shapes(outline).flat_map(Shape::pieces).filter_map(|piece| match piece {
            Piece::Claim(name) => Some(name.clone()),
            Piece::Text(_) | Piece::Expression => None,
        });
        let asked = outline.matches.iter().filter(|it| it.test != MatchedBy::Absent).map(|it| it.claim.clone());
        for name in named.chain(asked).chain([SUBJECT.to_owned()]) {
            if !sample.claims.contains_key(&name) {
                let value = sample.filler(&name);
                sample.claims.insert(name, value);
            }
        }
        sample
    }

    /// A value that the rule's `match` takes, and that is of the claim's type.
    fn filler(&self, claim: &str) -> String {
        let test = self.outline.matches.iter().find(|it| it.claim == claim).map(|it| &it.test);
        match test {
            Some(MatchedBy::OneOf(values)) => match values.first() {
                Some(Matched::Exact(value)) => text(value),
                Some(Matched::Glob(glob)) => glob.replace("**", FILLER).replace('*', FILLER),
                None => FILLER.to_owned(),
            },
            Some(MatchedBy::Present | MatchedBy::Absent) | None => match self.type_of(claim) {
                Some(ClaimType::Boolean) => "true".to_owned(),
                _ => FILLER.to_owned(),
            },
        }
    }

    fn beginning_with(&self, claim: &str, start: &str) -> String {
        let listed = self.outline.exact.get(claim).into_iter().flatten().map(text);
        let fixed = listed.into_iter().find(|value| value.starts_with(start));
        fixed.unwrap_or_else(|| match self.type_of(claim) {
            Some(ClaimType::Boolean) => if "true".starts_with(start) { "true" } else { "false" }.to_owned(),
            _ => format!("{start}{FILLER}"),
        })
    }

    fn type_of(&self, claim: &str) -> Option<ClaimType> {
        self.kind.and_then(|kind| kind.claim(claim)).map(|claim| claim.value)
    }

    /// What the rule says of an identity with these claims.
    pub(super) fn verdict(&self, rules: &RuleSet) -> Option<Verdict> {
        let explanation = self.identity()?.explain(rules, &self.request());
        explanation.rules.into_iter().find(|it| it.rule == self.outline.name).map(|it| it.verdict)
    }

    fn identity(&self) -> Option<UnprovenIdentity> {
        let subject = self.claims.get(SUBJECT).cloned().unwrap_or_default();
        let mut attributes = Map::new();
        for (name, value) in self.claims.iter().filter(|(name, _)| *name != SUBJECT) {
            match name.strip_prefix('/') {
                Some(pointer) => insert_at(&mut attributes, pointer, self.typed(name, value)),
                None => {
                    attributes.insert(name.clone(), self.typed(name, value));
                }
            }
        }
        Some(match &self.outline.from {
            RuleFrom::Session => UnprovenIdentity::of_session(subject, attributes),
            RuleFrom::Bearer => UnprovenIdentity::of_bearer(subject, attributes),
            RuleFrom::Anonymous => UnprovenIdentity::anonymous(),
            RuleFrom::TrustedIssuer(name) => UnprovenIdentity::of_issuer(name.clone(), self.kind?, subject, attributes),
        })
    }

    /// A claim's value of its type: as the rule's `match` has it, or as the kind does.
    fn typed(&self, claim: &str, value: &str) -> Value {
        let listed = self.outline.exact.get(claim).into_iter().flatten().find(|listed| text(listed) == value);
        if let Some(listed) = listed {
            return listed.clone();
        }
        match self.type_of(claim) {
            Some(ClaimType::Integer) => value.parse::<i64>().map_or_else(|_| Value::from(value), Value::from),
            Some(ClaimType::Boolean) => Value::from(value == "true"),
            Some(ClaimType::String | ClaimType::Id | ClaimType::Json) | None => Value::from(value),
        }
    }

    fn request(&self) -> MintRequest {
        let chosen = self.outline.tags.iter().filter_map(|tag| {
            let value = if tag.key == self.tag.key { self.tag_value.clone() } else { self.tag_value_of(tag) };
            match &tag.values {
                TagValues::Shapes(shapes) if shapes.len() == 1 => None,
                TagValues::Shapes(_) | TagValues::Condition | TagValues::Open => {
                    (tag.always || tag.key == self.tag.key).then(|| (tag.key.clone(), value))
                }
            }
        });
        MintRequest { rule: Some(self.outline.name.to_string()), tags: chosen.collect(), ..MintRequest::default() }
    }

    fn tag_value_of(&self, tag: &TagOutline) -> String {
        match &tag.values {
            TagValues::Shapes(shapes) => shapes.first().map_or_else(String::new, |shape| self.render(shape)),
            TagValues::Condition | TagValues::Open => FILLER.to_owned(),
        }
    }

    /// A shape with the sample's claims.
    fn render(&self, shape: &Shape) -> String {
        let parts = shape.pieces().iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Claim(name) => self.claims.get(name).cloned().unwrap_or_else(|| self.filler(name)),
            Piece::Expression => FILLER.to_owned(),
        });
        parts.collect()
    }

    /// The token, if the rule gives it: for `role`, where the rule can be for that role.
    pub(super) fn assumed(&self, role: &str) -> Option<Grant> {
        let literal = self.outline.roles.iter().filter_map(Shape::literal).map(str::to_owned);
        let open = self.outline.roles.iter().any(|shape| shape.literal().is_none());
        let roles = literal.chain(open.then(|| role.to_owned()));
        let tags = self.outline.tags.iter().filter(|tag| tag.always || tag.key == self.tag.key).map(|tag| {
            let value = if tag.key == self.tag.key { self.tag_value.clone() } else { self.tag_value_of(tag) };
            (tag.key.as_str(), value)
        });
        let tags: Vec<(&str, String)> = tags.collect();
        Some(Grant {
            rule: self.outline.name.clone(),
            subject: Subject::parse(&self.render(&self.outline.subject)).ok()?,
            audience: Audience::parse(&self.render(self.outline.audiences.first()?)).ok()?,
            roles: roles.map(|role| RoleArn::parse(&role)).collect::<Result<_, _>>().ok()?,
            lifetime: Lifetime::DEFAULT,
            tags: SessionTags::new(tags, Vec::<String>::new()).ok()?,
            session: self.outline.session.clone(),
        })
    }
}

/// All shapes of a rule.
fn shapes(outline: &RuleOutline) -> impl Iterator<Item = &Shape> {
    let tags = outline.tags.iter().flat_map(|tag| match &tag.values {
        TagValues::Shapes(shapes) => shapes.as_slice(),
        TagValues::Condition | TagValues::Open => &[],
    });
    [&outline.subject].into_iter().chain(&outline.audiences).chain(&outline.roles).chain(tags)
}

/// A value as a template writes it.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Puts a value where a JSON pointer leads, without its first slash.
fn insert_at(object: &mut Map<String, Value>, pointer: &str, value: Value) {
    let (first, rest) = pointer.split_once('/').map_or((pointer, None), |(first, rest)| (first, Some(rest)));
    let name = first.replace("~1", "/").replace("~0", "~");
    match rest {
        None => {
            object.insert(name, value);
        }
        Some(rest) => {
            let inner = object.entry(name).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                insert_at(inner, rest, value);
            }
        }
    }
}
