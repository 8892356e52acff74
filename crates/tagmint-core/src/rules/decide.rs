//! From a request to a grant: the first rule that takes the identity decides, and the request may only
//! narrow or fill what that rule leaves open.

use std::{collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    RuleMode, RuleName, RuleSet,
    context::{self, Names},
    denial::{Denial, DenialReason, quoted},
    rule::{BadText, Choice, FromText, Rule, Tag, TagSource, Text},
    session::SessionTerms,
    template::Template,
};
use crate::{
    claims::{Audience, Lifetime, RoleArn, Subject},
    identity::VerifiedIdentity,
    tags::{SessionTags, TagValue},
};

/// What a caller asks for. Every field is optional; the rule fills the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MintRequest {
    /// One of the rule's audiences. Default: its first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// One of the rule's roles. Default: all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The lifetime in seconds. Default: the rule's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifetime_seconds: Option<i64>,
    /// The name of the one rule to try. Default: all in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Values for the tags that the rule leaves open.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// What the rules give: everything of a token that depends on who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The rule that decided.
    pub rule: RuleName,
    /// `sub`.
    pub subject: Subject,
    /// `aud`.
    pub audience: Audience,
    /// The roles that the token is for; empty where the rule names none.
    pub roles: Vec<RoleArn>,
    /// How long the token is valid.
    pub lifetime: Lifetime,
    /// The session tags.
    pub tags: SessionTags,
    /// The terms of the role session that the token opens.
    pub session: SessionTerms,
}

/// The decision on a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The grant, or the reason for the refusal.
    pub result: Result<Grant, Denial>,
    /// The decisions of the shadow rules before the deciding rule.
    pub shadows: Vec<ShadowDecision>,
}

/// The decision of a shadow rule. The issuer grants nothing by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShadowDecision {
    /// The rule.
    pub rule: RuleName,
    /// The grant that the rule would make, or the reason for its refusal.
    pub result: Result<Grant, DenialReason>,
}

impl RuleSet {
    /// Decides a request.
    ///
    /// Candidates are the rules in order that take identities of this `from`, without those that the request's `rule` or the
    /// identity's `only_rule` excludes. The first whose matches and condition hold decides. A condition that fails ends the search
    /// with a refusal: were it skipped, a narrow rule that errs would fall through to a broader one.
    ///
    /// Shadow rules are evaluated in their order, and the search continues after them.
    pub fn decide(&self, identity: &VerifiedIdentity, request: &MintRequest) -> Decision {
        let mut shadows = Vec::new();
        let result = self.decide_into(identity, request, &mut shadows);
        Decision { result, shadows }
    }

    fn decide_into(
        &self,
        identity: &VerifiedIdentity,
        request: &MintRequest,
        shadows: &mut Vec<ShadowDecision>,
    ) -> Result<Grant, Denial> {
        if let Some(what) = context::too_large(identity) {
            return Err(Denial::without_rule(DenialReason::IdentityTooLarge(what)));
        }
        if let Some(name) = &request.rule
            && !self.enforced.contains(name.as_str())
        {
            return Err(Denial::without_rule(DenialReason::UnknownRule(quoted(name))));
        }
        let names = Names::new(&self.root, identity);
        for rule in self.rules.iter().filter(|rule| is_candidate(rule, identity, request)) {
            let Some(result) = decide_by(rule, &names, identity, request) else { continue };
            match rule.mode {
                RuleMode::Enforce => return result.map_err(|reason| Denial { rule: Some(rule.name.clone()), reason }),
                RuleMode::Shadow => shadows.push(ShadowDecision { rule: rule.name.clone(), result }),
            }
        }
        Err(Denial::without_rule(DenialReason::NoRule))
    }
}

