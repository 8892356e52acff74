//! Who can read or write a prefix of the bucket: the rules of a configuration, against the policies that are rendered from it.
//!
//! Offline. For each rule and role, `solve` finds values of the rule's tags that lead to the prefix. Where the tag's template names
//! claims, an identity with these claims is put to the rules themselves; what they grant becomes a token, and STS's verdict, the role's
//! policy and the bucket's policy decide over it as on AWS. What cannot be worked out (an expression, a condition over unknown claims)
//! is taken as possible, and said to be.
//!
//! | module | holds |
//! |---|---|
//! | `solve` | from a tag's shape and a prefix to values of claims |
//! | `sample` | identities and tokens that a rule could see and give |
//! | `engine` | STS, the role's policy and the bucket's policy |
//! | `words` | whom a rule takes, in words |

mod engine;
mod sample;
mod solve;
#[cfg(test)]
mod tests;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tagmint_core::{
    rules::{DenialReason, Piece, RuleFrom, RuleMode, RuleOutline, RuleSet, Shape, TagOutline, TagValues, Verdict},
    trusted_issuer::IssuerKind,
};

use self::{
    engine::{Engine, Reached},
    sample::Sample,
    solve::{Solution, Solver},
};
use crate::render::{SetUp, Settings};

/// The most values of a tag that are shown.
const MOST_VALUES: usize = 4;

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The AWS side of the configuration.
    pub settings: &'a Settings,
    /// The plan, with the account's own names.
    pub set_up: &'a SetUp,
    /// The rules.
    pub rules: &'a RuleSet,
    /// The kinds of the trusted issuers, by name.
    pub kinds: &'a BTreeMap<String, IssuerKind>,
    /// What the keys begin with: empty for the whole bucket, or with a slash at the end.
    pub prefix: &'a str,
}

/// Why nothing can be said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReachError {
    /// There is nothing to reach.
    #[error("there is no [aws.bucket], so there are no prefixes. Add it, and `access` to an [[aws.role]]")]
    NoBucket,
    /// A document that AWS would not take.
    #[error("AWS would not store {what}: {problem}")]
    Document {
        /// Which.
        what: String,
        /// Why.
        problem: String,
    },
}

/// Who reaches a prefix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The bucket.
    pub bucket: String,
    /// The prefix.
    pub prefix: String,
    /// Which rules lead there, in their order.
    pub reach: Vec<Way>,
    /// The rules that do not, in their order.
    pub no_reach: Vec<String>,
    /// Roles whose policies are not in the configuration, with the rules that name them.
    pub unknown: Vec<UnknownRole>,
}

/// How a rule leads to the prefix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Way {
    /// The rule.
    pub rule: String,
    /// Whose identities it takes: its `from`.
    pub from: String,
    /// Whom it takes, in words.
    pub who: String,
    /// The role's name.
    pub role: String,
    /// The tag that leads there.
    pub tag: String,
    /// The values of the tag that do: `${claim}` where any value of the claim does, `…` where it is not known.
    pub values: Vec<String>,
    /// The claims that have to have a certain value, beside those of the rule's `match`.
    pub claims: BTreeMap<String, String>,
    /// Whether one session reaches everything below the prefix. False: a part of it.
    pub whole: bool,
    /// Whether it lists keys.
    pub list: Access,
    /// Whether it reads objects.
    pub read: Access,
    /// Whether it writes objects.
    pub write: Access,
    /// Whether it deletes objects.
    pub delete: Access,
    /// Why it is not certain.
    pub uncertain: Vec<String>,
}

/// Whether something is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// No.
    No,
    /// It cannot be excluded.
    May,
    /// Yes.
    Yes,
}

/// A role whose policies are not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnknownRole {
    /// The rule that names it.
    pub rule: String,
    /// Its ARN, or none where an expression decides.
    pub role: Option<String>,
}

