//! The second session of a rule with `assume_then`.

use super::plan::Plan;
use crate::{
    assume::{SecondSession, assume_second},
    connection::{Connection, SessionKeys},
    failure::Failure,
};

/// Assumes the plan's second role with the first session. Returns the keys and the session's ARN.
pub(super) async fn next(
    connection: &Connection,
    plan: &Plan,
    first: SessionKeys,
    seconds: u32,
) -> Result<(SessionKeys, String), Failure> {
    let second = SecondSession { name: &plan.session_name, seconds: Some(seconds), terms: &plan.terms };
    let answer = assume_second(connection, first.into_credentials(), &second).await?;
    let keys = answer.credentials().ok_or_else(|| Failure::incomplete("credentials"))?;
    let arn = answer.assumed_role_user().map_or("", |user| user.arn());
    Ok((SessionKeys::new(keys), arn.to_owned()))
}
