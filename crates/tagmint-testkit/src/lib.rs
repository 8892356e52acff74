//! What Tagmint's tests share. Only ever a dev-dependency.
//!
//! | module | holds |
//! |---|---|
//! | [`attacks`] | clients that mean ill |
//! | [`certificates`] | certificates for the servers of tests |
//! | [`clock`], [`random`] | the two seams, in the tests' hands |
//! | [`ci_claims`] | what the ID tokens of CI platforms say |
//! | [`ci_platform`] | an OIDC issuer that acts as GitHub or GitLab |
//! | [`front`] | issuers on loopback under their real names |
//! | [`keys`] | signing keys and key files that are made once per test binary |
//! | [`ledger`] | ledger entries by number |

pub mod attacks;
pub mod certificates;
pub mod ci_claims;
pub mod ci_platform;
pub mod clock;
pub mod front;
pub mod keys;
pub mod ledger;
pub mod random;