/// The decision of one candidate. None if it does not match the identity.
pub(super) fn decide_by(
    rule: &Rule,
    names: &Names<'_>,
    identity: &VerifiedIdentity,
    request: &MintRequest,
) -> Option<Result<Grant, DenialReason>> {
    if !rule.matches.iter().all(|it| it.holds(identity)) {
        return None;
    }
    match rule.when.as_ref().map_or(Ok(true), |when| when.holds(names.scope())) {
        Ok(false) => None,
        Err(message) => Some(Err(DenialReason::ConditionError { field: "when".to_owned(), message })),
        Ok(true) => {
            let granted = Granting { rule, names, request }.grant();
            Some(granted.and_then(|grant| identity.scope.check(&grant.tags).map(|()| grant)))
        }
    }
}

/// Whether request and credential let the rule be tried. A request that names an enforced rule leaves shadow rules out.
pub(super) fn is_candidate(rule: &Rule, identity: &VerifiedIdentity, request: &MintRequest) -> bool {
    request.rule.as_ref().is_none_or(|name| name == rule.name.as_str())
        && identity.only_rule.as_ref().is_none_or(|name| *name == rule.name)
        && rule.from.takes(identity)
}

/// A selected rule at work.
struct Granting<'r, 'i> {
    rule: &'r Rule,
    names: &'r Names<'i>,
    request: &'r MintRequest,
}

impl Granting<'_, '_> {
    fn grant(&self) -> Result<Grant, DenialReason> {
        Ok(Grant {
            rule: self.rule.name.clone(),
            subject: self.text(format_args!("subject"), &self.rule.subject)?,
            audience: self.audience()?,
            roles: self.roles()?,
            lifetime: self.lifetime()?,
            tags: self.tags()?,
            session: self.rule.session.clone(),
        })
    }

    fn audience(&self) -> Result<Audience, DenialReason> {
        for (index, audience) in self.rule.audiences.iter().enumerate() {
            let audience: Audience = self.text(format_args!("audiences[{index}]"), audience)?;
            if self.request.audience.as_ref().is_none_or(|wanted| wanted == audience.as_str()) {
                return Ok(audience);
            }
        }
        let audience = quoted(self.request.audience.as_deref().unwrap_or_default());
        Err(DenialReason::AudienceNotAllowed { audience })
    }

    fn roles(&self) -> Result<Vec<RoleArn>, DenialReason> {
        let mut roles: Vec<RoleArn> = Vec::with_capacity(self.rule.roles.len());
        for (index, role) in self.rule.roles.iter().enumerate() {
            let role = self.text(format_args!("{}", self.rule.role_field(index)), role)?;
            if !roles.contains(&role) {
                roles.push(role);
            }
        }
        if let Some(wanted) = &self.request.role {
            roles.retain(|role| role.as_str() == wanted);
            if roles.is_empty() {
                return Err(DenialReason::RoleNotAllowed { role: quoted(wanted) });
            }
        }
        Ok(roles)
    }

    fn lifetime(&self) -> Result<Lifetime, DenialReason> {
        let given = |field: &str, text: &Option<Text<Lifetime>>| {
            text.as_ref().map(|text| self.text(format_args!("{field}"), text)).transpose()
        };
        let default: Option<Lifetime> = given("lifetime", &self.rule.lifetime)?;
        let most = given("max_lifetime", &self.rule.max_lifetime)?;
        let (default, most) = match (default, most) {
            (Some(default), Some(most)) if default > most => {
                let (default, most) = (default.seconds(), most.seconds());
                let message = format!("{default} s is more than `max_lifetime`, {most} s");
                return Err(DenialReason::TemplateError { field: "lifetime".to_owned(), message });
            }
            (Some(default), most) => (default, most.unwrap_or(default)),
            (None, Some(most)) => (Lifetime::DEFAULT.min(most), most),
            (None, None) => (Lifetime::DEFAULT, Lifetime::DEFAULT),
        };
        let Some(seconds) = self.request.lifetime_seconds else { return Ok(default) };
        let wanted = Lifetime::from_seconds(seconds).ok().filter(|wanted| *wanted <= most);
        wanted.ok_or(DenialReason::LifetimeNotAllowed { seconds, max: most.seconds() })
    }

