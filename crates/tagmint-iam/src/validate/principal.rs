//! Principals: which ones a policy can name at all.

use super::{Fault, Finding, Place};
use crate::{
    arn::{Arn, RoleArn, is_account},
    policy::{Policy, PrincipalElement, Principals},
};

/// A principal that a statement names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named<'a> {
    /// Which statement, from 0.
    pub statement: usize,
    /// Whether it stands in `NotPrincipal`.
    pub negated: bool,
    /// The list that it stands in.
    pub kind: Kind,
    /// The name as it is written; `*` for `"Principal": "*"`, too.
    pub name: &'a str,
}

/// The lists of principals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `AWS`.
    Aws,
    /// `Federated`.
    Federated,
    /// `Service`.
    Service,
    /// `CanonicalUser`.
    CanonicalUser,
}

impl Named<'_> {
    /// IAM's words when it does not know such a principal. S3 says no more than "Invalid principal in policy".
    pub fn words(&self) -> String {
        format!("Invalid principal in policy: \"{}\":\"{}\"", self.kind.as_str(), self.name)
    }
}

impl Kind {
    /// The list's name as IAM's errors write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "AWS",
            Self::Federated => "FEDERATED",
            Self::Service => "SERVICE",
            Self::CanonicalUser => "CANONICALUSER",
        }
    }
}

/// Every principal that a policy names: for the one who knows which of them exist.
pub fn principals(policy: &Policy) -> impl Iterator<Item = Named<'_>> {
    let elements = policy.statements.iter().enumerate();
    let elements = elements.filter_map(|(index, statement)| Some((index, statement.principal.as_ref()?)));
    elements.flat_map(|(statement, element)| {
        let PrincipalElement { negated, principals } = element;
        let names: Vec<(Kind, &str)> = match principals {
            Principals::Everyone => vec![(Kind::Aws, "*")],
            Principals::Listed { aws, federated, service, canonical_user } => {
                let lists: [(Kind, &Vec<String>); 4] = [
                    (Kind::Aws, aws),
                    (Kind::Federated, federated),
                    (Kind::Service, service),
                    (Kind::CanonicalUser, canonical_user),
                ];
                lists.into_iter().flat_map(|(kind, list)| list.iter().map(move |name| (kind, name.as_str()))).collect()
            }
        };
        names.into_iter().map(move |(kind, name)| Named { statement, negated: *negated, kind, name })
    })
}

/// The principals that cannot be named at this place, no matter which principals exist.
pub(super) fn check(policy: &Policy, place: Place<'_>) -> Vec<Finding> {
    let partition = match place {
        Place::Bucket { partition, .. } | Place::Trust { partition } => partition,
        Place::Identity { .. } => return Vec::new(),
    };
    let wrong = principals(policy).filter_map(|named| {
        let wanted = wrong(named, partition)?;
        let element = if named.negated { "NotPrincipal" } else { "Principal" };
        let refusal = match (place, named.kind) {
            (Place::Bucket { .. }, _) => "Invalid principal in policy".to_owned(),
            (_, Kind::Federated) if !is_provider(named.name) => {
                "Federated principals must be valid domain names or SAML metadata ARNs".to_owned()
            }
            _ => named.words(),
        };
        Some(Finding {
            path: format!("$.Statement[{}].{element}", named.statement),
            problem: Fault::Principal { name: named.name.to_owned(), wanted },
            refusal: Some(refusal),
        })
    });
    wrong.collect()
}

/// Advises what to write instead of a principal that cannot be named.
fn wrong(named: Named<'_>, partition: &str) -> Option<&'static str> {
    let Named { kind, name, .. } = named;
    if name == "*" && kind != Kind::CanonicalUser {
        return None;
    }
    let fits = match kind {
        Kind::Aws => is_aws(name, partition),
        Kind::Federated => is_provider(name) || is_host(name),
        Kind::Service => is_host(name),
        Kind::CanonicalUser => name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit()),
    };
    if fits {
        return None;
    }
    Some(match kind {
        Kind::Aws if is_provider(name) => "write the provider under \"Federated\"",
        Kind::Aws if name.contains('*') => {
            "name the role, or write `*` with a condition on aws:PrincipalArn, where wildcards work"
        }
        Kind::Aws => "name an account, a user, a role or a session by its ARN in the account's partition",
        Kind::Federated => "write the provider's ARN, or a host that AWS knows such as accounts.google.com",
        Kind::Service => "write the service's principal, such as cloudtrail.amazonaws.com",
        Kind::CanonicalUser => "write the canonical user id, 64 hexadecimal digits",
    })
}

/// An account, root, user, role, session, federated user, or the unique id of one of them.
fn is_aws(name: &str, partition: &str) -> bool {
    if is_account(name) || is_unique_id(name) {
        return true;
    }
    let Some(arn) = Arn::split(name).filter(|arn| arn.partition == partition && arn.region.is_empty()) else {
        return false;
    };
    // CloudFront's origin access identities have an ARN of IAM with an account of their own.
    let account = arn.has_account() || arn.account == "cloudfront";
    let name_fits = |name: &str| !name.is_empty() && !name.contains(['*', '?', ':', '$']) && !name.ends_with('/');
    account
        && match (arn.service, arn.resource.split_once('/')) {
            ("iam", None) => arn.resource == "root",
            ("iam", Some(("role", _))) => RoleArn::parse(name).is_some(),
            ("iam", Some(("user", user))) | ("sts", Some(("federated-user", user))) => name_fits(user),
            ("sts", Some(("assumed-role", session))) => {
                session.split('/').count() == 2 && session.split('/').all(name_fits)
            }
            _ => false,
        }
}

/// The unique id of a user or role, as AWS keeps it: `AROA…`, `AIDA…`.
fn is_unique_id(name: &str) -> bool {
    name.len() >= 16
        && ["AROA", "AIDA"].iter().any(|prefix| name.starts_with(prefix))
        && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

/// An OIDC or SAML provider's ARN.
fn is_provider(name: &str) -> bool {
    Arn::split(name).is_some_and(|arn| {
        let (kind, provider) = arn.resource.split_once('/').unwrap_or_default();
        arn.service == "iam"
            && arn.region.is_empty()
            && arn.has_account()
            && ["oidc-provider", "saml-provider"].contains(&kind)
            && !provider.is_empty()
            && !provider.contains(['*', '?'])
    })
}

fn is_host(name: &str) -> bool {
    name.contains('.') && name.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b))
}
