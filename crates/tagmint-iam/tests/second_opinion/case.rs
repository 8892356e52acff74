//! A policy/request pair, and the engine's verdict on it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tagmint_iam::{
    context::Context,
    evaluate::{self, Caller, Decision, Outcome, Policies, Request},
    policy::{Kind, Policy},
};

use crate::conditions::LISTS;

/// Which question is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Question {
    /// May the principal do it?
    Access,
    /// May the principal assume the role? `policy` is its trust policy.
    Trust,
}

/// One pair, as it is written for the other judge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// Made from all the rest, so that a list of ids goes stale when a case changes.
    #[serde(default)]
    pub id: String,
    pub kind: Question,
    /// An ARN, a service's name, or `anonymous`.
    pub principal: String,
    /// The resource's account.
    pub account: String,
    pub action: String,
    pub resource: String,
    pub context: BTreeMap<String, Vec<String>>,
    /// The principal's own policies.
    pub identity: Vec<Value>,
    /// The session policy.
    pub session: Option<Value>,
    /// The resource's policy, or the trust policy.
    pub policy: Option<Value>,
}

impl Case {
    /// The same with its id.
    pub fn named(mut self) -> Self {
        self.id = String::new();
        let text = serde_json::to_string(&self).unwrap();
        // FNV-1a, folded to 48 bits: short enough to list, long enough for some thousand cases.
        let hash = text
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        self.id = format!("{:012x}", (hash >> 48 ^ hash) & 0xffff_ffff_ffff);
        self
    }

    /// Every condition operator that the policies use.
    pub fn operators(&self) -> Vec<String> {
        let policies = self.identity.iter().chain(&self.session).chain(&self.policy);
        let parsed = policies.map(|policy| Policy::parse(&policy.to_string()).unwrap());
        let conditions = parsed.flat_map(|policy| policy.statements).flat_map(|statement| statement.conditions);
        conditions.map(|condition| condition.operator.to_string()).collect()
    }

    /// What the engine says.
    pub fn verdict(&self) -> String {
        let text = match self.decision().outcome {
            Outcome::Allowed => "allowed",
            Outcome::ExplicitDeny => "explicit-deny",
            Outcome::ImplicitDeny => "implicit-deny",
        };
        text.to_owned()
    }

    /// The same with its trace.
    pub fn decision(&self) -> Decision {
        let read = |kind: Kind, policy: &Value| {
            Policy::parse_as(kind, &policy.to_string()).unwrap_or_else(|error| panic!("{self:?}: {error}"))
        };
        let caller = self.caller();
        let mut context = Context::new();
        for (name, values) in &self.context {
            context = match values.as_slice() {
                [value] if !LISTS.contains(&name.as_str()) => context.with(name, value),
                values => context.with_many(name, values.iter()),
            };
        }
        let request = Request { caller: &caller, action: &self.action, resource: &self.resource, context: &context };
        match self.kind {
            Question::Trust => evaluate::trust(&read(Kind::Trust, self.policy.as_ref().unwrap()), request),
            Question::Access => {
                let identity: Vec<Policy> = self.identity.iter().map(|policy| read(Kind::Identity, policy)).collect();
                let session: Option<Vec<Policy>> =
                    self.session.as_ref().map(|policy| vec![read(Kind::Session, policy)]);
                let resource = self.policy.as_ref().map(|policy| read(Kind::Resource, policy));
                let policies = Policies {
                    identity: &identity,
                    session: session.as_deref(),
                    resource: resource.as_ref(),
                    same_account: caller.account() == Some(&self.account),
                };
                evaluate::access(policies, request)
            }
        }
    }

    fn caller(&self) -> Caller {
        let name = self.principal.clone();
        if name == "anonymous" {
            return Caller::Anonymous;
        }
        if name.ends_with(".amazonaws.com") {
            return Caller::Service { name };
        }
        if name.contains(":oidc-provider/") {
            return Caller::WebIdentity { provider: name };
        }
        if let Some((account, session)) =
            name.strip_prefix("arn:aws:sts::").and_then(|rest| rest.split_once(":assumed-role/"))
        {
            let (role, _) = session.split_once('/').unwrap();
            return Caller::RoleSession { role_arn: format!("arn:aws:iam::{account}:role/{role}"), session_arn: name };
        }
        Caller::User { arn: name }
    }
}