    fn tags(&self) -> Result<SessionTags, DenialReason> {
        let known = |key: &String| self.rule.tags.iter().any(|tag| tag.key.as_str() == key);
        if let Some(key) = self.request.tags.keys().find(|key| !known(key)) {
            return Err(DenialReason::TagNotAllowed { key: quoted(key) });
        }
        let mut tags: Vec<(&str, String)> = Vec::with_capacity(self.rule.tags.len());
        for tag in &self.rule.tags {
            if let Some(value) = self.tag(tag)? {
                tags.push((tag.key.as_str(), value));
            }
        }
        let mut transitive = Vec::with_capacity(self.rule.transitive.len());
        for (index, key) in self.rule.transitive.iter().enumerate() {
            let key = self.render(format_args!("transitive[{index}]"), key)?;
            // A tag of the rule that this token does not have cannot be transitive. Any other key is
            // an error, which the set reports.
            if !known(&key) || tags.iter().any(|(tag, _)| *tag == key) {
                transitive.push(key);
            }
        }
        SessionTags::new(tags, transitive).map_err(DenialReason::InvalidTag)
    }

    /// The value of one tag; None leaves it out.
    fn tag(&self, tag: &Tag) -> Result<Option<String>, DenialReason> {
        let key = tag.key.as_str();
        let requested = self.request.tags.get(key);
        let refused = |value: &str| DenialReason::TagValueNotAllowed { key: key.to_owned(), value: quoted(value) };
        let (among, default, required) = match &tag.value {
            TagSource::Fixed(template) => {
                let value = self.render(format_args!("tags.{key}"), template)?;
                return match requested {
                    Some(requested) if *requested != value => Err(refused(requested)),
                    _ => Ok(Some(value)),
                };
            }
            TagSource::Chosen { among, default, required } => (among, default, *required),
        };
        let value = match (requested, default) {
            (Some(requested), _) => requested.clone(),
            (None, Some(default)) => self.render(format_args!("tags.{key}.default"), default)?,
            (None, None) if required => {
                return Err(DenialReason::TagRequired { key: key.to_owned() });
            }
            (None, None) => return Ok(None),
        };
        TagValue::parse(&tag.key, &value).map_err(DenialReason::InvalidTag)?;
        let allowed = match among {
            Choice::Open => true,
            Choice::OneOf(values) => {
                let mut found = false;
                for (index, allowed) in values.iter().enumerate() {
                    found |= self.render(format_args!("tags.{key}.one_of[{index}]"), allowed)? == value;
                }
                found
            }
            Choice::Matches(condition) => {
                let scope = context::scope_with_value(self.names.scope(), &value);
                condition
                    .holds(&scope)
                    .map_err(|message| DenialReason::ConditionError { field: format!("tags.{key}.matches"), message })?
            }
        };
        if allowed { Ok(Some(value)) } else { Err(refused(&value)) }
    }

    fn text<T: FromText + Clone>(&self, field: fmt::Arguments<'_>, text: &Text<T>) -> Result<T, DenialReason> {
        let template = match text {
            Text::Fixed(value) => return Ok(value.clone()),
            Text::Template(template) => template,
        };
        T::from_text(&self.render(field, template)?).map_err(|error| match error {
            BadText::Claim(error) => DenialReason::InvalidClaim { field: field.to_string(), error },
            bad @ BadText::Lifetime(_) => {
                DenialReason::TemplateError { field: field.to_string(), message: bad.to_string() }
            }
        })
    }

    fn render(&self, field: fmt::Arguments<'_>, template: &Template) -> Result<String, DenialReason> {
        template.render(self.names).map_err(|message| DenialReason::TemplateError { field: field.to_string(), message })
    }
}
