//! The configuration file as it is written. The doc comments are the reference page.

mod alarms;
mod anonymous_minting;
mod aws;
mod isolation;
mod outbound;
mod tls;
mod trusted_issuer;
mod witness;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tagmint_core::rules::RuleConfig;
use tagmint_server::settings::{HourlyRate, Limits};

pub use self::alarms::{RawAlarmSink, RawAlarmSinkKind, RawAlarms};
pub use self::anonymous_minting::RawAnonymousMinting;
pub use self::aws::{RawAws, RawBucket, RawMode, RawRole};
pub use self::isolation::RawIsolation;
pub use self::outbound::RawOutbound;
pub use self::tls::{RawAcme, RawEab, RawTls, RawTlsMode};
pub use self::trusted_issuer::{RawIssuerKind, RawReuse, RawReuseFrom, RawTrustedIssuer};
pub use self::witness::RawWitness;

/// A duration as text: `"90s"`, `"5m"`, `"1h30m"`, `"30d"`. A day has 24 hours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("format" = "duration"))]
pub struct DurationText(pub String);

/// A path. A relative one is taken from the folder of the configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("format" = "path"))]
pub struct PathText(pub String);

impl From<&str> for DurationText {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<&str> for PathText {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// The configuration of one issuer.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    /// Which world the issuer belongs to. It stands in every session and bearer and in the database, and none of the one
    /// world is accepted in the other.
    pub environment: RawEnvironment,
    /// The issuer URL, byte for byte as it is registered with AWS: `https://HOST[/PATH]`, host in lower case, no trailing
    /// slash. A port is allowed on `localhost` alone, because AWS refuses any.
    #[schemars(example = "https://broker.example.org")]
    pub issuer: String,
    /// Where the issuer listens.
    #[serde(default)]
    pub listen: RawListen,
    /// How TLS is done.
    pub tls: RawTls,
    /// Where the sessions, bearers, keys and the ledger are kept.
    pub database: RawDatabase,
    /// The signing keys.
    pub keys: RawKeys,
    /// The published key set.
    #[serde(default)]
    pub jwks: RawJwks,
    /// What stands in a token beside what its rule says.
    #[serde(default)]
    pub token: RawToken,
    /// The program that vouches for a session. Without it the issuer opens no sessions and serves bearers and CI jobs alone.
    pub session_backend: Option<RawSessionBackend>,
    /// AWS STS, which the issuer asks for `GET /v1/aws/credentials`. Without it the issuer assumes no roles.
    pub aws: Option<RawAws>,
    /// How the issuer's own requests leave this machine.
    #[serde(default)]
    pub outbound: RawOutbound,
    /// Who is taken for STS where fetches of discovery and the key set are recorded.
    #[serde(default)]
    pub witness: RawWitness,
    /// The other world's issuer.
    #[serde(default)]
    pub isolation: RawIsolation,
    /// Sessions.
    #[serde(default)]
    pub session: RawSession,
    /// Bounds on what callers may ask.
    #[serde(default)]
    pub limits: RawLimits,
    /// Tokens without proof, at a test issuer. Without it nobody gets one.
    pub anonymous_minting: Option<RawAnonymousMinting>,
    /// What is logged, to stderr.
    #[serde(default)]
    pub log: RawLog,
    /// When alarms are told.
    #[serde(default)]
    pub alarms: RawAlarms,
    /// Who is told of alarms.
    #[serde(default)]
    pub alarm_sink: Vec<RawAlarmSink>,
    /// Makes errors of the warnings about rules (docs/rules.md lists them): such a configuration is refused.
    #[serde(default)]
    pub strict: bool,
    /// Tells the caller which condition of the nearest rule did not match. For test issuers only: it reveals the rules to strangers.
    #[serde(default)]
    pub explain_refusals: bool,
    /// The issuers whose ID tokens are accepted, such as GitHub, GitLab and Kubernetes clusters.
    #[serde(default)]
    pub trusted_issuer: Vec<RawTrustedIssuer>,
    /// The rules, in the order in which they are tried. No rule, no token.
    #[serde(default)]
    pub rule: Vec<RuleConfig>,
}

/// The two worlds.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum RawEnvironment {
    /// Real users, real data.
    Prod,
    /// Contributors, CI, `tagmint dev`.
    Test,
}

/// Where the issuer listens.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawListen {
    /// The address and port of the public surface. Where `tls.mode` is `proxy`: a loopback address, or a unix socket,
    /// `unix:/run/tagmint/prod.sock`.
    pub public: String,
    /// The mode of the unix socket, in octal. Whoever may write to it is believed in `X-Forwarded-For`.
    pub socket_mode: String,
    /// The group of the unix socket, by name (of /etc/group) or number: the proxy's. The issuer must be in it.
    #[schemars(example = "www-data")]
    pub socket_group: Option<String>,
    /// More DNS names by which requests may call this issuer, beside its own host and `tls.acme.names`: where a load balancer or CDN has
    /// a name for the machine behind it. What was sent to any other name, by `Host`, `X-Forwarded-Host`, `X-Original-Host` or `Forwarded`,
    /// is refused (421), so that a proxy's site that leads to the wrong issuer hands out none of its keys.
    #[schemars(example = ["origin.broker.example.org"])]
    pub names: Vec<String>,
    /// The address and port of `/metrics`. Loopback unless `admin_anywhere` is set.
    pub admin: String,
    /// Allows `admin` on an address that others reach. The metrics tell how much is minted and refused; nothing protects
    /// them but your network.
    pub admin_anywhere: bool,
}

