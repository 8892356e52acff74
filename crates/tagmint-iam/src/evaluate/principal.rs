//! Whom a statement admits (IAM user guide, "AWS JSON policy elements: Principal").

use serde::Serialize;

use crate::{
    arn::{Arn, is_account},
    policy::{Effect, PrincipalElement, Principals},
};

/// Who makes a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Caller {
    /// The holder of an identity provider's token, who isn't anybody in AWS yet.
    WebIdentity {
        /// The provider's ARN, or its host for the providers that AWS knows by itself.
        provider: String,
    },
    /// A role's session.
    RoleSession {
        /// The role's ARN.
        role_arn: String,
        /// The session's ARN (`arn:aws:sts::ACCOUNT:assumed-role/NAME/SESSION`).
        session_arn: String,
    },
    /// An IAM user, or an account's root.
    User {
        /// The ARN.
        arn: String,
    },
    /// An AWS service.
    Service {
        /// Its name, as `cloudtrail.amazonaws.com`.
        name: String,
    },
    /// Nobody known.
    Anonymous,
}

impl Caller {
    /// The account that the caller belongs to.
    pub fn account(&self) -> Option<&str> {
        let arn = match self {
            Self::WebIdentity { provider } => provider,
            Self::RoleSession { role_arn, .. } => role_arn,
            Self::User { arn } => arn,
            Self::Service { .. } | Self::Anonymous => return None,
        };
        Arn::split(arn).filter(Arn::has_account).map(|arn| arn.account)
    }
}

/// How a statement admits a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Admission {
    /// It doesn't.
    None,
    /// As a member of an account: the account's own policies have to pass it on.
    Account,
    /// By name, or as everyone.
    Direct,
    /// The very session, or everyone whose `aws:PrincipalArn` is asked for: session policies don't limit it.
    Session,
}

pub(super) fn admission(element: &PrincipalElement, caller: &Caller, effect: Effect) -> Admission {
    if element.negated && effect == Effect::Deny {
        return if is_spared(&element.principals, caller) { Admission::None } else { Admission::Direct };
    }
    let star = match caller {
        // Recorded answer of STS: an allowance to `{"AWS": "*"}` admits no web identity. Nothing says that a denial spares it, too.
        Caller::WebIdentity { .. } if effect == Effect::Allow && !element.negated => Admission::None,
        // `"*"` and `{"AWS": "*"}` are the same, and anonymous callers are among them (guide, "All principals"). So are services: denials
        // for everyone need `aws:PrincipalIsAWSService` to spare them (guide, "AWS global condition context keys").
        _ => Admission::Direct,
    };
    let named = named(&element.principals, caller, star);
    match (element.negated, named) {
        (false, named) => named,
        // With Allow, `NotPrincipal` leaves out the principals that it names. Naming only an account doesn't leave out each of its members.
        (true, Admission::None | Admission::Account) => Admission::Direct,
        (true, _) => Admission::None,
    }
}

/// Whether `NotPrincipal` with Deny spares a caller. "AWS might validate the account first, and then the user. If an assumed-role user […] is
/// being evaluated, AWS might validate the account first, then the role, and then the assumed-role user": each of them has to be named (IAM
/// user guide, "AWS JSON policy elements: NotPrincipal").
fn is_spared(principals: &Principals, caller: &Caller) -> bool {
    let Principals::Listed { aws, federated, service, canonical_user: _ } = principals else { return true };
    if aws.iter().any(|name| name == "*") {
        return true;
    }
    let names = |arn: &String| aws.contains(arn);
    let account = |arn: &str| aws.iter().any(|name| is_account_of(name, arn));
    match caller {
        Caller::WebIdentity { provider } => federated.iter().any(|name| name == provider || name == "*"),
        Caller::RoleSession { role_arn, session_arn } => account(role_arn) && names(role_arn) && names(session_arn),
        Caller::User { arn } => {
            account(arn) && (names(arn) || Arn::split(arn).is_some_and(|arn| arn.resource == "root"))
        }
        Caller::Service { name } => service.contains(name),
        Caller::Anonymous => false,
    }
}

/// Whether a principal is the account, or the account's root, that an ARN belongs to.
fn is_account_of(name: &str, arn: &str) -> bool {
    let Some(of) = Arn::split(arn).filter(Arn::has_account) else { return false };
    if is_account(name) {
        return name == of.account;
    }
    Arn::split(name).is_some_and(|named| {
        named.service == "iam"
            && named.resource == "root"
            && (named.partition, named.account) == (of.partition, of.account)
    })
}

/// Whether a statement is for everyone: `"*"`, or `*` among the principals of AWS.
pub(super) fn is_for_everyone(element: &PrincipalElement) -> bool {
    let everyone = match &element.principals {
        Principals::Everyone => true,
        Principals::Listed { aws, .. } => aws.iter().any(|name| name == "*"),
    };
    everyone && !element.negated
}

/// How a caller is named; `star` says how `*` does it.
fn named(principals: &Principals, caller: &Caller, star: Admission) -> Admission {
    match principals {
        Principals::Everyone => star,
        Principals::Listed { aws, federated, service, canonical_user: _ } => match caller {
            Caller::WebIdentity { provider } if federated.iter().any(|name| name == provider || name == "*") => {
                Admission::Direct
            }
            Caller::Service { name } if service.iter().any(|listed| listed == name) => Admission::Direct,
            _ => aws.iter().map(|name| named_aws(name, caller, star)).max().unwrap_or(Admission::None),
        },
    }
}

fn named_aws(name: &str, caller: &Caller, star: Admission) -> Admission {
    if name == "*" {
        return star;
    }
    let (arns, own): (&[(&String, Admission)], _) = match caller {
        Caller::RoleSession { role_arn, session_arn } => {
            (&[(session_arn, Admission::Session), (role_arn, Admission::Direct)], role_arn)
        }
        Caller::User { arn } => (&[(arn, Admission::Direct)], arn),
        _ => return Admission::None,
    };
    if let Some((_, admission)) = arns.iter().find(|(arn, _)| *arn == name) {
        return *admission;
    }
    if is_account_of(name, own) { Admission::Account } else { Admission::None }
}
