//! Tagmint's vocabulary, without I/O.
//!
//! Everything here is a pure function of its arguments: time comes in through [`clock::Clock`], randomness
//! through [`random::Random`], and nothing reads a file, a socket or the environment. The other crates speak in these types.
//!
//! | module | holds |
//! |---|---|
//! | [`clock`], [`random`] | the two seams to the outside world |
//! | [`environment`], [`issuer`] | which world this is, and under which URL it is known |
//! | [`isolation`] | what two issuers share that they must not |
//! | [`id`] | typed identifiers |
//! | [`issued_secret`], [`sealing`] | the secrets that Tagmint hands out, and how it keeps its own |
//! | [`identity`], [`rules`] | who asks, and what the configuration lets them have |
//! | [`dry_run`] | rules tried on identities that nobody has proved: tests, explanations, replays |
//! | [`sanitize`] | text of strangers, made fit to show and to keep |
//! | [`tags`], [`claims`] | session tags and token claims that cannot hold what AWS refuses |
//! | [`signing_key`], [`key_schedule`], [`jwk`] | signing keys, their lifecycle, their published form |
//! | [`jws`], [`json`] | making and checking tokens |
//! | [`trusted_issuer`] | tokens of CI platforms and other issuers, verified |
//! | [`renewal`] | when a certificate is renewed, and an attempt repeated |
//! | [`witness`] | who fetched the key set, and what a waiting key may conclude from it |
//! | [`ledger`] | the record of every mint and refusal, and its hash chain |
//! | [`outbound`] | which outbound requests go through a proxy |
//! | [`sweep`] | which prefixes of a test bucket may be removed |
//! | [`alarm`] | what is wrong with an issuer, and whom to tell when |

pub mod alarm;
pub mod claims;
pub mod clock;
pub mod dry_run;
pub mod environment;
pub mod id;
pub mod identity;
pub mod isolation;
pub mod issued_secret;
pub mod issuer;
pub mod json;
pub mod jwk;
pub mod jws;
pub mod key_schedule;
pub mod ledger;
pub mod outbound;
pub mod random;
pub mod renewal;
pub mod rules;
pub mod sanitize;
pub mod sealing;
pub mod signing_key;
pub mod sweep;
pub mod tags;
pub mod trusted_issuer;
pub mod witness;
