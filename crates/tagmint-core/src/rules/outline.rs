//! What can be said of a rule's tokens before anybody asks for one: for policies that are to fit them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    RuleFrom, RuleMode, RuleName, RuleSet, expression,
    matching::{Match, Pattern, Test},
    rule::{Choice, Rule, Tag, TagSource, Text},
    session::SessionTerms,
    template::{Part, Template},
};
use crate::claims::{Audience, Lifetime, RoleArn, Subject};

/// What a rule's tokens look like.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleOutline {
    /// The rule's name.
    pub name: RuleName,
    /// `sub`.
    pub subject: Shape,
    /// The audiences that a request may choose from.
    pub audiences: Vec<Shape>,
    /// The roles that the token is for.
    pub roles: Vec<Shape>,
    /// The session tags, sorted by key.
    pub tags: Vec<TagOutline>,
    /// The keys of the tags that are kept when the session assumes another role.
    pub transitive: Vec<Shape>,
    /// The source of the rule's identities.
    pub from: RuleFrom,
    /// The terms of the role session.
    pub session: SessionTerms,
    /// Whether it decides.
    pub mode: RuleMode,
    /// The only values that its `match` leaves a claim, by the claim's name, where there are such.
    pub exact: BTreeMap<String, Vec<Value>>,
    /// Its `match`, sorted by claim.
    pub matches: Vec<MatchOutline>,
    /// The names that its `when` uses, `claims` where it reads the map of all claims. None: there is no `when`.
    pub when: Option<BTreeSet<String>>,
    /// The longest lifetime that a token can get; none where an expression decides.
    pub longest_lifetime: Option<Lifetime>,
}

impl RuleOutline {
    /// Whether the rule takes callers without proof.
    pub fn is_anonymous(&self) -> bool {
        self.from == RuleFrom::Anonymous
    }
}

/// One entry of a rule's `match`.
#[derive(Debug, Clone, PartialEq)]
pub struct MatchOutline {
    /// The claim, as the rule names it.
    pub claim: String,
    /// The required value.
    pub test: MatchedBy,
}

/// The required value of a claim.
#[derive(Debug, Clone, PartialEq)]
pub enum MatchedBy {
    /// Present, whatever its value.
    Present,
    /// Absent.
    Absent,
    /// One of these.
    OneOf(Vec<Matched>),
}

/// A value of a claim, or a form of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Matched {
    /// This value.
    Exact(Value),
    /// A string with `*` for any characters but `/`, and `**` for any characters.
    Glob(String),
}

/// What a rule says of one session tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagOutline {
    /// The key.
    pub key: String,
    /// Whether every token has it.
    pub always: bool,
    /// What its value can be.
    pub values: TagValues,
}

/// What a tag's value can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagValues {
    /// Of one of these shapes.
    Shapes(Vec<Shape>),
    /// What the request gives, held to a condition.
    Condition,
    /// Whatever the request gives.
    Open,
}

/// A text of which parts are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape(Vec<Piece>);

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// It is always this.
    Text(String),
    /// The value of this claim.
    Claim(String),
    /// An expression decides.
    Expression,
}

impl Shape {
    /// The parts in their order. No two texts stand side by side.
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// The text, where it is always the same.
    pub fn literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    fn of_text(text: &str) -> Self {
        Self(if text.is_empty() { Vec::new() } else { vec![Piece::Text(text.to_owned())] })
    }

    fn of_template(template: &Template) -> Self {
        match template {
            Template::Literal(text) => Self::of_text(text),
            Template::Parts(parts) => Self(
                parts
                    .iter()
                    .map(|part| match part {
                        Part::Text(text) => Piece::Text(text.clone()),
                        Part::Claim(name) => Piece::Claim(name.clone()),
                        Part::Expression(_) => Piece::Expression,
                    })
                    .collect(),
            ),
        }
    }

