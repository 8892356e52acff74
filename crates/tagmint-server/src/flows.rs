//! The use cases. They know nothing of HTTP: a command comes in, a result or an error of the flow goes out.

pub mod authenticate;
pub mod keys;
pub mod mint;
pub mod session;
