//! Compiled rules.

use super::{RuleName, expression::Expression, template::Template};
use crate::{
    claims::{Audience, InvalidClaim, Lifetime, RoleArn, Subject},
    identity::IdentitySource,
    tags::TagKey,
    trusted_issuer::TrustedIssuerName,
};

/// A compiled rule.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: RuleName,
    /// None: any source.
    pub(super) sources: Option<Vec<IdentitySource>>,
    /// None: any provider, or none.
    pub(super) providers: Option<Vec<TrustedIssuerName>>,
    /// None: true.
    pub(super) when: Option<Expression>,
    pub(super) subject: Text<Subject>,
    pub(super) audiences: Vec<Text<Audience>>,
    pub(super) roles: Vec<Text<RoleArn>>,
    /// None: [`Lifetime::DEFAULT`], within the most.
    pub(super) lifetime: Option<Text<Lifetime>>,
    /// None: the same as `lifetime`.
    pub(super) max_lifetime: Option<Text<Lifetime>>,
    pub(super) transitive: Vec<Template>,
    pub(super) tags: Vec<Tag>,
}

/// A session tag of a rule.
#[derive(Debug)]
pub(super) struct Tag {
    pub(super) key: TagKey,
    pub(super) value: TagSource,
}

/// Where a tag's value comes from.
#[derive(Debug)]
pub(super) enum TagSource {
    Fixed(Template),
    Chosen { among: Choice, default: Option<Template>, required: bool },
}

/// What a request may choose.
#[derive(Debug)]
pub(super) enum Choice {
    Open,
    OneOf(Vec<Template>),
    Matches(Expression),
}

/// A template for a checked type. A literal is checked, and made, at load.
#[derive(Debug)]
pub(super) enum Text<T> {
    Fixed(T),
    Template(Template),
}

/// A type that a template's result is checked against.
pub(super) trait FromText: Sized {
    fn from_text(text: &str) -> Result<Self, BadText>;
}

/// Why a text is not of its type.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadText {
    #[error(transparent)]
    Claim(#[from] InvalidClaim),
    #[error("`{0}` is not a lifetime; write \"5m\", \"300s\" or 300")]
    Lifetime(String),
}

impl FromText for Subject {
    fn from_text(text: &str) -> Result<Self, BadText> {
        Ok(Self::parse(text)?)
    }
}

impl FromText for Audience {
    fn from_text(text: &str) -> Result<Self, BadText> {
        Ok(Self::parse(text)?)
    }
}

impl FromText for RoleArn {
    fn from_text(text: &str) -> Result<Self, BadText> {
        Ok(Self::parse(text)?)
    }
}

impl FromText for Lifetime {
    fn from_text(text: &str) -> Result<Self, BadText> {
        let (digits, unit) = match text.strip_suffix('m') {
            Some(minutes) => (minutes, 60),
            None => (text.strip_suffix('s').unwrap_or(text), 1),
        };
        let number = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<i64>().ok());
        let seconds = number.flatten().and_then(|number| number.checked_mul(unit));
        let seconds = seconds.ok_or_else(|| BadText::Lifetime(super::expression::shortened(text, 40)))?;
        Ok(Self::from_seconds(seconds)?)
    }
}
