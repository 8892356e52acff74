//! Compiled rules.

use super::{RuleMode, RuleName, expression::Expression, matching::Match, session::SessionTerms, template::Template};
use crate::{
    claims::{Audience, InvalidClaim, Lifetime, RoleArn, Subject},
    identity::{IdentitySource, VerifiedIdentity},
    tags::TagKey,
    trusted_issuer::TrustedIssuerName,
};

/// The source of a rule's identities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleFrom {
    /// Those of a session: `session`.
    Session,
    /// Those of a bearer: `bearer`.
    Bearer,
    /// Those that a trusted issuer vouches for, by its name.
    TrustedIssuer(TrustedIssuerName),
    /// Callers without proof: `anonymous`.
    Anonymous,
}

impl RuleFrom {
    /// The names that no trusted issuer may have.
    pub const RESERVED: [&'static str; 3] = ["session", "bearer", "anonymous"];

    /// As the rule writes it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Session => "session",
            Self::Bearer => "bearer",
            Self::TrustedIssuer(name) => name.as_str(),
            Self::Anonymous => "anonymous",
        }
    }

    /// Whether a rule with this `from` takes the identity.
    pub(super) fn takes(&self, identity: &VerifiedIdentity) -> bool {
        match (self, identity.source) {
            (Self::Session, IdentitySource::Session)
            | (Self::Bearer, IdentitySource::Bearer)
            | (Self::Anonymous, IdentitySource::Anonymous) => true,
            (Self::TrustedIssuer(name), IdentitySource::TrustedIssuer(_)) => {
                identity.trusted_issuer.as_ref() == Some(name)
            }
            _ => false,
        }
    }
}

/// The source of an identity, written as a rule's `from`.
pub(super) fn from_of(identity: &VerifiedIdentity) -> &str {
    identity.trusted_issuer.as_ref().map_or(identity.source.as_str(), TrustedIssuerName::as_str)
}

/// A compiled rule.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: RuleName,
    pub(super) from: RuleFrom,
    pub(super) matches: Vec<Match>,
    /// None: true.
    pub(super) when: Option<Expression>,
    pub(super) mode: RuleMode,
    pub(super) subject: Text<Subject>,
    pub(super) audiences: Vec<Text<Audience>>,
    pub(super) roles: Vec<Text<RoleArn>>,
    /// Whether the rule writes its only role as `role`.
    pub(super) one_role: bool,
    /// None: [`Lifetime::DEFAULT`], within the most.
    pub(super) lifetime: Option<Text<Lifetime>>,
    /// None: the same as `lifetime`.
    pub(super) max_lifetime: Option<Text<Lifetime>>,
    pub(super) transitive: Vec<Template>,
    pub(super) session: SessionTerms,
    pub(super) tags: Vec<Tag>,
}

impl Rule {
    /// The field that the role at `index` of `roles` is written in.
    pub(super) fn role_field(&self, index: usize) -> String {
        if self.one_role { "role".to_owned() } else { format!("roles[{index}]") }
    }
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
