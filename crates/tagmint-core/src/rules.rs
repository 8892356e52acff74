//! Rules: what an authenticated identity may have minted.
//!
//! A rule says whose identities it takes, what it asks of their claims, and what a token holds: matches and templates over the
//! claims, and where they do not suffice a condition in CEL. Rules are compiled and checked once, when the configuration is loaded
//! ([`RuleSet::compile`]); each request is then decided by the first rule whose conditions hold ([`RuleSet::decide`]). No rule, no
//! token; a rule that cannot be evaluated refuses. docs/rules.md is the user's view.
//!
//! | module | holds |
//! |---|---|
//! | `config` | rules as they are written |
//! | [`limits`] | what a rule may cost |
//! | `issuers`, `vocabulary` | whom rules may name, and which claims |
//! | `matching` | what a rule asks of single claims |
//! | `scan`, `expression`, `check`, `template` | the language: bounds, parsing, evaluation |
//! | `context`, `functions` | what expressions see of an identity, and may call |
//! | `compile`, `rule`, `decide` | from configuration to rules, from a request to a grant |
//! | `explain` | what every rule says of a request |
//! | `hash` | which rules are in force |
//! | `session` | what a rule says of the role session |
//! | `scope` | what one credential is confined to |
//! | `outline` | what a rule's tokens look like, for policies that are to fit them |
//! | `unbound` | conditions that leave a tag as good as open |
//! | `denial` | why not |
//! | `lint` | which rules take more than they seem to, or nothing |

mod check;
mod compile;
mod config;
mod context;
mod decide;
mod denial;
mod explain;
mod expression;
mod functions;
mod hash;
mod issuers;
pub mod limits;
mod lint;
mod matching;
pub(crate) mod nearest;
mod outline;
mod rule;
mod scan;
mod scope;
mod session;
mod template;
mod unbound;
mod vocabulary;

#[cfg(test)]
pub(super) mod tests;

use std::{borrow::Borrow, collections::BTreeSet, fmt};

use serde::Serialize;

pub use self::{
    compile::RuleError,
    config::{ChosenTag, LifetimeConfig, MatchConfig, MatchTest, MatchValue, RuleConfig, RuleMode, TagConfig},
    decide::{Decision, Grant, MintRequest, ShadowDecision},
    denial::{Denial, DenialReason},
    explain::{Explanation, RuleVerdict, Verdict},
    issuers::TrustedIssuers,
    lint::{RuleWarning, WarningId},
    matching::Miss,
    outline::{MatchOutline, Matched, MatchedBy, Piece, RuleOutline, Shape, TagOutline, TagValues},
    rule::RuleFrom,
    scope::{InvalidScope, TagScope},
    session::SessionTerms,
    unbound::UnboundTag,
};

/// A rule's name: 1 to 64 characters of `a-z`, `0-9` and `-`. It stands in the ledger and in refusals.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct RuleName(String);

/// The text is no rule name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a rule name: use 1 to 64 characters of `a-z`, `0-9` and `-`")]
pub struct InvalidRuleName(pub String);

impl RuleName {
    /// Longest name, in characters.
    pub const MAX_LEN: usize = 64;

    /// Checks a name.
    pub fn parse(text: &str) -> Result<Self, InvalidRuleName> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=Self::MAX_LEN).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidRuleName(expression::shortened(text, Self::MAX_LEN)))
        }
    }

    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for RuleName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The compiled rules of an issuer, in their order.
pub struct RuleSet {
    rules: Vec<rule::Rule>,
    /// The names of the rules that decide.
    enforced: BTreeSet<RuleName>,
    warnings: Vec<RuleWarning>,
    hash: String,
    /// The functions that expressions may call.
    root: cel::Context<'static, 'static>,
}

impl RuleSet {
    /// The rules' names, in the order in which they are tried.
    pub fn names(&self) -> impl Iterator<Item = &RuleName> {
        self.rules.iter().map(|rule| &rule.name)
    }

    /// The first 16 hex characters of the SHA-256 of the rules and of the trusted issuers that they may name: which rules are in force.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// What is allowed, but hardly meant: rules that take more than their author thinks, or nothing. In the order of the rules.
    pub fn warnings(&self) -> &[RuleWarning] {
        &self.warnings
    }

    /// The session tags that rules set or leave to the caller, each once, in the order of the rules.
    pub fn tag_keys(&self) -> Vec<&str> {
        let mut keys: Vec<&str> = Vec::new();
        for key in self.rules.iter().flat_map(|rule| &rule.tags).map(|tag| tag.key.as_str()) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }

    /// Whether there is no rule. Such a set refuses everything.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

impl fmt::Debug for RuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}
