//! Why a request is refused, for the ledger, the log and the caller.

use super::{RuleName, expression::shortened};
use crate::{claims::InvalidClaim, sanitize::redact, tags::InvalidTag};

/// A refusal. `Display` is for the log: it may quote the identity's attributes and CEL's own words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{reason}", rule.as_ref().map(|rule| format!("rule `{rule}`: ")).unwrap_or_default())]
pub struct Denial {
    /// The rule that refused. None where no rule came to decide.
    pub rule: Option<RuleName>,
    /// Why.
    pub reason: DenialReason,
}

/// Why a request is refused. Fields are named as in the configuration (`tags.run.matches`), request fields
/// as in the API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DenialReason {
    /// No rule's condition is true for this identity.
    #[error("no rule takes this identity")]
    NoRule,
    /// The request names a rule that does not exist.
    #[error("the request names the rule {0:?}, which does not exist")]
    UnknownRule(String),
    /// The identity is over a limit that keeps evaluation cheap.
    #[error("the identity is too large: {0}")]
    IdentityTooLarge(String),
    /// A condition (`when`, or a tag's `matches`) could not be evaluated.
    #[error("`{field}` could not be evaluated: {message}")]
    ConditionError {
        /// The field.
        field: String,
        /// CEL's message, shortened.
        message: String,
    },
    /// A template could not be evaluated, or its result is not of the field's form.
    #[error("`{field}` could not be evaluated: {message}")]
    TemplateError {
        /// The field.
        field: String,
        /// CEL's message, shortened.
        message: String,
    },
    /// A template gives something that AWS refuses.
    #[error("`{field}`: {error}")]
    InvalidClaim {
        /// The field.
        field: String,
        /// What is wrong with it.
        error: InvalidClaim,
    },
    /// The tags, together, are something that AWS refuses.
    #[error("{0}")]
    InvalidTag(InvalidTag),
    /// The rule does not allow the requested audience.
    #[error("the audience {audience:?} is not one of the rule's")]
    AudienceNotAllowed {
        /// What was requested, shortened.
        audience: String,
    },
    /// The rule does not allow the requested role.
    #[error("the role {role:?} is not one of the rule's")]
    RoleNotAllowed {
        /// What was requested, shortened.
        role: String,
    },
    /// The rule does not allow the requested lifetime.
    #[error("a lifetime of {seconds} s; the rule allows {min} to {max} s", min = crate::claims::MIN_LIFETIME_SECONDS)]
    LifetimeNotAllowed {
        /// What was requested, in seconds.
        seconds: i64,
        /// The rule's most, in seconds.
        max: u32,
    },
    /// The request gives a tag that the rule does not have.
    #[error("the rule has no tag {key:?}")]
    TagNotAllowed {
        /// The tag's key, shortened.
        key: String,
    },
    /// The rule does not allow the tag's value.
    #[error("the rule does not allow the value {value:?} for the tag `{key}`")]
    TagValueNotAllowed {
        /// The tag's key.
        key: String,
        /// The value, shortened.
        value: String,
    },
    /// The rule wants a tag that the request does not give.
    #[error("the rule wants a value for the tag `{key}`")]
    TagRequired {
        /// The tag's key.
        key: String,
    },
    /// The rule would give more than the credential is confined to.
    #[error(
        "the credential is confined to `{prefix}` and below by the tag `{key}`, and the token's is {}",
        value.as_ref().map_or("absent".to_owned(), |value| format!("{value:?}"))
    )]
    OutOfScope {
        /// The tag's key.
        key: String,
        /// The prefix below which its value must lie.
        prefix: String,
        /// Its value, shortened. None where the token would not have the tag.
        value: Option<String>,
    },
}

impl DenialReason {
    /// All values of [`code`](Self::code).
    pub const CODES: [&'static str; 14] = [
        "no_rule",
        "unknown_rule",
        "identity_too_large",
        "condition_error",
        "template_error",
        "invalid_claim",
        "invalid_tag",
        "audience_not_allowed",
        "role_not_allowed",
        "lifetime_not_allowed",
        "tag_not_allowed",
        "tag_value_not_allowed",
        "tag_required",
        "out_of_scope",
    ];

