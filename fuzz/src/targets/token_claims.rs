//! Any header and payload under a good signature, to our own check and to STS's: what ours accepts says nothing twice, and is for this
//! issuer, this audience and now.

use crate::{reference, sections, world};
use serde_json::Value;

/// Runs one input.
pub fn run(data: &[u8]) {
    let Some([header, payload, role_arn, session_name, policy]) = sections(data) else { return };
    let token = world::signed(header.as_bytes(), payload.as_bytes());
    if let Ok(verified) = world::verify(&token, &world::KEYS) {
        assert_eq!(reference::repeats_a_member(header.as_bytes()), Some(false));
        assert_eq!(reference::repeats_a_member(payload.as_bytes()), Some(false));
        let read = |text: &str| serde_json::from_str::<Value>(text).ok();
        assert_eq!(read(header), Some(Value::Object(verified.header.clone())));
        assert_eq!(read(payload), Some(Value::Object(verified.claims.clone())));
        let claim = |name: &str| verified.claims.get(name).cloned().unwrap_or_default();
        assert_eq!(claim("iss"), world::ISSUER);
        assert_eq!(claim("aud"), world::AUDIENCE);
        assert!(claim("exp").as_i64().is_some_and(|exp| exp > world::now().as_second() - 60));
        assert!(claim("iat").as_i64().is_some_and(|iat| iat <= world::now().as_second() + 60));
        // STS is more lenient with all of this; the audience is `azp` to it, where there is one.
        let report = world::verdict(&world::request(&token, world::ROLE_ARN), world::JWKS, None);
        assert!(world::passed(&report, "token-signature"), "{report:?}");
        let has_azp = verified.claims.contains_key("azp");
        assert!(has_azp || world::passed(&report, "claim-audience"), "{report:?}");
    }

    let mut request = world::request(&token, if role_arn.is_empty() { world::ROLE_ARN } else { role_arn });
    if !session_name.is_empty() {
        request.role_session_name = session_name;
    }
    request.policy = (!policy.is_empty()).then_some(policy);
    let _ = world::verdict(&request, world::JWKS, None);
}
