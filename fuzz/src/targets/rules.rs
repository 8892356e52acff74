//! Rules: any configuration compiles or is refused with words, and then any identity and request get one decision.
//!
//! Parts: the rules in TOML, the identity's attributes in JSON, the request in JSON (`issuer`: the kind of the trusted issuer that vouches).

use std::collections::BTreeMap;

use crate::sections;
use serde::Deserialize;
use serde_json::{Map, Value};
use tagmint_core::{
    identity::{CredentialId, IdentitySource, VerifiedIdentity},
    rules::{Decision, Grant, MintRequest, RuleConfig, RuleSet, TagScope, TrustedIssuers},
    trusted_issuer::{IssuerKind, TrustedIssuerName},
};

/// The stack that a worker thread has, on which requests are decided, in bytes.
const WORKER_STACK: usize = 2 * 1024 * 1024;

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    rule: Vec<RuleConfig>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    subject: Option<String>,
    bearer: bool,
    issuer: Option<String>,
    audience: Option<String>,
    role: Option<String>,
    lifetime: Option<i64>,
    rule: Option<String>,
    tags: BTreeMap<String, String>,
}

/// Runs one input.
pub fn run(data: &[u8]) {
    let Some([rules, attributes, request]) = sections(data) else { return };
    let Ok(file) = toml::from_str::<File>(rules) else { return };
    let rules = match RuleSet::compile(&file.rule, &issuers()) {
        Ok(rules) => {
            assert!(rules.warnings().iter().all(|warning| !warning.to_string().is_empty()));
            rules
        }
        Err(errors) => {
            assert!(!errors.is_empty() && errors.iter().all(|error| !error.to_string().is_empty()));
            return;
        }
    };
    let attributes: Map<String, Value> = serde_json::from_str(attributes).unwrap_or_default();
    let asked: Asked = serde_json::from_str(request).unwrap_or_default();
    let kind = asked.issuer.as_deref().and_then(|kind| kind.parse::<IssuerKind>().ok());
    let trusted_issuer = kind.and_then(|kind| TrustedIssuerName::parse(kind.as_str()).ok());
    // How a token is named is of no interest to the rules.
    let (source, credential) = if asked.bearer {
        (IdentitySource::Bearer, CredentialId::Bearer("brr_01K5N0000000000000000000AB".parse().expect("an id")))
    } else {
        (IdentitySource::Session, CredentialId::Session("ses_01K5N0000000000000000000AB".parse().expect("an id")))
    };
    let subject = asked.subject.unwrap_or_else(|| "0xabc".to_owned());
    let source = kind.map_or(source, IdentitySource::TrustedIssuer);
    let scope = TagScope::default();
    let identity = VerifiedIdentity { source, trusted_issuer, subject, attributes, credential, only_rule: None, scope };
    let request = MintRequest {
        audience: asked.audience,
        role: asked.role,
        lifetime_seconds: asked.lifetime,
        rule: asked.rule,
        tags: asked.tags,
    };
    assert_eq!(rules.explain(&identity, &request).decision, rules.decide(&identity, &request), "explained otherwise");
    let decided = decide_on_a_worker(&rules, &identity, &request);
    assert_eq!(decided, rules.decide(&identity, &request), "the same request, another decision");
    match decided.result {
        Ok(grant) => held(&grant, &request),
        Err(denial) => assert!(!denial.to_string().is_empty()),
    }
}

/// A trusted issuer of each kind, under the kind's name.
fn issuers() -> TrustedIssuers {
    IssuerKind::ALL.into_iter().map(|kind| (TrustedIssuerName::parse(kind.as_str()).expect("a name"), kind)).collect()
}

fn decide_on_a_worker(rules: &RuleSet, identity: &VerifiedIdentity, request: &MintRequest) -> Decision {
    std::thread::scope(|scope| {
        let worker = std::thread::Builder::new().stack_size(WORKER_STACK);
        let worker = worker.spawn_scoped(scope, || rules.decide(identity, request)).expect("a thread");
        worker.join().expect("no panic")
    })
}

/// A grant is within what was asked for.
fn held(grant: &Grant, request: &MintRequest) {
    assert!(request.audience.as_ref().is_none_or(|wanted| wanted == grant.audience.as_str()));
    assert!(request.rule.as_ref().is_none_or(|wanted| wanted == grant.rule.as_str()));
    if let Some(wanted) = &request.role {
        assert!(!grant.roles.is_empty() && grant.roles.iter().all(|role| role.as_str() == wanted));
    }
    if let Some(seconds) = request.lifetime_seconds {
        assert_eq!(i64::from(grant.lifetime.seconds()), seconds);
    }
    for (key, value) in &request.tags {
        assert_eq!(grant.tags.get(key), Some(value.as_str()), "a tag that was asked for is lost or changed");
    }
}
