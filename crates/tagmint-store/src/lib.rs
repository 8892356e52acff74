//! Tagmint's database: every SQL statement, the migrations, and the group-committing ledger writer.
//!
//! Callers open a [`Store`] and speak to its parts. No rule, no decision and no HTTP is in here; what comes out are records and typed
//! answers, and an error always names the database.
//!
//! | part | holds |
//! |---|---|
//! | [`Store::sessions`], [`Store::bearers`] | credentials, by the hash of their secret |
//! | [`Store::used_tokens`] | tokens of CI platforms that were exchanged: each works once |
//! | [`Store::keys`] | signing keys, sealed under the key file, changed in one transaction |
//! | [`Store::clock`] | the latest moment that was seen, and what moves when the clock was set |
//! | [`Store::acme`] | certificates, the ACME account and the order under way, with who may work at it |
//! | [`Store::alarms`] | alarms that are known, and notices that have not arrived yet |
//! | [`Store::witness`] | who fetched discovery and the key set |
//! | [`Store::ledger`] | reading, verifying and archiving the mint ledger |
//! | [`LedgerWriter`] | appending to it: an answer means that the row is on disk |
//!
//! Every statement is one static text in the subset that SQLite and Postgres share; what differs between the engines is in `engine.rs`
//! and in `migrations/`.

mod acme;
mod alarms;
mod batch;
mod bearers;
mod clock;
mod credential;
mod engine;
mod error;
mod keys;
mod ledger;
mod lookup;
mod sessions;
mod store;
#[cfg(test)]
mod test_support;
mod used_tokens;
mod witness;

pub use acme::{Acme, AcmeAccount, AcmeFailure, AcmeOrder, AcmeState, CertificateRecord, NewOrder};
pub use alarms::{AlarmChanges, Alarms, NewNotice, StoredNotice};
pub use bearers::{BearerRecord, Bearers, NewBearer, RotateError, Rotated, RotatedLife, Rotation};
pub use clock::{Clock, ClockMark};
pub use credential::{CredentialFilter, CredentialLookup, Revocation};
pub use error::{ArchiveError, Fault, KeyChangeError, LedgerError, StoreError, VerifyError};
pub use keys::{KeyCandidate, KeyRecord, Keys};
pub use ledger::{Ledger, LedgerOrder, LedgerQuery, LedgerStats, LedgerWriter, MintedPrefix, StoredHead, VerifyReport};
pub use sessions::{NewSession, SessionRecord, Sessions};
pub use store::{DatabaseUrl, InvalidDatabaseUrl, Store, StoreOptions};
pub use used_tokens::{Allowance, Claim, Exhausted, TokenUse, UsedTokens};
pub use witness::{FetchQuery, FetchSum, KeyFetches, Witness};
