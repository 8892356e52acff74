//! STS: `AssumeRoleWithWebIdentity`, `AssumeRole`, `GetCallerIdentity`.

mod assume_role;
mod web_identity;

pub use self::{assume_role::assume_role, web_identity::assume_role_with_web_identity};
use tagmint_iam::policy::{Kind, Policy};

use crate::{
    account::Account,
    aws::Aws,
    query::{Params, QueryError},
    sessions::{Principal, Session},
    xml::Xml,
};

/// Most managed policies that a session can be given (service model of STS).
const MAX_POLICY_ARNS: usize = 10;

/// `GetCallerIdentity`, which needs no permission.
pub fn caller_identity(aws: &Aws, principal: &Principal) -> Xml {
    Xml::new().text("Arn", principal.arn()).text("UserId", principal.user_id()).text("Account", &aws.scope.account)
}

/// The session policies that a request names: the one in `Policy`, whose text was checked, and managed ones.
fn session_policies(account: &Account, params: &Params) -> Result<Option<Vec<Policy>>, QueryError> {
    let arns = params.members("PolicyArns", "arn");
    if arns.len() > MAX_POLICY_ARNS {
        return Err(QueryError::validation(format!(
            "1 validation error detected: Value at 'policyArns' failed to satisfy constraint: Member must have length less than or equal \
             to {MAX_POLICY_ARNS}"
        )));
    }
    let malformed = |message: String| QueryError::new(400, "MalformedPolicyDocument", message);
    let mut policies = Vec::new();
    if let Some(text) = params.get("Policy") {
        policies.push(Policy::parse_as(Kind::Session, text).map_err(|error| malformed(error.to_string()))?);
    }
    for arn in &arns {
        let text = account
            .managed_document(arn)
            .ok_or_else(|| malformed(format!("The policy {arn} does not exist or is not attachable.")))?;
        policies.push(Policy::parse_as(Kind::Identity, text).map_err(|error| malformed(error.to_string()))?);
    }
    Ok((!policies.is_empty()).then_some(policies))
}

/// Keeps a session, and tells its credentials.
fn open(aws: &Aws, session: Session) -> Xml {
    let credentials = Xml::new()
        .text("AccessKeyId", &session.access_key)
        .text("SecretAccessKey", &session.secret)
        .text("SessionToken", &session.token)
        .text("Expiration", session.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    let user =
        Xml::new().text("AssumedRoleId", format!("{}:{}", session.role_id, session.name)).text("Arn", &session.arn);
    let xml = Xml::new()
        .within("Credentials", credentials)
        .within("AssumedRoleUser", user)
        .maybe("SourceIdentity", session.source_identity.as_deref());
    aws.sessions.insert(session, aws.clock.now());
    xml
}
