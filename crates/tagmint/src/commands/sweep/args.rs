//! The arguments of `tagmint sweep`.

use std::path::PathBuf;

use clap::Args;
use jiff::SignedDuration;
use tagmint_iam::arn::is_account;

use crate::cli::duration;

/// What goes, and how far one run goes.
#[derive(Debug, Args)]
pub struct SweepArgs {
    /// Removes. Without it nothing changes: what would go is shown.
    #[arg(long)]
    pub apply: bool,
    /// How long nothing was written below a prefix, and no token minted for it, until it goes.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "7d")]
    pub older_than: SignedDuration,
    /// The most versions, delete markers and unfinished uploads that go in one run.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: u64,
    /// The most prefixes that go in one run.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub limit_prefixes: u64,
    /// A prefix that stays, with everything below it; can be given several times.
    #[arg(long, value_name = "PREFIX", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub keep: Vec<String>,
    /// Also prefixes outside of the namespaces that the ledger minted as the tag `prefix`. A wallet's stays.
    #[arg(long)]
    pub minted: bool,
    /// Does without the ledger, where the database is on another machine: only the age of objects tells when a prefix was used.
    #[arg(long, conflicts_with = "minted")]
    pub without_ledger: bool,
    /// Where Prometheus's node_exporter reads how it went: its textfile collector's folder, and a name that ends in `.prom`.
    #[arg(long, value_name = "FILE", requires = "apply")]
    pub metrics: Option<PathBuf>,

    /// The repository whose pull requests are looked at, so that what a closed one left goes sooner.
    #[arg(long, value_name = "OWNER/NAME", help_heading = "Closed pull requests")]
    pub github_repository: Option<String>,
    /// A file with a token that may read its pull requests and actions; `-` for stdin. Default: none, for public repositories.
    #[arg(long, value_name = "FILE", requires = "github_repository", help_heading = "Closed pull requests")]
    pub github_token_file: Option<PathBuf>,
    /// GitHub's API.
    #[arg(
        long,
        value_name = "URL",
        default_value = "https://api.github.com",
        requires = "github_repository",
        help_heading = "Closed pull requests"
    )]
    pub github_api: String,
    /// How long a pull request must have been closed, and its prefix unused.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "1d", help_heading = "Closed pull requests")]
    pub closed_for: SignedDuration,

    /// Another account than the configuration's `aws.account`. It must own the bucket.
    #[arg(long, value_name = "ID", env = "TAGMINT_AWS_ACCOUNT", value_parser = account, help_heading = "AWS")]
    pub account: Option<String>,
    /// One endpoint for S3 instead of AWS, as of `tagmint localaws`. Default: AWS's variables, else AWS.
    #[arg(long, value_name = "URL", help_heading = "AWS")]
    pub endpoint_url: Option<String>,
}

fn account(text: &str) -> Result<String, String> {
    if is_account(text) { Ok(text.to_owned()) } else { Err("an account id has twelve digits".to_owned()) }
}
