//! The public and admin handlers: parse, call a flow, render.

pub mod bearer;
pub mod body;
pub mod context;
pub mod discovery;
pub mod health;
pub mod oauth;
pub mod openapi;
pub mod problem;
pub mod sessions;
pub mod tokens;
