//! Policies of the older version, in which a policy variable is plain text.

use super::Warning;
use crate::policy::{Policy, Statement, Version};

/// That a policy's version is why a variable was not filled in.
pub(super) fn fix(owner: &str, variable: &str) -> String {
    format!(
        "{owner} has no \"Version\": \"2012-10-17\", and in the older version (2008-10-17, also where there is none) {variable} is plain text, \
         not a variable: write \"Version\": \"2012-10-17\" in the policy"
    )
}

/// The first variable of a policy of the older version.
pub(super) fn literal(policy: &Policy) -> Option<String> {
    policy.with_variables()?;
    policy.statements.iter().find_map(|statement| literal_in(policy, statement))
}

/// The first variable of a statement of such a policy.
pub(super) fn literal_in(policy: &Policy, statement: &Statement) -> Option<String> {
    let arns = statement.resource.iter().flat_map(|element| &element.arns);
    let mut texts = arns.chain(statement.conditions.iter().flat_map(|condition| &condition.values));
    let variable = texts.find_map(|text| variable(text.source()))?;
    (policy.version == Version::V2008).then(|| variable.to_owned())
}

/// The first variable of a text, as it is written.
pub(super) fn variable(text: &str) -> Option<&str> {
    let start = text.find("${")?;
    let end = text[start..].find('}')?;
    Some(&text[start..=start + end])
}

/// A policy that passes or refuses with variables that are plain text.
pub(super) fn warning(owner: &str, policy: &Policy) -> Option<Warning> {
    let variable = literal(policy)?;
    Some(Warning { id: "variables-not-filled-in", text: fix(owner, &variable) })
}
