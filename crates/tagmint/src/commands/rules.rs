//! `tagmint rules`: tests and explanations of rules, without minting anything.

mod explain;
mod record;
mod test;
mod text;

use std::path::Path;

use crate::{cli::RulesCommand, config::Config, error::CliError, output::Output};

/// Where tests are, beside the configuration.
pub const TESTS_FOLDER: &str = "rules-tests";

/// Tests, records or explains.
pub async fn run(command: RulesCommand, file: &Path, output: Output) -> Result<(), CliError> {
    let config = Config::load(file)?;
    match command {
        RulesCommand::Test(args) => test::run(&args, &config, output),
        RulesCommand::Record(args) => record::run(&args, &config, output).await,
        RulesCommand::Explain(args) => explain::run(&args, &config, output),
    }
}
