//! Certificates from a real ACME server: Pebble, behind a proxy that breaks what a test wants broken.

mod accounts;
mod binary;
mod certbot;
mod certificate;
mod failures;
mod inside;
mod issuer;
mod killed;
mod nodes;
mod renewal;
mod visit;

type Error = Box<dyn std::error::Error + Send + Sync>;
type TestResult<T = ()> = Result<T, Error>;

/// The issuer's name. Pebble's DNS server leads it to this machine.
const HOST: &str = "broker.acme.test";
/// The key file of the issuers here.
const MASTER_KEY: &str = "c2l4dGVlbiBieXRlcyB0aW1lcyB0d28gaXMgMzIuLi4=";
