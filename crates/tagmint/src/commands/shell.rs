//! `tagmint completions` and `tagmint man`.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::{
    cli::Cli,
    completion,
    error::CliError,
    output::{Output, write_line},
};

/// Prints a completion script.
pub fn completions(shell: Shell) -> Result<(), CliError> {
    write_line(&String::from_utf8_lossy(&completion::script(shell)?))
}

/// Prints the manual page, or writes one a command.
pub fn man(out: Option<&Path>, output: Output) -> Result<(), CliError> {
    let failed = |source| CliError::Io { what: "the manual pages", source };
    let Some(folder) = out else {
        let mut page = Vec::new();
        Man::new(Cli::command()).render(&mut page).map_err(failed)?;
        return write_line(&String::from_utf8_lossy(&page));
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), folder).map_err(failed)?;
    output.talk(&format!("the manual pages are in {}", folder.display()));
    Ok(())
}
