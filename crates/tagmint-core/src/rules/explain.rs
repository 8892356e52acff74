//! Explains a decision: the verdict of every rule on a request.

use std::fmt;

use super::{
    Decision, Denial, DenialReason, Grant, MintRequest, RuleMode, RuleName, RuleSet,
    context::Names,
    decide::{decide_by, is_candidate},
    denial::quoted,
    matching::Miss,
    rule::{Rule, from_of},
};
use crate::identity::VerifiedIdentity;

/// A decision, with the verdict of every rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The decision.
    pub decision: Decision,
    /// The verdicts, in the order of the rules.
    pub rules: Vec<RuleVerdict>,
    /// Where no rule takes the identity: the rule of the same `from` that misses the fewest conditions.
    pub nearest: Option<RuleName>,
}

/// The verdict of one rule on a request.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleVerdict {
    /// The rule.
    pub rule: RuleName,
    /// Whether it decides.
    pub mode: RuleMode,
    /// The verdict.
    pub verdict: Verdict,
    /// How many of its conditions do not hold.
    pub missed: usize,
}

/// The verdict of one rule.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It takes identities from elsewhere.
    From {
        /// The rule's `from`.
        expected: String,
        /// The source of this identity, written as a `from`.
        actual: String,
    },
    /// The request names another rule, or the credential is bound to another one.
    NotAsked,
    /// A claim is not what `match` asks for: the first one.
    Missed(Miss),
    /// `when` is false.
    WhenFalse,
    /// It takes the identity and refuses the request.
    Refused(DenialReason),
    /// It takes the identity and grants.
    Granted(Box<Grant>),
}

impl RuleSet {
    /// Decides a request as [`decide`](Self::decide) does, and asks every rule.
    pub fn explain(&self, identity: &VerifiedIdentity, request: &MintRequest) -> Explanation {
        let decision = self.decide(identity, request);
        let names = Names::new(&self.root, identity);
        let rules: Vec<RuleVerdict> = self.rules.iter().map(|rule| explain(rule, &names, identity, request)).collect();
        let undecided = matches!(&decision.result, Err(Denial { reason: DenialReason::NoRule, .. }));
        let near = rules
            .iter()
            .filter(|it| it.mode == RuleMode::Enforce && matches!(it.verdict, Verdict::Missed(_) | Verdict::WhenFalse));
        let nearest = near.min_by_key(|it| it.missed).filter(|_| undecided).map(|it| it.rule.clone());
        Explanation { decision, rules, nearest }
    }
}

impl RuleSet {
    /// Which condition of the nearest rule an identity misses, in words: for callers, where the operator lets them know.
    pub fn hint(&self, identity: &VerifiedIdentity, request: &MintRequest) -> Option<String> {
        let explanation = self.explain(identity, request);
        let nearest = explanation.nearest?;
        let rule = explanation.rules.into_iter().find(|it| it.rule == nearest)?;
        Some(format!("the nearest rule is `{}`: {}", rule.rule, rule.verdict))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::From { expected, actual } => {
                write!(f, "`from` is `{expected}`, and this identity is from `{actual}`")
            }
            Self::NotAsked => f.write_str("the request or the credential names another rule"),
            Self::Missed(Miss { claim, expected, actual: None }) => {
                write!(f, "`{claim}` is absent, and must be {expected}")
            }
            Self::Missed(Miss { claim, expected, actual: Some(actual) }) => {
                write!(f, "`{claim}` is {}, and must be {expected}", quoted(&actual.to_string()))
            }
            Self::WhenFalse => f.write_str("`when` is false"),
            Self::Refused(reason) => reason.fmt(f),
            Self::Granted(grant) => write!(f, "it grants `{}`", grant.subject),
        }
    }
}

fn explain(rule: &Rule, names: &Names<'_>, identity: &VerifiedIdentity, request: &MintRequest) -> RuleVerdict {
    let told = |verdict, missed| RuleVerdict { rule: rule.name.clone(), mode: rule.mode, verdict, missed };
    if !rule.from.takes(identity) {
        let (expected, actual) = (rule.from.as_str().to_owned(), from_of(identity).to_owned());
        return told(Verdict::From { expected, actual }, 1);
    }
    if !is_candidate(rule, identity, request) {
        return told(Verdict::NotAsked, 1);
    }
    let mut missed = rule.matches.iter().filter_map(|it| it.miss(identity));
    if let Some(first) = missed.next() {
        return told(Verdict::Missed(first), 1 + missed.count());
    }
    match decide_by(rule, names, identity, request) {
        None => told(Verdict::WhenFalse, 1),
        Some(Ok(grant)) => told(Verdict::Granted(Box::new(grant)), 0),
        Some(Err(reason)) => told(Verdict::Refused(reason), 0),
    }
}
