//! What AWS holds of a role and a bucket: read with the operator's credentials, as far as they may.

use percent_encoding::percent_decode_str;
use tagmint_iam::{
    arn::Arn,
    policy::{Kind, Policy, PrincipalElement, Principals},
};

use crate::{
    client::{iam::Iam, s3::Call, xml::Element},
    connection::Connection,
    failure::Failure,
};

/// A role as IAM describes it.
#[derive(Debug, Clone)]
pub struct Role {
    /// Its ARN.
    pub arn: String,
    /// Its unique id.
    pub id: String,
    /// Its trust policy.
    pub trust_policy: Policy,
    /// Its tags, which policies see as principal tags.
    pub tags: Vec<(String, String)>,
    /// The ARN of its permissions boundary. Nothing here evaluates it.
    pub boundary: Option<String>,
    /// The longest session, in seconds.
    pub max_session_seconds: Option<i32>,
}

/// A policy of a role.
#[derive(Debug, Clone)]
pub struct RolePolicy {
    /// Its name.
    pub name: String,
    /// Whether it is the role's own (inline), or a managed one that is attached.
    pub inline: bool,
    /// The policy.
    pub policy: Policy,
}

/// An OIDC provider as IAM has it registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// Its URL, with scheme.
    pub url: String,
    /// Its client ids (audiences).
    pub client_ids: Vec<String>,
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} could not be read: {problem}{}", hint(self))]
pub struct Unread {
    /// What.
    pub what: String,
    /// The permission that reading it takes, as `iam:GetRole`.
    pub permission: &'static str,
    /// Why.
    pub problem: Problem,
}

/// Why something could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// AWS did not hand it out.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// It is not what it should be.
    #[error("{0}")]
    Invalid(String),
}

fn hint(unread: &Unread) -> String {
    match &unread.problem {
        Problem::Failure(failure) if failure.is_access_denied() => {
            format!("; it takes the permission {}", unread.permission)
        }
        _ => String::new(),
    }
}

impl Unread {
    /// Whether the service did not answer at all.
    pub fn is_unreachable(&self) -> bool {
        matches!(self.problem, Problem::Failure(Failure::Unreachable { .. }))
    }
}

/// The name in a role's ARN. Stores that are not AWS have ARNs without an account.
pub fn role_name(arn: &str) -> Option<&str> {
    let parts = Arn::split(arn).filter(|arn| arn.service == "iam")?;
    let path_and_name = parts.resource.strip_prefix("role/")?;
    path_and_name.rsplit('/').next().filter(|name| !name.is_empty())
}

/// The ARNs of the OIDC providers that a trust policy names.
pub fn providers(trust_policy: &Policy) -> Vec<&str> {
    let elements = trust_policy.statements.iter().filter_map(|statement| statement.principal.as_ref());
    let federated = elements.filter_map(|element: &PrincipalElement| match &element.principals {
        Principals::Listed { federated, .. } => Some(federated.iter().map(String::as_str)),
        Principals::Everyone => None,
    });
    federated.flatten().filter(|arn| arn.contains(":oidc-provider/")).collect()
}

/// Reads a role.
pub async fn role(connection: &Connection, arn: &str) -> Result<Role, Unread> {
    let unread = unread(format!("the role {arn}"), "iam:GetRole");
    let Some(name) = role_name(arn) else {
        return Err(unread(Problem::Invalid("this is not the ARN of a role".to_owned())));
    };
    let iam = connection.iam().await.map_err(|failure| unread(failure.into()))?;
    let answer = iam.call("GetRole", &[("RoleName", name)]).await.map_err(|failure| unread(failure.into()))?;
    let role = answer.find("Role");
    let (Some(role), Some(document)) = (role, role.and_then(|role| role.text_of("AssumeRolePolicyDocument"))) else {
        return Err(unread(Failure::incomplete("trust policy").into()));
    };
    let trust_policy = parse(Kind::Trust, document).map_err(|problem| unread(Problem::Invalid(problem)))?;
    let tags = role.child("Tags").into_iter().flat_map(|tags| tags.all("member"));
    let tag = |tag: &Element| Some((tag.text_of("Key")?.to_owned(), tag.text_of("Value")?.to_owned()));
    let boundary = role.child("PermissionsBoundary").and_then(|boundary| boundary.text_of("PermissionsBoundaryArn"));
    Ok(Role {
        arn: role.text_of("Arn").unwrap_or_default().to_owned(),
        id: role.text_of("RoleId").unwrap_or_default().to_owned(),
        trust_policy,
        tags: tags.filter_map(tag).collect(),
        boundary: boundary.map(str::to_owned),
        max_session_seconds: role.value_of("MaxSessionDuration"),
    })
}

