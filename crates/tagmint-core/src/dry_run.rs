//! Rules tried on identities that nobody has proved: tests from fixtures, explanations of claims, replays of the ledger.
//!
//! An [`UnprovenIdentity`] can be asked about and nothing else: it never becomes a
//! [`VerifiedIdentity`](crate::identity::VerifiedIdentity), so nothing can be minted for it.
//!
//! | module | holds |
//! |---|---|
//! | `identity` | an identity from claims, from attributes, or from a row of the ledger |
//! | `granted` | a token's contents as they are compared: recorded, expected or granted |
//! | [`fixture`] | tests of rules: what is asked, and what is expected |
//! | `record` | a fixture from a row of the ledger |
//! | [`replay`] | the ledger's rows under other rules, counted |

pub mod fixture;
mod granted;
mod identity;
mod record;
pub mod replay;

pub use self::{
    granted::{Difference, Granted},
    identity::{Recorded, RecordedOutcome, Repository, Undecidable, UnprovenIdentity},
    record::{NotRecordable, record},
};
