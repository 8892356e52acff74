//! The arguments of `tagmint prove`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use secrecy::SecretString;

/// What is to be proved, with which tokens, and where.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("good").args(["token", "issuer"]).multiple(true).required(true)))]
pub struct ProveArgs {
    /// The role's ARN.
    #[arg(long, value_name = "ARN")]
    pub role: String,
    /// The bucket.
    #[arg(long, value_name = "NAME")]
    pub bucket: String,
    /// The session tag whose value is the session's own prefix. Default: the token's only tag.
    #[arg(long, value_name = "KEY")]
    pub tag: Option<String>,
    /// The session's own prefix, where it is not a tag's value.
    #[arg(long, value_name = "PREFIX")]
    pub prefix: Option<String>,
    /// Somebody else's prefix; can be given several times. Default: two that are nobody's, of which one begins as the own one does.
    #[arg(long = "neighbour", value_name = "PREFIX")]
    pub neighbours: Vec<String>,
    /// An object below a neighbour's prefix that is there: that it cannot be read proves something even where nothing can be put there.
    #[arg(long, value_name = "KEY", requires = "neighbours")]
    pub neighbour_object: Option<String>,
    /// The session may list and read alone: that it can write is a failure then.
    #[arg(long)]
    pub read_only: bool,
    /// With --read-only: an object below the own prefix that is there. Default: the first that is listed.
    #[arg(long, value_name = "KEY", requires = "read_only")]
    pub own_object: Option<String>,
    /// The session's name, as CloudTrail will show it.
    #[arg(long, value_name = "NAME", default_value = "tagmint-prove")]
    pub session_name: String,

    /// The ARN of a second role that the session assumes before the checks. Default: `assume_then` of the issuer's rule.
    #[arg(long, value_name = "ROLE_ARN")]
    pub assume_then: Option<String>,

    /// One endpoint for STS, S3 and IAM instead of AWS: of `tagmint localaws`, of Ceph. Default: AWS_ENDPOINT_URL_STS,
    /// AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL_IAM or AWS_ENDPOINT_URL, else AWS.
    #[arg(long, value_name = "URL", help_heading = "AWS")]
    pub endpoint_url: Option<String>,
    /// The region. Default: AWS_REGION or the profile's; us-east-1 for other endpoints than AWS.
    #[arg(long, value_name = "REGION", help_heading = "AWS")]
    pub region: Option<String>,

    /// The issuer that mints the token and those for the checks that must be refused. It takes a credential: --credential-file,
    /// or the variable TAGMINT_CREDENTIAL.
    #[arg(long, value_name = "URL", help_heading = "Tokens")]
    pub issuer: Option<String>,
    /// Further certificate authorities to trust for the issuer, as PEM.
    #[arg(long, value_name = "FILE", help_heading = "Tokens")]
    pub ca_file: Option<PathBuf>,
    /// The file with a session or bearer of the issuer; `-` for stdin.
    #[arg(long, value_name = "FILE", requires = "issuer", help_heading = "Tokens")]
    pub credential_file: Option<PathBuf>,
    /// The issuer's rule for the token. Default: the one that fits.
    #[arg(long, value_name = "RULE", requires = "issuer", help_heading = "Tokens")]
    pub rule: Option<String>,
    /// The file with the token, instead of one from the issuer; `-` for stdin.
    #[arg(long, value_name = "FILE", help_heading = "Tokens")]
    pub token: Option<PathBuf>,

    /// A rule of the issuer that gives the same credential a token without the tag.
    #[arg(long, value_name = "RULE", requires = "issuer", help_heading = "Tokens that must be refused")]
    pub untagged_rule: Option<String>,
    /// The file with a credential for which the issuer mints a token without the tag.
    #[arg(long, value_name = "FILE", requires = "issuer", help_heading = "Tokens that must be refused")]
    pub untagged_credential_file: Option<PathBuf>,
    /// The file with a token without the tag.
    #[arg(long, value_name = "FILE", help_heading = "Tokens that must be refused",
        conflicts_with_all = ["untagged_rule", "untagged_credential_file"])]
    pub untagged_token: Option<PathBuf>,
    /// Another audience that the issuer's rule allows.
    #[arg(long, value_name = "NAME", requires = "issuer", help_heading = "Tokens that must be refused")]
    pub other_audience: Option<String>,
    /// The file with a token for another audience.
    #[arg(long, value_name = "FILE", help_heading = "Tokens that must be refused", conflicts_with = "other_audience")]
    pub other_audience_token: Option<PathBuf>,
    /// The file with a token of another environment's issuer, not expired.
    #[arg(long, value_name = "FILE", help_heading = "Tokens that must be refused")]
    pub other_environment_token: Option<PathBuf>,
    /// The file with a token of the issuer that expired more than five minutes ago: keep one of the last run.
    #[arg(long, value_name = "FILE", help_heading = "Tokens that must be refused")]
    pub expired_token: Option<PathBuf>,

    /// Checks that cannot be made count as failed.
    #[arg(long)]
    pub require_all: bool,
    /// Writes the report as JUnit XML, too.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Nothing is passed here; a secret that was is not repeated.
    #[arg(hide = true, num_args = 0.., value_name = "NOTHING")]
    pub stray: Vec<SecretString>,
}
