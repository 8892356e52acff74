//! Policy documents, read and evaluated.
//!
//! Parts: the policy, an action, a resource, the request's keys (`KEY=VALUE` a line).

use crate::{pairs, reference, sections, world};
use tagmint_iam::{
    context::Context,
    evaluate::{self, Caller, Outcome, Policies, Request},
    policy::{Effect, Kind, Policy},
    trust_policy,
};

/// Runs one input.
pub fn run(data: &[u8]) {
    let Some([document, action, resource, keys]) = sections(data) else { return };
    let policy = match Policy::parse(document) {
        Ok(policy) => policy,
        Err(error) => {
            assert!(error.path.starts_with('$') && !error.to_string().is_empty());
            assert!(trust_policy::check(document).is_err());
            return;
        }
    };
    assert_eq!(Policy::parse(document).as_ref(), Ok(&policy), "the same document, another policy");
    assert_eq!(reference::repeats_a_member(document.as_bytes()), Some(false));
    for kind in [Kind::Trust, Kind::Identity, Kind::Session, Kind::Resource] {
        assert_eq!(Policy::parse_as(kind, document).is_ok(), policy.require(kind).is_ok());
    }
    match trust_policy::check(document) {
        Ok(trust) => assert!(trust == policy && policy.require(Kind::Trust).is_ok()),
        Err(error) => assert!(!error.message.is_empty()),
    }

    let mut context = Context::new();
    for (key, value) in pairs(keys) {
        let mut values: Vec<String> = context.get(&key).unwrap_or_default().to_vec();
        values.push(value);
        context.set(&key, values);
    }
    let session_arn = "arn:aws:sts::123456789012:assumed-role/deploy/me".to_owned();
    let callers = [
        Caller::RoleSession { role_arn: world::ROLE_ARN.to_owned(), session_arn },
        Caller::WebIdentity { provider: world::PROVIDER.arn().to_owned() },
        Caller::Anonymous,
    ];
    for caller in &callers {
        evaluate_for(caller, &policy, action, resource, &context);
    }
}

fn evaluate_for(caller: &Caller, policy: &Policy, action: &str, resource: &str, context: &Context) {
    let request = Request { caller, action, resource, context };
    let trust = evaluate::trust(policy, request);
    assert_eq!(trust, evaluate::trust(policy, request), "the same request, another decision");
    assert_eq!(trust.statements.len(), policy.statements.len());

    let own = std::slice::from_ref(policy);
    for same_account in [true, false] {
        let all = Policies { identity: own, session: Some(own), resource: Some(policy), same_account };
        let without_session = Policies { session: None, ..all };
        let nothing = Policies { identity: &[], session: None, resource: None, same_account };
        let decision = evaluate::access(all, request);
        assert!(
            !decision.is_allowed() || evaluate::access(without_session, request).is_allowed(),
            "a session policy gave more"
        );
        assert_eq!(evaluate::access(nothing, request).outcome, Outcome::ImplicitDeny);
        let denies = decision.statements.iter().any(|trace| trace.applies && trace.effect == Effect::Deny);
        assert_eq!(decision.outcome == Outcome::ExplicitDeny, denies);
        assert_eq!(decision.outcome == Outcome::ImplicitDeny, decision.decisive.is_empty());
    }
}
