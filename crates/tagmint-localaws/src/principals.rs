//! Principals of stored policies: which of them exist, and which role one means.
//!
//! AWS keeps the unique id of a role or session that a policy names in place of its ARN, and shows the ARN again while that role exists. A role
//! that is created again under the name of a deleted one is another role, for which the policy says nothing (IAM user guide, "AWS JSON
//! policy elements: Principal").

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::Value;
use tagmint_iam::{
    arn::{Arn, RoleArn, is_account},
    partition::PARTITIONS,
    policy::Policy,
    validate::{self, Named, PrincipalKind},
};

use crate::{account::Account, sessions};

/// The roles and sessions that a policy names: by the name that stands there, the unique id, with `:SESSION` for a session.
pub type Bound = BTreeMap<String, String>;

/// Identity providers that AWS knows without registration (IAM user guide, "AWS JSON policy elements: Principal").
const PUBLIC_PROVIDERS: [&str; 4] =
    ["accounts.google.com", "cognito-identity.amazonaws.com", "graph.facebook.com", "www.amazon.com"];

/// The end of the names of services that have none of their partition's.
const INTERNAL_SERVICES: &str = ".aws.internal";

/// Looks the principals of a policy up, as AWS does before it stores one. Fails with the first that does not exist. What other accounts have
/// is not known here, and taken for existing.
pub fn bind<'a>(account: &Account, policy: &'a Policy) -> Result<Bound, Named<'a>> {
    let mut bound = Bound::new();
    for named in validate::principals(policy) {
        if let Some(id) = look_up(account, named).ok_or(named)? {
            bound.insert(named.name.to_owned(), id);
        }
    }
    Ok(bound)
}

/// A policy's text as AWS shows it, and as it counts: with the ARNs that its roles have now, and the ids of those that are gone.
pub fn shown<'a>(account: &Account, text: &'a str, bound: &Bound) -> Cow<'a, str> {
    let now: BTreeMap<&str, String> = bound
        .iter()
        .map(|(name, id)| (name.as_str(), name_of(account, id)))
        .filter(|(name, shown)| name != shown)
        .collect();
    if now.is_empty() {
        return Cow::Borrowed(text);
    }
    // A stored text is a policy.
    let Ok(mut document) = serde_json::from_str::<Value>(text) else { return Cow::Borrowed(text) };
    if let Some(statements) = document.get_mut("Statement") {
        for statement in list(statements) {
            for element in ["Principal", "NotPrincipal"] {
                let Some(names) = statement.get_mut(element).and_then(|element| element.get_mut("AWS")) else {
                    continue;
                };
                for name in list(names) {
                    if let Some(shown) = name.as_str().and_then(|name| now.get(name)) {
                        *name = Value::String(shown.clone());
                    }
                }
            }
        }
    }
    Cow::Owned(document.to_string())
}

/// A list, or the one value that stands for it.
fn list(value: &mut Value) -> &mut [Value] {
    match value {
        Value::Array(values) => values,
        value => std::slice::from_mut(value),
    }
}

/// The ARN of what has this id now; the id where nothing has it.
fn name_of(account: &Account, id: &str) -> String {
    let (role, session) = id.split_once(':').map_or((id, None), |(role, session)| (role, Some(session)));
    match (account.role_by_id(role), session) {
        (Some(role), None) => role.arn.clone(),
        (Some(role), Some(session)) => account.scope.sts(&format!("assumed-role/{}/{session}", role.name)),
        (None, _) => id.to_owned(),
    }
}

/// Whether a principal exists; with the id of what is kept by id.
#[expect(clippy::option_option, reason = "existing or not, and kept by its id or by its name")]
fn look_up(account: &Account, named: Named<'_>) -> Option<Option<String>> {
    let name = named.name;
    let exists = |exists: bool| exists.then_some(None);
    match named.kind {
        PrincipalKind::Aws => aws(account, name),
        PrincipalKind::Federated => match Arn::split(name) {
            Some(arn) if arn.account != account.scope.account => exists(true),
            Some(_) => exists(account.providers.registry.get(name).is_ok()),
            None => exists(name == "*" || PUBLIC_PROVIDERS.contains(&name)),
        },
        PrincipalKind::Service => exists(name == "*" || is_service(name)),
        PrincipalKind::CanonicalUser => exists(true),
    }
}

/// Whether a name is one of AWS's services. Which services there are is not known here.
fn is_service(name: &str) -> bool {
    let of_partition = |suffix: &str| name.strip_suffix(suffix).is_some_and(|service| service.ends_with('.'));
    PARTITIONS.iter().any(|partition| of_partition(partition.dns_suffix)) || name.ends_with(INTERNAL_SERVICES)
}

#[expect(clippy::option_option, reason = "as above")]
fn aws(account: &Account, name: &str) -> Option<Option<String>> {
    if name == "*" || is_account(name) {
        return Some(None);
    }
    let Some(arn) = Arn::split(name) else {
        let known = account.role_by_id(name).map(|role| Some(role.id.clone()));
        return known.or((name == sessions::ADMINISTRATOR_ID).then_some(None));
    };
    if arn.account != account.scope.account {
        return Some(None);
    }
    if RoleArn::parse(name).is_some() {
        return account.role_by_arn(name).map(|role| Some(role.id.clone()));
    }
    let resource: Vec<&str> = arn.resource.split('/').collect();
    match (arn.service, &resource[..]) {
        ("iam", ["root"] | ["user", "administrator"]) => Some(None),
        ("sts", ["assumed-role", role, session]) => {
            account.roles.get(*role).map(|role| Some(format!("{}:{session}", role.id)))
        }
        _ => None,
    }
}
