//! `tagmint localaws`.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use serde_json::json;
use tagmint_core::{clock::SystemClock, random::SystemRandom};
use tagmint_localaws::{
    account::{ACCOUNT, REGION},
    aws::{Aws, Settings, StartError},
    front,
    seed::Seed,
};

use crate::{
    compose::{self, Signals, Wanted},
    config::Log,
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
    /// Logs why each request was refused: every check or statement, with what was compared.
    #[arg(long)]
    pub explain: bool,
    /// Tells policies that requests came over TLS (`aws:SecureTransport` is true), as they do on AWS.
    #[arg(long)]
    pub secure_transport: bool,
}

/// Runs the stand-in until it is told to end.
pub async fn run(args: LocalawsArgs, output: Output) -> Result<(), CliError> {
    // s3s logs every refusal as an error of its own.
    logging::init(&Log { level: "info,s3s=off".to_owned(), json: output.is_json() });
    if !args.listen.ip().is_loopback() {
        let message =
            format!("`{}` is reached from outside: the stand-in for AWS listens on a loopback address", args.listen);
        return Err(CliError::Usage(message));
    }
    let mut signals = Signals::listen()?;
    let listener = compose::bind(args.listen)?;
    let endpoint = format!("http://{}", compose::local_address(&listener)?);
    let seed = args.seed.as_deref().map(seed).transpose()?;
    let ca_pem = args.ca_file.as_deref().map(read).transpose()?;
    let settings = Settings {
        data: args.data,
        ca_pem,
        seed,
        explain: args.explain,
        secure_transport: args.secure_transport,
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
    };
    let aws = Arc::new(Aws::open(settings)?);
    let administrator = aws.account().administrator.clone();
    let failed = |source| CliError::Io { what: "the socket of the stand-in for AWS", source };
    let serving = front::serve(listener, aws).map_err(failed)?;
    let ready = json!({
        "endpoint": endpoint,
        "access_key_id": administrator.id,
        "secret_access_key": administrator.secret,
        "account": ACCOUNT,
        "region": REGION,
    });
    output.data(&ready, || what_to_try(&endpoint, &administrator.id, &administrator.secret))?;
    tokio::select! {
        ended = serving => ended.map_err(failed),
        () = async { while signals.next().await != Wanted::End {} } => Ok(()),
    }
}

fn seed(path: &Path) -> Result<Seed, CliError> {
    Ok(Seed::parse(&read(path)?).map_err(StartError::from)?)
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    std::fs::read(path).map_err(|source| StartError::Io { path: path.to_owned(), source }.into())
}

fn what_to_try(endpoint: &str, access_key_id: &str, secret_access_key: &str) -> String {
    format!(
        r"
The stand-in for AWS is ready on {endpoint}, account {ACCOUNT}.

As its administrator, in another terminal:

  export AWS_ENDPOINT_URL={endpoint} AWS_REGION={REGION} AWS_DEFAULT_REGION={REGION}
  export AWS_ACCESS_KEY_ID={access_key_id}
  export AWS_SECRET_ACCESS_KEY={secret_access_key}

  aws sts get-caller-identity
  aws iam create-open-id-connect-provider --url https://ISSUER --client-id-list sts.amazonaws.com
  aws s3 mb s3://my-bucket

Ctrl-C ends it.
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// boto3 and version 1 of the `aws` command read the second one alone.
    #[test]
    fn the_region_is_told_to_every_client() {
        let told = what_to_try("http://127.0.0.1:4566", "AKIA", "secret");
        for variable in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
            assert!(told.contains(&format!(" {variable}={REGION}")), "{told}");
        }
    }
}
