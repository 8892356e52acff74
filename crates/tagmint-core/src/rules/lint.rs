//! What is allowed, but hardly meant: rules that take more CI jobs than their author thinks.
//!
//! A condition is brought into alternatives first ([`alternatives`]): every way in which it can be true, each as
//! the tests that then hold. So a repository that is bound on one side of `||` alone does not count as bound,
//! and what a negation or `? :` leaves open is open. Each alternative is then looked at on its own, with the eyes
//! of each platform whose identities the rule takes.
//!
//! | module | holds |
//! |---|---|
//! | `paths` | which parts of an identity an expression names, and which flow into its result |
//! | `alternatives` | a condition as alternatives of tests |
//! | `pattern` | what a regular expression leaves open |
//! | `platform` | what each platform's attributes are |
//! | `conditions`, `values` | the checks of `when`, and of what goes into the token |
//! | `issuers` | which issuers' claims a rule reads without naming one: an error |

mod alternatives;
mod conditions;
pub(super) mod issuers;
mod paths;
mod pattern;
mod platform;
mod values;

#[cfg(test)]
mod tests;

use std::fmt;

use serde::Serialize;

use self::{
    alternatives::{Alternative, alternatives},
    platform::Platform,
};
use super::{RuleError, RuleName, providers::TrustedIssuers, rule::Rule};

/// What a warning is about: a stable name, for people to look up and for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WarningId {
    /// A rule takes every job of a platform.
    NothingBound,
    /// A name is relied on where the platform has an id. Names can be taken over.
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
    /// A regular expression that does not cover the whole text.
    LooseRegex,
    /// A part of a name is compared.
    LooseText,
    /// A condition with too many alternatives to look at.
    UncheckedCondition,
}

impl WarningId {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::NothingBound,
        Self::NameWithoutId,
        Self::OwnerWithoutRepository,
        Self::WorkflowWithoutRepository,
        Self::PullRequestTarget,
        Self::ShapeableValue,
        Self::OpenPrefix,
        Self::UnprotectedRef,
        Self::LooseRegex,
        Self::LooseText,
        Self::UncheckedCondition,
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
            Self::LooseRegex => "loose-regex",
            Self::LooseText => "loose-text",
            Self::UncheckedCondition => "unchecked-condition",
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
    /// The field's path in the configuration, for example `rule[2].when`.
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

/// The warnings about `rules`. To be called on a thread with [`super::limits::COMPILE_STACK`].
pub(super) fn warnings(rules: &[Rule], providers: &TrustedIssuers) -> Vec<RuleWarning> {
    let mut warnings = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let mut found = Found { rule, index, warnings: &mut warnings };
        let platforms = platforms(rule, providers);
        if platforms.is_empty() {
            continue;
        }
        let whole = rule
            .when
            .as_ref()
            .map_or_else(|| Some(vec![Alternative::default()]), |when| alternatives(when.tree(), true));
        let Some(whole) = whole else {
            found.add(
                "when",
                WarningId::UncheckedCondition,
                "the condition has too many alternatives (`||`, `? :`) to look at each".to_owned(),
                "use `in [\"a\", \"b\"]` instead of `||`, or write several rules".to_owned(),
            );
            continue;
        };
        let explicit = rule.sources.is_some() || rule.providers.is_some();
        for platform in platforms {
            let taken: Vec<&Alternative<'_>> =
                whole.iter().filter(|it| platform.may_take(it, providers, explicit)).collect();
            if !taken.is_empty() {
                conditions::check(platform, &taken, whole.len(), &mut found);
                values::check(platform, &taken, &mut found);
            }
        }
    }
    warnings
}

/// The platforms whose identities `rule` may take, as far as its `source` and `provider` say. A rule that says
/// neither may take those of every configured provider.
fn platforms(rule: &Rule, providers: &TrustedIssuers) -> Vec<Platform> {
    let named = |platform: &Platform| {
        let kind = platform.kind();
        let by_source = rule.sources.as_ref().map(|sources| sources.contains(&kind.source()));
        let of_kind = |name: &crate::trusted_issuer::TrustedIssuerName| {
            providers.find(name.as_str()).is_some_and(|it| it.1 == kind)
        };
        let by_provider = rule.providers.as_ref().map(|names| names.iter().any(of_kind));
        match (by_source, by_provider) {
            (None, None) => providers.kinds().any(|it| it == kind),
            (source, provider) => source.unwrap_or(true) && provider.unwrap_or(true),
        }
    };
    Platform::ALL.into_iter().filter(named).collect()
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
