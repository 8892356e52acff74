//! What IAM refuses to store as a role's trust policy (`CreateRole`, `UpdateAssumeRolePolicy`).
//!
//! Two kinds of rules: what belongs into a trust policy at all, and the guard for issuers that many customers share: a statement that trusts
//! one has to be scoped to the customer's own tokens. Source: recorded answers of `UpdateAssumeRolePolicy`, and for the list of issuers the
//! IAM user guide, "Identity-provider controls for shared OIDC providers". The guard never looks at a private issuer.

use crate::{
    condition::Test,
    pattern,
    policy::{Effect, Kind, Policy, Principals, Statement},
    provider::{IamCode, IamError},
    validate::{self, Place, words_of_iam},
};

const ASSUME_WITH_WEB_IDENTITY: &str = "sts:AssumeRoleWithWebIdentity";

/// Actions that a trust policy may name; letters' case counts, and `sts:*` isn't one (recorded answers).
const ACTIONS: [&str; 6] = [
    "sts:AssumeRole",
    "sts:AssumeRoleWithSAML",
    ASSUME_WITH_WEB_IDENTITY,
    "sts:TagSession",
    "sts:SetSourceIdentity",
    "sts:SetContext",
];

/// GitHub's issuer, whose guard also covers everything that begins with its host (recorded answers).
const GITHUB: &str = "token.actions.githubusercontent.com";

/// Shared issuers and the key that a policy has to be scoped on (guide).
const SHARED_ISSUERS: [(&str, &str); 20] = [
    ("agent.buildkite.com", "sub"),
    ("oidc.codefresh.io", "sub"),
    ("studio.datachain.ai/api", "sub"),
    ("oidc-configuration.audit-log.githubusercontent.com", "sub"),
    ("vstoken.actions.githubusercontent.com", "sub"),
    ("gitlab.com", "sub"),
    ("rh-oidc.s3.us-east-1.amazonaws.com/22ejnvnnturfmt6km08idd0nt4hekbn7", "sub"),
    ("rh-oidc.s3.us-east-1.amazonaws.com/23e3sd27sju1hoou6ohfs68vbno607tr", "sub"),
    ("rh-oidc.s3.us-east-1.amazonaws.com/23ne21h005qjl3n33d8dui5dlrmv2tmg", "sub"),
    ("rh-oidc.s3.us-east-1.amazonaws.com/24jrf12m5dj7ljlfb4ta2frhrcoadm26", "sub"),
    ("oidc.op1.openshiftapps.com/2f785sojlpb85i7402pk3qogugim5nfb", "sub"),
    ("oidc.op1.openshiftapps.com/2c51blsaqa9gkjt0o9rt11mle8mmropu", "sub"),
    ("api.pulumi.com/oidc", "aud"),
    ("sandboxes.cloud", "aud"),
    ("scalr.io", "sub"),
    ("tokens.cloud.shisho.dev", "sub"),
    ("app.terraform.io", "sub"),
    ("proidc.upbound.io", "sub"),
    ("oidc.vercel.com", "aud"),
    ("cognito-identity.amazonaws.com", "aud"),
];

/// The shared issuer that is scoped on something else than one of its own claims (guide).
const AZURE_SENTINEL: (&str, &str) = ("sts.windows.net/33e01921-4d64-4f8c-a055-5bdaffd5e33d", "sts:RoleSessionName");

/// Identity providers of the days before OIDC providers, which want an application id (recorded answer for Google).
const APPLICATION_PROVIDERS: [(&str, &str); 3] =
    [("accounts.google.com", "aud"), ("graph.facebook.com", "app_id"), ("www.amazon.com", "app_id")];

/// Reads a trust policy as IAM does before it stores one.
pub fn check(text: &str) -> Result<Policy, IamError> {
    let policy = Policy::parse(text).map_err(|error| malformed(words_of_iam(&error)))?;
    policy.require(Kind::Trust).map_err(|error| malformed(words_of_iam(&error)))?;
    for statement in &policy.statements {
        // "You cannot use the NotPrincipal element in […] an IAM role trust policy" (guide, "NotPrincipal"). The words are those of `Resource`.
        if let Some(principal) = statement.principal.as_ref().filter(|principal| principal.negated) {
            return Err(malformed(format!("Has prohibited field {}", principal.name())));
        }
        let fits =
            !statement.action.negated && statement.action.names.iter().all(|name| ACTIONS.contains(&name.as_str()));
        if !fits {
            return Err(malformed("AssumeRole policy may only specify STS AssumeRole actions.".to_owned()));
        }
    }
    for statement in &policy.statements {
        guard(statement)?;
    }
    Ok(policy)
}

