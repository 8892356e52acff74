//! The terms of the role session that a rule's token opens: session policies and a second role.
//!
//! STS limits a session by the session policies that the caller passes. A caller who has the token can call STS without them. They limit the
//! credentials from the container endpoint and the client commands, and do not protect against a caller who gets the token.
//!
//! Sources: STS API reference, `AssumeRoleWithWebIdentity` and `AssumeRole` (`Policy`, `PolicyArns`); IAM user guide, "Role chaining".

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::claims::RoleArn;

/// The longest session policy, in characters (`Policy` of STS).
pub const MAX_POLICY: usize = 2048;
/// Most managed policies of a session (`PolicyArns` of STS).
pub const MAX_POLICY_ARNS: usize = 10;

/// The terms of a role session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionTerms {
    /// A session policy as JSON, without white space.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// ARNs of managed policies that are session policies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policy_arns: Vec<String>,
    /// The ARN of a role that the session assumes next. The policies then apply to the second session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assume_then: Option<String>,
}

impl SessionTerms {
    /// Whether they say nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// An invalid session policy or second role.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SessionError {
    #[error("not JSON: {0}")]
    Json(String),
    #[error("not a policy: write an object with `Version` and `Statement`")]
    NotAPolicy,
    #[error("{0} characters without white space; STS takes {MAX_POLICY}")]
    TooLong(usize),
    #[error("`{0}` is not the ARN of a managed policy, such as `arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess`")]
    PolicyArn(String),
    #[error("{0} policies; STS takes {MAX_POLICY_ARNS}")]
    TooMany(usize),
    #[error("`{0}` is not the ARN of a role, such as `arn:aws:iam::123456789012:role/data`")]
    Role(String),
}

/// Checks a session policy and takes its white space out: STS counts it.
pub(super) fn policy(text: &str) -> Result<String, SessionError> {
    let policy: Value = serde_json::from_str(text).map_err(|error| SessionError::Json(error.to_string()))?;
    let whole = policy.get("Version").is_some() && policy.get("Statement").is_some();
    if !whole {
        return Err(SessionError::NotAPolicy);
    }
    let compact = policy.to_string();
    let characters = compact.chars().count();
    if characters > MAX_POLICY { Err(SessionError::TooLong(characters)) } else { Ok(compact) }
}

/// Checks the ARNs of managed policies.
pub(super) fn policy_arns(arns: &[String]) -> Result<Vec<String>, SessionError> {
    if arns.len() > MAX_POLICY_ARNS {
        return Err(SessionError::TooMany(arns.len()));
    }
    let fits = |arn: &str| {
        let mut parts = arn.splitn(6, ':');
        let [Some("arn"), Some(partition), Some("iam"), Some(""), Some(account), Some(resource)] =
            std::array::from_fn(|_| parts.next())
        else {
            return false;
        };
        let account = account == "aws" || (account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()));
        partition.starts_with("aws") && account && resource.strip_prefix("policy/").is_some_and(|name| !name.is_empty())
    };
    match arns.iter().find(|arn| !fits(arn)) {
        Some(bad) => Err(SessionError::PolicyArn(super::expression::shortened(bad, 80))),
        None => Ok(arns.to_vec()),
    }
}

/// Checks the second role.
pub(super) fn second_role(arn: &str) -> Result<String, SessionError> {
    let parsed = RoleArn::parse(arn).map_err(|_| SessionError::Role(super::expression::shortened(arn, 80)))?;
    Ok(parsed.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_held_to_what_sts_takes() {
        let good = r#"{ "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}] }"#;
        assert!(!policy(good).unwrap().contains(' '));
        assert!(matches!(policy("{"), Err(SessionError::Json(_))));
        assert_eq!(policy("[]"), Err(SessionError::NotAPolicy));
        let long = format!(r#"{{"Version": "2012-10-17", "Statement": [], "Id": "{}"}}"#, "x".repeat(MAX_POLICY));
        assert!(matches!(policy(&long), Err(SessionError::TooLong(_))));
        let arns = |arns: &[&str]| policy_arns(&arns.iter().map(|arn| (*arn).to_owned()).collect::<Vec<_>>());
        assert!(
            arns(&["arn:aws:iam::aws:policy/ReadOnlyAccess", "arn:aws-cn:iam::123456789012:policy/team/read"]).is_ok()
        );
        for bad in [
            "",
            "ReadOnlyAccess",
            "arn:aws:iam::123456789012:role/x",
            "arn:aws:iam::1:policy/x",
            "arn:aws:iam::aws:policy/",
        ] {
            assert!(arns(&[bad]).is_err(), "{bad}");
        }
        assert_eq!(arns(&["arn:aws:iam::aws:policy/x"; 11]), Err(SessionError::TooMany(11)));
        assert!(second_role("arn:aws:iam::123456789012:role/data").is_ok() && second_role("data").is_err());
    }
}
