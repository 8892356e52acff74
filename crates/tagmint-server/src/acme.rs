//! Certificates by ACME (RFC 8555): ordered, kept, renewed and served without anybody's help.
//!
//! | module | holds |
//! |---|---|
//! | [`health`] | how the certificate is doing |

pub mod health;

pub use self::health::{CertificateHealth, FailureKind, RenewalFailure};