impl Default for RawListen {
    fn default() -> Self {
        Self {
            public: "0.0.0.0:8443".to_owned(),
            socket_mode: "0660".to_owned(),
            socket_group: None,
            names: Vec::new(),
            admin: "127.0.0.1:9464".to_owned(),
            admin_anywhere: false,
        }
    }
}

/// Where the data is kept.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawDatabase {
    /// The SQLite file. It is made at the first start and belongs to this issuer and environment from then on.
    #[schemars(example = "/var/lib/tagmint/tagmint.db")]
    pub path: PathText,
}

/// The signing keys.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawKeys {
    /// The file with the key under which signing keys are encrypted in the database and the ledger is sealed: 32 random
    /// bytes in base64 (`openssl rand -base64 32`), readable by its owner alone. `credential:NAME` takes the systemd
    /// credential of that name.
    #[schemars(example = "credential:tagmint-key")]
    pub key_file: PathText,
    /// The algorithm of new keys. STS takes both; ES256 costs a fraction of the CPU (docs/benchmarks.md).
    #[serde(default = "default_algorithm")]
    pub algorithm: RawAlgorithm,
    /// How long a key signs before the next one follows. At least one day and longer than `publish_ahead`.
    #[serde(default = "default_rotate_every")]
    pub rotate_every: DurationText,
    /// How long before it signs a key is published. At least `jwks.max_age` and three times `refresh`, so that no cached
    /// key set lacks it.
    #[serde(default = "default_publish_ahead")]
    pub publish_ahead: DurationText,
    /// Lets a new key sign only once STS was seen to fetch it since its publication, or `witness_deadline` has passed. Needs something in
    /// `[witness]` that tells STS from others. Where no other key signs, nothing waits.
    #[serde(default)]
    pub wait_for_witness: bool,
    /// How long after its time a key waits to be fetched by STS; then it signs all the same, with a warning. 1 minute to 30 days.
    #[serde(default = "default_witness_deadline")]
    pub witness_deadline: DurationText,
    /// How often the keys are read from the database: how soon `tagmint keys` takes effect. 1 second to 10 minutes.
    #[serde(default = "default_refresh")]
    pub refresh: DurationText,
}

const fn default_algorithm() -> RawAlgorithm {
    RawAlgorithm::Es256
}

fn default_rotate_every() -> DurationText {
    "30d".into()
}

fn default_publish_ahead() -> DurationText {
    "24h".into()
}

fn default_witness_deadline() -> DurationText {
    "72h".into()
}

fn default_refresh() -> DurationText {
    "10s".into()
}

/// Signature algorithms.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum RawAlgorithm {
    /// ECDSA with P-256 and SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// RSA with 2048 bits and SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
}

/// The published key set.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawJwks {
    /// How long others may cache the key set (`Cache-Control: max-age`). 60 seconds to 24 hours.
    pub max_age: DurationText,
    /// Whether each key carries a self-signed certificate in `x5c`. AWS does not need it; Ceph RGW takes no key without.
    pub x5c: bool,
}

impl Default for RawJwks {
    fn default() -> Self {
        Self { max_age: "1h".into(), x5c: false }
    }
}

/// What stands in a token beside what its rule says.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawToken {
    /// Writes the mint id as source identity, which joins CloudTrail to the ledger. The role's trust policy must allow
    /// `sts:SetSourceIdentity`.
    pub source_identity: bool,
    /// Writes the rule's roles, which pins the token to them: STS refuses any other role.
    pub roles: bool,
}

impl Default for RawToken {
    fn default() -> Self {
        Self { source_identity: true, roles: true }
    }
}

/// The program that vouches for a session.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawSessionBackend {
    /// Its URL; `/session/create` is added. `http://` is allowed for a loopback host, and not in prod. What it has to answer: docs/session-backend.md.
    #[schemars(example = "https://backend.example.org")]
    pub url: String,
    /// How long it may take to answer. 100 milliseconds to 60 seconds.
    #[serde(default = "default_backend_timeout")]
    pub timeout: DurationText,
    /// A PEM file with certificates to trust beside the system's.
    #[schemars(example = "/etc/tagmint/backend-ca.pem")]
    pub ca_file: Option<PathText>,
}

fn default_backend_timeout() -> DurationText {
    "5s".into()
}

/// Sessions.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawSession {
    /// The longest life of a session; the backend's `expires_in` may make it shorter. 1 minute to 30 days.
    pub lifetime: DurationText,
}

impl Default for RawSession {
    fn default() -> Self {
        Self { lifetime: "1h".into() }
    }
}

