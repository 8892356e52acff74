//! Certificates by ACME (RFC 8555): ordered, kept, renewed and served without anybody's help.
//!
//! Everything that must outlive a crash is in the store before the server hears of it: a process that is killed at any moment is followed
//! by another one that goes on. Several nodes share a store; a lease lets one at a time order, and all serve what came of it.
//!
//! | module | holds |
//! |---|---|
//! | `manager` | what is due, done step by step |
//! | `schedule` | what is stored, and what follows from it |
//! | `account`, `order`, `renewal_info` | the conversations with the server |
//! | `jose`, `http` | what instant-acme cannot do: keys that were stored before, bounds, `Retry-After`, errors that are no JSON |
//! | [`http01`] | port 80 |
//! | [`health`] | how the certificate is doing |

mod account;
mod error;
pub mod health;
mod http;
pub mod http01;
mod jose;
mod manager;
mod order;
mod renewal_info;
mod schedule;

pub use self::{
    error::{AcmeError, ServerProblem},
    health::{CertificateHealth, FailureKind, RenewalFailure},
    jose::ExternalAccount,
    manager::{AcmeSettings, CertificateManager, ManagerError, Pace},
    schedule::{Overview, StoredCertificate},
};
