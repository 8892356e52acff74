//! The input of the rules, so that a request can be decided again from its row: to explain a decision, or to try other rules.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    identity::VerifiedIdentity,
    rules::{DenialReason, MintRequest, ShadowDecision},
    sanitize::redact,
};

/// The most bytes of one attribute, as JSON.
const MAX_VALUE: usize = 1024;
/// The most bytes of all attributes of a row, as JSON.
const MAX_ATTRIBUTES: usize = 8 * 1024;
/// The most bytes of a request, as JSON.
const MAX_REQUEST: usize = 4 * 1024;

/// The input of a decision, and the hash of the rules.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The trusted issuer that vouches for the identity.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub trusted_issuer: Option<String>,
    /// The claims that the rules could see.
    #[serde(skip_serializing_if = "Map::is_empty", default)]
    pub attributes: Map<String, Value>,
    /// The names of claims that are too large or look like a credential; their values are not stored.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub left_out: Vec<String>,
    /// The one rule that the credential may use, where it is bound to one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub only_rule: Option<String>,
    /// The credential's tag scope, as [`TagScope::to_json`](crate::rules::TagScope::to_json) writes it.
    #[serde(skip_serializing_if = "Map::is_empty", default)]
    pub scope: Map<String, Value>,
    /// The request. None if it is larger than 4 KiB or looks like a credential.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request: Option<MintRequest>,
    /// The class of the client's address.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub address: Option<AddressClass>,
    /// The hash of the rules in force, as [`RuleSet::hash`](crate::rules::RuleSet::hash) gives it.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub rules: String,
    /// The decisions of shadow rules.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub shadows: Vec<Shadow>,
}

/// The decision of a shadow rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shadow {
    /// The rule.
    pub rule: String,
    /// `granted`, or the code of the refusal.
    pub outcome: String,
}

/// The class of a client's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressClass {
    /// The issuer's own machine.
    Loopback,
    /// A private network: RFC 1918, RFC 4193, link-local.
    Private,
    /// Behind a provider's translation: RFC 6598.
    Shared,
    /// The Internet.
    Public,
}

impl AddressClass {
    /// The class of an address. An IPv4 address that IPv6 carries has the class of the former.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            address if address.is_loopback() => Self::Loopback,
            IpAddr::V4(address) if address.is_private() || address.is_link_local() => Self::Private,
            IpAddr::V4(address) if address.octets()[0] == 100 && address.octets()[1] & 0xc0 == 64 => Self::Shared,
            IpAddr::V6(address) if address.is_unique_local() || address.is_unicast_link_local() => Self::Private,
            _ => Self::Public,
        }
    }
}

impl Run {
    /// The input of a decision, without values that look like a credential or are too large for a row.
    pub fn of(identity: &VerifiedIdentity, request: &MintRequest, remote: IpAddr, rules: &str) -> Self {
        let mut run = Self {
            trusted_issuer: identity.trusted_issuer.as_ref().map(ToString::to_string),
            only_rule: identity.only_rule.as_ref().map(ToString::to_string),
            scope: identity.scope.to_json(),
            address: Some(AddressClass::of(remote)),
            rules: rules.to_owned(),
            request: fits(request, MAX_REQUEST).then(|| request.clone()),
            ..Self::default()
        };
        let mut left = MAX_ATTRIBUTES;
        for (name, value) in &identity.attributes {
            let len = name.len() + len_of(value);
            if name.len() <= 128 && len <= left && fits(value, MAX_VALUE) {
                left -= len;
                run.attributes.insert(name.clone(), value.clone());
            } else if run.left_out.len() < 20 {
                run.left_out.push(name.chars().take(128).collect());
            }
        }
        run
    }

    /// Adds the decisions of shadow rules.
    #[must_use]
    pub fn with_shadows(mut self, shadows: &[ShadowDecision]) -> Self {
        self.shadows = shadows.iter().map(Shadow::of).collect();
        self
    }
}

impl Shadow {
    fn of(decision: &ShadowDecision) -> Self {
        let outcome = decision.result.as_ref().map_or_else(DenialReason::code, |_| "granted");
        Self { rule: decision.rule.to_string(), outcome: outcome.to_owned() }
    }
}

fn len_of(value: &impl Serialize) -> usize {
    serde_json::to_string(value).map_or(usize::MAX, |json| json.len())
}

/// Whether a value is small enough, and holds nothing that looks like a credential.
fn fits(value: &impl Serialize, most: usize) -> bool {
    serde_json::to_string(value).is_ok_and(|json| json.len() <= most && redact(&json) == json)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rules::{RuleName, TagScope};

    #[test]
    fn what_is_kept_is_bounded_and_no_secret() {
        let mut identity = VerifiedIdentity::anonymous();
        let jwt = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJlc2lnbmF0dXJlc2lnbmF0dXJl";
        let attributes = json!({"run_id": "7", "leak": jwt, "nested": {"deep": [jwt]}, "long": "x".repeat(MAX_VALUE), "protected": true});
        identity.attributes = attributes.as_object().unwrap().clone();
        identity.only_rule = Some(RuleName::parse("ci").unwrap());
        identity.scope = TagScope::new([("prefix", "ci/a")]).unwrap();
        let request = MintRequest { rule: Some("ci".to_owned()), ..MintRequest::default() };
        let run = Run::of(&identity, &request, "10.1.2.3".parse().unwrap(), "abc");
        assert_eq!(Value::from(run.attributes.clone()), json!({"run_id": "7", "protected": true}));
        assert_eq!(run.left_out, ["leak", "nested", "long"]);
        assert_eq!((run.only_rule.as_deref(), Value::from(run.scope.clone())), (Some("ci"), json!({"prefix": "ci/a"})));
        assert_eq!((run.request.as_ref(), run.rules.as_str()), (Some(&request), "abc"));
        let leaking = MintRequest { audience: Some(jwt.to_owned()), ..MintRequest::default() };
        assert_eq!(Run::of(&identity, &leaking, "10.1.2.3".parse().unwrap(), "").request, None);
        // Many small ones are bounded together.
        identity.attributes = (0..100).map(|n| (format!("claim{n}"), json!("x".repeat(900)))).collect();
        let run = Run::of(&identity, &request, "10.1.2.3".parse().unwrap(), "");
        assert!(len_of(&run) < MAX_ATTRIBUTES + 2048, "{}", len_of(&run));
        assert!(!run.attributes.is_empty() && run.left_out.len() == 20);
        let again: Run = serde_json::from_str(&serde_json::to_string(&run).unwrap()).unwrap();
        assert_eq!(again, run);
    }

    #[test]
    fn addresses_have_a_class() {
        for (address, class) in [
            ("127.0.0.1", AddressClass::Loopback),
            ("::1", AddressClass::Loopback),
            ("::ffff:127.0.0.1", AddressClass::Loopback),
            ("10.0.0.1", AddressClass::Private),
            ("169.254.1.1", AddressClass::Private),
            ("fd00::1", AddressClass::Private),
            ("fe80::1", AddressClass::Private),
            ("100.64.0.1", AddressClass::Shared),
            ("100.128.0.1", AddressClass::Public),
            ("203.0.113.7", AddressClass::Public),
            ("2001:db8::1", AddressClass::Public),
        ] {
            assert_eq!(AddressClass::of(address.parse().unwrap()), class, "{address}");
        }
    }
}
