//! AWS, with IAM's outbound identity federation: what the claims of the tokens of `sts:GetWebIdentityToken` say, and that they agree.
//!
//! `sub` is the ARN of the role or user. AWS puts everything else into one claim, `https://sts.amazonaws.com/`, which is an attribute as
//! it is: its `principal_tags`, `request_tags` and `ou_path` are reached by a JSON pointer. Derived are
//! - `account_id`, `organization_id`, `region`, `lambda_function_arn`, `ec2_instance_arn`, `source_identity` and
//!   `identity_store_user_id`, from that claim;
//! - `role_name` or `user_name`: the last part of the ARN.
//!
//! A token is refused whose ARN is of another account than `aws_account`, because a rule would get another answer from `sub` than from
//! the claim beside it. So is a token whose `sub` is not an ARN.

use super::{Claim, Kind, OtherClaims, Scope};
use crate::trusted_issuer::{TokenAlgorithm, TokenError, claims::Reader};

const CLAIM: &str = "https://sts.amazonaws.com/";

/// Source: IAM User Guide, "Understanding token claims" (outbound identity federation); the issuer's discovery document for the
/// algorithms. Neither documents `principal_id`, which tokens have too: the ARN of `sub`.
pub(super) const KIND: Kind = Kind {
    name: "aws",
    title: "AWS IAM outbound identity federation",
    default_issuer: None,
    issuers: &["https://<the account's issuer id>.tokens.sts.global.api.aws"],
    algorithms: &[TokenAlgorithm::Es384, TokenAlgorithm::Rs256],
    has_nbf: false,
    audience_list: false,
    subjects: &["arn:<partition>:iam::<account id>:role/<role>", "arn:<partition>:iam::<account id>:user/<user>"],
    claims: &[
        Claim::id("account_id", Scope::Owner, "The account of the role or user").required().derived(),
        Claim::text_id("organization_id", Scope::Owner, "The organization of the account: `o-abc1234567`").derived(),
        Claim::named("role_name", Scope::Repository, None, "The role's name, without its path").derived().glob(),
        Claim::named("user_name", Scope::Repository, None, "The user's name, without its path").derived(),
        Claim::shapeable("region", "The region where the token was requested, which the caller chooses").derived(),
        Claim::named("lambda_function_arn", Scope::Other, None, "The Lambda function of the caller").derived(),
        Claim::text_id("ec2_instance_arn", Scope::Other, "The EC2 instance of the caller").derived(),
        Claim::shapeable("source_identity", "The source identity of the role's session").derived(),
        Claim::text_id("identity_store_user_id", Scope::Other, "The user of IAM Identity Center").derived(),
        Claim::json(CLAIM, "All of this, and tags. The caller chooses `request_tags`").required(),
    ],
    others: OtherClaims::Dropped,
    derive,
    sample: include_str!("samples/aws.json"),
};

/// Members of the claim, and the attributes that they become.
const MEMBERS: [(&str, &str); 6] = [
    ("org_id", "organization_id"),
    ("source_region", "region"),
    ("lambda_source_function_arn", "lambda_function_arn"),
    ("ec2_source_instance_arn", "ec2_instance_arn"),
    ("source_identity", "source_identity"),
    ("identity_store_user_id", "identity_store_user_id"),
];

fn derive(reader: &mut Reader<'_>, subject: &str) -> Result<(), TokenError> {
    let claim = reader.required_object(CLAIM)?;
    let account = claim.required_id("aws_account")?;
    // arn:partition:service:region:account:resource
    let ["arn", _, _, _, in_subject, resource] = subject.splitn(6, ':').collect::<Vec<_>>()[..] else {
        return Err(TokenError::claim("sub", "is not an ARN"));
    };
    if in_subject != account {
        return Err(TokenError::Contradiction { first: "sub", second: CLAIM });
    }
    reader.add("account_id", account);
    for (member, attribute) in MEMBERS {
        if let Some(value) = claim.text(member)? {
            reader.add(attribute, value);
        }
    }
    if let Some((kind, path)) = resource.split_once('/') {
        let name = path.rsplit('/').next().unwrap_or(path);
        match kind {
            "role" => reader.add("role_name", name),
            "user" => reader.add("user_name", name),
            _ => {}
        }
    }
    Ok(())
}
