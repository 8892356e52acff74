//! Managed policies and their versions.

use super::{Answer, Call, arn, identity_policy, listed_tags, name, path, tag_list, time};
use crate::{
    account::{Account, ManagedPolicy, PolicyVersion, Tags},
    managed,
    query::QueryError,
    sigv4::encode,
    xml::Xml,
};

const MAX_NAME_LEN: usize = 128;
/// Most versions of one policy (quota of IAM).
const MAX_VERSIONS: usize = 5;
/// The scope of `ListPolicies` that shows the account's policies alone.
const LOCAL: &str = "Local";

pub fn create(call: &mut Call<'_>) -> Answer {
    let (name, path) = (name(call.params, "PolicyName", MAX_NAME_LEN)?, path(call.params)?);
    let document = identity_policy(call)?;
    // Names are unique in the account, whatever their paths.
    if call.account.policies.values().any(|policy| policy.name.eq_ignore_ascii_case(name)) {
        let message = format!("A policy called {name} already exists. Duplicate names are not allowed.");
        return Err(QueryError::new(409, "EntityAlreadyExists", message));
    }
    let mut tags = Tags::default();
    tags.set(call.params.tags("Tags"));
    let policy = ManagedPolicy {
        name: name.to_owned(),
        path: path.to_owned(),
        id: call.ids.unique("ANPA")?,
        arn: arn(&call.account.scope, "policy", path, name),
        created: call.now,
        updated: call.now,
        description: call.params.get("Description").map(str::to_owned),
        versions: vec![PolicyVersion { id: "v1".to_owned(), created: call.now, document: document.to_owned() }],
        default_version: "v1".to_owned(),
        next_version: 2,
        tags,
    };
    let xml = Xml::new().within("Policy", described(call.account, &policy));
    call.account.policies.insert(policy.arn.clone(), policy);
    Ok(Some(xml))
}

pub fn get(call: &mut Call<'_>) -> Answer {
    let arn = call.params.need("PolicyArn")?;
    if call.account.document_of_aws(arn).is_some() {
        return Ok(Some(Xml::new().within("Policy", described_of_aws(call.account, arn))));
    }
    Ok(Some(Xml::new().within("Policy", described(call.account, policy(call)?))))
}

#[expect(clippy::unnecessary_wraps, reason = "all actions have one type")]
pub fn list(call: &mut Call<'_>) -> Answer {
    let scope = call.params.get("Scope").unwrap_or("All");
    let attached_only = call.params.get("OnlyAttached") == Some("true");
    let account: &Account = call.account;
    let own = account.policies.values().map(|policy| (policy.arn.clone(), described(account, policy)));
    let of_aws = managed::ALL.iter().map(|(name, _)| {
        let arn = managed::arn(&account.scope.partition, name);
        let xml = described_of_aws(account, &arn);
        (arn, xml)
    });
    let own = own.filter(|_| scope != "AWS");
    let of_aws = of_aws.filter(|_| scope != LOCAL);
    let shown = own.chain(of_aws).filter(|(arn, _)| !attached_only || attachments(account, arn) > 0);
    Ok(Some(Xml::new().list("Policies", shown.map(|(_, xml)| xml)).text("IsTruncated", "false")))
}

pub fn delete(call: &mut Call<'_>) -> Answer {
    let policy = policy(call)?;
    let conflict = |message: &str| Err(QueryError::new(409, "DeleteConflict", message));
    if attachments(call.account, &policy.arn) > 0 {
        return conflict("Cannot delete a policy attached to entities.");
    }
    if policy.versions.len() > 1 {
        return conflict(
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions.",
        );
    }
    let arn = policy.arn.clone();
    call.account.policies.remove(&arn);
    Ok(None)
}

pub fn create_version(call: &mut Call<'_>) -> Answer {
    let document = identity_policy(call)?.to_owned();
    let (now, default) = (call.now, call.params.get("SetAsDefault") == Some("true"));
    let policy = policy_mut(call)?;
    if policy.versions.len() >= MAX_VERSIONS {
        let message = "A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version.";
        return Err(QueryError::new(409, "LimitExceeded", message));
    }
    let version = PolicyVersion { id: format!("v{}", policy.next_version), created: now, document };
    policy.next_version += 1;
    policy.updated = now;
    if default {
        policy.default_version.clone_from(&version.id);
    }
    policy.versions.push(version.clone());
    Ok(Some(Xml::new().within("PolicyVersion", described_version(&version, default))))
}

pub fn get_version(call: &mut Call<'_>) -> Answer {
    let (arn, id) = (call.params.need("PolicyArn")?, call.params.need("VersionId")?);
    if let Some(document) = call.account.document_of_aws(arn).filter(|_| id == "v1") {
        let version =
            PolicyVersion { id: id.to_owned(), created: jiff::Timestamp::UNIX_EPOCH, document: document.to_owned() };
        let xml = described_version(&version, true).text("Document", encode(document));
        return Ok(Some(Xml::new().within("PolicyVersion", xml)));
    }
    let policy = policy(call)?;
    let version = policy.version(id).ok_or_else(|| no_version(policy, id))?;
    let xml = described_version(version, policy.default_version == id).text("Document", encode(&version.document));
    Ok(Some(Xml::new().within("PolicyVersion", xml)))
}

