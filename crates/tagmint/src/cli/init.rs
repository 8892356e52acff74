//! The arguments of `tagmint init`.

use std::path::PathBuf;

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use tagmint_core::{environment::Environment, trusted_issuer::IssuerKind};

use crate::generate::answers;

/// Answers that need not be asked for.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The folder for the files. Created if it is not there.
    #[arg(value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// The environment: `prod` for real users and data, `test` for contributors and CI.
    #[arg(long, value_name = "prod|test", value_parser = environment())]
    pub environment: Option<Environment>,
    /// The host name of the issuer, such as `broker.example.org`. AWS reaches it on port 443, Let's Encrypt on port 80.
    #[arg(long, value_name = "HOST", value_parser = answers::host)]
    pub host: Option<String>,
    /// The kind of trusted issuer whose tokens jobs present.
    #[arg(long, value_name = "KIND", value_parser = kind())]
    pub kind: Option<IssuerKind>,
    /// The repository that gets access: `octo-org/octo-repo`. For other kinds what runs jobs there: a project, a pipeline, a workspace, a
    /// service account (`ci/builder`), a job, the ARN of a role, or the `sub` of the tokens.
    #[arg(long, value_name = "NAME")]
    pub repository: Option<String>,
    /// The id of the repository, for kinds whose tokens have one. A name can be taken over, an id cannot.
    #[arg(long, value_name = "ID")]
    pub repository_id: Option<String>,
    /// The id of the owner of the repository: of the user, organization, group or workspace.
    #[arg(long, value_name = "ID")]
    pub owner_id: Option<String>,
    /// The URL of the trusted issuer, for kinds where each customer has another one, and for instances of your own.
    #[arg(long, value_name = "URL", value_parser = answers::issuer)]
    pub issuer: Option<String>,
    /// The name of the bucket, in which each run gets a prefix. `${aws.account}` stands for the account. For a test issuer it has the word
    /// `test` in it.
    #[arg(long, value_name = "BUCKET", value_parser = answers::bucket)]
    pub bucket: Option<String>,
    /// The AWS account: twelve digits.
    #[arg(long, value_name = "ID", value_parser = answers::account)]
    pub account: Option<String>,
    /// The region of the bucket.
    #[arg(long, value_name = "REGION", value_parser = answers::region)]
    pub region: Option<String>,
    /// Do not ask for confirmation: write the files, and agree to the terms of service of Let's Encrypt
    /// (<https://letsencrypt.org/repository/>), which issues the certificate.
    #[arg(long)]
    pub yes: bool,
}

fn environment() -> impl TypedValueParser<Value = Environment> {
    PossibleValuesParser::new(["prod", "test"]).try_map(|text| answers::environment(&text))
}

fn kind() -> impl TypedValueParser<Value = IssuerKind> {
    PossibleValuesParser::new(IssuerKind::ALL.map(IssuerKind::as_str)).try_map(|text| answers::kind(&text))
}
