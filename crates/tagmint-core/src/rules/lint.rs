//! Warnings: valid rules that match more identities than their author expects, or none.
//!
//! Everything here looks at a rule's matches and templates, with the table of the kind of issuer that the rule takes identities from. A
//! `when` is not analysed.
//!
//! | module | looks at |
//! |---|---|
//! | `claims` | the claims that a rule binds |
//! | `values` | the values in the token |
//! | `order` | rules that an earlier one leaves nothing |

mod claims;
mod order;
mod values;

#[cfg(test)]
mod tests;

use std::fmt;

use cel::Context;
use serde::Serialize;

use super::{RuleError, RuleFrom, RuleName, issuers::TrustedIssuers, rule::Rule};

/// What a warning is about: a stable name, for people to look up and for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WarningId {
    /// A rule takes every token of a trusted issuer.
    NothingBound,
    /// A name is relied on where the kind has an id. Names can be taken over.
    NameWithoutId,
    /// An owner is bound and no repository: every repository of that owner may use the rule.
    OwnerWithoutRepository,
    /// A reusable workflow is bound and no repository: whoever may call it may use the rule.
    WorkflowWithoutRepository,
    /// A rule takes `pull_request_target` without saying so.
    PullRequestTarget,
    /// A stranger's text goes into the token as it is.
    ShapeableValue,
    /// A request may choose a prefix freely.
    OpenPrefix,
    /// A branch or tag is bound by its name, and it may be unprotected.
    UnprotectedRef,
    /// An earlier rule takes everything that this one takes.
    UnreachableRule,
}

impl WarningId {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::NothingBound,
        Self::NameWithoutId,
        Self::OwnerWithoutRepository,
        Self::WorkflowWithoutRepository,
        Self::PullRequestTarget,
        Self::ShapeableValue,
        Self::OpenPrefix,
        Self::UnprotectedRef,
        Self::UnreachableRule,
    ];

    /// The name, as docs/rules.md lists it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NothingBound => "nothing-bound",
            Self::NameWithoutId => "name-without-id",
            Self::OwnerWithoutRepository => "owner-without-repository",
            Self::WorkflowWithoutRepository => "workflow-without-repository",
            Self::PullRequestTarget => "pull-request-target",
            Self::ShapeableValue => "shapeable-value",
            Self::OpenPrefix => "open-prefix",
            Self::UnprotectedRef => "unprotected-ref",
            Self::UnreachableRule => "unreachable-rule",
        }
    }
}

impl fmt::Display for WarningId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One warning about one field of one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleWarning {
    /// The rule.
    pub rule: RuleName,
    /// The field's path in the configuration, for example `rule[2].match`.
    pub field: String,
    /// What it is about.
    pub id: WarningId,
    /// What the rule lets in, and why that may not be meant.
    pub text: String,
    /// What to write.
    pub fix: String,
}

impl fmt::Display for RuleWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, field, id, text, fix } = self;
        write!(f, "{field} (rule `{rule}`): {text}; {fix} [{id}]")
    }
}

impl From<&RuleWarning> for RuleError {
    /// The warning as an error, for whoever wants rules without any.
    fn from(warning: &RuleWarning) -> Self {
        let RuleWarning { rule, field, id, text, fix } = warning;
        Self { path: field.clone(), rule: Some(rule.as_str().to_owned()), message: format!("{text}; {fix} [{id}]") }
    }
}

/// The warnings about `rules`.
pub(super) fn warnings(rules: &[Rule], issuers: &TrustedIssuers, root: &Context<'static, 'static>) -> Vec<RuleWarning> {
    let mut warnings = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let mut found = Found { rule, index, warnings: &mut warnings };
        let issuer = match &rule.from {
            RuleFrom::TrustedIssuer(name) => issuers.find(name.as_str()),
            RuleFrom::Session | RuleFrom::Bearer | RuleFrom::Anonymous => None,
        };
        if let Some(issuer) = issuer {
            let bound = claims::check(issuer.kind, &mut found);
            values::check(issuer.kind, bound, root, &mut found);
        }
        order::check(&rules[..index], &mut found);
    }
    warnings
}

/// Where warnings about one rule go.
struct Found<'a> {
    rule: &'a Rule,
    index: usize,
    warnings: &'a mut Vec<RuleWarning>,
}

impl Found<'_> {
    /// Notes a warning once.
    fn add(&mut self, field: &str, id: WarningId, text: String, fix: String) {
        let field = format!("rule[{}].{field}", self.index);
        let warning = RuleWarning { rule: self.rule.name.clone(), field, id, text, fix };
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}
