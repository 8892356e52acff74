//! Certificates from a real ACME server: Pebble, behind a proxy that breaks what a test wants broken.

mod certbot;
mod certificate;

type Error = Box<dyn std::error::Error + Send + Sync>;
type TestResult<T = ()> = Result<T, Error>;

/// The issuer's name. Pebble's DNS server leads it to this machine.
const HOST: &str = "broker.acme.test";
