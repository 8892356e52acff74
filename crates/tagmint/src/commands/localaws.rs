//! `tagmint localaws`.

mod ready;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use tagmint_core::{clock::SystemClock, random::SystemRandom};
use tagmint_iam::arn::is_account;
use tagmint_localaws::{
    aws::{Aws, Settings, StartError},
    front,
    scope::ScopeChoice,
    seed::Seed,
};

use self::ready::Ready;
use crate::{
    compose::{self, Signals, Wanted},
    config::{AwsConfig, Config, Log},
    error::CliError,
    logging,
    output::Output,
};

/// How the stand-in for AWS runs.
#[derive(Debug, Args)]
pub struct LocalawsArgs {
    /// Where to listen; a loopback address. Port 0: a free one, told on stdout.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// The folder that keeps the set-up, the objects and the administrator's key. Default: one that goes away at the end.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Roots in PEM, besides the system's, for fetching issuers' documents.
    #[arg(long, value_name = "PEM")]
    pub ca_file: Option<PathBuf>,
    /// A set-up in JSON: providers, policies, roles, buckets. What it names is set to what it says.
    #[arg(long, value_name = "FILE")]
    pub seed: Option<PathBuf>,
    /// The account's number. Default: the configuration's `aws.account` where --config names one, else 000000000000.
    #[arg(long, value_name = "ID", env = "TAGMINT_AWS_ACCOUNT", value_parser = account)]
    pub account: Option<String>,
    /// The region, which decides over the partition, too. Default: the configuration's `aws.region` where --config names one, else us-east-1.
    #[arg(long, value_name = "REGION", value_parser = region)]
    pub region: Option<String>,
    /// Logs why each request was refused: every check or statement, with what was compared.
    #[arg(long)]
    pub explain: bool,
    /// Tells policies that requests came over TLS (`aws:SecureTransport` is true), as they do on AWS. --config does the same.
    #[arg(long)]
    pub secure_transport: bool,
}

fn account(text: &str) -> Result<String, String> {
    if is_account(text) { Ok(text.to_owned()) } else { Err("an account id has twelve digits".to_owned()) }
}

fn region(text: &str) -> Result<String, String> {
    let word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let fits = text.len() <= 64 && text.contains('-') && text.split('-').all(word);
    if fits { Ok(text.to_owned()) } else { Err("a region is written as eu-central-1".to_owned()) }
}

/// Runs the stand-in until it is told to end. `config` is an issuer's configuration whose AWS side is to be rehearsed.
pub async fn run(args: LocalawsArgs, config: Option<&Path>, output: Output) -> Result<(), CliError> {
    // s3s logs every refusal as an error of its own.
    logging::init(&Log { level: "info,s3s=off".to_owned(), json: output.is_json() });
    if !args.listen.ip().is_loopback() {
        let message =
            format!("`{}` is reached from outside: the stand-in for AWS listens on a loopback address", args.listen);
        return Err(CliError::Usage(message));
    }
    let scope = scope(&args, config)?;
    let mut signals = Signals::listen()?;
    let listener = compose::bind(args.listen)?;
    let endpoint = format!("http://{}", compose::local_address(&listener)?);
    let seed = args.seed.as_deref().map(seed).transpose()?;
    let ca_pem = args.ca_file.as_deref().map(read).transpose()?;
    let secure_transport = args.secure_transport || config.is_some();
    let settings = Settings {
        data: args.data,
        ca_pem,
        seed,
        explain: args.explain,
        secure_transport,
        scope,
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
    };
    let aws = Arc::new(Aws::open(settings)?);
    let ready = Ready {
        endpoint,
        administrator: aws.account().administrator.clone(),
        scope: Arc::clone(&aws.scope),
        secure_transport,
        config: config.map(Path::to_owned),
        account: args.account,
    };
    let failed = |source| CliError::Io { what: "the socket of the stand-in for AWS", source };
    let serving = front::serve(listener, aws).map_err(failed)?;
    output.data(&ready.json(), || ready.what_to_try())?;
    tokio::select! {
        ended = serving => ended.map_err(failed),
        () = async { while signals.next().await != Wanted::End {} } => Ok(()),
    }
}

/// The scope that the options ask for, and behind them the configuration.
fn scope(args: &LocalawsArgs, config: Option<&Path>) -> Result<ScopeChoice, CliError> {
    let asked = ScopeChoice { account: args.account.clone(), region: args.region.clone(), partition: None };
    let Some(file) = config else { return Ok(asked) };
    let config = Config::load_for(file, args.account.as_deref())?;
    let Some(AwsConfig { region, account, partition, .. }) = config.aws else {
        let what = "there is no [aws], whose account and region --config takes: add it, or give --account and --region in place of --config";
        return Err(CliError::Check(format!("{}: {what}", file.display())));
    };
    Ok(ScopeChoice {
        account: account.or(asked.account),
        // The partition is that of the configuration's region, or stands there for it.
        partition: asked.region.is_none().then_some(partition),
        region: asked.region.or(Some(region)),
    })
}

fn seed(path: &Path) -> Result<Seed, CliError> {
    Seed::parse(&read(path)?).map_err(|error| CliError::Check(format!("{}: {error}", path.display())))
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    std::fs::read(path).map_err(|source| StartError::Io { path: path.to_owned(), source }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_and_accounts_are_looked_at() {
        for fits in ["eu-central-1", "us-gov-west-1", "cn-north-1"] {
            assert_eq!(region(fits).as_deref(), Ok(fits));
        }
        for wrong in ["", "eu", "eu-", "-eu-1", "EU-central-1", "eu central-1", "eu-central-1\n"] {
            assert!(region(wrong).is_err(), "{wrong:?}");
        }
        assert!(account("111122223333").is_ok() && account("11112222333").is_err() && account("aaaabbbbcccc").is_err());
    }
}
