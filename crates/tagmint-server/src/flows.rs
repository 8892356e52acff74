//! The use cases. They know nothing of HTTP: a command comes in, a result or an error of the flow goes out.

pub mod authenticate;
pub mod aws_credentials;
pub mod client;
pub mod identify;
pub mod introspect;
pub mod keys;
pub mod mint;
pub(crate) mod refusals;
pub mod revoke;
pub mod session;
