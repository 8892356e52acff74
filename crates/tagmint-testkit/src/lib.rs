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
//! | [`ports`] | ports that no other test takes |
//!
//! Modules that serve, connect or make certificates are behind the feature `servers`.

#[cfg(feature = "servers")]
pub mod attacks;
#[cfg(feature = "servers")]
pub mod certificates;
pub mod ci_claims;
#[cfg(feature = "servers")]
pub mod ci_platform;
pub mod clock;
#[cfg(feature = "servers")]
pub mod front;
pub mod keys;
pub mod ledger;
pub mod ports;
pub mod random;
