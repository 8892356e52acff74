//! `tagmint aws`: the AWS side of an issuer, from its configuration.

mod args;
mod diff;
mod reach;
mod render;

use std::path::Path;

use tagmint_aws::render::{Names, SetUp, Settings};

pub use self::args::{AwsCommand, DiffArgs, PartArg, RenderArgs};
use crate::{
    config::{AwsConfig, Config},
    error::CliError,
    logging,
    output::Output,
};

/// Writes or compares the set-up.
pub async fn run(command: AwsCommand, file: &Path, output: Output) -> Result<(), CliError> {
    logging::init_quiet(output.is_json());
    match command {
        AwsCommand::Render(args) => render::run(&args, &Config::load_for(file, args.account.as_deref())?, output),
        AwsCommand::Reach(args) => reach::run(&args, &Config::load_for(file, args.account.as_deref())?, output),
        AwsCommand::Diff(args) => diff::run(&args, &Config::load_for(file, args.account.as_deref())?, output).await,
    }
}

/// What the configuration says of AWS.
pub(super) fn settings(config: &Config) -> Result<Settings, CliError> {
    let file = config.file.display();
    let missing = |what: &str| CliError::Check(format!("{file}: {what}"));
    let Some(AwsConfig { region, account, partition, bucket, roles, .. }) = config.aws.clone() else {
        return Err(missing("there is no [aws]: `tagmint aws` needs `aws.region`, `aws.account` and [[aws.role]]"));
    };
    let Some(account) = account else {
        return Err(missing("there is no `aws.account`: set it, or give --account"));
    };
    let stamp = &config.settings.stamp;
    let optional = config.settings.optional_claims;
    Ok(Settings {
        issuer: stamp.issuer.to_string(),
        environment: stamp.environment,
        partition,
        account,
        region,
        source_identity: optional.source_identity,
        roles_claim: optional.roles,
        roles,
        bucket,
    })
}

/// The plan; what should be looked at is told.
pub(super) fn plan(config: &Config, settings: &Settings, names: Names, output: Output) -> Result<SetUp, CliError> {
    let set_up = SetUp::new(settings, &config.rules, names).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        CliError::Check(format!("{}: {}", config.file.display(), problems.join("\n")))
    })?;
    for warning in &set_up.warnings {
        output.warn(warning);
    }
    Ok(set_up)
}

#[cfg(test)]
mod tests;
