//! The second session of a rule with `assume_then`.

use super::plan::Plan;
use crate::{
    assume::policy_arns,
    connection::{Connection, Service, SessionKeys},
    failure::Failure,
};

/// Assumes the plan's second role with the first one's session; gives the keys and the session's ARN.
pub(super) async fn next(
    connection: &Connection,
    plan: &Plan,
    first: &SessionKeys,
) -> Result<(SessionKeys, String), Failure> {
    let call = connection
        .sts()
        .assume_role()
        .set_role_arn(plan.terms.assume_then.clone())
        .role_session_name(&plan.session_name)
        .duration_seconds(900)
        .set_policy(plan.terms.policy.clone())
        .set_policy_arns(policy_arns(&plan.terms));
    let config = aws_sdk_sts::config::Builder::new().credentials_provider(first.provider());
    let answer = call.customize().config_override(config).send().await;
    let answer = answer.map_err(|error| Failure::of(&connection.named(Service::Sts), &error))?;
    let keys = answer.credentials().ok_or_else(|| Failure::incomplete("credentials"))?;
    let arn = answer.assumed_role_user().map_or("", |user| user.arn());
    Ok((SessionKeys::new(keys), arn.to_owned()))
}
