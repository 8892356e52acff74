//! The arguments of `tagmint aws`.

use std::path::PathBuf;

use clap::{
    Args, Subcommand, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use tagmint_aws::render::{Part, Rendering};
use tagmint_iam::arn::is_account;

use crate::{cli::ReachArgs, output::Format};

/// Sets the AWS side of the issuer up, and compares it.
#[derive(Debug, Subcommand)]
pub enum AwsCommand {
    /// Writes the AWS side of the issuer from its configuration: OIDC provider, roles with their trust policies, bucket with its policy.
    ///
    /// Asks nobody and changes nothing: what it writes is for CloudFormation, Terraform or a shell. The same configuration gives the
    /// same files. docs/aws-setup.md says which of the three to choose.
    Render(RenderArgs),
    /// Compares what stands in the AWS account with the configuration, and says in words what differs.
    ///
    /// Reads alone, with AWS's credentials of the environment. Exit code 0: the same, 1: something differs or could not be looked at,
    /// 4: AWS could not be reached. With --format json: `{"same", "drifts": [{"id", "at", "text"}], "unread": [{"what", "permission",
    /// "text"}]}`.
    Diff(DiffArgs),
    /// Show which rules can read or write a prefix of the bucket, and for whom.
    ///
    /// Works offline, from the configuration: the tags that the rules can give, STS's verdict on such tokens, and the policies that `render`
    /// writes. `yes`: there are callers that reach the prefix, with the tag's value that is shown. `may`: it cannot be excluded, because an
    /// expression, a condition or the request decides a value. Other policies of the account are not known. With --format json:
    /// `{"bucket", "prefix", "reach": [{"rule", "from", "who", "role", "tag", "values": [text], "claims": {NAME: text}, "whole": bool,
    /// "list": "yes" | "may" | "no", "read", "write", "delete", "uncertain": [text]}], "no_reach": [rule], "unknown": [{"rule", "role":
    /// ARN | null}]}`.
    Reach(ReachArgs),
}

/// What is written, and where to.
#[derive(Debug, Args)]
pub struct RenderArgs {
    /// What it is written as: a CloudFormation template, a Terraform module with its test, or a shell script of AWS CLI commands.
    // The same id as the option of all commands, which it stands for here: clap wants one type for both.
    #[arg(long, id = "format", value_name = "cloudformation|terraform|cli", required = true, value_parser = rendering())]
    pub format: Format,
    /// The folder to write the files to. Default: the main file goes to stdout.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Another account than the configuration's `aws.account`.
    #[arg(long, value_name = "ID", env = "TAGMINT_AWS_ACCOUNT", value_parser = account)]
    pub account: Option<String>,
    /// The parts to write.
    #[arg(long = "part", value_name = "PART", value_enum, value_delimiter = ',', default_values_t = PartArg::all())]
    pub parts: Vec<PartArg>,
}

/// What is compared, and where.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// Another account than the configuration's `aws.account`.
    #[arg(long, value_name = "ID", env = "TAGMINT_AWS_ACCOUNT", value_parser = account)]
    pub account: Option<String>,
    /// One endpoint for IAM, STS and S3 instead of AWS, as of `tagmint localaws`. Default: AWS's variables, else AWS.
    #[arg(long, value_name = "URL")]
    pub endpoint_url: Option<String>,
    /// The parts to compare.
    #[arg(long = "part", value_name = "PART", value_enum, value_delimiter = ',', default_values_t = PartArg::all())]
    pub parts: Vec<PartArg>,
}

/// A part of the set-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PartArg {
    /// The OIDC provider.
    Provider,
    /// The roles.
    Role,
    /// The bucket.
    Bucket,
}

impl PartArg {
    fn all() -> Vec<Self> {
        vec![Self::Provider, Self::Role, Self::Bucket]
    }
}

impl From<PartArg> for Part {
    fn from(part: PartArg) -> Self {
        match part {
            PartArg::Provider => Self::Provider,
            PartArg::Role => Self::Role,
            PartArg::Bucket => Self::Bucket,
        }
    }
}

fn rendering() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(["cloudformation", "terraform", "cli"]).map(|text| {
        Format::Rendering(match text.as_str() {
            "cloudformation" => Rendering::Cloudformation,
            "terraform" => Rendering::Terraform,
            _ => Rendering::Cli,
        })
    })
}

fn account(text: &str) -> Result<String, String> {
    if is_account(text) { Ok(text.to_owned()) } else { Err("an account id has twelve digits".to_owned()) }
}
