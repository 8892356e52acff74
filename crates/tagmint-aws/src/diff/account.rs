//! Provider and roles.

use tagmint_iam::{
    arn::Arn,
    context::Context,
    evaluate::{Caller, Policies, Request, access},
    policy::{Effect, Kind, Policy},
};

use super::{DiffError, PolicyKind, Report, is_missing, policy, statement::listed};
use crate::{
    connection::Connection,
    policies::{self, Role, RolePolicy},
    render::{BucketPlan, GUARD_POLICY, ProviderPlan, RolePlan},
};

/// The key that is tried in a prefix which is not the session's.
const FOREIGN: &str = "somebody-else/mail.txt";

pub(super) async fn provider(
    connection: &Connection,
    plan: &ProviderPlan,
    report: &mut Report,
) -> Result<(), DiffError> {
    let at = format!("provider {}", plan.url);
    let found = match policies::provider(connection, &plan.arn).await {
        Ok(found) => found,
        Err(unread) if is_missing(&unread, "NoSuchEntity") => {
            report.drift("provider-missing", &at, "there is no such provider: STS refuses every token of the issuer");
            return Ok(());
        }
        Err(unread) => return report.unseen(unread),
    };
    for audience in plan.audiences.iter().filter(|audience| !found.client_ids.contains(audience)) {
        let text = format!("the audience {audience} is not registered: STS refuses tokens for it");
        report.drift("provider-audience", &at, text);
    }
    for audience in found.client_ids.iter().filter(|audience| !plan.audiences.contains(audience)) {
        let text = format!("the provider also takes the audience {audience}, which no rule gives");
        report.drift("provider-audience", &at, text);
    }
    Ok(())
}

pub(super) async fn role(
    connection: &Connection,
    plan: &RolePlan,
    bucket: Option<&BucketPlan>,
    bucket_policy: Option<&Policy>,
    report: &mut Report,
) -> Result<(), DiffError> {
    let at = format!("role {}", plan.name);
    let found = match policies::role(connection, &plan.arn).await {
        Ok(found) => found,
        Err(unread) if is_missing(&unread, "NoSuchEntity") => {
            report.drift("role-missing", &at, "there is no such role: nobody gets a session");
            return Ok(());
        }
        Err(unread) => return report.unseen(unread),
    };
    description(plan, &found, &at, report);
    if let Ok(wanted) = Policy::parse_as(Kind::Trust, &plan.trust_policy.to_string()) {
        for (id, text) in policy::compare(PolicyKind::Trust, &wanted, &found.trust_policy) {
            report.drift(id, &at, text);
        }
    }
    let (all, missed) = policies::role_policies(connection, &plan.arn).await;
    let list_missing = missed.iter().any(|unread| unread.permission == "iam:ListRolePolicies");
    for unread in missed {
        report.unseen(unread)?;
    }
    let own = all.iter().find(|policy| policy.inline && policy.name == GUARD_POLICY);
    let wanted = plan.guard_policy.as_ref().and_then(|guard| Policy::parse_as(Kind::Identity, &guard.to_string()).ok());
    match (&wanted, own) {
        (Some(wanted), Some(own)) => {
            for (id, text) in policy::compare(PolicyKind::Guard, wanted, &own.policy) {
                report.drift(id, &at, text);
            }
        }
        (Some(_), None) if !list_missing => {
            let text = format!(
                "its own policy `{GUARD_POLICY}` is gone: a broad policy that somebody attaches would open other prefixes"
            );
            report.drift("role-policy-missing", &at, text);
        }
        _ => {}
    }
    for other in all.iter().filter(|policy| !(policy.inline && policy.name == GUARD_POLICY && wanted.is_some())) {
        let effect = effect(other, &all, plan, bucket, bucket_policy);
        let kind = if other.inline { "a further policy of its own" } else { "an attached policy" };
        let id = if other.inline { "role-inline-policy" } else { "role-attached-policy" };
        let name = other.name.rsplit('/').next().unwrap_or(&other.name);
        report.drift(id, &at, format!("{kind}, `{name}`, {effect}"));
    }
    Ok(())
}

fn description(plan: &RolePlan, found: &Role, at: &str, report: &mut Report) {
    let seconds = found.max_session_seconds.and_then(|seconds| u32::try_from(seconds).ok());
    if let Some(seconds) = seconds.filter(|seconds| *seconds != plan.max_session_seconds) {
        let text = format!("a session may last {seconds} seconds instead of {}", plan.max_session_seconds);
        report.drift("role-max-session", at, text);
    }
    for (key, value) in &found.tags {
        if plan.access.iter().any(|access| access.tag.eq_ignore_ascii_case(key)) {
            let text = format!(
                "the role itself has the tag {key} = {value}: a session without that tag gets the prefix {value}"
            );
            report.drift("role-tag", at, text);
        }
    }
}

/// What a further policy of a role does.
fn effect(
    policy: &RolePolicy,
    all: &[RolePolicy],
    plan: &RolePlan,
    bucket: Option<&BucketPlan>,
    bucket_policy: Option<&Policy>,
) -> String {
    let allows: Vec<String> = policy
        .policy
        .statements
        .iter()
        .filter(|statement| statement.effect == Effect::Allow)
        .flat_map(|statement| {
            let but = if statement.action.negated { "everything but " } else { "" };
            statement.action.names.iter().map(move |name| format!("{but}{name}"))
        })
        .collect();
    if allows.is_empty() {
        return "denies what the configuration gives: sessions may be refused".to_owned();
    }
    let gives = format!("gives {}", listed(&allows));
    let Some(bucket) = bucket else { return format!("{gives}, which the configuration does not") };
    let foreign = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"];
    let alone = std::slice::from_ref(&policy.policy);
    if !foreign.iter().any(|action| is_allowed(alone, None, plan, bucket, action)) {
        return format!("{gives}, which the configuration does not");
    }
    let together: Vec<Policy> = all.iter().map(|policy| policy.policy.clone()).collect();
    let open: Vec<String> = foreign
        .iter()
        .filter(|action| is_allowed(&together, bucket_policy, plan, bucket, action))
        .map(|action| (*action).to_owned())
        .collect();
    if open.is_empty() {
        format!(
            "{gives} also on other prefixes: the denials of `{GUARD_POLICY}` and of the bucket policy still hold it back; take it away"
        )
    } else {
        format!(
            "{gives}: it undoes the bucket policy, and every session may do {} on every prefix; take it away",
            listed(&open)
        )
    }
}

/// Whether a session of the role may do something to an object of a prefix that is not its own.
fn is_allowed(
    identity: &[Policy],
    resource_policy: Option<&Policy>,
    plan: &RolePlan,
    bucket: &BucketPlan,
    action: &str,
) -> bool {
    let (partition, account) = Arn::split(&plan.arn).map(|arn| (arn.partition, arn.account)).unwrap_or_default();
    let caller = Caller::RoleSession {
        role_arn: plan.arn.clone(),
        session_arn: format!("arn:{partition}:sts::{account}:assumed-role/{}/diff", plan.name),
    };
    let context = plan.access.iter().fold(Context::new().with("aws:SecureTransport", "true"), |context, access| {
        context.with(&format!("aws:PrincipalTag/{}", access.tag), "own")
    });
    let context = context.with("aws:PrincipalArn", &plan.arn);
    let resource = format!("{}/{FOREIGN}", bucket.arn);
    let policies = Policies { identity, session: None, resource: resource_policy, same_account: true };
    access(policies, Request { caller: &caller, action, resource: &resource, context: &context }).is_allowed()
}
