//! AWS's Service Authorization Reference for S3, STS and IAM: which resources an action applies to, and which condition keys its requests have.
//!
//! The table is `data/service-authorization.txt`; its header names the source. Services that it does not list are unknown here: nothing is
//! said about their actions.

mod resource;

use std::{fmt, sync::LazyLock};

pub use self::resource::ResourceType;
use crate::pattern;

/// The web-identity call, whose requests have fewer global keys than others.
pub const ASSUME_WITH_WEB_IDENTITY: &str = "sts:AssumeRoleWithWebIdentity";

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::read(include_str!("../data/service-authorization.txt")));

/// Global keys that a request has only when its caller is an IAM principal or a session, or when an AWS service makes it (IAM user guide, "AWS
/// global condition context keys"). The holder of a web identity is neither. `aws:PrincipalArn` is a recorded answer of STS.
const NOT_WITH_WEB_IDENTITY: [&str; 27] = [
    "aws:AssumedRoot",
    "aws:CalledVia",
    "aws:CalledViaAWSMCP",
    "aws:CalledViaFirst",
    "aws:CalledViaLast",
    "aws:ChatbotSourceArn",
    "aws:Ec2InstanceSourcePrivateIPv4",
    "aws:Ec2InstanceSourceVpc",
    "aws:FederatedProvider",
    "aws:MultiFactorAuthAge",
    "aws:MultiFactorAuthPresent",
    "aws:PrincipalArn",
    "aws:PrincipalOrgID",
    "aws:PrincipalOrgPaths",
    "aws:PrincipalServiceName",
    "aws:PrincipalServiceNamesList",
    "aws:PrincipalTag/",
    "aws:SourceAccount",
    "aws:SourceArn",
    "aws:SourceIdentity",
    "aws:SourceOrgID",
    "aws:SourceOrgPaths",
    "aws:SourceOwner",
    "aws:TokenIssueTime",
    "aws:ViaAWSMCPService",
    "aws:username",
    "identitystore:UserId",
];

/// Global keys that only requests of certain actions have: for them the action's own list decides (IAM user guide, "Properties of the
/// request" and "Properties of the resource").
const PER_ACTION: [&str; 3] = ["aws:RequestTag/", "aws:ResourceTag/", "aws:TagKeys"];

/// Operations of S3 that have no action of their own name, and the action that they need (S3 user guide, "Required permissions for Amazon S3
/// API operations").
const PERMISSIONS: [(&str, &str); 18] = [
    ("HeadObject", "s3:GetObject"),
    ("SelectObjectContent", "s3:GetObject"),
    ("GetBucketCors", "s3:GetBucketCORS"),
    ("CopyObject", "s3:PutObject"),
    ("PostObject", "s3:PutObject"),
    ("UploadPart", "s3:PutObject"),
    ("UploadPartCopy", "s3:PutObject"),
    ("CreateMultipartUpload", "s3:PutObject"),
    ("CompleteMultipartUpload", "s3:PutObject"),
    ("DeleteObjects", "s3:DeleteObject"),
    ("HeadBucket", "s3:ListBucket"),
    ("ListObject", "s3:ListBucket"),
    ("ListObjects", "s3:ListBucket"),
    ("ListObjectsV2", "s3:ListBucket"),
    ("ListBuckets", "s3:ListAllMyBuckets"),
    ("ListObjectVersions", "s3:ListBucketVersions"),
    ("ListMultipartUploads", "s3:ListBucketMultipartUploads"),
    ("ListParts", "s3:ListMultipartUploadParts"),
];

/// A service's part of the reference.
#[derive(Debug)]
struct Service {
    prefix: &'static str,
    resources: Vec<ResourceType>,
    actions: Vec<Action>,
}

/// An action.
#[derive(Debug)]
pub struct Action {
    service: &'static str,
    name: &'static str,
    /// Indices of the service's resource types.
    resources: Vec<usize>,
    keys: Vec<&'static str>,
}

/// The kind of a condition key in the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// Requests of every service can have it.
    Global,
    /// Requests of some actions of a listed service have it.
    OfActions,
    /// The prefix belongs to a listed service or to `aws:`, and there is no such key.
    Unknown,
    /// The prefix is of a service that the reference does not list, or of an identity provider.
    Foreign,
}

struct Table {
    global: Vec<&'static str>,
    services: Vec<Service>,
}

/// The action of this name, in any case of letters: `s3:GetObject`.
pub fn action(name: &str) -> Option<&'static Action> {
    let (prefix, name) = name.split_once(':')?;
    service(prefix)?.actions.iter().find(|action| action.name.eq_ignore_ascii_case(name))
}

/// The actions that a policy's `Action` covers: `s3:Get*`. A pattern such as `*` covers those of all listed services.
pub fn covered(pattern: &str) -> impl Iterator<Item = &'static Action> {
    let actions = TABLE.services.iter().flat_map(|service| &service.actions);
    actions.filter(move |action| pattern::matches_ignoring_case(pattern, &action.to_string()))
}

/// The action that an operation of S3 needs, where it has another name: `s3:HeadObject` needs `s3:GetObject`.
pub fn permission_of(operation: &str) -> Option<&'static str> {
    let name = operation.split_once(':').map_or(operation, |(_, name)| name);
    PERMISSIONS.iter().find(|(operation, _)| operation.eq_ignore_ascii_case(name)).map(|(_, action)| *action)
}

