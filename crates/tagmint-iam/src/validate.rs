//! What S3 and IAM refuse to store, beyond the grammar, and what they store although it can never have an effect.
//!
//! Sources: the words of S3's and IAM's refusals as users report them, the IAM user guide ("AWS JSON policy elements: Principal", "Resource",
//! "Condition") and the service authorization reference ([`crate::service`]).

mod principal;
mod statement;

pub use self::principal::{Kind as PrincipalKind, Named, principals};
use crate::{
    policy::{InvalidPolicy, Kind, Policy, Problem},
    provider::{IamCode, IamError},
};

/// S3's code for a bucket policy that it does not store.
pub const MALFORMED_POLICY: &str = "MalformedPolicy";

/// Where a policy is to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// At a bucket.
    Bucket {
        /// The partition: `aws`.
        partition: &'a str,
        /// The bucket's name.
        bucket: &'a str,
    },
    /// At a role, as its trust policy.
    Trust {
        /// The partition.
        partition: &'a str,
    },
    /// At a role or user, inline or managed.
    Identity {
        /// The partition.
        partition: &'a str,
    },
}

/// Something in a policy that is refused, or that never has an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where: `$.Statement[0].Action`.
    pub path: String,
    /// The fault, with its correction.
    pub problem: Fault,
    /// The words with which AWS refuses the policy; none where AWS stores it and the statement has no effect, or less than it says.
    pub refusal: Option<String>,
}

/// A fault in a statement that fits the grammar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// An action that the service does not have, or a pattern that covers none.
    #[error("`{name}` is not an action{}", hint.as_ref().map_or(String::new(), |hint| format!("; write {hint}")))]
    UnknownAction {
        /// The name in the policy.
        name: String,
        /// The action that is meant, if that is known.
        hint: Option<String>,
    },
    /// An action of another service than the policy's.
    #[error("`{0}` is not an action of S3: a bucket policy names actions of S3 only")]
    ForeignAction(String),
    /// A resource that is no ARN.
    #[error("`{0}` is not an ARN; write arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE, or `*` for every resource")]
    NoArn(String),
    /// A resource of another partition.
    #[error("`{arn}` is not in the partition {partition}; write arn:{partition}:…")]
    Partition {
        /// The ARN.
        arn: String,
        /// The account's partition.
        partition: String,
    },
    /// A resource that cannot be named in this policy.
    #[error("`{arn}` cannot stand here; write {wanted}")]
    OtherResource {
        /// The ARN.
        arn: String,
        /// The resources that can stand there.
        wanted: String,
    },
    /// An action that applies to none of the statement's resources.
    #[error("`{action}` does not apply to {resources}; it applies to {types}")]
    NotApplicable {
        /// The action.
        action: String,
        /// The statement's resources.
        resources: String,
        /// The resource types that it applies to.
        types: String,
    },
    /// A condition key that does not exist.
    #[error("there is no condition key `{0}`; correct its name")]
    UnknownKey(String),
    /// A condition key that requests of this action never have.
    #[error(
        "requests of {action} never have `{key}`{}; give the condition a statement of its own for the actions that have the key",
        in_brackets(with)
    )]
    KeyOfOtherActions {
        /// The key.
        key: String,
        /// The action.
        action: String,
        /// The actions whose requests have it.
        with: Vec<String>,
    },
    /// A principal that cannot be named.
    #[error("`{name}` cannot be a principal{}; {wanted}", if name.contains('*') { ": wildcards do not work inside of an ARN" } else { "" })]
    Principal {
        /// The name.
        name: String,
        /// The correction.
        wanted: &'static str,
    },
}

fn in_brackets(actions: &[String]) -> String {
    if actions.is_empty() { String::new() } else { format!(" ({} have it)", actions.join(", ")) }
}

/// A policy that is not stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    /// AWS's code: `MalformedPolicy`.
    pub code: &'static str,
    /// AWS's words.
    pub message: String,
    /// Where in the document, what is wrong, and what to do about it.
    pub detail: String,
}

impl From<Refusal> for IamError {
    fn from(refusal: Refusal) -> Self {
        IamCode::MalformedPolicyDocument.with(refusal.message)
    }
}

/// Everything in a policy that is refused at its place or that never has an effect, in the document's order.
pub fn findings(policy: &Policy, place: Place<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for (index, statement) in policy.statements.iter().enumerate() {
        statement::check(statement, &format!("$.Statement[{index}]"), place, &mut found);
    }
    found.extend(principal::check(policy, place));
    found
}

