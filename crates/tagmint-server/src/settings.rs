//! What an issuer is set up with, checked. The binary makes these from its configuration; nothing in here reads a file.

use std::{path::PathBuf, time::Duration};

use jiff::SignedDuration;
use tagmint_core::{
    claims::OptionalClaims,
    environment::Stamp,
    key_schedule::RotationPolicy,
    outbound::Outbound,
    trusted_issuer::discovery::JwksUri,
    witness::{Networks, Recognition},
};

/// The settings of one issuer.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The issuer URL and its environment.
    pub stamp: Stamp,
    /// The names by which requests may call it, in lower case: the issuer's host and others. Addresses and `localhost` are for everybody.
    pub hosts: Vec<String>,
    /// Which of AWS's optional claims its tokens carry.
    pub optional_claims: OptionalClaims,
    /// When its signing keys follow each other.
    pub rotation: RotationPolicy,
    /// How often the keys are read from the database; at most a third of `rotation.propagation`.
    pub key_refresh: Duration,
    /// Whether published keys carry a self-signed certificate in `x5c`.
    pub x5c: bool,
    /// The longest life of a session; the backend's `expires_in` may make it shorter.
    pub session_lifetime: SignedDuration,
    /// Bounds on what one caller may ask.
    pub limits: Limits,
    /// Bounds on callers without proof; none: such callers get no token. Never with a prod issuer.
    pub anonymous_minting: Option<AnonymousMinting>,
    /// Whether a refusal says which condition of the nearest rule missed.
    pub explain_refusals: bool,
    /// Networks whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Networks,
    /// Bounds on asking STS on callers' behalf.
    pub sts: StsLimits,
    /// Who is taken for STS where fetches of the key set are recorded, and how long the records are kept.
    pub witness: WitnessSettings,
}

/// How fetches of discovery and the key set are recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessSettings {
    /// How STS is told from anybody else.
    pub recognition: Recognition,
    /// How long the hourly sums are kept.
    pub keep: SignedDuration,
}

impl Default for WitnessSettings {
    /// Nobody is STS; 30 days.
    fn default() -> Self {
        Self { recognition: Recognition::default(), keep: SignedDuration::from_hours(24 * 30) }
    }
}

/// Bounds on asking STS on callers' behalf, and on what is kept of its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StsLimits {
    /// How long one call may take, with its repetitions, whether its caller is still there or not.
    pub call: Duration,
    /// Sets of credentials that are kept at once, calls under way included.
    pub entries: usize,
    /// Calls under way at once.
    pub calls: usize,
}

impl Default for StsLimits {
    fn default() -> Self {
        Self { call: Duration::from_secs(30), entries: 10_000, calls: 256 }
    }
}

/// Bounds on requests.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests of one credential.
    pub per_credential: Rate,
    /// Requests of one address.
    pub per_address: Rate,
    /// Requests of one address whose credential proved nothing. Each leaves a row in the ledger, so a stranger must not make many.
    pub failed_per_address: Rate,
    /// The same for all addresses of one IPv6 /48 together.
    pub failed_per_network: Rate,
    /// Ledger rows for refusals of unidentified callers of one network (IPv4 /24, IPv6 /48).
    pub refusal_rows_per_network: HourlyRate,
    /// Ledger rows for refusals of all unidentified callers together.
    pub refusal_rows: HourlyRate,
    /// Sessions of one subject that are good at once; 0 for no limit.
    pub sessions_per_subject: u32,
    /// Sessions that are opened for one subject.
    pub session_opens_per_subject: Rate,
    /// Connections that are open at once, from all addresses.
    pub connections: usize,
    /// Connections that are open at once from one address (of one /64 with IPv6); loopback and trusted proxies are exempt.
    pub connections_per_address: usize,
    /// TLS handshakes that are under way at once on one listener; beyond, the oldest is broken off.
    pub handshakes: usize,
    /// The largest request body, in bytes.
    pub body_bytes: usize,
    /// The largest set of request headers, in bytes.
    pub header_bytes: usize,
    /// How long a request's headers may take to arrive.
    pub header_timeout: Duration,
    /// How long a request may take in all; then 503.
    pub request_timeout: Duration,
    /// How long a connection may be silent.
    pub idle_timeout: Duration,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// How long requests that have begun may take to finish at shutdown.
    pub shutdown_grace: Duration,
}

