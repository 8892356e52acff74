//! `tagmint explain`: whatever token, policies and request it is asked about, it answers without a panic, the same twice, and with a fix for
//! what failed.
//!
//! Parts: the token's header and payload (an empty header: the second part is the whole token), the trust policy, the action and the
//! resource, the role's policy, the bucket's policy, the key set (empty: the issuer's).

use crate::{pairs, sections, world};
use tagmint_iam::{
    advice::{AccessQuestion, Explanation, Question},
    policy::Policy,
    web_identity::Fetched,
};

/// Runs one input.
pub fn run(data: &[u8]) {
    let Some([header, payload, trust, asked, role_policy, bucket_policy, jwks]) = sections(data) else { return };
    let Ok(trust_policy) = Policy::parse(trust) else { return };
    let token =
        if header.is_empty() { payload.to_owned() } else { world::signed(header.as_bytes(), payload.as_bytes()) };
    let role_policies: Vec<Policy> = Policy::parse(role_policy).into_iter().collect();
    let bucket_policy = Policy::parse(bucket_policy).ok();
    let mut keys = pairs(asked);
    let (action, resource) = if keys.is_empty() { Default::default() } else { keys.remove(0) };
    let access = (!action.is_empty()).then_some(AccessQuestion {
        action: &action,
        resource: &resource,
        role_policies: &role_policies,
        bucket_policy: bucket_policy.as_ref(),
        context: &keys,
    });
    let client_ids = [world::AUDIENCE.to_owned()];
    let jwks = if jwks.is_empty() { world::JWKS } else { jwks.as_bytes() };
    let known = Question {
        token: &token,
        trust_policy: &trust_policy,
        role_arn: Some(world::ROLE_ARN),
        provider_url: Some(world::ISSUER),
        local: false,
        provider_missing: false,
        client_ids: &client_ids,
        context: &keys,
        discovery: Fetched::Unchecked,
        jwks: Fetched::Document(jwks),
        now: world::now(),
        access,
    };
    let unknown = Question {
        role_arn: None,
        provider_url: None,
        local: true,
        client_ids: &[],
        jwks: Fetched::Unchecked,
        access,
        ..known
    };
    for question in [known, unknown] {
        let _ = question.issuer();
        let explanation = question.explain();
        assert_eq!(explanation, question.explain(), "the same question, another answer");
        hold(&explanation);
    }
}

fn hold(explanation: &Explanation) {
    let failed: Vec<_> = explanation.checks.iter().filter(|check| !check.passed).collect();
    assert_eq!(explanation.accepted, explanation.error.is_none());
    if !explanation.accepted {
        let first = failed.first().expect("a refusal comes of a check");
        assert!(first.fix.as_ref().is_some_and(|fix| !fix.is_empty()), "no fix for {first:?}");
    }
    assert!(serde_json::to_string(explanation).is_ok());
}