/// Reads a bucket policy as S3 does before it stores one. Whether its principals exist is asked with [`principals`].
pub fn bucket_policy(text: &str, partition: &str, bucket: &str) -> Result<Policy, Refusal> {
    let policy = Policy::parse_as(Kind::Resource, text).map_err(|error| Refusal {
        code: MALFORMED_POLICY,
        message: words_of_s3(&error),
        detail: error.to_string(),
    })?;
    refuse(policy, Place::Bucket { partition, bucket }, MALFORMED_POLICY)
}

/// Reads a policy of a role or user as IAM does before it stores one.
pub fn identity_policy(text: &str, partition: &str) -> Result<Policy, Refusal> {
    let code = IamCode::MalformedPolicyDocument.as_str();
    let policy = Policy::parse_as(Kind::Identity, text).map_err(|error| Refusal {
        code,
        message: words_of_iam(&error),
        detail: error.to_string(),
    })?;
    refuse(policy, Place::Identity { partition }, code)
}

fn refuse(policy: Policy, place: Place<'_>, code: &'static str) -> Result<Policy, Refusal> {
    let found = findings(&policy, place);
    // S3 looks at the actions before it looks at what they apply to, and at the principals last.
    let first =
        found.into_iter().filter(|finding| finding.refusal.is_some()).min_by_key(|finding| rank(&finding.problem));
    match first {
        Some(Finding { path, problem, refusal: Some(message) }) => {
            Err(Refusal { code, message, detail: format!("{path}: {problem}") })
        }
        _ => Ok(policy),
    }
}

const fn rank(fault: &Fault) -> u8 {
    match fault {
        Fault::UnknownAction { .. } | Fault::ForeignAction(_) => 0,
        Fault::NoArn(_) | Fault::Partition { .. } | Fault::OtherResource { .. } => 1,
        Fault::UnknownKey(_) => 2,
        Fault::NotApplicable { .. } => 3,
        Fault::KeyOfOtherActions { .. } => 4,
        Fault::Principal { .. } => 5,
    }
}

/// S3's words for what the grammar does not take.
fn words_of_s3(error: &InvalidPolicy) -> String {
    let last = error.path.rsplit('.').next().unwrap_or_default();
    match &error.problem {
        Problem::Json(_) => "Policies must be valid JSON and the first byte must be '{'".to_owned(),
        Problem::Missing(name) => format!("Missing required field {name}"),
        Problem::Unknown(_) if error.path.contains(".Condition.") => format!("Invalid Condition type : {last}"),
        Problem::Unknown(_) => format!("Unknown field {last}"),
        Problem::Value { value, .. } if last == "Effect" => format!("Invalid effect: {value}"),
        Problem::Value { .. } if last == "Version" => "The policy must contain a valid version string".to_owned(),
        Problem::Value { .. } if error.path.contains("Action") => "Policy has invalid action".to_owned(),
        Problem::Value { .. } if error.path.contains("Principal") => "Invalid principal in policy".to_owned(),
        Problem::RepeatedSid(_) => "Statement IDs (SID) in a single policy must be unique.".to_owned(),
        _ => "Invalid policy syntax.".to_owned(),
    }
}

/// IAM's words for what the grammar does not take; they say less than ours.
pub(crate) fn words_of_iam(error: &InvalidPolicy) -> String {
    let last = error.path.rsplit('.').next().unwrap_or_default();
    match &error.problem {
        Problem::Json(_) => "This policy contains invalid Json".to_owned(),
        Problem::Missing(name @ ("Principal" | "Action" | "Effect")) => format!("Missing required field {name}"),
        Problem::Missing("Resource") => "Policy statement must contain resources.".to_owned(),
        Problem::Prohibited("Principal" | "NotPrincipal") => {
            "Policy document should not specify a principal.".to_owned()
        }
        Problem::Prohibited(name) => format!("Has prohibited field {name}"),
        Problem::RepeatedSid(_) => "Statement IDs (SID) in a single policy must be unique.".to_owned(),
        Problem::Unknown(_) if error.path.contains(".Condition.") => format!("Invalid Condition type : {last}"),
        Problem::Value { .. } if error.path.contains("Action") => {
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.".to_owned()
        }
        _ => "Syntax errors in policy.".to_owned(),
    }
}

#[cfg(test)]
mod tests;
