//! Policies and providers within other documents.

use serde_json::{Map, Value};

use super::{DocumentError, Provider, json};
use crate::{
    arn::Arn,
    policy::{Kind, Policy},
};

/// Members that hold a role's trust policy: the CLI and CloudFormation, Terraform, Pulumi.
const TRUST: [&str; 5] = [
    "AssumeRolePolicyDocument",
    "assume_role_policy",
    "assumeRolePolicy",
    "AssumeRolePolicy",
    "assumeRolePolicyDocument",
];

/// A policy that was found, by whose it is.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) policy: Value,
    /// The name of the member that held it.
    member: String,
    pub(super) role: Option<Role>,
}

/// A role as a document describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Role {
    name: Option<String>,
    pub(super) arn: Option<String>,
    pub(super) tags: Vec<(String, String)>,
}

/// Whether a value is a policy itself.
pub(super) fn is_policy(value: &Value) -> bool {
    value.get("Statement").is_some_and(|statement| statement.is_array() || statement.is_object())
}

/// Every policy within a document, in its order.
pub(super) fn policies(value: &Value) -> Vec<Candidate> {
    let mut found = Vec::new();
    walk("", value, None, &mut found);
    found
}

fn walk(member: &str, value: &Value, role: Option<&Role>, found: &mut Vec<Candidate>) {
    if is_policy(value) {
        return found.push(Candidate { policy: value.clone(), member: member.to_owned(), role: role.cloned() });
    }
    match value {
        Value::Object(members) => {
            let described = described(member, members);
            let role = described.as_ref().or(role);
            for (name, value) in members {
                walk(name, value, role, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(member, item, role, found)),
        // A policy as a string: what is no policy is any other text.
        Value::String(text) if text.contains("Statement") => {
            if let Ok(inner) = json(text)
                && is_policy(&inner)
            {
                found.push(Candidate { policy: inner, member: member.to_owned(), role: role.cloned() });
            }
        }
        _ => {}
    }
}

/// The role that an object describes; none where it is no role's.
fn described(member: &str, members: &Map<String, Value>) -> Option<Role> {
    let text = |names: &[&str]| names.iter().find_map(|name| members.get(*name)?.as_str()).map(str::to_owned);
    let holds_trust = TRUST.iter().any(|name| members.contains_key(*name));
    let arn = text(&["Arn", "arn"]).filter(|arn| arn.contains(":role/"));
    if !holds_trust && arn.is_none() && !members.contains_key("RoleName") {
        // CloudFormation keeps the name of a role above its properties.
        let is_role = members.get("Type").is_some_and(|kind| kind == "AWS::IAM::Role");
        return is_role.then(|| Role { name: Some(member.to_owned()), ..Role::default() });
    }
    let name =
        text(&["RoleName", "name", "roleName"]).or_else(|| arn.as_deref().and_then(role_name).map(str::to_owned));
    Some(Role { name, arn, tags: tags(members) })
}

fn role_name(arn: &str) -> Option<&str> {
    Arn::split(arn)?.resource.rsplit('/').next()
}

/// A list of pairs (the CLI, CloudFormation), or an object (Terraform).
fn tags(members: &Map<String, Value>) -> Vec<(String, String)> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    match members.get("Tags").or_else(|| members.get("tags")) {
        Some(Value::Array(list)) => {
            list.iter().filter_map(|tag| Some((text(tag.get("Key"))?, text(tag.get("Value"))?))).collect()
        }
        Some(Value::Object(map)) => {
            map.iter().filter_map(|(key, value)| Some((key.clone(), text(Some(value))?))).collect()
        }
        _ => Vec::new(),
    }
}

/// The policy that is wanted.
pub(super) fn choose(candidates: Vec<Candidate>, kind: Kind, role: Option<&str>) -> Result<Candidate, DocumentError> {
    let is_trust = |candidate: &Candidate| TRUST.contains(&candidate.member.as_str());
    let wants_trust = kind == Kind::Trust;
    let of_kind = |candidate: &Candidate| is_trust(candidate) == wants_trust;
    if !candidates.iter().any(of_kind) {
        // Under another name it may be one all the same.
        let fits = |candidate: &Candidate| Policy::parse_as(kind, &candidate.policy.to_string()).is_ok();
        if let [only] = candidates.as_slice()
            && fits(only)
        {
            return candidates.into_iter().next().ok_or(DocumentError::Empty);
        }
        let found = candidates.first().map(|candidate| candidate.member.clone()).unwrap_or_default();
        let what = if wants_trust {
            format!(
                "it has a role's own policy ({found}) and no trust policy: give the output of `aws iam get-role --role-name NAME`"
            )
        } else {
            format!(
                "it has a trust policy ({found}) and none of this kind: a role's own policies come from `aws iam get-role-policy` and `aws iam \
                 get-policy-version`, a bucket's from `aws s3api get-bucket-policy`"
            )
        };
        return Err(DocumentError::Other(what));
    }
    let mut fitting: Vec<Candidate> = candidates.into_iter().filter(of_kind).collect();
    if let Some(arn) = role.filter(|_| fitting.len() > 1) {
        let of_role = |candidate: &Candidate| {
            candidate.role.as_ref().is_some_and(|role| {
                role.arn.as_deref().map_or_else(|| role.name.as_deref() == role_name(arn), |own| own == arn)
            })
        };
        if fitting.iter().any(of_role) {
            fitting.retain(of_role);
        }
    }
    let same = fitting.windows(2).all(|pair| pair[0].policy == pair[1].policy);
    if same && let Some(first) = fitting.pop() {
        return Ok(fitting.into_iter().next().unwrap_or(first));
    }
    let name = |candidate: &Candidate| {
        let role = candidate.role.as_ref().and_then(|role| role.arn.clone().or_else(|| role.name.clone()));
        role.unwrap_or_else(|| candidate.member.clone())
    };
    let hint = if wants_trust { "pick one by --role-arn ARN" } else { "give each in a file of its own" };
    Err(DocumentError::Several { names: fitting.iter().map(name).collect(), hint: hint.to_owned() })
}

/// Every OIDC provider that a document describes.
pub(super) fn providers(value: &Value) -> Vec<Provider> {
    match value {
        Value::Object(members) => {
            let url = ["Url", "url", "URL"].iter().find_map(|name| members.get(*name)?.as_str());
            let ids = ["ClientIDList", "ClientIdList", "client_id_list", "clientIdLists"]
                .iter()
                .find_map(|name| members.get(*name)?.as_array());
            if let (Some(url), Some(ids)) = (url, ids) {
                let url = if url.contains("://") { url.to_owned() } else { format!("https://{url}") };
                let client_ids = ids.iter().filter_map(Value::as_str).map(str::to_owned).collect();
                return vec![Provider { url, client_ids }];
            }
            members.values().flat_map(providers).collect()
        }
        Value::Array(items) => items.iter().flat_map(providers).collect(),
        _ => Vec::new(),
    }
}
