//! The arguments of `tagmint explain`.

use std::{ffi::OsString, path::PathBuf};

use clap::{ArgGroup, Args};
use jiff::Timestamp;
use secrecy::SecretString;

use crate::cli::attribute;

/// The token, the role, and what AWS knows of them.
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("trust").args(["trust_policy", "role"])),
    group(ArgGroup::new("policies").args(["role_policies", "bucket_policy", "role"]).multiple(true))
)]
pub struct ExplainArgs {
    /// The file with the token; `-` for stdin.
    #[arg(long, value_name = "FILE", required_unless_present = "error")]
    pub token: Option<PathBuf>,
    /// The file with the role's trust policy: the policy itself, or what holds it, as the output of `aws iam get-role` or of `terraform show
    /// -json`.
    #[arg(long, value_name = "FILE", required_unless_present_any = ["role", "error"])]
    pub trust_policy: Option<PathBuf>,
    /// Instead of a token: what AWS, its CLI or a job's log printed, as text, as a file, or `-` for stdin. Answers with the likely causes
    /// and the next command.
    #[arg(long, value_name = "TEXT|FILE", conflicts_with_all = ["token", "trust"])]
    pub error: Option<OsString>,
    /// The role's ARN: its trust policy and its provider's URL and client ids are read from AWS with the credentials of the
    /// environment; with --action, its policies and the bucket's, too. What other options give is not read. It takes
    /// iam:GetRole and iam:GetOpenIDConnectProvider, for --action also iam:ListRolePolicies, iam:GetRolePolicy,
    /// iam:ListAttachedRolePolicies, iam:GetPolicy, iam:GetPolicyVersion and s3:GetBucketPolicy.
    #[arg(long, value_name = "ARN", conflicts_with = "role_arn")]
    pub role: Option<String>,
    /// With --role: one endpoint for IAM and S3 instead of AWS, as of `tagmint localaws`. Default: AWS_ENDPOINT_URL_IAM,
    /// AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL, else AWS.
    #[arg(long, value_name = "URL", requires = "role")]
    pub endpoint_url: Option<String>,
    /// With --trust-policy: the role's ARN, to check the roles that the token is pinned to. Default: the first of them.
    #[arg(long, value_name = "ARN")]
    pub role_arn: Option<String>,
    /// The URL that the OIDC provider is registered with in IAM. Default: what --role reads, else the one in the trust policy's
    /// principal.
    #[arg(long, value_name = "URL")]
    pub provider_url: Option<String>,
    /// The file with the output of `aws iam get-open-id-connect-provider`: the provider's URL and client ids.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["provider_url", "client_ids"])]
    pub provider: Option<PathBuf>,
    /// A client id (audience) of the provider in IAM; can be given several times. Default: what --role reads, else not checked.
    #[arg(long = "client-id", value_name = "AUDIENCE")]
    pub client_ids: Vec<String>,
    /// The file with the issuer's key set, to check the signature.
    #[arg(long, value_name = "FILE", conflicts_with = "fetch")]
    pub jwks: Option<PathBuf>,
    /// Fetches the issuer's discovery document and key set as STS does, to check the signature.
    #[arg(long)]
    pub fetch: bool,
    /// Further certificate authorities to trust with --fetch, as PEM.
    #[arg(long, value_name = "FILE", requires = "fetch")]
    pub ca_file: Option<PathBuf>,
    /// Explains what `tagmint localaws` would say: an issuer on loopback may have a port there.
    #[arg(long)]
    pub localaws: bool,
    /// The moment to explain for: RFC 3339, or seconds since 1970. Default: now.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub now: Option<Timestamp>,
    /// An action that the session is to do then, as `s3:GetObject`.
    #[arg(long, value_name = "ACTION", requires = "resource", requires = "policies")]
    pub action: Option<String>,
    /// The ARN of what it does it to, as `arn:aws:s3:::BUCKET/KEY`.
    #[arg(long, value_name = "ARN", requires = "action")]
    pub resource: Option<String>,
    /// The file with a policy of the role; can be given several times.
    #[arg(long = "role-policy", value_name = "FILE", requires = "action")]
    pub role_policies: Vec<PathBuf>,
    /// The file with the bucket's policy. The bucket is taken to be of the role's account.
    #[arg(long, value_name = "FILE", requires = "action")]
    pub bucket_policy: Option<PathBuf>,
    /// A condition key of the request: of the call to STS, as `aws:SourceIp=192.0.2.1`, or of the action, as
    /// `s3:prefix=team/` for s3:ListBucket; can be given several times. A key that requests of the action never have is
    /// refused.
    #[arg(long = "context", value_name = "KEY=VALUE", value_parser = attribute)]
    pub context: Vec<(String, String)>,
    /// Nothing is passed here; a token that was is not repeated.
    #[arg(hide = true, num_args = 0.., value_name = "NOTHING")]
    pub stray: Vec<SecretString>,
}

fn moment(text: &str) -> Result<Timestamp, String> {
    let seconds = || Timestamp::from_second(text.parse().ok()?).ok();
    let moment = text.parse().ok().or_else(seconds);
    moment.ok_or_else(|| "give a moment such as `2026-01-31T12:00:00Z`, or seconds since 1970".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_both_forms() {
        assert_eq!(moment("1769860800"), moment("2026-01-31T12:00:00Z"));
        assert!(moment("soon").is_err());
    }
}
