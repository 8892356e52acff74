//! The configuration: from a file's text to checked settings.
//!
//! `raw` is the file as it is written, `shape` compares a file with that (every unknown key, every wrong type), `validate` checks what the
//! values mean. Nothing here touches the files that a configuration names; [`files`] looks at those.

pub mod files;
pub mod problem;
pub mod raw;
mod shape;
mod validate;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use tagmint_aws::render::{BucketSettings, RoleSettings};
use tagmint_core::{
    alarm::book::NoticePolicy, environment::Environment, outbound::Outbound, rules::RuleSet,
    trusted_issuer::TrustedIssuer,
};
use tagmint_server::settings::{KeySource, Settings};

pub(crate) use self::validate::{is_bucket_name, of_another_world};
pub use self::{
    problem::{ConfigError, ConfigProblem},
    shape::schema,
};

/// Where the JSON Schema of the configuration is published. Configurations name it in a `#:schema` line, for editors.
pub const SCHEMA_URL: &str =
    "https://raw.githubusercontent.com/litentry/tagmint/main/docs/reference/config.schema.json";

/// A checked configuration.
#[derive(Debug)]
pub struct Config {
    /// The file it was read from.
    pub file: PathBuf,
    /// What the issuer is set up with.
    pub settings: Settings,
    /// Its rules, compiled.
    pub rules: RuleSet,
    /// What each rule is for, in their order.
    pub rule_notes: Vec<RuleNote>,
    /// The public address.
    pub public: ListenOn,
    /// The admin address.
    pub admin: SocketAddr,
    /// Who ends TLS.
    pub tls: Tls,
    /// The SQLite file.
    pub database: PathBuf,
    /// Where the key is under which signing keys are encrypted.
    pub key_file: SecretSource,
    /// The session backend, if there is one.
    pub session_backend: Option<SessionBackendConfig>,
    /// How STS is asked, where roles are assumed on callers' behalf.
    pub aws: Option<AwsConfig>,
    /// The platforms whose tokens are accepted.
    pub issuers: Vec<TrustedIssuerConfig>,
    /// AWS's list of its networks, by which STS's fetches are told from others'.
    pub witness_networks: Option<PathBuf>,
    /// When alarms are told.
    pub notices: NoticePolicy,
    /// Who is told of alarms.
    pub alarm_sinks: Vec<AlarmSinkConfig>,
    /// How the issuer's own requests leave this machine; none: as the environment says.
    pub outbound: Option<Outbound>,
    /// The configuration of the other world's issuer, with which nothing may be shared.
    pub isolated_from: Option<PathBuf>,
    /// What is logged.
    pub log: Log,
    /// What is allowed, but hardly meant.
    pub warnings: Vec<String>,
    /// Whether `check` refuses what it would warn of in a set-up that is not finished.
    pub strict: bool,
}

/// Where the public surface listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenOn {
    /// An address and port.
    Tcp(SocketAddr),
    /// A unix socket, for a proxy.
    Unix(UnixSocket),
}

/// A unix socket that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnixSocket {
    /// Its file.
    pub path: PathBuf,
    /// The file's permission bits.
    pub mode: u32,
    /// The file's group, by name or number; none: that of the process.
    pub group: Option<String>,
}

impl std::fmt::Display for ListenOn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(socket) => write!(f, "unix:{}", socket.path.display()),
        }
    }
}

/// A rule's name and description.
#[derive(Debug, Clone, serde::Serialize)]
pub struct RuleNote {
    /// The name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
}

/// Who ends TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// Tagmint, with these PEM files.
    Files {
        /// The certificate chain.
        certificate: PathBuf,
        /// The private key.
        key: PathBuf,
    },
    /// Tagmint, with certificates that it orders.
    Acme(Box<AcmeConfig>),
    /// A proxy on this machine.
    Proxy,
}

/// How certificates are ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcmeConfig {
    /// The directory URL of the ACME server.
    pub directory: String,
    /// `mailto:` addresses.
    pub contact: Vec<String>,
    /// The DNS names of the certificate, the issuer's host first.
    pub names: Vec<String>,
    /// The profile, where the server offers several.
    pub profile: Option<String>,
    /// Where challenges are answered.
    pub http_listen: SocketAddr,
    /// More certificates to trust at the ACME server.
    pub ca_file: Option<PathBuf>,
    /// What ties the account to a customer.
    pub eab: Option<EabConfig>,
}

/// What ties an ACME account to a customer of the CA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EabConfig {
    /// The key's id.
    pub kid: String,
    /// Where the HMAC key is.
    pub hmac_key: SecretSource,
}

/// Where a secret is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A file that its owner alone can read.
    File(PathBuf),
    /// A systemd credential (`LoadCredential=`), by name.
    Credential(String),
}