    fn of<T>(text: &Text<T>, as_str: impl Fn(&T) -> &str) -> Self {
        match text {
            Text::Fixed(value) => Self::of_text(as_str(value)),
            Text::Template(template) => Self::of_template(template),
        }
    }
}

impl RuleSet {
    /// What the tokens of each rule look like, in the rules' order.
    pub fn outlines(&self) -> impl Iterator<Item = RuleOutline> {
        self.rules.iter().map(outline)
    }
}

fn outline(rule: &Rule) -> RuleOutline {
    RuleOutline {
        name: rule.name.clone(),
        subject: Shape::of(&rule.subject, Subject::as_str),
        audiences: rule.audiences.iter().map(|audience| Shape::of(audience, Audience::as_str)).collect(),
        roles: rule.roles.iter().map(|role| Shape::of(role, RoleArn::as_str)).collect(),
        tags: rule.tags.iter().map(tag).collect(),
        transitive: rule.transitive.iter().map(Shape::of_template).collect(),
        from: rule.from.clone(),
        session: rule.session.clone(),
        mode: rule.mode,
        exact: exact(rule),
        matches: rule.matches.iter().map(match_outline).collect(),
        when: rule.when.as_ref().map(expression::names),
        longest_lifetime: longest_lifetime(rule),
    }
}

fn exact(rule: &Rule) -> BTreeMap<String, Vec<Value>> {
    let only = |it: &Match| Some((it.name.clone(), it.exact()?.into_iter().cloned().collect()));
    rule.matches.iter().filter_map(only).collect()
}

fn match_outline(it: &Match) -> MatchOutline {
    let test = match &it.test {
        Test::Present => MatchedBy::Present,
        Test::Absent => MatchedBy::Absent,
        Test::OneOf(patterns) => MatchedBy::OneOf(
            patterns
                .iter()
                .map(|pattern| match pattern {
                    Pattern::Exact(value) => Matched::Exact(value.clone()),
                    Pattern::Glob(glob) => Matched::Glob(glob.as_str().to_owned()),
                })
                .collect(),
        ),
    };
    MatchOutline { claim: it.name.clone(), test }
}

fn longest_lifetime(rule: &Rule) -> Option<Lifetime> {
    let fixed = |text: &Option<Text<Lifetime>>| match text {
        None => Some(None),
        Some(Text::Fixed(lifetime)) => Some(Some(*lifetime)),
        Some(Text::Template(_)) => None,
    };
    // Both must be known: a default is held to the most when a token is made, not before.
    let (default, most) = (fixed(&rule.lifetime)?, fixed(&rule.max_lifetime)?);
    Some(most.or(default).unwrap_or(Lifetime::DEFAULT))
}