/// Whether the reference lists the service of an action or key: `s3`.
pub fn lists(prefix: &str) -> bool {
    service(prefix).is_some()
}

/// The actions whose requests can have a condition key that is not a global one.
pub fn actions_with(key: &str) -> impl Iterator<Item = &'static Action> {
    let actions = TABLE.services.iter().flat_map(|service| &service.actions);
    actions.filter(move |action| action.lists(key))
}

/// Looks a condition key up in the reference, in any case of letters.
pub fn key_kind(key: &str) -> KeyKind {
    if is_global(key) {
        return KeyKind::Global;
    }
    if actions_with(key).next().is_some() {
        return KeyKind::OfActions;
    }
    match key.split_once(':') {
        Some((prefix, _)) if prefix.eq_ignore_ascii_case("aws") || lists(prefix) => KeyKind::Unknown,
        Some(_) => KeyKind::Foreign,
        None => KeyKind::Unknown,
    }
}

fn service(prefix: &str) -> Option<&'static Service> {
    TABLE.services.iter().find(|service| service.prefix.eq_ignore_ascii_case(prefix))
}

fn is_global(key: &str) -> bool {
    is_among(&TABLE.global, key) && !is_among(&PER_ACTION, key)
}

/// Whether a key is one of a list, in which a name that ends with `/` stands for all longer keys that begin with it.
fn is_among(list: &[&str], key: &str) -> bool {
    list.iter().any(|name| is_key(name, key))
}

/// Whether a key is of a name of the table: any case of letters; a tag's key behind a `/`; a word for `${…}`.
fn is_key(name: &str, key: &str) -> bool {
    if let Some((before, rest)) = name.split_once("${") {
        let Some((_, after)) = rest.split_once('}') else { return false };
        return pattern::matches_ignoring_case(&format!("{before}*{after}"), key);
    }
    if !name.ends_with('/') {
        return name.eq_ignore_ascii_case(key);
    }
    key.len() > name.len() && key.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
}

impl Action {
    /// The prefix of its service: `s3`.
    pub fn service(&self) -> &'static str {
        self.service
    }

    /// Whether a request of this action can have a condition key: one of its own, or a global one.
    pub fn has_key(&self, key: &str) -> bool {
        if self.lists(key) {
            return true;
        }
        let web_identity = self.service == "sts" && self.name == "AssumeRoleWithWebIdentity";
        is_global(key) && !(web_identity && is_among(&NOT_WITH_WEB_IDENTITY, key))
    }

    /// Whether it is an action on one of its resource types: `bucket`, `object`.
    pub fn is_on(&self, resource_type: &str) -> bool {
        self.resource_types().any(|resource| resource.name() == resource_type)
    }

    /// The resource types that it applies to. An action without any applies to no single resource: policies write `*` for it.
    pub fn resource_types(&self) -> impl Iterator<Item = &'static ResourceType> {
        let types = service(self.service).map_or(&[][..], |service| &service.resources);
        self.resources.iter().filter_map(move |index| types.get(*index))
    }

    /// Whether a resource that fits a policy's `Resource`, wildcards and variables included, can be one that this action applies to.
    pub fn applies_to(&self, resource: &str) -> bool {
        resource == "*" || self.resource_types().any(|of| of.overlaps(resource))
    }

    /// Whether the key is one of this action or of a resource type that it applies to.
    fn lists(&self, key: &str) -> bool {
        is_among(&self.keys, key) || self.resource_types().any(|resource| is_among(resource.keys(), key))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.service, self.name)
    }
}

impl Table {
    /// Reads the table. A line that does not belong into it is a mistake of ours, which the tests find.
    fn read(text: &'static str) -> Self {
        let mut table = Self { global: Vec::new(), services: Vec::new() };
        let mut sets: Vec<(&str, Vec<&'static str>)> = Vec::new();
        for line in text.lines() {
            let mut words = line.split(' ');
            let kind = words.next().unwrap_or_default();
            if kind == "global" {
                table.global.extend(words);
                continue;
            }
            let name = words.next().unwrap_or_default();
            if kind == "service" {
                sets.clear();
                table.services.push(Service { prefix: name, resources: Vec::new(), actions: Vec::new() });
                continue;
            }
            let Some(service) = table.services.last_mut() else { continue };
            match kind {
                "set" => sets.push((name, words.collect())),
                "resource" => {
                    let arn = words.next().unwrap_or_default();
                    service.resources.push(ResourceType::new(name, arn, words.collect()));
                }
                "action" => {
                    let on = words.next().unwrap_or_default();
                    let place = |name: &str| service.resources.iter().position(|resource| resource.name() == name);
                    let resources = on.split(',').filter_map(place).collect();
                    let keys = words.flat_map(|word| match sets.iter().find(|(set, _)| *set == word) {
                        Some((_, keys)) => keys.clone(),
                        None => vec![word],
                    });
                    let keys = keys.collect();
                    service.actions.push(Action { service: service.prefix, name, resources, keys });
                }
                _ => {}
            }
        }
        table
    }
}

#[cfg(test)]
mod tests;
