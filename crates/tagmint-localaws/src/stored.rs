//! What IAM and S3 store of policies, and what they refuse: the engine reads the text, and the principals have to exist.

use tagmint_iam::{
    policy::Policy,
    trust_policy,
    validate::{self, Named, Place, Refusal},
};

use crate::{
    account::Account,
    principals::{self, Bound},
    query::QueryError,
};

/// A bucket policy that S3 stores, and the roles that it names.
pub fn bucket_policy(account: &Account, bucket: &str, text: &str) -> Result<(Policy, Bound), Refusal> {
    let policy = validate::bucket_policy(text, &account.scope.partition, bucket)?;
    let bound = principals::bind(account, &policy).map_err(|named| Refusal {
        code: validate::MALFORMED_POLICY,
        message: "Invalid principal in policy".to_owned(),
        detail: missing(account, named),
    })?;
    Ok((policy, bound))
}

/// A trust policy that IAM stores: the roles that it names.
pub fn trust_policy(account: &Account, text: &str) -> Result<Bound, QueryError> {
    let partition = &account.scope.partition;
    let policy = trust_policy::check_in(partition, text).map_err(|error| {
        let error = QueryError::from(error);
        // IAM's words say less than the engine knows.
        let detail = match Policy::parse(text) {
            Err(problem) => Some(problem.to_string()),
            Ok(policy) => validate::findings(&policy, Place::Trust { partition })
                .into_iter()
                .find(|finding| finding.refusal.as_deref() == Some(&error.message))
                .map(|finding| format!("{}: {}", finding.path, finding.problem)),
        };
        QueryError { detail, ..error }
    })?;
    principals::bind(account, &policy).map_err(|named| {
        let error = QueryError::new(400, "MalformedPolicyDocument", named.words());
        QueryError { detail: Some(missing(account, named)), ..error }
    })
}

/// Checks a policy of a role or a managed one.
pub fn identity_policy(account: &Account, text: &str) -> Result<(), QueryError> {
    let refused = |refusal: Refusal| {
        let error = QueryError::new(400, refusal.code, refusal.message);
        QueryError { detail: Some(refusal.detail), ..error }
    };
    validate::identity_policy(text, &account.scope.partition).map(drop).map_err(refused)
}

fn missing(account: &Account, named: Named<'_>) -> String {
    let element = if named.negated { "NotPrincipal" } else { "Principal" };
    let Named { statement, name, .. } = named;
    let number = &account.scope.account;
    format!("$.Statement[{statement}].{element}: there is no `{name}` in the account {number}; create it first")
}