fn tag(tag: &Tag) -> TagOutline {
    let (always, values) = match &tag.value {
        TagSource::Fixed(template) => (true, TagValues::Shapes(vec![Shape::of_template(template)])),
        TagSource::Chosen { among, default, required } => {
            let values = match among {
                Choice::Open => TagValues::Open,
                Choice::OneOf(templates) => TagValues::Shapes(templates.iter().map(Shape::of_template).collect()),
                Choice::Matches(_) => TagValues::Condition,
            };
            (*required || default.is_some(), values)
        }
    };
    TagOutline { key: tag.key.as_str().to_owned(), always, values }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{RuleConfig, TrustedIssuers};

    #[test]
    fn what_is_fixed_and_what_is_anonymous_is_told() {
        let text = r#"
            name = "ci"
            from = "bearer"
            match = { team = ["a", "b"], sub = "x" }
            subject = "ci:${sub}:x"
            audiences = ["sts.amazonaws.com", "${sub}"]
            roles = ["arn:aws:iam::111122223333:role/ci"]
            [tags]
            fixed = "pr-${sub}/run"
            constant = "blue"
            open = { open = true }
            one = { one_of = ["a", "b-${sub}"], default = "a" }
            must = { matches = 'value.startsWith("x")', required = true }
        "#;
        let config: RuleConfig = toml::from_str(text).unwrap();
        let rules = RuleSet::compile(&[config], &TrustedIssuers::default()).unwrap();
        let outline = rules.outlines().next().unwrap();
        let piece = |text: &str| Piece::Text(text.to_owned());
        assert_eq!(outline.name.as_str(), "ci");
        assert_eq!(outline.subject.pieces(), [piece("ci:"), Piece::Claim("sub".to_owned()), piece(":x")]);
        assert_eq!(outline.audiences[0].literal(), Some("sts.amazonaws.com"));
        assert_eq!(outline.audiences[1].literal(), None);
        assert_eq!(outline.roles[0].literal(), Some("arn:aws:iam::111122223333:role/ci"));
        let tag = |key: &str| outline.tags.iter().find(|tag| tag.key == key).unwrap();
        assert!(tag("fixed").always && tag("constant").always && tag("one").always && tag("must").always);
        assert!(!tag("open").always);
        assert_eq!((&tag("open").values, &tag("must").values), (&TagValues::Open, &TagValues::Condition));
        let TagValues::Shapes(shapes) = &tag("one").values else { panic!("{:?}", tag("one")) };
        assert_eq!((shapes.len(), shapes[0].literal(), shapes[1].literal()), (2, Some("a"), None));
        let TagValues::Shapes(shapes) = &tag("fixed").values else { panic!("{:?}", tag("fixed")) };
        assert_eq!(shapes[0].pieces(), [piece("pr-"), Piece::Claim("sub".to_owned()), piece("/run")]);
        assert!(!outline.is_anonymous() && outline.transitive.is_empty());
        assert_eq!(outline.exact["team"], ["a", "b"]);
        let asked: Vec<&str> = outline.matches.iter().map(|it| it.claim.as_str()).collect();
        assert_eq!(asked, ["sub", "team"]);
        assert_eq!(outline.matches[0].test, MatchedBy::OneOf(vec![Matched::Exact(Value::from("x"))]));
        assert_eq!(outline.when, None);
    }

    #[test]
    fn the_names_of_a_condition_are_listed() {
        let when = r#"has(claims.team) && sub.startsWith("a") && groups.exists(g, g == level)"#;
        let text = format!("name = \"r\"\nfrom = \"bearer\"\nsubject = \"bearer:x\"\nwhen = '{when}'\n");
        let config: RuleConfig = toml::from_str(&text).unwrap();
        let rules = RuleSet::compile(&[config], &TrustedIssuers::default()).unwrap();
        let names = rules.outlines().next().unwrap().when.unwrap();
        for name in ["claims", "sub", "groups", "level"] {
            assert!(names.contains(name), "{name}: {names:?}");
        }
    }

    #[test]
    fn the_longest_lifetime_is_told_where_it_is_known() {
        let longest = |lines: &str| {
            let text =
                format!("name = \"r\"\nfrom = \"anonymous\"\nsubject = \"open:x\"\naudiences = [\"a\"]\n{lines}");
            let config: RuleConfig = toml::from_str(&text).unwrap();
            let rules = RuleSet::compile(&[config], &TrustedIssuers::default()).unwrap();
            let outline = rules.outlines().next().unwrap();
            assert!(outline.is_anonymous());
            outline.longest_lifetime.map(Lifetime::seconds)
        };
        assert_eq!(longest(""), Some(300));
        assert_eq!(longest("lifetime = \"2m\""), Some(120));
        assert_eq!(longest("max_lifetime = 600"), Some(600));
        assert_eq!(longest("lifetime = \"2m\"\nmax_lifetime = \"15m\""), Some(900));
        assert_eq!(longest("lifetime = \"${sub}\""), None);
        assert_eq!(longest("lifetime = \"2m\"\nmax_lifetime = \"${sub}\""), None);
    }
}
