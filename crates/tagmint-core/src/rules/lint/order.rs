//! Rules that never come to decide.

use super::{Found, WarningId};
use crate::rules::{RuleFrom, RuleMode, rule::Rule};

/// Looks for an earlier rule that takes whatever this one takes.
pub(super) fn check(earlier: &[Rule], found: &mut Found<'_>) {
    let rule = found.rule;
    // A bearer can be bound to one rule, and then the order does not matter.
    if rule.from == RuleFrom::Bearer {
        return;
    }
    let takes_all = |broad: &Rule| {
        let implied = || broad.matches.iter().all(|broad| rule.matches.iter().any(|narrow| narrow.is_within(broad)));
        broad.mode == RuleMode::Enforce && broad.when.is_none() && broad.from == rule.from && implied()
    };
    if let Some((index, broad)) = earlier.iter().enumerate().find(|(_, broad)| takes_all(broad)) {
        found.add(
            "match",
            WarningId::UnreachableRule,
            format!(
                "rule[{index}], `{}`, comes first and takes everything that this rule takes, so this one decides only where a request names it",
                broad.name
            ),
            format!("put this rule before `{}`, or make its `match` differ", broad.name),
        );
    }
}
