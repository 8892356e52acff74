//! The program `tagmint`: command line, configuration, wiring.
//!
//! | module | holds |
//! |---|---|
//! | [`cli`], [`commands`] | the command line, and one file per command |
//! | [`config`] | from a file's text to checked settings |
//! | [`compose`] | from settings to a running issuer and its end |
//! | [`sts`], [`sinks`], [`certificate`] | AWS STS, who is told of alarms, and the certificate's files, behind the issuer's seams |
//! | [`generate`] | configurations that the program writes, for `init` and `dev` |
//! | [`isolation`] | what belongs to an issuer, for the comparison of two worlds |
//! | [`local`] | an issuer on this machine with nothing configured, for `dev` and `demo` |
//! | [`output`], [`error`], [`logging`] | data on stdout, talk and logs on stderr, exit codes |
//! | [`redact`] | secrets that were typed where they do not belong |
//! | `completion` | answers for shells that complete a command line |
//! | [`docs`] | the reference pages, made from the code |
//! | [`surroundings`], [`durations`] | the process's environment; durations as people write them |

pub mod certificate;
pub mod cli;
pub mod commands;
mod completion;
pub mod compose;
pub mod config;
pub mod docs;
pub mod durations;
pub mod error;
pub mod generate;
pub mod isolation;
pub mod local;
pub mod logging;
pub mod output;
pub mod redact;
pub mod sinks;
pub mod sts;
pub mod surroundings;

use std::{borrow::Cow, ffi::OsString, io::Write, path::Path, process::ExitCode};

use clap::{CommandFactory, Parser, error::ErrorKind, parser::ValueSource};
use tagmint_core::sanitize;

use crate::{
    cli::{Cli, Command},
    config::Config,
    error::CliError,
    output::{Format, Output},
};

/// Runs the program with these arguments, the first being its name.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    surroundings::hide_memory();
    let args: Vec<OsString> = args.into_iter().collect();
    if completion::answer(&args) {
        return ExitCode::SUCCESS;
    }
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, &args),
    };
    let output = Output::new(cli.format);
    let named = config_is_named(&args).then(|| cli.config.clone());
    tagmint_server::tls::install_provider();
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| CliError::Io { what: "the runtime", source })
        .and_then(|runtime| runtime.block_on(dispatch(cli.command, &cli.config, named.as_deref(), output)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output.error(&error);
            error.exit_code()
        }
    }
}

/// Help and versions go to stdout as they are; wrong usage is an error like any other.
fn usage(error: &clap::Error, args: &[OsString]) -> ExitCode {
    let informs = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let json = args.windows(2).any(|pair| pair[0] == "--format" && pair[1] == "json")
        || args.iter().any(|arg| arg == "--format=json");
    if informs || !json {
        // A closed pipe is nothing to report.
        let _ = match sanitize::lines(&error.render().to_string()) {
            Cow::Borrowed(_) => error.print(),
            Cow::Owned(clean) => write!(anstream::stderr(), "{clean}"),
        };
        return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
    }
    let text = error.render().to_string();
    let error = CliError::Usage(text.trim().trim_start_matches("error: ").to_owned());
    Output::new(Format::Json).error(&error);
    error.exit_code()
}

/// Whether a configuration was named, for commands that also run without one.
fn config_is_named(args: &[OsString]) -> bool {
    let matches = Cli::command().try_get_matches_from(args);
    matches.is_ok_and(|matches| matches.value_source("config") != Some(ValueSource::DefaultValue))
}

/// `file` is the configuration; `named` the same where it was not left to the default.
async fn dispatch(
    command: Command,
    file: &Path,
    #[cfg_attr(not(feature = "localaws"), expect(unused_variables, reason = "only localaws runs without one"))]
    named: Option<&Path>,
    output: Output,
) -> Result<(), CliError> {
    let quiet = || {
        logging::init_quiet(output.is_json());
        Config::load(file)
    };
    match command {
        Command::Serve => commands::serve::run(file, output).await,
        Command::Dev(args) => commands::dev::run(args, output).await,
        Command::Init(args) => commands::init::run(*args, output),
        #[cfg(feature = "localaws")]
        Command::Demo => Box::pin(commands::demo::run(output)).await,
        Command::MockBackend(args) => commands::mock_backend::run(args, output).await,
        #[cfg(feature = "localaws")]
        Command::Localaws(args) => commands::localaws::run(args, named, output).await,
        Command::Check(mut args) => {
            logging::init_quiet(output.is_json());
            match (args.against.take(), &args.remote) {
                (Some(other), _) => commands::check::against::run(&args, &other, file, output).await,
                (None, Some(_)) => commands::check::remote::run(args, file, output).await,
                (None, None) => commands::check::run(&Config::load(file)?, args.config_only, output).await,
            }
        }
        Command::Alarms(command) => commands::alarms::run(command, &quiet()?, output).await,
        Command::Keys(command) => commands::keys::run(command, &quiet()?, output).await,
        Command::Certificates(command) => commands::certificates::run(command, &quiet()?, output).await,
        Command::Bearer(command) => commands::bearer::run(command, &quiet()?, output).await,
        Command::Session(command) => commands::session::run(command, &quiet()?, output).await,
        Command::Ledger(command) => commands::ledger::run(command, &quiet()?, output).await,
        Command::Rules(command) => {
            logging::init_quiet(output.is_json());
            commands::rules::run(command, file, output).await
        }
        Command::Replay(args) => Box::pin(commands::replay::run(*args, &quiet()?, output)).await,
        Command::Explain(args) => commands::explain::run(*args, output).await,
        Command::Prove(args) => commands::prove::run(*args, output).await,
        Command::Aws(command) => Box::pin(commands::aws::run(command, file, output)).await,
        Command::Sweep(args) => Box::pin(commands::sweep::run(*args, file, output)).await,
        Command::Token(args) => commands::client::token::run(*args, output).await,
        Command::Credentials(args) => commands::client::credentials::run(*args, output).await,
        Command::Exec(args) => commands::client::exec::run(*args, output).await,
        Command::Env(args) => commands::client::env::run(*args, output).await,
        Command::Completions { shell } => commands::shell::completions(shell),
        Command::Man { out } => commands::shell::man(out.as_deref(), output),
        Command::Docs { out } => docs::write(&out, output),
    }
}
