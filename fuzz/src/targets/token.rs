//! Anything at all as a token and as a key set (and a discovery document, third), to our own check and to STS's. Without the key
//! no token is accepted.

use crate::{sections, world};
use tagmint_core::jwk::VerificationKeys;
use tagmint_iam::web_identity;

/// Runs one input.
pub fn run(data: &[u8]) {
    let Some([token, jwks, discovery]) = sections(data) else { return };
    let good = world::TOKENS.lines().any(|good| good == token);
    let ours = world::verify(token, &world::KEYS);
    assert_eq!(ours, world::verify(token, &world::KEYS), "the same token, another answer");
    assert_eq!(ours.is_ok(), good);
    if let Ok(keys) = VerificationKeys::parse(jwks.as_bytes()) {
        let _ = world::verify(token, &keys);
    }

    let request = world::request(token, world::ROLE_ARN);
    let _ = web_identity::unverified_issuer(token);
    let _ = world::verdict(&request, jwks.as_bytes(), Some(discovery.as_bytes()));
    let report = world::verdict(&request, world::JWKS, None);
    assert_eq!(report.session().is_some(), good, "{report:?}");
}
