//! An issuer on this machine with nothing configured: for `dev`, and in a temporary folder for `demo`.
//!
//! Its folder holds what a real one has: a key file, certificates, a database, a configuration file. The issuer runs on that file by the
//! same way as `serve` does, so the admin commands work with it.

mod aws;
mod config;
pub mod env;
mod files;

use std::{
    fs::File,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

use secrecy::SecretString;
use serde_json::{Map, Value};
use tagmint_core::{
    clock::{Clock, SystemClock},
    environment::Environment,
    id::RequestId,
    issued_secret::IssuedSecret,
    random::SystemRandom,
    rules::TagScope,
    signing_key::Algorithm,
};
use tagmint_server::{
    flows::session::{self, OpenCommand},
    mock_backend::MockBackend,
};
use tokio::task::JoinHandle;

use self::{config::Addresses, files::Layout};
use crate::{
    commands::{
        bearer::{self, Wish},
        mock_backend,
    },
    compose::{self, Issuer, Signals},
    config::Config,
    error::CliError,
};

/// The auth token that the local mock backend accepts.
pub const AUTH_TOKEN: &str = "federation-proof";
/// The wallet that it vouches for.
pub const WALLET: &str = "0x7a6ed1c0ffee5eed00000000000000000000d00d";
/// The session tag that carries it.
pub const WALLET_TAG: &str = "agentkeys_user_wallet";
/// The role that local tokens are for, in the account of `tagmint localaws`.
pub const ROLE_ARN: &str = "arn:aws:iam::000000000000:role/agentkeys-data-role-test";
/// The bucket that the role reaches.
pub const BUCKET: &str = "agentkeys-mail-test";
/// Whom local tokens are for.
const AUDIENCE: &str = "sts.amazonaws.com";
/// The role's name.
pub const ROLE_NAME: &str = "agentkeys-data-role-test";
/// An audience of local tokens that is not AWS.
pub const OTHER_AUDIENCE: &str = "tagmint-dev";
/// The name of the bearer that is made at each start.
const BEARER: &str = "dev";
/// How long a local session lives, in seconds.
const SESSION_SECONDS: u64 = 12 * 3_600;

/// What a local issuer is started with.
#[derive(Debug)]
pub struct LocalOptions {
    /// The folder for its files.
    pub dir: PathBuf,
    /// Where to listen; port 0: the port of the last time, or a free one.
    pub listen: SocketAddr,
    /// The algorithm of its keys; none: what it had, or ES256.
    pub algorithm: Option<Algorithm>,
}

/// A running local issuer with credentials that are ready to use.
#[derive(Debug)]
pub struct LocalIssuer {
    /// The issuer.
    pub issuer: Issuer,
    /// The issuer URL.
    pub url: String,
    /// Its public address.
    pub address: SocketAddr,
    /// The certificate of its CA.
    pub ca_file: PathBuf,
    /// Its configuration file.
    pub config: PathBuf,
    /// A session's secret.
    pub session: IssuedSecret,
    /// A bearer's secret.
    pub bearer: IssuedSecret,
    /// What is worth telling about the start.
    pub notes: Vec<String>,
    backend: JoinHandle<()>,
    /// Held for as long as the issuer runs; the system gives it back however the process ends.
    _lock: File,
}

/// Starts a local issuer.
pub async fn start(options: LocalOptions) -> Result<LocalIssuer, CliError> {
    if !options.listen.ip().is_loopback() {
        let message =
            format!("`{}` is reached from outside: a local issuer listens on a loopback address", options.listen);
        return Err(CliError::Usage(message));
    }
    let now = SystemClock.now();
    let layout = Layout::prepare(&options.dir)?;
    let lock = layout.lock()?;
    let before = layout.noted();
    let mut notes = Vec::new();

    let public = if options.listen.port() == 0 {
        again(options.listen.ip(), before.public, &mut notes)?
    } else {
        compose::bind(options.listen)?
    };
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let admin = again(loopback, before.admin, &mut Vec::new())?;
    let backend = again(loopback, before.backend, &mut Vec::new())?;
    let address = compose::local_address(&public)?;
    let algorithm = options.algorithm.or(before.algorithm).unwrap_or(Algorithm::Es256);
    layout.write_secrets(now)?;
    layout.write_aws_set_up(&aws_set_up(&format!("https://localhost:{}", address.port())))?;
    let addresses = Addresses {
        public: address,
        admin: compose::local_address(&admin)?,
        backend: compose::local_address(&backend)?,
    };
    layout.write_config(addresses, algorithm)?;

    let backend = tokio::spawn(mock_backend::serve(backend, mock())?);
    let config = Config::load(&layout.config)?;
    let url = config.settings.stamp.issuer.to_string();
    let issuer = compose::start(config, public, admin).await?;
    let command = OpenCommand {
        request_id: RequestId::generate(SystemClock.now(), &SystemRandom)?,
        remote: loopback,
        auth_token: SecretString::from(AUTH_TOKEN),
    };
    let opened = session::open(issuer.app(), command)
        .await
        .map_err(|error| CliError::Refused(format!("the first session could not be opened: {error}")))?;
    let bearer = fresh_bearer(&issuer).await?;
    env::write(&layout.dir, &url, &layout.ca, &layout.config, &opened.secret)?;
    Ok(LocalIssuer {
        issuer,
        url,
        address,
        ca_file: layout.ca,
        config: layout.config,
        session: opened.secret,
        bearer,
        notes,
        backend,
        _lock: lock,
    })
}

/// Provider, role and bucket for an issuer, as `tagmint localaws --seed` takes them.
pub fn aws_set_up(issuer: &str) -> Value {
    aws::set_up(issuer)
}

fn mock() -> MockBackend {
    MockBackend {
        auth_token: SecretString::from(AUTH_TOKEN),
        wallet: WALLET.to_owned(),
        attributes: Map::new(),
        expires_in: SESSION_SECONDS,
    }
}

/// The port of the last time where it is free, so that URLs stay; else any.
fn again(ip: IpAddr, before: Option<u16>, notes: &mut Vec<String>) -> Result<TcpListener, CliError> {
    if let Some(port) = before {
        match TcpListener::bind((ip, port)) {
            Ok(listener) => return Ok(listener),
            Err(_) => notes.push(format!(
                "port {port} of the last time is taken by another program: this issuer has a new URL, and a database of its own"
            )),
        }
    }
    compose::bind(SocketAddr::new(ip, 0))
}

/// Only its hash is stored, so the bearer of the last start cannot be shown again; it is replaced.
async fn fresh_bearer(issuer: &Issuer) -> Result<IssuedSecret, CliError> {
    let store = issuer.store();
    if let Some(old) = store.bearers().get_by_name(BEARER).await?.filter(|old| old.revoked_at.is_none()) {
        store.bearers().revoke(old.id, SystemClock.now()).await?;
    }
    let attributes = [("repository".to_owned(), Value::String("litentry/tagmint".to_owned()))];
    let wish = Wish {
        name: BEARER.to_owned(),
        rule: None,
        expires: None,
        attributes: attributes.into_iter().collect(),
        scope: TagScope::default(),
    };
    Ok(bearer::create(wish, Environment::Test, store).await?.1)
}

impl LocalIssuer {
    /// The URL of the admin listener.
    pub fn admin_url(&self) -> String {
        self.issuer.admin_url()
    }

    /// The folder of its files.
    pub fn dir(&self) -> &Path {
        self.config.parent().unwrap_or(Path::new("."))
    }

    /// Runs until SIGTERM or Ctrl-C, then ends in order.
    pub async fn run(self, signals: Signals) -> Result<(), CliError> {
        let ended = self.issuer.run(signals).await;
        self.backend.abort();
        ended
    }

    /// Ends in order.
    pub async fn shutdown(self) {
        self.issuer.shutdown().await;
        self.backend.abort();
    }
}