    /// A stable name, for the ledger and metrics.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoRule => "no_rule",
            Self::UnknownRule(_) => "unknown_rule",
            Self::IdentityTooLarge(_) => "identity_too_large",
            Self::ConditionError { .. } => "condition_error",
            Self::TemplateError { .. } => "template_error",
            Self::InvalidClaim { .. } => "invalid_claim",
            Self::InvalidTag(_) => "invalid_tag",
            Self::AudienceNotAllowed { .. } => "audience_not_allowed",
            Self::RoleNotAllowed { .. } => "role_not_allowed",
            Self::LifetimeNotAllowed { .. } => "lifetime_not_allowed",
            Self::TagNotAllowed { .. } => "tag_not_allowed",
            Self::TagValueNotAllowed { .. } => "tag_value_not_allowed",
            Self::TagRequired { .. } => "tag_required",
            Self::OutOfScope { .. } => "out_of_scope",
        }
    }
}

impl Denial {
    pub(super) fn without_rule(reason: DenialReason) -> Self {
        Self { rule: None, reason }
    }

    /// [`DenialReason::code`].
    pub const fn code(&self) -> &'static str {
        self.reason.code()
    }

    /// What the caller may know: which field to change, where that is theirs to change. Nothing of other
    /// rules, and no expression's text or error.
    pub fn public_message(&self) -> String {
        let rule = self.rule.as_ref().map_or("", RuleName::as_str);
        match &self.reason {
            // One message for both, so that rule names cannot be tried out.
            DenialReason::NoRule | DenialReason::UnknownRule(_) => {
                "no rule lets this identity have such a token; ask the operator, and check `rule` if you gave one"
                    .to_owned()
            }
            DenialReason::IdentityTooLarge(what) => {
                format!("this identity is too large for rules to look at: {what}")
            }
            DenialReason::ConditionError { .. } | DenialReason::TemplateError { .. } => {
                format!("rule `{rule}` could not be evaluated for this identity; ask the operator")
            }
            DenialReason::InvalidClaim { error, .. } => {
                format!("rule `{rule}` gives this identity a claim that AWS refuses: {error}")
            }
            DenialReason::InvalidTag(error) => {
                format!("rule `{rule}` with these `tags` gives what AWS refuses: {error}")
            }
            DenialReason::AudienceNotAllowed { audience } => {
                format!("rule `{rule}` does not allow the `audience` {audience:?}; leave it out for the rule's default")
            }
            DenialReason::RoleNotAllowed { role } => {
                format!("rule `{rule}` does not allow the `role` {role:?}; leave it out for the rule's own")
            }
            DenialReason::LifetimeNotAllowed { seconds, max } => format!(
                "rule `{rule}` does not allow `lifetime_seconds` {seconds}; ask for {} to {max}",
                crate::claims::MIN_LIFETIME_SECONDS
            ),
            DenialReason::TagNotAllowed { key } => {
                format!("rule `{rule}` has no tag {key:?}; take it out of `tags`")
            }
            DenialReason::TagValueNotAllowed { key, value } => {
                format!("rule `{rule}` does not allow the value {value:?} for `{key}` in `tags`")
            }
            DenialReason::TagRequired { key } => {
                format!("rule `{rule}` wants a value for `{key}` in `tags`")
            }
            DenialReason::OutOfScope { key, prefix, .. } => {
                format!(
                    "this credential is confined to tokens whose tag `{key}` is {prefix:?} or lies below it; rule `{rule}` gives it another or none"
                )
            }
        }
    }
}

/// A caller's text, short enough for a message and without what looks like a credential: it lands in the log and the ledger.
pub(super) fn quoted(text: &str) -> String {
    shortened(&redact(text), 100)
}
