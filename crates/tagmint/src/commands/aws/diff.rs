//! `tagmint aws diff`.

use super::DiffArgs;
use crate::{config::Config, error::CliError, output::Output};

pub(super) async fn run(_args: &DiffArgs, _config: &Config, _output: Output) -> Result<(), CliError> {
    Ok(())
}