/// Reads a role's own policies and those that are attached to it; what could not be read is told.
pub async fn role_policies(connection: &Connection, arn: &str) -> (Vec<RolePolicy>, Vec<Unread>) {
    let (mut policies, mut missed) = (Vec::new(), Vec::new());
    let name = role_name(arn).unwrap_or_default();
    match connection.iam().await {
        Ok(iam) => {
            let reader = Reader { iam, role: name };
            reader.inline(&mut policies, &mut missed).await;
            reader.attached(&mut policies, &mut missed).await;
        }
        Err(failure) => missed.push(unread(format!("the policies of {name}"), "iam:ListRolePolicies")(failure.into())),
    }
    (policies, missed)
}

struct Reader<'a> {
    iam: Iam,
    role: &'a str,
}

impl Reader<'_> {
    async fn inline(&self, policies: &mut Vec<RolePolicy>, missed: &mut Vec<Unread>) {
        let role = ("RoleName", self.role);
        let names = match self.iam.list("ListRolePolicies", &[role], "PolicyNames").await {
            Ok(names) => names,
            Err(failure) => {
                let what = format!("the list of the own policies of {}", self.role);
                return missed.push(unread(what, "iam:ListRolePolicies")(failure.into()));
            }
        };
        for name in names.iter().map(Element::text) {
            let unread = unread(format!("the policy `{name}` of {}", self.role), "iam:GetRolePolicy");
            let answer = self.iam.call("GetRolePolicy", &[role, ("PolicyName", name)]).await;
            let read = answer.map_err(Problem::from).and_then(|answer| {
                let document = answer.find("PolicyDocument").map_or("", Element::text);
                parse(Kind::Identity, document).map_err(Problem::Invalid)
            });
            match read {
                Ok(policy) => policies.push(RolePolicy { name: name.to_owned(), inline: true, policy }),
                Err(problem) => missed.push(unread(problem)),
            }
        }
    }

    async fn attached(&self, policies: &mut Vec<RolePolicy>, missed: &mut Vec<Unread>) {
        let role = ("RoleName", self.role);
        let attached = match self.iam.list("ListAttachedRolePolicies", &[role], "AttachedPolicies").await {
            Ok(attached) => attached,
            Err(failure) => {
                let what = format!("the list of the policies attached to {}", self.role);
                return missed.push(unread(what, "iam:ListAttachedRolePolicies")(failure.into()));
            }
        };
        for policy in attached {
            let arn = policy.text_of("PolicyArn").unwrap_or_default();
            match self.managed(arn).await {
                Ok(policy) => policies.push(RolePolicy { name: arn.to_owned(), inline: false, policy }),
                Err(unread) => missed.push(unread),
            }
        }
    }

    async fn managed(&self, arn: &str) -> Result<Policy, Unread> {
        let what = || format!("the attached policy {arn}");
        let failed = |permission, failure: Failure| unread(what(), permission)(failure.into());
        let answer = self.iam.call("GetPolicy", &[("PolicyArn", arn)]).await;
        let answer = answer.map_err(|failure| failed("iam:GetPolicy", failure))?;
        let version = answer.find("DefaultVersionId").map_or("v1", Element::text);
        let answer = self.iam.call("GetPolicyVersion", &[("PolicyArn", arn), ("VersionId", version)]).await;
        let answer = answer.map_err(|failure| failed("iam:GetPolicyVersion", failure))?;
        let document = answer.find("Document").map_or("", Element::text);
        parse(Kind::Identity, document)
            .map_err(|problem| unread(what(), "iam:GetPolicyVersion")(Problem::Invalid(problem)))
    }
}

