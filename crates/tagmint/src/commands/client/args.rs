//! The arguments of the client's commands.

use std::{ffi::OsString, path::PathBuf};

use clap::Args;
use jiff::SignedDuration;

use crate::cli::{attribute, duration, region};

/// The issuer, and how to prove to it who asks.
#[derive(Debug, Args)]
pub struct IssuerArgs {
    /// The issuer's URL.
    #[arg(long, value_name = "URL", env = "TAGMINT_URL", help_heading = "Issuer")]
    pub url: Option<String>,
    /// Further certificate authorities to trust for the issuer and the CI platform, as PEM.
    #[arg(long, value_name = "FILE", env = "TAGMINT_CA_FILE", help_heading = "Issuer")]
    pub ca_file: Option<PathBuf>,
    /// The file with a session or bearer; `-` for stdin. Default: the variable TAGMINT_CREDENTIAL; in a CI job the job's ID token
    /// (TAGMINT_ID_TOKEN, or GitHub's with `permissions: id-token: write`). Without any, and outside of CI, the issuer is asked without
    /// proof: a test issuer may mint anonymously.
    #[arg(long, value_name = "FILE", help_heading = "Issuer")]
    pub credential_file: Option<PathBuf>,
    /// The audience of the ID token that GitHub is asked for: one of the issuer's provider. Default: the issuer's URL.
    #[arg(long, value_name = "NAME", env = "TAGMINT_PROVIDER_AUDIENCE", help_heading = "Issuer")]
    pub provider_audience: Option<String>,
}

/// What the token is to have, within what the rule allows.
#[derive(Debug, Args)]
pub struct Wish {
    /// The token's audience. Default: the rule's first.
    #[arg(long, value_name = "NAME", help_heading = "Token")]
    pub audience: Option<String>,
    /// A session tag that the rule leaves open; can be given several times.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = attribute, help_heading = "Token")]
    pub tags: Vec<(String, String)>,
    /// The token's lifetime: 1 to 15 minutes. Default: the rule's.
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Token")]
    pub lifetime: Option<SignedDuration>,
    /// The rule to use, where several would do.
    #[arg(long, value_name = "RULE", help_heading = "Token")]
    pub rule: Option<String>,
}

/// `tagmint token`.
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// Who mints.
    #[command(flatten)]
    pub issuer: IssuerArgs,
    /// What it is to have.
    #[command(flatten)]
    pub wish: Wish,
    /// The ARN of the one role that the token is for. Default: the rule's roles.
    #[arg(long, value_name = "ARN", env = "AWS_ROLE_ARN", help_heading = "Token")]
    pub role: Option<String>,
    /// Writes the token to this file, mode 0600, instead of printing it; `-` for stdout. A file that is there is replaced in one step.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Goes on running and writes a new token when half of the old one's life is over. SIGTERM and Ctrl-C end it; SIGHUP gets a new
    /// token at once. While the issuer fails, the old token stays.
    #[arg(long, requires = "out")]
    pub refresh: bool,
}

/// The role, and how to get at it: `tagmint credentials` as it stands.
#[derive(Debug, Args)]
pub struct RoleArgs {
    /// Who mints the token.
    #[command(flatten)]
    pub issuer: IssuerArgs,
    /// What it is to have.
    #[command(flatten)]
    pub wish: Wish,
    /// The role's ARN. Default: the one role that the token names.
    #[arg(long, value_name = "ARN", env = "AWS_ROLE_ARN", help_heading = "Role session")]
    pub role: Option<String>,
    /// The session's name, as CloudTrail shows it: 2 to 64 of letters, digits and `_+=,.@-`. Default: the mint id.
    #[arg(long, value_name = "NAME", env = "AWS_ROLE_SESSION_NAME", help_heading = "Role session")]
    pub session_name: Option<String>,
    /// How long the credentials are good: 15 minutes to 12 hours, at most the role's maximum. Default: an hour.
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Role session")]
    pub duration: Option<SignedDuration>,
    /// The region whose STS is asked. Default: AWS_REGION or the profile's, else us-east-1. `exec` and `env` hand it on where it is
    /// given here.
    #[arg(long, value_name = "REGION", value_parser = region, help_heading = "Role session")]
    pub region: Option<String>,
}

/// `tagmint exec`.
#[derive(Debug, Args)]
pub struct ExecArgs {
    /// Which credentials.
    #[command(flatten)]
    pub role: RoleArgs,
    /// The command with its arguments, after `--`.
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// `tagmint env`.
#[derive(Debug, Args)]
pub struct EnvArgs {
    /// Which credentials.
    #[command(flatten)]
    pub role: RoleArgs,
    /// The file to write, `KEY=value` a line; `-` for stdout. Default: the file that GITHUB_ENV names.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// An empty variable counts as unset: CI systems make one of an unset secret.
pub(super) fn given<T: AsRef<str>>(value: Option<&T>) -> Option<&str> {
    value.map(AsRef::as_ref).filter(|text| !text.is_empty())
}
