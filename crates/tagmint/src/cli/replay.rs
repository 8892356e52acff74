//! The arguments of `tagmint replay`.

use std::path::PathBuf;

use clap::Args;

use super::Since;

/// What is replayed, and against what.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Replay rows from this moment on: RFC 3339, or a duration before now (`30d`).
    #[arg(long, value_name = "WHEN")]
    pub since: Since,
    /// Replay rows before this moment: RFC 3339, or a duration before now. Default: now.
    #[arg(long, value_name = "WHEN")]
    pub until: Option<Since>,
    /// Read the rows from this file instead of the configuration's database: a file of `tagmint ledger export` or `ledger archive`, or
    /// another database; `-` for stdin. Can be given several times.
    #[arg(long = "ledger", value_name = "FILE")]
    pub ledgers: Vec<PathBuf>,
    /// Compare with what is decided under this file, instead of with what the ledger recorded: another configuration; with
    /// --trust-policy or --bucket-policy the policy in force, instead of the one that `tagmint aws render` writes.
    #[arg(long, value_name = "FILE")]
    pub base: Option<PathBuf>,
    /// Replay mints against this trust policy of a role, instead of the rules: the policy itself, or what holds it, as the output of
    /// `aws iam get-role`.
    #[arg(long, value_name = "FILE", conflicts_with = "bucket_policy")]
    pub trust_policy: Option<PathBuf>,
    /// With --trust-policy: the role's ARN, or its name in `[[aws.role]]`. Default: the one that the file names, or the only role of the
    /// configuration.
    #[arg(long, value_name = "ROLE", requires = "trust_policy")]
    pub role: Option<String>,
    /// Replay mints against this bucket policy, instead of the rules: whether each token's session could still list, read and write below
    /// its own prefix, and nowhere else.
    #[arg(long, value_name = "FILE")]
    pub bucket_policy: Option<PathBuf>,
    /// Show at most this many groups of rows of each kind. JSON has them all.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    pub show: u16,
}
