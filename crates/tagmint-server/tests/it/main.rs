//! The issuer's routes, in process: a real database, a clock that tests move, a session backend in the tests' hands.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on ends here")]

mod acme;
mod acme_server;
mod alarms;
mod anonymous_minting;
mod aws_credentials;
mod clock;
mod decisions;
mod documents;
mod exchange;
mod exchange_parameters;
mod issuer;
mod keys;
mod ledger;
mod limits;
mod lingering;
mod metrics;
mod oauth_endpoints;
mod outbound;
mod planted;
mod problems;
mod refusals;
mod remote_check;
mod session_backend;
mod sessions;
mod sockets;
mod sts;
mod token_reuse;
mod tokens;
mod upstream;
mod upstream_guard;
mod upstream_sources;
mod witness;