/// Works out who reaches a prefix.
pub fn reach(question: Question<'_>) -> Result<Report, ReachError> {
    let bucket = question.set_up.bucket.as_ref().ok_or(ReachError::NoBucket)?;
    let engine = Engine::new(question.settings, question.set_up)?;
    let mut report = Report {
        bucket: bucket.name.clone(),
        prefix: question.prefix.to_owned(),
        reach: Vec::new(),
        no_reach: Vec::new(),
        unknown: Vec::new(),
    };
    for outline in question.rules.outlines() {
        if outline.mode == RuleMode::Shadow {
            report.no_reach.push(outline.name.to_string());
            continue;
        }
        report.unknown.extend(unknown_roles(&outline, question.set_up));
        let looked_at = Rule::new(&question, &engine, &outline);
        let before = report.reach.len();
        for tag in &outline.tags {
            for role in engine.roles() {
                report.reach.extend(looked_at.by_tag(tag, role));
            }
        }
        if report.reach.len() == before {
            report.no_reach.push(outline.name.to_string());
        }
    }
    Ok(report)
}

fn unknown_roles(outline: &RuleOutline, set_up: &SetUp) -> Vec<UnknownRole> {
    let rule = || outline.name.to_string();
    let roles = outline.roles.iter().map(Shape::literal);
    let unplanned = roles.filter(|arn| arn.is_none_or(|arn| set_up.roles.iter().all(|role| role.arn != arn)));
    // The second role trusts the first, and no rendered policy says so.
    let second = outline.session.assume_then.as_deref().map(Some);
    unplanned.chain(second).map(|arn| UnknownRole { rule: rule(), role: arn.map(str::to_owned) }).collect()
}

/// A rule that is looked at.
struct Rule<'a> {
    question: &'a Question<'a>,
    engine: &'a Engine,
    outline: &'a RuleOutline,
    kind: Option<IssuerKind>,
}

/// What came of one solution.
struct Outcome {
    reached: Reached,
    uncertain: Option<String>,
}

impl<'a> Rule<'a> {
    fn new(question: &'a Question<'a>, engine: &'a Engine, outline: &'a RuleOutline) -> Self {
        let kind = match &outline.from {
            RuleFrom::TrustedIssuer(name) => question.kinds.get(name.as_str()).copied(),
            RuleFrom::Session | RuleFrom::Bearer | RuleFrom::Anonymous => None,
        };
        Self { question, engine, outline, kind }
    }

    /// How the rule leads to the prefix by one of its tags, in a role.
    fn by_tag(&self, tag: &TagOutline, role: &str) -> Option<Way> {
        if !self.engine.opens(role, &tag.key) {
            return None;
        }
        let mut best: Option<(Way, Reached)> = None;
        for (solution, certain) in self.solutions(tag) {
            let Some(outcome) = self.outcome(tag, &solution, certain.as_deref(), role) else { continue };
            let (reached, value) = (outcome.reached, self.shown(&solution));
            let rank = |reached: Reached, uncertain: bool, whole: bool| (!uncertain, whole, reached);
            let new = rank(reached, outcome.uncertain.is_some(), solution.whole);
            match &mut best {
                Some((way, old)) if rank(*old, !way.uncertain.is_empty(), way.whole) == new => {
                    if !way.values.contains(&value) && way.values.len() < MOST_VALUES {
                        way.values.push(value);
                    }
                }
                Some((way, old)) if rank(*old, !way.uncertain.is_empty(), way.whole) > new => {}
                _ => best = Some((self.way(tag, role, &solution, value, &outcome), reached)),
            }
        }
        best.map(|(way, _)| way)
    }

    fn way(&self, tag: &TagOutline, role: &str, solution: &Solution, value: String, outcome: &Outcome) -> Way {
        let yes = if outcome.uncertain.is_some() { Access::May } else { Access::Yes };
        let access = |allowed: bool| if allowed { yes } else { Access::No };
        let Reached { list, read, write, delete } = outcome.reached;
        let fixed = |claim: &str| self.outline.exact.get(claim).is_some_and(|values| values.len() == 1);
        Way {
            rule: self.outline.name.to_string(),
            from: self.outline.from.as_str().to_owned(),
            who: words::who(self.outline),
            role: role.rsplit('/').next().unwrap_or(role).to_owned(),
            tag: tag.key.clone(),
            values: vec![value],
            claims: solution.claims().filter(|(claim, _)| !fixed(claim)).collect(),
            whole: solution.whole,
            list: access(list),
            read: access(read),
            write: access(write),
            delete: access(delete),
            uncertain: outcome.uncertain.iter().cloned().collect(),
        }
    }

