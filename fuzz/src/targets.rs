//! The targets: each says what it holds its parser to, and panics where that does not hold.

pub mod condition;
pub mod config;
pub mod explain;
pub mod issued_secret;
pub mod issuer_url;
pub mod json;
pub mod jwks;
pub mod localaws_request;
pub mod localaws_seed;
pub mod minted_token;
pub mod names;
pub mod pattern;
pub mod policy;
pub mod provider;
pub mod rules;
pub mod token;
pub mod token_claims;
pub mod token_mutated;
pub mod trusted_issuer;
