//! Any other issuer: its claims, unchanged.

use serde_json::{Map, Value};

use super::claims::Reader;

/// The claims that verification consumes.
const CONSUMED: [&str; 6] = ["iss", "aud", "exp", "nbf", "iat", "jti"];

/// What rules see of a token: the claims that are listed, or all but those that verification consumes.
pub(super) fn attributes(claims: &Map<String, Value>, listed: Option<&[String]>) -> Map<String, Value> {
    let mut reader = Reader::new(claims);
    match listed {
        Some(names) => reader.add_unchanged(|name| names.iter().any(|listed| listed == name)),
        None => reader.add_unchanged(|name| !CONSUMED.contains(&name)),
    }
    reader.finish()
}
