//! Policy documents (IAM user guide, "Grammar of the IAM JSON policy language").
//!
//! The model keeps what a document says; whether its place allows it (a trust policy has no `Resource`, a role's policy no `Principal`)
//! is asked with [`Policy::require`].

mod parse;

use serde::Serialize;

use crate::{condition::Operator, template::Template};

/// A policy document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The language's version.
    pub version: Version,
    /// `Id`, which some services ask for.
    pub id: Option<String>,
    /// The statements, in the document's order.
    pub statements: Vec<Statement>,
}

/// The policy language's version (IAM user guide, "Version"). A document without one is of the older.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// 2008-10-17: no policy variables.
    V2008,
    /// 2012-10-17.
    V2012,
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Its `Sid`.
    pub sid: Option<String>,
    /// What it does where it applies.
    pub effect: Effect,
    /// `Principal` or `NotPrincipal`.
    pub principal: Option<PrincipalElement>,
    /// `Action` or `NotAction`.
    pub action: ActionElement,
    /// `Resource` or `NotResource`.
    pub resource: Option<ResourceElement>,
    /// The conditions; all must be true.
    pub conditions: Vec<Condition>,
}

/// What a statement does where it applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Effect {
    /// It allows.
    Allow,
    /// It denies, whatever else allows.
    Deny,
}

/// `Principal` or `NotPrincipal`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrincipalElement {
    /// Whether it is `NotPrincipal`.
    pub negated: bool,
    /// Whom it names.
    pub principals: Principals,
}

/// Whom a statement names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principals {
    /// `"*"`.
    Everyone,
    /// An object of lists by kind.
    Listed {
        /// Accounts, users, roles, sessions, `*`.
        aws: Vec<String>,
        /// OIDC and SAML providers.
        federated: Vec<String>,
        /// AWS services.
        service: Vec<String>,
        /// S3's canonical user ids.
        canonical_user: Vec<String>,
    },
}

/// `Action` or `NotAction`: names with wildcards, whose letters' case doesn't count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionElement {
    /// Whether it is `NotAction`.
    pub negated: bool,
    /// The names as they are written.
    pub names: Vec<String>,
}

/// `Resource` or `NotResource`: ARNs with wildcards and variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceElement {
    /// Whether it is `NotResource`.
    pub negated: bool,
    /// The ARNs.
    pub arns: Vec<Template>,
}

/// One key under one operator, with the values to compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// How to compare.
    pub operator: Operator,
    /// The key as it is written.
    pub key: String,
    /// The values; one that fits is enough.
    pub values: Vec<Template>,
}

/// Where a policy hangs, which decides over what its statements hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A role's trust policy: a principal, no resource.
    Trust,
    /// A policy of a role or user: a resource, no principal.
    Identity,
    /// A session policy: as a role's, and with all six fields in every ARN.
    Session,
    /// A policy of a bucket, key or queue: a principal and a resource.
    Resource,
}

/// Why a text is no policy: where in the document, and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct InvalidPolicy {
    /// The place, as `$.Statement[0].Effect`.
    pub path: String,
    /// What is wrong.
    pub problem: Problem,
}

/// What can be wrong at one place of a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The document isn't JSON, or says something twice.
    #[error("not acceptable JSON: {0}")]
    Json(String),
    /// Another JSON type is wanted.
    #[error("must be {0}")]
    Type(&'static str),
    /// A member of a name that the grammar doesn't have.
    #[error("unknown member; allowed are {0}")]
    Unknown(&'static str),
    /// A value that isn't one of the allowed ones.
    #[error("`{value}` is not allowed; allowed are {allowed}")]
    Value {
        /// What stands there.
        value: String,
        /// What may stand there.
        allowed: &'static str,
    },
    /// A member that has to be there.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// Two members that exclude each other.
    #[error("has both `{0}` and `{1}`; only one of them is allowed")]
    Both(&'static str, &'static str),
    /// A member that this kind of policy doesn't have.
    #[error("`{0}` is not allowed in this kind of policy")]
    Prohibited(&'static str),
    /// An ARN with too few fields, where AWS doesn't complete it.
    #[error(
        "`{0}` has fewer than six fields; write arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE, with `*` for what may be anything"
    )]
    IncompleteArn(String),
    /// A list without elements.
    #[error("must not be empty")]
    Empty,
    /// Two statements with the same id.
    #[error("the statement id `{0}` is used twice")]
    RepeatedSid(String),
}

impl Policy {
    /// Reads a document. Single values stand for lists of one everywhere, as the grammar has it.
    pub fn parse(text: &str) -> Result<Self, InvalidPolicy> {
        parse::policy(text)
    }

    /// Reads a document for its place.
    pub fn parse_as(kind: Kind, text: &str) -> Result<Self, InvalidPolicy> {
        let policy = Self::parse(text)?;
        policy.require(kind)?;
        Ok(policy)
    }

    /// The same policy in the version that knows policy variables. None where it is of that version, or where nothing would change.
    pub fn with_variables(&self) -> Option<Self> {
        if self.version == Version::V2012 {
            return None;
        }
        let mut other = Self { version: Version::V2012, ..self.clone() };
        let mut changed = false;
        for statement in &mut other.statements {
            let arns = statement.resource.iter_mut().flat_map(|element| &mut element.arns);
            for text in arns.chain(statement.conditions.iter_mut().flat_map(|condition| &mut condition.values)) {
                let filled = Template::parse(text.source(), true);
                changed |= filled != *text;
                *text = filled;
            }
        }
        changed.then_some(other)
    }

    /// Asks that every statement holds what its place needs, and nothing that its place prohibits.
    ///
    /// Session policies "do not support incomplete ARNs. Using an incomplete ARN in a session policy will result in a
    /// `MalformedPolicyDocumentException` error" (IAM user guide, "Amazon Resource Names").
    pub fn require(&self, kind: Kind) -> Result<(), InvalidPolicy> {
        for (index, statement) in self.statements.iter().enumerate() {
            let mut path = format!("$.Statement[{index}]");
            let problem = match (kind, &statement.principal, &statement.resource) {
                (Kind::Trust | Kind::Resource, None, _) => Problem::Missing("Principal"),
                (Kind::Trust, _, Some(resource)) => Problem::Prohibited(resource.name()),
                (Kind::Identity | Kind::Session, Some(principal), _) => Problem::Prohibited(principal.name()),
                (Kind::Identity | Kind::Session | Kind::Resource, _, None) => Problem::Missing("Resource"),
                (Kind::Session, None, Some(resource)) => {
                    let Some(arn) = resource.arns.iter().find(|arn| arn.missing_arn_fields() > 0) else { continue };
                    path = format!("{path}.{}", resource.name());
                    Problem::IncompleteArn(arn.source().to_owned())
                }
                _ => continue,
            };
            return Err(InvalidPolicy { path, problem });
        }
        Ok(())
    }
}

impl PrincipalElement {
    /// The member's name.
    pub const fn name(&self) -> &'static str {
        if self.negated { "NotPrincipal" } else { "Principal" }
    }
}

impl ActionElement {
    /// The member's name.
    pub const fn name(&self) -> &'static str {
        if self.negated { "NotAction" } else { "Action" }
    }
}

impl ResourceElement {
    /// The member's name.
    pub const fn name(&self) -> &'static str {
        if self.negated { "NotResource" } else { "Resource" }
    }
}

#[cfg(test)]
mod tests;
