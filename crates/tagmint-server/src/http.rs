//! The public and admin handlers: parse, call a flow, render.

pub mod authority;
pub mod aws_credentials;
pub mod bearer;
pub mod body;
mod client;
pub mod context;
pub mod cors;
pub mod discovery;
mod forwarded;
pub mod health;
pub mod introspect;
mod misplaced;
pub mod not_found;
pub mod oauth;
pub mod openapi;
pub mod problem;
pub mod revoke;
pub mod sessions;
pub mod sign_in;
mod subject_token;
pub mod tokens;