/// Reads an OIDC provider.
pub async fn provider(connection: &Connection, arn: &str) -> Result<Provider, Unread> {
    let unread = unread(format!("the provider {arn}"), "iam:GetOpenIDConnectProvider");
    let iam = connection.iam().await.map_err(|failure| unread(failure.into()))?;
    let answer = iam.call("GetOpenIDConnectProvider", &[("OpenIDConnectProviderArn", arn)]).await;
    let answer = answer.map_err(|failure| unread(failure.into()))?;
    let Some(url) = answer.find("Url").map(Element::text).filter(|url| !url.is_empty()) else {
        return Err(unread(Failure::incomplete("URL").into()));
    };
    // IAM leaves the scheme out.
    let url = if url.contains("://") { url.to_owned() } else { format!("https://{url}") };
    let client_ids = answer.find("ClientIDList").into_iter().flat_map(|list| list.all("member"));
    Ok(Provider { url, client_ids: client_ids.map(|id| id.text().to_owned()).collect() })
}

/// Reads a bucket's policy; none where the bucket has none.
pub async fn bucket_policy(connection: &Connection, bucket: &str) -> Result<Option<Policy>, Unread> {
    let unread = unread(format!("the policy of the bucket {bucket}"), "s3:GetBucketPolicy");
    let s3 = connection.operator_s3().await.map_err(|failure| unread(failure.into()))?;
    let document = match s3.send(Call::bucket("GET", bucket).subresource("policy")).await {
        Ok(answer) => answer.bytes().await.map_err(|failure| unread(failure.into()))?,
        Err(failure) if failure.code() == Some("NoSuchBucketPolicy") => return Ok(None),
        Err(failure) => return Err(unread(failure.into())),
    };
    let document = String::from_utf8_lossy(&document);
    parse(Kind::Resource, &document).map(Some).map_err(|problem| unread(Problem::Invalid(problem)))
}

fn unread(what: String, permission: &'static str) -> impl Fn(Problem) -> Unread {
    move |problem| Unread { what: what.clone(), permission, problem }
}

/// IAM hands documents out percent-encoded (RFC 3986), S3 and stores that are not AWS as they are.
fn parse(kind: Kind, document: &str) -> Result<Policy, String> {
    let decoded = if document.trim_start().starts_with('{') {
        document.into()
    } else {
        percent_decode_str(document).decode_utf8().map_err(|error| error.to_string())?
    };
    Policy::parse_as(kind, &decoded).map_err(|error| format!("it is not understood: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_names_are_found() {
        for (arn, name) in [
            ("arn:aws:iam::111122223333:role/data", Some("data")),
            ("arn:aws:iam::111122223333:role/a/b/data", Some("data")),
            ("arn:aws:iam:::role/data", Some("data")),
            ("arn:aws:iam::111122223333:user/data", None),
            ("arn:aws:s3:::role/data", None),
            ("arn:aws:iam::111122223333:role/", None),
            ("data", None),
        ] {
            assert_eq!(role_name(arn), name, "{arn}");
        }
    }

    #[test]
    fn documents_are_read_encoded_and_plain() {
        let plain = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}"#;
        let encoded = plain.replace('{', "%7B").replace('"', "%22").replace(' ', "%20");
        let read = parse(Kind::Identity, plain);
        assert!(read.is_ok());
        assert_eq!(parse(Kind::Identity, &encoded), read);
        assert!(parse(Kind::Trust, plain).is_err_and(|problem| problem.contains("Principal")));
    }

    #[test]
    fn what_could_not_be_read_names_the_permission() {
        let refused = |code: &str| Failure::Refused { status: 403, code: code.to_owned(), message: String::new() };
        let text = unread("the role x".to_owned(), "iam:GetRole")(refused("AccessDenied").into()).to_string();
        assert_eq!(text, "the role x could not be read: 403 AccessDenied; it takes the permission iam:GetRole");
        let other = unread("the role x".to_owned(), "iam:GetRole")(refused("InvalidClientTokenId").into()).to_string();
        assert!(!other.contains("permission"), "{other}");
    }
}
