//! Roles.

use std::collections::{BTreeMap, BTreeSet};

use super::{Answer, Call, arn, listed_tags, name, path, tag_list, time};
use crate::{
    account::{Account, Role, Tags},
    query::QueryError,
    sigv4::encode,
    stored,
    xml::Xml,
};

const MAX_NAME_LEN: usize = 64;
const DEFAULT_MAX_SESSION: i64 = 3600;

pub fn create(call: &mut Call<'_>) -> Answer {
    if call.params.get("PermissionsBoundary").is_some() {
        return Err(QueryError::not_implemented("permissions boundaries"));
    }
    let (name, path) = (name(call.params, "RoleName", MAX_NAME_LEN)?, path(call.params)?);
    let trust_policy = call.params.need("AssumeRolePolicyDocument")?;
    let trusted = stored::trust_policy(call.account, trust_policy)?;
    // Role names differ in more than case.
    if call.account.roles.keys().any(|present| present.eq_ignore_ascii_case(name)) {
        return Err(QueryError::new(409, "EntityAlreadyExists", format!("Role with name {name} already exists.")));
    }
    let mut tags = Tags::default();
    tags.set(call.params.tags("Tags"));
    let role = Role {
        name: name.to_owned(),
        path: path.to_owned(),
        id: call.ids.unique("AROA")?,
        arn: arn(&call.account.scope, "role", path, name),
        created: call.now,
        description: call.params.get("Description").map(str::to_owned),
        max_session_seconds: max_session(call)?.unwrap_or(DEFAULT_MAX_SESSION),
        trust_policy: trust_policy.to_owned(),
        trusted,
        inline: BTreeMap::new(),
        attached: BTreeSet::new(),
        tags,
    };
    let xml = Xml::new().within("Role", described(call.account, &role));
    call.account.roles.insert(name.to_owned(), role);
    Ok(Some(xml))
}

pub fn get(call: &mut Call<'_>) -> Answer {
    Ok(Some(Xml::new().within("Role", described(call.account, role(call)?))))
}

#[expect(clippy::unnecessary_wraps, reason = "all actions have one type")]
pub fn list(call: &mut Call<'_>) -> Answer {
    let prefix = call.params.get("PathPrefix").unwrap_or("/");
    let roles = call.account.roles.values().filter(|role| role.path.starts_with(prefix));
    let roles = roles.map(|role| described(call.account, role));
    Ok(Some(Xml::new().list("Roles", roles).text("IsTruncated", "false")))
}

pub fn delete(call: &mut Call<'_>) -> Answer {
    let role = role(call)?;
    let conflict = |message: &str| Err(QueryError::new(409, "DeleteConflict", message));
    if !role.inline.is_empty() {
        return conflict("Cannot delete entity, must delete policies first.");
    }
    if !role.attached.is_empty() {
        return conflict("Cannot delete entity, must detach all policies first.");
    }
    let name = role.name.clone();
    call.account.roles.remove(&name);
    Ok(None)
}

pub fn update(call: &mut Call<'_>) -> Answer {
    let max_session = max_session(call)?;
    let description = call.params.get("Description").map(str::to_owned);
    let role = role_mut(call)?;
    if let Some(seconds) = max_session {
        role.max_session_seconds = seconds;
    }
    if description.is_some() {
        role.description = description;
    }
    Ok(Some(Xml::new()))
}

pub fn update_description(call: &mut Call<'_>) -> Answer {
    let description = call.params.need("Description")?.to_owned();
    role_mut(call)?.description = Some(description);
    Ok(Some(Xml::new().within("Role", described(call.account, role(call)?))))
}

pub fn update_trust(call: &mut Call<'_>) -> Answer {
    let document = call.params.need("PolicyDocument")?.to_owned();
    role(call)?;
    let trusted = stored::trust_policy(call.account, &document)?;
    let role = role_mut(call)?;
    (role.trust_policy, role.trusted) = (document, trusted);
    Ok(None)
}

pub fn tag(call: &mut Call<'_>) -> Answer {
    let tags = call.params.tags("Tags");
    role_mut(call)?.tags.set(tags);
    Ok(None)
}

pub fn untag(call: &mut Call<'_>) -> Answer {
    let keys = call.params.list("TagKeys");
    role_mut(call)?.tags.remove(&keys);
    Ok(None)
}

pub fn list_tags(call: &mut Call<'_>) -> Answer {
    Ok(Some(listed_tags(&role(call)?.tags)))
}

/// There are no instance profiles here.
pub fn list_instance_profiles(call: &mut Call<'_>) -> Answer {
    role(call)?;
    Ok(Some(Xml::new().list("InstanceProfiles", []).text("IsTruncated", "false")))
}

/// The role that the request names.
pub(super) fn role<'a>(call: &'a Call<'_>) -> Result<&'a Role, QueryError> {
    let name = call.params.need("RoleName")?;
    call.account.roles.get(name).ok_or_else(|| not_found(name))
}

/// The role that the request names, to be changed.
pub(super) fn role_mut<'a>(call: &'a mut Call<'_>) -> Result<&'a mut Role, QueryError> {
    let name = call.params.need("RoleName")?;
    let account: &'a mut Account = call.account;
    account.roles.get_mut(name).ok_or_else(|| not_found(name))
}

fn not_found(name: &str) -> QueryError {
    QueryError::no_such_entity(format!("The role with name {name} cannot be found."))
}

fn max_session(call: &Call<'_>) -> Result<Option<i64>, QueryError> {
    let Some(seconds) = call.params.number("MaxSessionDuration")? else { return Ok(None) };
    if (3600..=43_200).contains(&seconds) {
        return Ok(Some(seconds));
    }
    Err(QueryError::validation(format!(
        "1 validation error detected: Value '{seconds}' at 'maxSessionDuration' failed to satisfy constraint: Member must have value between \
         3600 and 43200"
    )))
}

fn described(account: &Account, role: &Role) -> Xml {
    Xml::new()
        .text("Path", &role.path)
        .text("RoleName", &role.name)
        .text("RoleId", &role.id)
        .text("Arn", &role.arn)
        .text("CreateDate", time(role.created))
        .text("AssumeRolePolicyDocument", encode(&role.shown_trust_policy(account)))
        .maybe("Description", role.description.as_deref())
        .text("MaxSessionDuration", role.max_session_seconds.to_string())
        .and(tag_list(role.tags.iter()))
        .within("RoleLastUsed", Xml::new())
}
