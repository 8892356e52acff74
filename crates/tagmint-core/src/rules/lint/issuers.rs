//! The issuers of the claims that a rule reads: a claim means something only together with the issuer that made it.
//!
//! Two issuers of one kind have claims of the same names, and nothing keeps their values apart: GitHub Enterprise Server counts its
//! repositories from 1 as github.com did, and its operator chooses its names. A rule that reads claims must therefore be one issuer's, or
//! name all that it means.

use super::{
    alternatives::{Alternative, Test, alternatives},
    paths::{Path, mentioned},
};
use crate::rules::{
    expression::Expression,
    providers::{Known, TrustedIssuers},
    rule::{Choice, Rule, TagSource, Text},
    template::{Part, Template},
};

/// The providers of several issuers whose tokens pass one and the same alternative of a rule that names none of them; empty where the rule
/// can tell its issuers apart, and where it reads no claim at all (then `nothing-bound` is said of it).
pub(in crate::rules) fn confused<'p>(rule: &Rule, providers: &'p TrustedIssuers) -> Vec<&'p Known> {
    if rule.providers.is_some() || !reads_claims(rule) {
        return Vec::new();
    }
    let whole = rule.when.as_ref().and_then(|when| alternatives(when.tree(), true));
    let whole = whole.unwrap_or_else(|| vec![Alternative::default()]);
    let several = whole.iter().map(|alternative| {
        let named = alternative.tests(&Path::Provider).any(|test| matches!(test, Test::OneOf(_)));
        let fitting = providers.all().filter(|known| !named && fits(known, rule, alternative));
        fitting.collect::<Vec<_>>()
    });
    let mut several = several.filter(|fitting| fitting.iter().any(|known| known.issuer() != fitting[0].issuer()));
    several.next().unwrap_or_default()
}

fn fits(known: &Known, rule: &Rule, alternative: &Alternative<'_>) -> bool {
    let source = known.kind.source();
    rule.sources.as_ref().is_none_or(|sources| sources.contains(&source))
        && alternative.all().all(|(path, test)| match path {
            Path::Source => test.admits(source.as_str()),
            Path::Provider => test.admits(known.name.as_str()),
            // A condition on an attribute that is not there fails, and refuses.
            Path::Attribute(name) => *test == Test::Absent || known.may_have(name),
            Path::Subject | Path::Value | Path::Attributes => true,
        })
}

/// Whether the rule decides by a claim, or puts one into the token. A token's own subject that reads only `sub` does not count: `sub`
/// identifies the caller, and every identity has one.
fn reads_claims(rule: &Rule) -> bool {
    let of_claims = |path: &Path| matches!(path, Path::Subject | Path::Attribute(_) | Path::Attributes);
    let in_expression = |expression: &Expression| mentioned(expression.tree()).iter().any(of_claims);
    let in_template = |template: &Template| expressions(template).any(in_expression);
    let in_tag = |value: &TagSource| match value {
        TagSource::Fixed(template) => in_template(template),
        TagSource::Chosen { among, default, .. } => {
            default.as_ref().is_some_and(in_template)
                || match among {
                    Choice::Open => false,
                    Choice::OneOf(values) => values.iter().any(in_template),
                    Choice::Matches(condition) => in_expression(condition),
                }
        }
    };
    let in_subject = |expression: &Expression| {
        mentioned(expression.tree()).iter().any(|path| of_claims(path) && *path != Path::Subject)
    };
    rule.when.as_ref().is_some_and(in_expression)
        || template(&rule.subject).is_some_and(|template| expressions(template).any(in_subject))
        || rule.audiences.iter().filter_map(template).any(in_template)
        || rule.roles.iter().filter_map(template).any(in_template)
        || rule.transitive.iter().any(in_template)
        || rule.tags.iter().any(|tag| in_tag(&tag.value))
}

fn template<T>(text: &Text<T>) -> Option<&Template> {
    match text {
        Text::Fixed(_) => None,
        Text::Template(template) => Some(template),
    }
}

fn expressions(template: &Template) -> impl Iterator<Item = &Expression> {
    let parts = match template {
        Template::Literal(_) => [].as_slice(),
        Template::Parts(parts) => parts,
    };
    parts.iter().filter_map(|part| match part {
        Part::Text(_) => None,
        Part::Expression(expression) => Some(expression),
    })
}