/// How the session backend is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionBackendConfig {
    /// Its URL, without `/session/create`.
    pub url: String,
    /// How long it may take to answer.
    pub timeout: Duration,
    /// More certificates to trust.
    pub ca_file: Option<PathBuf>,
}

/// How STS is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsConfig {
    /// The region.
    pub region: String,
    /// Another endpoint than the region's own.
    pub sts_endpoint: Option<String>,
    /// The certificates to trust, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The account of the roles and the bucket.
    pub account: Option<String>,
    /// The partition's name in ARNs: `aws`.
    pub partition: String,
    /// The bucket to set up.
    pub bucket: Option<BucketSettings>,
    /// The roles to set up.
    pub roles: Vec<RoleSettings>,
}

/// A platform whose tokens are accepted, and how its keys are fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedIssuerConfig {
    /// What its tokens must be.
    pub issuer: TrustedIssuer,
    /// Where its keys come from.
    pub source: KeySource,
    /// The bearer token that is shown where they are fetched.
    pub bearer_token_file: Option<PathBuf>,
    /// More certificates to trust where its keys are fetched.
    pub ca_file: Option<PathBuf>,
    /// Whether it may stand at a loopback or private address.
    pub allow_private_addresses: bool,
    /// How often its keys are fetched.
    pub refresh: Duration,
    /// How long they are used after they were last fetched.
    pub stale_after: Duration,
    /// The shortest time between two fetches that tokens cause.
    pub unknown_key_interval: Duration,
}

/// Who is told of alarms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlarmSinkConfig {
    /// Its name in the log and in metrics.
    pub name: String,
    /// What it is.
    pub kind: AlarmSinkKind,
    /// More certificates to trust.
    pub ca_file: Option<PathBuf>,
    /// How long it may take.
    pub timeout: Duration,
}

/// What a sink is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlarmSinkKind {
    /// An HTTP endpoint.
    Webhook {
        /// Where.
        url: WebhookUrl,
    },
    /// A topic of Amazon SNS.
    Sns {
        /// The topic.
        topic_arn: String,
        /// The region whose SNS is asked.
        region: String,
        /// Another endpoint than the region's own.
        endpoint: Option<String>,
    },
    /// A program on this machine.
    Command {
        /// Its path.
        program: PathBuf,
        /// Its arguments.
        arguments: Vec<String>,
    },
}

/// Where a webhook's URL stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookUrl {
    /// In the configuration: it is no secret.
    Plain(String),
    /// In a file of its own.
    Secret(SecretSource),
}

/// What is logged, to stderr.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// In the syntax of `tracing_subscriber::EnvFilter`.
    pub level: String,
    /// Whether lines are JSON.
    pub json: bool,
}

/// Reads a TOML file of another schema than the configuration's. The error names everything in which it differs.
pub fn parse_toml<T: serde::de::DeserializeOwned + schemars::JsonSchema>(
    text: &str,
    file: &Path,
) -> Result<T, ConfigError> {
    let parsed = shape::parse_as(text);
    parsed.map(|(value, _)| value).map_err(|problems| ConfigError::Invalid { file: file.to_owned(), problems })
}

impl Config {
    /// The trusted issuers.
    pub fn trusted_issuers(&self) -> Vec<&TrustedIssuer> {
        self.issuers.iter().map(|config| &config.issuer).collect()
    }

    /// Reads and checks a configuration file.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        Self::load_for(file, None)
    }

    /// The same with another AWS account than the file's.
    pub fn load_for(file: &Path, account: Option<&str>) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(file).map_err(|source| ConfigError::Read { file: file.to_owned(), source })?;
        Self::parse_for(&text, file, account)
    }

    /// Checks a configuration's text. `file` is where it stands: relative paths are taken from its folder.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigError> {
        Self::parse_for(text, file, None)
    }

    /// The same with another AWS account than the text's.
    pub fn parse_for(text: &str, file: &Path, account: Option<&str>) -> Result<Self, ConfigError> {
        let invalid = |problems| ConfigError::Invalid { file: file.to_owned(), problems };
        let (mut raw, lines) = shape::parse(text).map_err(invalid)?;
        if let (Some(aws), Some(account)) = (&mut raw.aws, account) {
            aws.account = Some(account.to_owned());
        }
        let folder = file.parent().unwrap_or(Path::new(""));
        let config = validate::validate(&raw, folder).map_err(|problems| {
            let mut problems: Vec<_> = problems.into_iter().map(|problem| problem.at_line(&lines)).collect();
            problems.sort_by_key(|problem| problem.line);
            invalid(problems)
        })?;
        Ok(Self { file: file.to_owned(), ..config })
    }

    /// Which world the issuer belongs to.
    pub fn environment(&self) -> Environment {
        self.settings.stamp.environment
    }
}

#[cfg(test)]
mod tests;
