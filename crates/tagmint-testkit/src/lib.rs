//! What Tagmint's tests share. Only ever a dev-dependency.
//!
//! | module | holds |
//! |---|---|
//! | [`clock`], [`random`] | the two seams, in the tests' hands |
//! | [`keys`] | signing keys and key files that are made once per test binary |
//! | [`ledger`] | ledger entries by number |

pub mod clock;
pub mod keys;
pub mod ledger;
pub mod random;