/// The same in an account's partition (`aws`), with what IAM refuses of principals and conditions. Whether the principals exist is asked with
/// [`validate::principals`].
pub fn check_in(partition: &str, text: &str) -> Result<Policy, IamError> {
    let policy = check(text)?;
    let found = validate::findings(&policy, Place::Trust { partition });
    match found.into_iter().find_map(|finding| finding.refusal) {
        Some(message) => Err(malformed(message)),
        None => Ok(policy),
    }
}

/// The condition keys, one of which a trust policy has to scope for this issuer (host and path, without scheme); none where the issuer isn't
/// shared between customers.
pub fn required_keys(issuer: &str) -> Option<Vec<String>> {
    if issuer.starts_with(GITHUB) {
        return Some(vec![format!("{issuer}:sub"), format!("{issuer}:job_workflow_ref")]);
    }
    if issuer == AZURE_SENTINEL.0 {
        return Some(vec![AZURE_SENTINEL.1.to_owned()]);
    }
    let (_, claim) = SHARED_ISSUERS.iter().find(|(shared, _)| *shared == issuer)?;
    Some(vec![format!("{issuer}:{claim}")])
}

fn guard(statement: &Statement) -> Result<(), IamError> {
    let assumes =
        statement.action.names.iter().any(|name| pattern::matches_ignoring_case(name, ASSUME_WITH_WEB_IDENTITY));
    if statement.effect != Effect::Allow || !assumes {
        return Ok(());
    }
    let Some(element) = &statement.principal else { return Ok(()) };
    let Principals::Listed { federated, .. } = &element.principals else { return Ok(()) };
    for principal in federated {
        let issuer = principal.split_once(":oidc-provider/").map_or(principal.as_str(), |(_, issuer)| issuer);
        if let Some((_, claim)) = APPLICATION_PROVIDERS.iter().find(|(provider, _)| *provider == principal) {
            require_application(statement, principal, claim)?;
        } else if let Some(keys) = required_keys(issuer) {
            require_scope(statement, principal, issuer, &keys)?;
        }
    }
    Ok(())
}

fn require_application(statement: &Statement, provider: &str, claim: &str) -> Result<(), IamError> {
    let key = format!("{provider}:{claim}");
    let found = statement.conditions.iter().any(|condition| {
        let operator = condition.operator;
        operator.test == Test::StringEquals
            && !operator.negated
            && !operator.if_exists
            && condition.key.eq_ignore_ascii_case(&key)
    });
    if found {
        return Ok(());
    }
    Err(malformed(format!("Policy trusting {provider} requires a StringEquals condition on an application id")))
}

/// One operator's block has to scope the keys that it holds, and hold one at least. A set operator doesn't matter; `IfExists` and negation
/// don't count (recorded answers).
fn require_scope(statement: &Statement, principal: &str, issuer: &str, keys: &[String]) -> Result<(), IamError> {
    let github = issuer.starts_with(GITHUB);
    let unscoped = |value: &str| if github { value.trim().is_empty() || value.starts_with('*') } else { value == "*" };
    let relevant = |key: &str| keys.iter().any(|required| required.eq_ignore_ascii_case(key));
    let scoped = statement.conditions.iter().any(|condition| {
        let operator = condition.operator;
        let evaluates = matches!(operator.test, Test::StringEquals | Test::StringLike | Test::StringEqualsIgnoreCase)
            && !operator.negated
            && !operator.if_exists;
        evaluates
            && relevant(&condition.key)
            && statement
                .conditions
                .iter()
                .filter(|other| other.operator == operator && relevant(&other.key))
                .all(|other| !other.values.iter().any(|value| unscoped(value.source())))
    });
    if scoped {
        return Ok(());
    }
    // GitHub's guard names the principal as the policy has it, the general one the issuer (recorded answers).
    let trusted = if github { principal } else { issuer };
    let keys = keys.join(" or ");
    Err(malformed(format!(
        "Trust policy with trusted principal {trusted} must evaluate, using StringEquals, StringLike or StringEqualsIgnoreCase, {keys} \
         which is not scoped to all."
    )))
}

fn malformed(message: String) -> IamError {
    IamCode::MalformedPolicyDocument.with(message)
}

#[cfg(test)]
mod tests;
