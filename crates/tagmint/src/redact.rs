//! Secrets that were typed where they do not belong: an error that repeats its input must not repeat them.

pub use tagmint_core::sanitize::{looks_like_a_secret, redact as secrets};