    /// The values of a tag that lead to the prefix, each with the reason why it is not certain that the rule gives it.
    fn solutions(&self, tag: &TagOutline) -> Vec<(Solution, Option<String>)> {
        let solver = Solver { outline: self.outline, kind: self.kind, prefix: self.question.prefix };
        match &tag.values {
            TagValues::Shapes(shapes) => {
                let by_expression = shapes.iter().any(|shape| shape.pieces().contains(&Piece::Expression));
                let reason = |solution: &Solution| {
                    let reason = if by_expression { "an expression decides" } else { "not all claims were tried for" };
                    solution.has_unknown().then(|| format!("{reason} the tag `{}`", tag.key))
                };
                let found = shapes.iter().flat_map(|shape| solver.solve(shape.pieces()));
                found.map(|solution| (reason(&solution), solution)).map(|(reason, it)| (it, reason)).collect()
            }
            TagValues::Condition => {
                let reason = format!("the request chooses the tag `{}`, within a condition", tag.key);
                solver.solve_unknown().into_iter().map(|it| (it, Some(reason.clone()))).collect()
            }
            TagValues::Open => {
                let reason = format!("the request chooses the tag `{}`", tag.key);
                solver.solve_unknown().into_iter().map(|it| (it, Some(reason.clone()))).collect()
            }
        }
    }

    fn outcome(&self, tag: &TagOutline, solution: &Solution, uncertain: Option<&str>, role: &str) -> Option<Outcome> {
        let sample = Sample::new(self.outline, self.kind, tag, solution);
        let place = place(self.question.prefix, solution, &sample.tag_value);
        let Some(uncertain) = uncertain else {
            return match sample.verdict(self.question.rules) {
                Some(Verdict::Granted(grant)) => {
                    let reached = self.engine.reached(&grant, role, &place)?;
                    Some(Outcome { reached, uncertain: None })
                }
                verdict => {
                    let uncertain = self.doubt(verdict.as_ref()?, solution)?;
                    self.assumed(&sample, role, &place, uncertain)
                }
            };
        };
        self.assumed(&sample, role, &place, uncertain.to_owned())
    }

    /// What is reached if the rule gives such a token.
    fn assumed(&self, sample: &Sample<'_>, role: &str, place: &str, uncertain: String) -> Option<Outcome> {
        let reached = sample.assumed(role).and_then(|grant| self.engine.reached(&grant, role, place))?;
        Some(Outcome { reached, uncertain: Some(uncertain) })
    }

    /// Why the rule could take other identities with these claims, although it does not take the sample. None: it could not.
    fn doubt(&self, verdict: &Verdict, solution: &Solution) -> Option<String> {
        let determined = |claim: &str| solution.is_determined(claim);
        let by_when = || {
            let names: &BTreeSet<String> = self.outline.when.as_ref()?;
            let open: Vec<&str> = names.iter().map(String::as_str).filter(|name| !determined(name)).collect();
            (!open.is_empty()).then(|| "`when` decides".to_owned())
        };
        match verdict {
            Verdict::WhenFalse => by_when(),
            Verdict::Refused(DenialReason::ConditionError { field, .. }) if field == "when" => by_when(),
            Verdict::Missed(miss) if determined(&miss.claim) => None,
            Verdict::Missed(miss) => Some(format!("what `{}` can be is not known", miss.claim)),
            Verdict::Refused(DenialReason::InvalidClaim { .. } | DenialReason::InvalidTag(_))
            | Verdict::From { .. }
            | Verdict::NotAsked
            | Verdict::Granted(_) => None,
            Verdict::Refused(reason) => Some(format!("it depends on claims that are not known: {reason}")),
        }
    }

    /// A tag's value as it is shown.
    fn shown(&self, solution: &Solution) -> String {
        solution.shown(|claim| match self.outline.exact.get(claim).map(Vec::as_slice) {
            Some([value]) => Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
            _ => None,
        })
    }
}

/// Where the sample request goes: below the prefix, and below what the session reaches.
fn place(prefix: &str, solution: &Solution, tag_value: &str) -> String {
    if solution.whole { prefix.to_owned() } else { format!("{tag_value}/") }
}
