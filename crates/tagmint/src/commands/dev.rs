//! `tagmint dev`.

use std::path::PathBuf;

use serde_json::json;

use crate::{
    cli::{DevArgs, DevCommand},
    compose::Signals,
    config::Log,
    error::CliError,
    local::{self, AUTH_TOKEN, LocalIssuer, LocalOptions},
    logging,
    output::Output,
    surroundings,
};

/// The wallet that the mock backend vouches for where none is named.
pub const WALLET: &str = local::WALLET;

/// Each mint has a line: there are few, and people want to see them.
const LOG: &str = "info,tagmint_server::flows::mint=debug";

/// Runs a local issuer until it is told to end.
pub async fn run(args: DevArgs, output: Output) -> Result<(), CliError> {
    if let Some(DevCommand::Env { dir }) = args.command {
        return local::env::show(&dir.unwrap_or_else(default_dir), output);
    }
    logging::init(&Log { level: LOG.to_owned(), json: output.is_json() });
    surroundings::raise_open_files();
    let signals = Signals::listen()?;
    let dir = args.dir.unwrap_or_else(default_dir);
    let local = local::start(LocalOptions { dir, listen: args.listen, algorithm: args.algorithm }).await?;
    for note in &local.notes {
        output.warn(note);
    }
    let ready = json!({
        "issuer": local.url,
        "ca_file": local.ca_file,
        "admin": local.admin_url(),
        "auth_token": AUTH_TOKEN,
        "session": local.session.expose(),
        "bearer": local.bearer.expose(),
        "config": local.config,
    });
    output.data(&ready, || what_to_try(&local))?;
    local.run(signals).await
}

fn default_dir() -> PathBuf {
    surroundings::data_home().map_or_else(|| PathBuf::from(".tagmint-dev"), |home| home.join("tagmint-dev"))
}

fn what_to_try(local: &LocalIssuer) -> String {
    let (url, ca, config) = (&local.url, local.ca_file.display(), local.config.display());
    let (session, bearer) = (local.session.expose(), local.bearer.expose());
    format!(
        r#"
The issuer {url} is ready. Its files are in {dir}.

  CA       {ca}
  session  {session}
  bearer   {bearer}

Try:

  # what AWS reads
  curl --cacert {ca} {url}/.well-known/openid-configuration
  curl --cacert {ca} {url}/.well-known/jwks.json

  # a session, on the word of the mock session backend
  curl --cacert {ca} {url}/v1/sessions --json '{{"auth_token": "{AUTH_TOKEN}"}}'

  # a token for the wallet of the session
  curl --cacert {ca} {url}/v1/tokens -H 'Authorization: Bearer {session}' --json '{{}}'

  # a token for CI, narrowed to one prefix
  curl --cacert {ca} {url}/v1/tokens -H 'Authorization: Bearer {bearer}' --json '{{"tags": {{"prefix": "dev/one", "run": "42"}}}}'

  # AWS's side of it, in another terminal: STS, IAM and S3 with a role and a bucket that trust this issuer
  tagmint localaws --listen 127.0.0.1:4566 --ca-file {ca} --seed {dir}/localaws.json --explain

  # the proof that the role keeps to its prefix
  TAGMINT_CREDENTIAL={session} tagmint prove --issuer {url} --ca-file {ca} \
    --role {role} --bucket {bucket} --endpoint-url http://127.0.0.1:4566

  # the same, by the variables that these commands read
  eval "$(tagmint dev env{dir_option})"
  tagmint token
  tagmint exec -- aws s3 ls s3://{bucket}/{wallet}/

  # the operator's side, in another terminal
  export TAGMINT_CONFIG={config}
  tagmint ledger list
  tagmint ledger verify
  tagmint keys list
  tagmint keys rotate --after 2m
  tagmint bearer create --name nightly --expires 90d
  curl {admin}/metrics

Rules are in {config}; restart to take them up. Ctrl-C ends the issuer.
"#,
        dir = local.dir().display(),
        dir_option =
            if local.dir() == default_dir() { String::new() } else { format!(" --dir {}", local.dir().display()) },
        wallet = local::WALLET,
        role = local::ROLE_ARN,
        bucket = local::BUCKET,
        admin = local.admin_url(),
    )
}