/// Bounds on what callers may ask.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawLimits {
    /// Requests of one credential.
    pub per_credential: RawRate,
    /// Requests of one address (of one /64 with IPv6).
    pub per_address: RawRate,
    /// Requests of one address (of one /64 with IPv6) whose credential proves nothing: session, bearer, CI token, auth token of the session
    /// backend. Beyond the rate they get 429, and an auth token is not even tried.
    pub failed_per_address: RawRate,
    /// The same for all addresses of one IPv6 /48 together.
    pub failed_per_network: RawRate,
    /// Rows in the ledger for refusals of unidentified callers of one network (IPv4 /24, IPv6 /48): of those who prove nothing, and of jobs of CI
    /// platforms, which anybody can have. Beyond it they are refused all the same, and counted: `tagmint_refusals_unrecorded_total`, and one row
    /// in the ledger every ten minutes. Each node of an issuer has its own count.
    pub refusal_rows_per_network: RawHourlyRate,
    /// Rows in the ledger for refusals of all unidentified callers together. A row takes about a kibibyte: 3,600 an hour are 30 GiB a year,
    /// if somebody keeps it up.
    pub refusal_rows: RawHourlyRate,
    /// Sessions of one subject that are good at once. Beyond it no more are opened (429) until one ends. 0: no limit.
    pub sessions_per_subject: u32,
    /// Sessions that are opened for one subject.
    pub session_opens_per_subject: RawRate,
    /// Connections that are open at once, from all addresses. The limit of open files of the process lowers it. When all are
    /// taken, the one that has been waiting longest (for the rest of a handshake or of a request, or between requests) makes room.
    pub connections: u64,
    /// Connections that are open at once from one address (of one /64 with IPv6). Loopback and trusted proxies are exempt.
    pub connections_per_address: u64,
    /// TLS handshakes that are under way at once. Beyond, the oldest is broken off: whoever begins many and ends none keeps
    /// nobody out.
    pub handshakes: u64,
    /// The largest request body, in bytes. 1,024 to 1,048,576.
    pub body_bytes: u64,
    /// The largest set of request headers, in bytes. 8,192 to 1,048,576.
    pub header_bytes: u64,
    /// How long a request's headers may take to arrive.
    pub header_timeout: DurationText,
    /// How long a request may take in all; then 503.
    pub request_timeout: DurationText,
    /// How long a connection may be silent.
    pub idle_timeout: DurationText,
    /// How long a TLS handshake may take.
    pub handshake_timeout: DurationText,
    /// How long connections that were accepted may take to finish at shutdown.
    pub shutdown_grace: DurationText,
}

/// A rate: so many at once, refilled by so many a second.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawRate {
    /// Requests a second in the long run. 0: no limit.
    pub per_second: u32,
    /// Requests at once.
    pub burst: u32,
}

/// A slow rate: so many at once, refilled by so many an hour.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawHourlyRate {
    /// So many an hour in the long run. 0: no limit.
    pub per_hour: u32,
    /// So many at once.
    pub burst: u32,
}

impl Default for RawLimits {
    fn default() -> Self {
        let limits = Limits::default();
        let seconds = |duration: std::time::Duration| DurationText(format!("{}s", duration.as_secs()));
        let rate = |rate: tagmint_server::settings::Rate| RawRate { per_second: rate.per_second, burst: rate.burst };
        let hourly = |rate: HourlyRate| RawHourlyRate { per_hour: rate.per_hour, burst: rate.burst };
        Self {
            per_credential: rate(limits.per_credential),
            per_address: rate(limits.per_address),
            failed_per_address: rate(limits.failed_per_address),
            failed_per_network: rate(limits.failed_per_network),
            refusal_rows_per_network: hourly(limits.refusal_rows_per_network),
            refusal_rows: hourly(limits.refusal_rows),
            sessions_per_subject: limits.sessions_per_subject,
            session_opens_per_subject: rate(limits.session_opens_per_subject),
            connections: limits.connections as u64,
            connections_per_address: limits.connections_per_address as u64,
            handshakes: limits.handshakes as u64,
            body_bytes: limits.body_bytes as u64,
            header_bytes: limits.header_bytes as u64,
            header_timeout: seconds(limits.header_timeout),
            request_timeout: seconds(limits.request_timeout),
            idle_timeout: seconds(limits.idle_timeout),
            handshake_timeout: seconds(limits.handshake_timeout),
            shutdown_grace: seconds(limits.shutdown_grace),
        }
    }
}

/// What is logged, to stderr.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawLog {
    /// The least level: `error`, `warn`, `info`, `debug`, `trace`; or a list by module, such as
    /// `info,tagmint_server=debug`. A bare `debug` or `trace` is about Tagmint's own lines; a library that is named itself
    /// may write down credentials.
    pub level: String,
    /// One JSON object a line, or text for people.
    pub format: RawLogFormat,
}

impl Default for RawLog {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: RawLogFormat::Json }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum RawLogFormat {
    /// One JSON object a line.
    Json,
    /// Text for people.
    Text,
}
