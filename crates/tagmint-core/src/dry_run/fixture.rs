//! Tests of rules: what is asked, and what is expected.
//!
//! A fixture file is TOML with one `[[test]]` table for each test. docs/rules-testing.md is the user's view.

mod expectation;
mod identity;

#[cfg(test)]
pub(super) mod tests;

use std::{borrow::Cow, collections::BTreeMap};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::{expectation::Expectation, identity::InvalidFixture};
use super::{Difference, UnprovenIdentity};
use crate::{
    json,
    rules::{DenialReason, Explanation, MintRequest, RuleSet, Verdict},
    trusted_issuer::TrustedIssuer,
};

/// A file of tests.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FixtureFile {
    /// The tests.
    #[serde(default)]
    pub test: Vec<Fixture>,
}

/// A test: who asks for what, and what is expected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fixture {
    /// What the test shows. For people.
    pub name: String,
    /// Where the identity comes from: the name of a `[[trusted_issuer]]`, or `session`, `bearer` or `anonymous`.
    pub from: String,
    /// The identity's subject: the token's `sub`, the session's subject, or the bearer token's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// The one rule that the credential may use, as `tagmint bearer create --rule` sets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only_rule: Option<String>,
    /// The prefixes that the credential is confined to, by tag, as `tagmint bearer create --prefix-scope` sets them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scope: BTreeMap<String, String>,
    /// The claims of the trusted issuer's token, as the token holds them; of a session or a bearer token its attributes. A table, or a string
    /// with a JSON object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims: Option<Claims>,
    /// Instead of `claims`: exactly what rules see, derived attributes included. `tagmint rules record` writes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Claims>,
    /// What the caller asks for. Default: nothing in particular.
    #[serde(default, skip_serializing_if = "is_default")]
    pub request: MintRequest,
    /// What the rules must decide.
    pub expect: Expectation,
}

fn is_default(request: &MintRequest) -> bool {
    *request == MintRequest::default()
}

/// Claims: a table, or a string with a JSON object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Claims {
    /// A table.
    Table(Map<String, Value>),
    /// JSON, for values that TOML does not have.
    Json(String),
}

impl JsonSchema for Claims {
    fn schema_name() -> Cow<'static, str> {
        "Claims".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A table, or a string with a JSON object.",
            "anyOf": [{"type": "object", "additionalProperties": true}, {"type": "string"}],
        })
    }
}

impl Claims {
    fn read(&self) -> Result<Map<String, Value>, String> {
        match self {
            Self::Table(table) => Ok(table.clone()),
            Self::Json(text) => json::parse_as(text.as_bytes()).map_err(|error| error.to_string()),
        }
    }
}

/// What came of a test.
#[derive(Debug, Clone, PartialEq)]
pub struct TestResult {
    /// In what the decision is not the expected one. Empty: the test passes.
    pub differences: Vec<Difference>,
    /// Of a test that fails: why the expected rule does not grant, or why none does.
    pub reason: Option<String>,
    /// The rule that the test is about: the expected one, or else the one that decided.
    pub covers: Option<String>,
}

impl Fixture {
    /// Asks the rules. An error: the test cannot be run.
    pub fn run(&self, rules: &RuleSet, issuers: &[&TrustedIssuer]) -> Result<TestResult, InvalidFixture> {
        self.expect.check(rules)?;
        let identity = self.identity(issuers)?;
        let explanation = identity.explain(rules, &self.request);
        let differences = self.expect.differences(&explanation);
        let expected = self.expect.rule.as_deref().filter(|_| self.expect.refused.is_none());
        let reason = || expected.and_then(|rule| why_not(rule, &explanation)).or_else(|| why(&explanation));
        let reason = if differences.is_empty() { None } else { reason() };
        let decided = match &explanation.decision.result {
            Ok(grant) => Some(grant.rule.to_string()),
            Err(denial) => denial.rule.as_ref().map(ToString::to_string),
        };
        Ok(TestResult { differences, reason, covers: self.expect.rule.clone().or(decided) })
    }

    /// Who asks.
    pub fn identity(&self, issuers: &[&TrustedIssuer]) -> Result<UnprovenIdentity, InvalidFixture> {
        identity::of(self, issuers)
    }
}

/// Why this rule does not grant. None where it would, and where there is no such rule.
pub fn why_not(rule: &str, explanation: &Explanation) -> Option<String> {
    let verdict = &explanation.rules.iter().find(|it| it.rule.as_str() == rule)?.verdict;
    match verdict {
        Verdict::From { .. } | Verdict::Missed(_) | Verdict::WhenFalse | Verdict::Refused(_) => {
            Some(format!("`{rule}`: {verdict}"))
        }
        Verdict::NotAsked | Verdict::Granted(_) => None,
    }
}

/// Why nothing is granted: the denial, or what the nearest rule missed. None where something is.
pub fn why(explanation: &Explanation) -> Option<String> {
    let denial = explanation.decision.result.as_ref().err()?;
    let nearest = explanation.nearest.as_ref().filter(|_| matches!(denial.reason, DenialReason::NoRule));
    let nearest = nearest.and_then(|name| explanation.rules.iter().find(|it| it.rule == *name));
    Some(nearest.map_or_else(
        || denial.to_string(),
        |nearest| format!("{denial}; the nearest is `{}`: {}", nearest.rule, nearest.verdict),
    ))
}
