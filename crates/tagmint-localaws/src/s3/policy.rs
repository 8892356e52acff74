//! Bucket policies: what S3 stores, and what it calls public.

use tagmint_iam::{
    condition::Test,
    policy::{Effect, Policy, Principals, Statement},
};

use super::{failure::S3Failure, store::BucketConfig};
use crate::{aws::Aws, principals, stored};

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

/// Checks a policy and stores it at a bucket.
pub fn put_policy(aws: &Aws, bucket: &str, text: &str) -> Result<(), S3Failure> {
    if text.len() > MAX_LEN {
        return Err(S3Failure::new(400, "PolicyTooLarge", "The policy exceeds the maximum allowed document size."));
    }
    let checked = stored::bucket_policy(&aws.account(), bucket, text);
    let (policy, bound) = checked.map_err(|refusal| {
        aws.explain(|| format!("{}: {}: {}", refusal.code, refusal.message, refusal.detail));
        S3Failure::new(400, refusal.code, refusal.message).with_detail(refusal.detail)
    })?;
    let blocked = aws.storage.config(bucket)?.public_access.unwrap_or_default().block_public_policy;
    if blocked && is_public(&policy) {
        return Err(S3Failure::denied(
            "Public policies are blocked by the BlockPublicPolicy setting of the bucket's public access block.",
        ));
    }
    aws.storage.change_bucket(bucket, |config| (config.policy, config.policy_roles) = (Some(text.to_owned()), bound))
}

/// A bucket's policy as S3 shows it, and as it counts.
pub fn shown(aws: &Aws, config: &BucketConfig) -> Option<String> {
    let text = config.policy.as_deref()?;
    Some(principals::shown(&aws.account(), text, &config.policy_roles).into_owned())
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
    use tagmint_iam::policy::Kind;

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
