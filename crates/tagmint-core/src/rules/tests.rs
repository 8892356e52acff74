//! Tests of the rules as a whole; the scanner and the configuration's form have theirs beside them.

mod docs;
mod language;
mod load;
mod properties;
mod request;
mod selection;

use serde_json::json;

use super::*;
use crate::{
    id::SessionId,
    identity::{CredentialId, IdentitySource, VerifiedIdentity},
};

pub(super) const ROLE: &str = "arn:aws:iam::123456789012:role/agentkeys-data-role";

/// Rules from TOML as users write it.
pub(super) fn parse(text: &str) -> Vec<RuleConfig> {
    #[derive(serde::Deserialize)]
    struct File {
        rule: Vec<RuleConfig>,
    }
    toml::from_str::<File>(text).unwrap().rule
}

pub(super) fn compiled(text: &str) -> RuleSet {
    RuleSet::compile(&parse(text), &TrustedIssuers::none()).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

/// A rule with the given lines added, of sessions unless a line says otherwise.
pub(super) fn rule_text(lines: &str) -> String {
    let unless_given = |key: &str, value: &str| {
        let given = lines.lines().any(|line| line.starts_with(&format!("{key} =")));
        if given { String::new() } else { format!("{key} = '{value}'\n") }
    };
    let from = unless_given("from", "session");
    let subject = unless_given("subject", "wallet:0xa");
    let given = lines.lines().any(|line| line.starts_with("audiences ="));
    let audiences = if given { "" } else { "audiences = ['sts.amazonaws.com']\n" };
    format!("[[rule]]\nname = 'r'\n{from}{subject}{audiences}{lines}\n")
}

/// The errors of one rule, as shown.
pub(super) fn errors_of(lines: &str) -> Vec<String> {
    let errors = RuleSet::compile(&parse(&rule_text(lines)), &TrustedIssuers::none()).err().unwrap_or_default();
    errors.iter().map(ToString::to_string).collect()
}

pub(super) fn identity_with(attributes: serde_json::Value) -> VerifiedIdentity {
    let serde_json::Value::Object(attributes) = attributes else { panic!("an object") };
    VerifiedIdentity {
        source: IdentitySource::Session,
        trusted_issuer: None,
        subject: "0xabc".to_owned(),
        attributes,
        credential: CredentialId::Session("ses_01K00000000000000000000000".parse::<SessionId>().unwrap()),
        only_rule: None,
        scope: TagScope::default(),
    }
}

pub(super) fn identity() -> VerifiedIdentity {
    identity_with(json!({
        "chain": "litentry",
        "team": "blue",
        "level": 3,
        "share": 0.5,
        "admin": true,
        "nothing": null,
        "big": u64::MAX,
        "groups": ["dev", "ops"],
        "deep": {"a": {"b": "c"}},
    }))
}

pub(super) fn request_with_tags(tags: &[(&str, &str)]) -> MintRequest {
    let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    MintRequest { tags, ..MintRequest::default() }
}

/// Decides for [`identity`] by one rule with the given lines.
pub(super) fn decide(lines: &str, request: &MintRequest) -> Result<Grant, Denial> {
    compiled(&rule_text(lines)).decide(&identity(), request).result
}
