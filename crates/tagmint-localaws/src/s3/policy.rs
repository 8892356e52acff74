//! Bucket policies: what S3 stores, and what it calls public.

use tagmint_iam::{
    arn::{Arn, RoleArn},
    condition::Test,
    policy::{Effect, Kind, Policy, PrincipalElement, Principals, Statement},
};

use super::failure::S3Failure;
use crate::{account::ACCOUNT, aws::Aws};

/// Largest bucket policy, in bytes (user guide of S3, "Bucket policies").
const MAX_LEN: usize = 20 * 1024;

/// Keys that make a statement non-public when they are compared with fixed values (user guide of S3, "The meaning of public").
const FIXING_KEYS: [&str; 12] = [
    "aws:SourceIp",
    "aws:SourceArn",
    "aws:SourceVpc",
    "aws:SourceVpce",
    "aws:SourceOwner",
    "aws:SourceAccount",
    "aws:PrincipalArn",
    "aws:PrincipalAccount",
    "aws:PrincipalOrgID",
    "aws:PrincipalOrgPaths",
    "aws:userid",
    "s3:DataAccessPointArn",
];

/// Checks a policy and hangs it on a bucket.
pub fn put_policy(aws: &Aws, bucket: &str, text: &str) -> Result<(), S3Failure> {
    let malformed = |message: String| S3Failure::new(400, "MalformedPolicy", message);
    if text.len() > MAX_LEN {
        return Err(S3Failure::new(400, "PolicyTooLarge", "The policy exceeds the maximum allowed document size."));
    }
    let policy = Policy::parse_as(Kind::Resource, text).map_err(|error| malformed(error.to_string()))?;
    for statement in &policy.statements {
        check(aws, bucket, statement).map_err(|problem| malformed(problem.to_owned()))?;
    }
    let blocked = aws.storage.config(bucket)?.public_access.unwrap_or_default().block_public_policy;
    if blocked && is_public(&policy) {
        return Err(S3Failure::denied(
            "Public policies are blocked by the BlockPublicPolicy setting of the bucket's public access block.",
        ));
    }
    aws.storage.change_bucket(bucket, |config| config.policy = Some(text.to_owned()))
}

fn check(aws: &Aws, bucket: &str, statement: &Statement) -> Result<(), &'static str> {
    let of_s3 = |name: &str| name == "*" || name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("s3:"));
    if !statement.action.names.iter().all(|name| of_s3(name)) {
        return Err("Policy has invalid action");
    }
    let own = format!("arn:aws:s3:::{bucket}");
    let fits = |arn: &str| {
        arn == own || arn.strip_prefix(&own).is_some_and(|rest| rest.starts_with('/') || rest.starts_with('*'))
    };
    let arns = statement.resource.iter().flat_map(|element| &element.arns);
    if !arns.into_iter().all(|arn| fits(arn.source())) {
        return Err("Policy has invalid resource");
    }
    match &statement.principal {
        Some(PrincipalElement { principals: Principals::Listed { aws: names, .. }, .. }) => {
            if names.iter().all(|name| exists(aws, name)) { Ok(()) } else { Err("Invalid principal in policy") }
        }
        _ => Ok(()),
    }
}

/// Whether a principal can be named: S3 looks roles up. Those of other accounts aren't known here.
fn exists(aws: &Aws, name: &str) -> bool {
    if let Some(role) = RoleArn::parse(name) {
        return role.account != ACCOUNT || aws.account().role_by_arn(name).is_some();
    }
    name == "*" || tagmint_iam::arn::is_account(name) || Arn::split(name).is_some_and(|arn| arn.has_account())
}

/// Whether a policy lets the public in.
pub fn is_public(policy: &Policy) -> bool {
    policy.statements.iter().any(|statement| {
        let everyone = match &statement.principal {
            None => false,
            Some(element) if element.negated => true,
            Some(element) => match &element.principals {
                Principals::Everyone => true,
                Principals::Listed { aws, .. } => aws.iter().any(|name| name == "*"),
            },
        };
        statement.effect == Effect::Allow && everyone && !is_fixed(statement)
    })
}

/// Whether a condition pins the caller or the way to fixed values.
fn is_fixed(statement: &Statement) -> bool {
    statement.conditions.iter().any(|condition| {
        let fixing = FIXING_KEYS.iter().any(|key| key.eq_ignore_ascii_case(&condition.key));
        let operator = condition.operator;
        let compares = !operator.negated && !operator.if_exists && operator.test != Test::Null;
        let fixed = |value: &str| !value.contains(['*', '?', '$']) && value != "0.0.0.0/0" && value != "::/0";
        fixing && compares && condition.values.iter().all(|value| fixed(value.source()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(principal: &str, condition: &str) -> bool {
        let text = format!(
            r#"{{"Statement": {{"Effect": "Allow", "Principal": {principal}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*",
                "Condition": {condition}}}}}"#
        );
        is_public(&Policy::parse_as(Kind::Resource, &text).unwrap())
    }

    #[test]
    fn the_meaning_of_public() {
        for everyone in [r#""*""#, r#"{"AWS": "*"}"#] {
            assert!(public(everyone, "{}"));
            assert!(public(everyone, r#"{"StringLike": {"aws:PrincipalArn": "*"}}"#));
            assert!(public(everyone, r#"{"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}"#));
            assert!(public(everyone, r#"{"StringEquals": {"s3:prefix": "x"}}"#));
            assert!(!public(everyone, r#"{"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}"#));
            assert!(!public(everyone, r#"{"StringEquals": {"aws:PrincipalAccount": "123456789012"}}"#));
        }
        assert!(!public(r#"{"AWS": "123456789012"}"#, "{}"));
    }
}