/// How the keys of one provider of CI tokens are fetched, and for how long they are good.
///
/// An upstream that withdraws a key is obeyed within `refresh` (plus the fetch itself, some seconds); an upstream that fails is outlived
/// for `stale_after`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Where the keys come from.
    pub source: KeySource,
    /// A file with the bearer token that the issuer wants to see before it shows its keys. Read at each fetch.
    pub bearer_token_file: Option<PathBuf>,
    /// The proxy that the issuer is asked through.
    pub outbound: Outbound,
    /// PEM certificates to trust beside the system's, for an upstream under a company's own CA.
    pub ca_pem: Option<Vec<u8>>,
    /// Whether the upstream may stand at a loopback or private address, as an instance inside a company does. Link-local addresses, among
    /// them the clouds' metadata services, stay refused.
    pub allow_private_addresses: bool,
    /// The longest time between two fetches that went well.
    pub refresh: Duration,
    /// How long keys are used after the last fetch that went well; longer than `refresh`.
    pub stale_after: Duration,
    /// The shortest time between two fetches that tokens cause (by naming an unknown key, or because there are no keys yet), and between
    /// two attempts after a failure.
    pub unknown_key_interval: Duration,
}

impl Default for UpstreamSettings {
    /// Refreshed every 10 minutes, good for 24 hours, at most one fetch in 30 seconds for unknown keys; public addresses alone.
    fn default() -> Self {
        Self {
            source: KeySource::Discovery,
            bearer_token_file: None,
            outbound: Outbound::direct(),
            ca_pem: None,
            allow_private_addresses: false,
            refresh: Duration::from_mins(10),
            stale_after: Duration::from_hours(24),
            unknown_key_interval: Duration::from_secs(30),
        }
    }
}

/// Where the keys of a trusted issuer come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// Its discovery document says where.
    Discovery,
    /// This address; no discovery document is asked for.
    Uri(JwksUri),
    /// A file on this machine, read again every few seconds.
    File(PathBuf),
}

impl UpstreamSettings {
    /// How often a file with keys is read: a change is known within this time.
    const READ_FILE_EVERY: Duration = Duration::from_secs(10);
    /// The shortest time between two reads of it that tokens cause.
    const READ_FILE_AGAIN: Duration = Duration::from_secs(1);

    /// The same, at the pace of the source: reading a file puts no load on an issuer.
    #[must_use]
    pub(crate) fn at_pace(self) -> Self {
        match self.source {
            KeySource::File(_) => Self {
                refresh: Self::READ_FILE_EVERY.min(self.refresh),
                unknown_key_interval: Self::READ_FILE_AGAIN.min(self.unknown_key_interval),
                ..self
            },
            KeySource::Discovery | KeySource::Uri(_) => self,
        }
    }
}

/// Bounds on tokens for callers who show no credential (`[anonymous_minting]`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnonymousMinting {
    /// Requests of one address (of one /64 with IPv6).
    pub per_address: Rate,
    /// Requests of all of them together.
    pub total: Rate,
}

/// A token bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests a second in the long run; 0 for no limit.
    pub per_second: u32,
    /// Requests at once.
    pub burst: u32,
}

/// A token bucket that is refilled slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HourlyRate {
    /// So many an hour in the long run; 0 for no limit.
    pub per_hour: u32,
    /// So many at once.
    pub burst: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            per_credential: Rate { per_second: 100, burst: 2_000 },
            per_address: Rate { per_second: 200, burst: 4_000 },
            failed_per_address: Rate { per_second: 2, burst: 1_000 },
            failed_per_network: Rate { per_second: 20, burst: 5_000 },
            refusal_rows_per_network: HourlyRate { per_hour: 600, burst: 2_000 },
            refusal_rows: HourlyRate { per_hour: 3_600, burst: 10_000 },
            sessions_per_subject: 1_000,
            session_opens_per_subject: Rate { per_second: 1, burst: 500 },
            connections: 10_000,
            connections_per_address: 1_000,
            handshakes: 1_024,
            body_bytes: 64 * 1024,
            header_bytes: 32 * 1024,
            header_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_mins(1),
            handshake_timeout: Duration::from_secs(5),
            shutdown_grace: Duration::from_secs(20),
        }
    }
}
