//! What IAM registers as a provider: it can be registered again as it is kept, and found again by its tokens' `iss`.
//!
//! Parts: URL, client ids, thumbprints (one a line), tags (`KEY=VALUE` a line).

use crate::{lines, pairs, sections, world};
use tagmint_iam::{
    arn::Arn,
    provider::{OidcProvider, ProviderRegistry, Registration},
    trust_policy,
};

/// Runs one input.
pub fn run(data: &[u8]) {
    let Some([url, client_ids, thumbprints, tags]) = sections(data) else { return };
    let registration = Registration {
        url: url.to_owned(),
        client_ids: lines(client_ids),
        thumbprints: lines(thumbprints),
        tags: pairs(tags),
    };
    for local in [false, true] {
        let register = if local { OidcProvider::register_local } else { OidcProvider::register };
        let provider = match register(world::ACCOUNT, registration.clone()) {
            Ok(provider) => provider,
            Err(error) => {
                assert!(!error.message.is_empty());
                continue;
            }
        };
        let arn = Arn::split(provider.arn()).expect("a provider's ARN is one");
        assert_eq!(arn.resource.strip_prefix("oidc-provider/"), Some(provider.url()));
        let again = register(world::ACCOUNT, Registration { url: provider.issuer(), ..registration.clone() });
        assert_eq!(again.as_ref(), Ok(&provider), "kept otherwise the second time");
        if local {
            continue;
        }
        assert!(OidcProvider::register_local(world::ACCOUNT, registration.clone()).is_ok_and(|same| same == provider));
        let mut registry = ProviderRegistry::new(world::ACCOUNT);
        assert!(registry.create(registration.clone()).is_ok());
        assert!(registry.create(registration.clone()).is_err(), "the same provider twice");
        assert_eq!(registry.by_issuer(&provider.issuer()), Some(&provider));
        let _ = trust_policy::required_keys(provider.url());
    }
}
