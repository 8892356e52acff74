//! The public and admin handlers: parse, call a flow, render.

pub mod authority;
pub mod aws_credentials;
pub mod bearer;
pub mod body;
mod client;
pub mod context;
pub mod discovery;
pub mod health;
pub mod introspect;
pub mod oauth;
pub mod openapi;
pub mod problem;
pub mod revoke;
pub mod sessions;
pub mod tokens;
