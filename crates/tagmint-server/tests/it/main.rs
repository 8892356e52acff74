//! The issuer's routes, in process: a real database, a clock that tests move, a session backend in the tests' hands.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on ends here")]

mod documents;
mod issuer;
mod keys;
mod ledger;
mod limits;
mod problems;
mod session_backend;
mod sessions;
mod sockets;
mod tokens;