pub fn list_versions(call: &mut Call<'_>) -> Answer {
    let policy = policy(call)?;
    let versions = policy.versions.iter().rev();
    let members = versions.map(|version| described_version(version, version.id == policy.default_version));
    Ok(Some(Xml::new().list("Versions", members).text("IsTruncated", "false")))
}

pub fn delete_version(call: &mut Call<'_>) -> Answer {
    let id = call.params.need("VersionId")?.to_owned();
    let policy = policy_mut(call)?;
    if policy.default_version == id {
        return Err(QueryError::new(409, "DeleteConflict", "Cannot delete the default version of a policy."));
    }
    if policy.version(&id).is_none() {
        return Err(no_version(policy, &id));
    }
    policy.versions.retain(|version| version.id != id);
    Ok(None)
}

pub fn set_default_version(call: &mut Call<'_>) -> Answer {
    let (id, now) = (call.params.need("VersionId")?.to_owned(), call.now);
    let policy = policy_mut(call)?;
    if policy.version(&id).is_none() {
        return Err(no_version(policy, &id));
    }
    policy.default_version = id;
    policy.updated = now;
    Ok(None)
}

pub fn list_entities(call: &mut Call<'_>) -> Answer {
    let arn = call.params.need("PolicyArn")?;
    let roles = call.account.roles.values().filter(|role| role.attached.contains(arn));
    let members = roles.map(|role| Xml::new().text("RoleName", &role.name).text("RoleId", &role.id));
    let xml = Xml::new().list("PolicyRoles", members).list("PolicyGroups", []).list("PolicyUsers", []);
    Ok(Some(xml.text("IsTruncated", "false")))
}

pub fn tag(call: &mut Call<'_>) -> Answer {
    let tags = call.params.tags("Tags");
    policy_mut(call)?.tags.set(tags);
    Ok(None)
}

pub fn untag(call: &mut Call<'_>) -> Answer {
    let keys = call.params.list("TagKeys");
    policy_mut(call)?.tags.remove(&keys);
    Ok(None)
}

pub fn list_tags(call: &mut Call<'_>) -> Answer {
    Ok(Some(listed_tags(&policy(call)?.tags)))
}

fn policy<'a>(call: &'a Call<'_>) -> Result<&'a ManagedPolicy, QueryError> {
    let arn = call.params.need("PolicyArn")?;
    call.account.policies.get(arn).ok_or_else(|| not_found(arn))
}

fn policy_mut<'a>(call: &'a mut Call<'_>) -> Result<&'a mut ManagedPolicy, QueryError> {
    let arn = call.params.need("PolicyArn")?;
    let account: &'a mut Account = call.account;
    account.policies.get_mut(arn).ok_or_else(|| not_found(arn))
}

fn not_found(arn: &str) -> QueryError {
    QueryError::no_such_entity(format!("Policy {arn} was not found."))
}

fn no_version(policy: &ManagedPolicy, id: &str) -> QueryError {
    QueryError::no_such_entity(format!("Policy {} version {id} does not exist or is not attachable.", policy.arn))
}

fn attachments(account: &Account, arn: &str) -> usize {
    account.roles.values().filter(|role| role.attached.contains(arn)).count()
}

fn described(account: &Account, policy: &ManagedPolicy) -> Xml {
    Xml::new()
        .text("PolicyName", &policy.name)
        .text("PolicyId", &policy.id)
        .text("Arn", &policy.arn)
        .text("Path", &policy.path)
        .text("DefaultVersionId", &policy.default_version)
        .text("AttachmentCount", attachments(account, &policy.arn).to_string())
        .text("PermissionsBoundaryUsageCount", "0")
        .text("IsAttachable", "true")
        .maybe("Description", policy.description.as_deref())
        .text("CreateDate", time(policy.created))
        .text("UpdateDate", time(policy.updated))
        .and(tag_list(policy.tags.iter()))
}

fn described_of_aws(account: &Account, arn: &str) -> Xml {
    Xml::new()
        .text("PolicyName", arn.rsplit('/').next().unwrap_or_default())
        .text("Arn", arn)
        .text("Path", "/")
        .text("DefaultVersionId", "v1")
        .text("AttachmentCount", attachments(account, arn).to_string())
        .text("IsAttachable", "true")
}

fn described_version(version: &PolicyVersion, default: bool) -> Xml {
    Xml::new()
        .text("VersionId", &version.id)
        .text("IsDefaultVersion", default.to_string())
        .text("CreateDate", time(version.created))
}
