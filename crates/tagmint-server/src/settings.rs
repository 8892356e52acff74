//! What an issuer is set up with, checked. The binary makes these from its configuration; nothing in here reads a file.

use std::{net::IpAddr, time::Duration};

use jiff::SignedDuration;
use tagmint_core::{claims::OptionalClaims, environment::Stamp, key_schedule::RotationPolicy};

/// The settings of one issuer.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The issuer URL and its environment.
    pub stamp: Stamp,
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
    /// Addresses whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
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
    /// Connections that are open at once, from all addresses.
    pub connections: usize,
    /// Connections that are open at once from one address; loopback and trusted proxies are exempt.
    pub connections_per_address: usize,
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

/// A token bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests a second in the long run; 0 for no limit.
    pub per_second: u32,
    /// Requests at once.
    pub burst: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            per_credential: Rate { per_second: 100, burst: 2_000 },
            per_address: Rate { per_second: 200, burst: 4_000 },
            failed_per_address: Rate { per_second: 2, burst: 1_000 },
            connections: 10_000,
            connections_per_address: 1_000,
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
