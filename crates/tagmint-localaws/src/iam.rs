//! IAM: OIDC providers, roles, their policies, managed policies.
//!
//! Shapes and codes follow the service model of IAM. Lists come whole: nothing is paged.

mod policies;
mod providers;
mod role_policies;
mod roles;

use jiff::Timestamp;

use crate::{
    account::{Account, Tags},
    ids::Ids,
    query::{Params, QueryError},
    scope::Scope,
    stored,
    xml::Xml,
};

/// What an action works on.
pub struct Call<'a> {
    /// The account; changes count only when the action succeeds.
    pub account: &'a mut Account,
    /// The parameters.
    pub params: &'a Params,
    /// The time.
    pub now: Timestamp,
    /// Makes ids.
    pub ids: &'a Ids,
}

/// An action's result; none for actions that answer nothing.
pub type Answer = Result<Option<Xml>, QueryError>;

type Handler = fn(&mut Call<'_>) -> Answer;

/// An action: what does it, and whether it changes anything.
#[derive(Clone, Copy)]
pub struct Action {
    /// Does it.
    pub handler: Handler,
    /// Whether the account has to be written afterwards.
    pub changes: bool,
}

/// The action of a name.
pub fn action(name: &str) -> Option<Action> {
    let handler: Handler = match name {
        "CreateOpenIDConnectProvider" => providers::create,
        "GetOpenIDConnectProvider" => providers::get,
        "ListOpenIDConnectProviders" => providers::list,
        "DeleteOpenIDConnectProvider" => providers::delete,
        "UpdateOpenIDConnectProviderThumbprint" => providers::update_thumbprint,
        "AddClientIDToOpenIDConnectProvider" => providers::add_client_id,
        "RemoveClientIDFromOpenIDConnectProvider" => providers::remove_client_id,
        "TagOpenIDConnectProvider" => providers::tag,
        "UntagOpenIDConnectProvider" => providers::untag,
        "ListOpenIDConnectProviderTags" => providers::list_tags,
        "CreateRole" => roles::create,
        "GetRole" => roles::get,
        "ListRoles" => roles::list,
        "DeleteRole" => roles::delete,
        "UpdateRole" => roles::update,
        "UpdateRoleDescription" => roles::update_description,
        "UpdateAssumeRolePolicy" => roles::update_trust,
        "TagRole" => roles::tag,
        "UntagRole" => roles::untag,
        "ListRoleTags" => roles::list_tags,
        "ListInstanceProfilesForRole" => roles::list_instance_profiles,
        "PutRolePolicy" => role_policies::put,
        "GetRolePolicy" => role_policies::get,
        "ListRolePolicies" => role_policies::list,
        "DeleteRolePolicy" => role_policies::delete,
        "AttachRolePolicy" => role_policies::attach,
        "DetachRolePolicy" => role_policies::detach,
        "ListAttachedRolePolicies" => role_policies::list_attached,
        "CreatePolicy" => policies::create,
        "GetPolicy" => policies::get,
        "ListPolicies" => policies::list,
        "DeletePolicy" => policies::delete,
        "CreatePolicyVersion" => policies::create_version,
        "GetPolicyVersion" => policies::get_version,
        "ListPolicyVersions" => policies::list_versions,
        "DeletePolicyVersion" => policies::delete_version,
        "SetDefaultPolicyVersion" => policies::set_default_version,
        "ListEntitiesForPolicy" => policies::list_entities,
        "TagPolicy" => policies::tag,
        "UntagPolicy" => policies::untag,
        "ListPolicyTags" => policies::list_tags,
        _ => return None,
    };
    let changes = !name.starts_with("Get") && !name.starts_with("List");
    Some(Action { handler, changes })
}

/// The resource that an action is asked for (service authorization reference of IAM).
pub fn resource(account: &Account, name: &str, params: &Params) -> String {
    if let Some(role) = params.get("RoleName") {
        let existing = account.roles.get(role).map(|role| role.arn.clone());
        return existing.unwrap_or_else(|| arn(&account.scope, "role", params.get("Path").unwrap_or("/"), role));
    }
    if let Some(arn) = params.get("OpenIDConnectProviderArn").or_else(|| params.get("PolicyArn")) {
        return arn.to_owned();
    }
    let arn = |kind, path, name| arn(&account.scope, kind, path, name);
    match (name, params.get("PolicyName"), params.get("Url")) {
        ("CreatePolicy", Some(policy), _) => arn("policy", params.get("Path").unwrap_or("/"), policy),
        ("CreateOpenIDConnectProvider", _, Some(url)) => {
            arn("oidc-provider", "/", url.strip_prefix("https://").unwrap_or(url))
        }
        ("ListRoles", ..) => arn("role", "/", ""),
        ("ListOpenIDConnectProviders", ..) => arn("oidc-provider", "/", ""),
        _ => "*".to_owned(),
    }
}

fn arn(scope: &Scope, kind: &str, path: &str, name: &str) -> String {
    scope.iam(&format!("{kind}{path}{name}"))
}

/// A name of `[\w+=,.@-]` (service model).
fn name<'a>(params: &'a Params, parameter: &str, max: usize) -> Result<&'a str, QueryError> {
    let name = params.need(parameter)?;
    let fits =
        (1..=max).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b));
    if fits { Ok(name) } else { Err(invalid(parameter, name, "[\\w+=,.@-]+")) }
}

/// A path: `/`, or begins and ends with it (service model).
fn path(params: &Params) -> Result<&str, QueryError> {
    let path = params.get("Path").unwrap_or("/");
    let fits = path.len() <= 512
        && path.starts_with('/')
        && path.ends_with('/')
        && path.bytes().all(|b| b.is_ascii_graphic() && !b"*?:".contains(&b));
    if fits { Ok(path) } else { Err(invalid("Path", path, "(\\u002F)|(\\u002F[\\u0021-\\u007E]+\\u002F)")) }
}

fn invalid(parameter: &str, value: &str, pattern: &str) -> QueryError {
    let mut chars = parameter.chars();
    let first = chars.next().map(|c| c.to_ascii_lowercase()).into_iter();
    let parameter: String = first.chain(chars).collect();
    QueryError::validation(format!(
        "1 validation error detected: Value '{value}' at '{parameter}' failed to satisfy constraint: Member must satisfy regular expression \
         pattern: {pattern}"
    ))
}

/// An identity policy's text that IAM stores.
fn identity_policy<'a>(call: &Call<'a>) -> Result<&'a str, QueryError> {
    let text = call.params.need("PolicyDocument")?;
    stored::identity_policy(call.account, text)?;
    Ok(text)
}

fn tag_list<'a>(tags: impl IntoIterator<Item = (&'a str, &'a str)>) -> Xml {
    let members = tags.into_iter().map(|(key, value)| Xml::new().text("Key", key).text("Value", value));
    Xml::new().list("Tags", members)
}

fn listed_tags(tags: &Tags) -> Xml {
    tag_list(tags.iter()).text("IsTruncated", "false")
}

/// As IAM writes times.
fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
