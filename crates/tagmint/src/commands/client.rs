//! The client's side: tokens from an issuer, and what AWS gives for them.

mod args;
pub mod credentials;
pub mod env;
pub mod exec;
mod issuer;
mod next;
mod proof;
mod session;
pub(crate) mod token;

pub use self::args::{EnvArgs, ExecArgs, IssuerArgs, RoleArgs, TokenArgs, Wish};
