//! What CI platforms publish and what their jobs bring: any header and payload under a good signature, as GitHub's, as GitLab's and as another
//! issuer's, and anything at all as a token, a key set and a discovery document.

use std::sync::LazyLock;

use crate::{reference, sections, world};
use tagmint_core::trusted_issuer::{
    IssuerKind, KeySet, TokenAlgorithm, TrustedIssuer, TrustedIssuerName, TrustedIssuerUrl, UnverifiedToken, discovery,
};

static ISSUER: LazyLock<TrustedIssuerUrl> =
    LazyLock::new(|| TrustedIssuerUrl::parse(world::ISSUER).expect("an issuer"));
static KEYS: LazyLock<KeySet> = LazyLock::new(|| KeySet::parse(world::JWKS).expect("a key set"));
static PROVIDERS: LazyLock<[TrustedIssuer; 3]> = LazyLock::new(|| {
    [IssuerKind::GITHUB, IssuerKind::GITLAB, IssuerKind::OIDC].map(|kind| {
        let name = TrustedIssuerName::parse("fuzz").expect("a name");
        let mut provider = TrustedIssuer::new(name, kind, ISSUER.clone(), vec![world::AUDIENCE.to_owned()]);
        provider.algorithms = vec![TokenAlgorithm::Es256, TokenAlgorithm::Rs256];
        provider
    })
});

/// Runs one input.
pub fn run(data: &[u8]) {
    let Some([header, payload, jwks, document, raw]) = sections(data) else { return };
    let token = world::signed(header.as_bytes(), payload.as_bytes());
    for provider in &*PROVIDERS {
        if accepted(&token, provider) {
            assert_eq!(reference::repeats_a_member(header.as_bytes()), Some(false));
            assert_eq!(reference::repeats_a_member(payload.as_bytes()), Some(false));
        }
        let good = world::TOKENS.lines().any(|good| good == raw);
        if let Ok(token) = UnverifiedToken::parse(raw) {
            assert!(good || token.verify(provider, &KEYS, world::now()).is_err(), "accepted without the key");
        }
    }
    if let (Ok(keys), Ok(token)) = (KeySet::parse(jwks.as_bytes()), UnverifiedToken::parse(&token)) {
        let _ = token.verify(&PROVIDERS[2], &keys, world::now());
    }
    if let Ok(uri) = discovery::jwks_uri(document.as_bytes(), &ISSUER) {
        assert!(uri.as_str().starts_with("https://"), "{uri:?}");
        assert_eq!(reference::repeats_a_member(document.as_bytes()), Some(false));
    }
}

/// Whether a token is accepted. The verdict is the same twice; an accepted token is for us and of now.
fn accepted(token: &str, provider: &TrustedIssuer) -> bool {
    let Ok(parsed) = UnverifiedToken::parse(token) else { return false };
    let verdict = parsed.verify(provider, &KEYS, world::now());
    assert_eq!(verdict, parsed.verify(provider, &KEYS, world::now()), "the same token, another answer");
    let Ok(verified) = verdict else { return false };
    assert_eq!(verified.audience(), world::AUDIENCE);
    assert!(verified.expires_at().as_second() > world::now().as_second() - provider.leeway.as_secs());
    assert!(verified.remember_until() >= verified.expires_at());
    let use_id = verified.use_id().clone();
    let identity = verified.into_identity();
    assert_eq!(identity.trusted_issuer.as_ref(), Some(&provider.name));
    assert!(!identity.subject.is_empty());
    assert!(use_id.to_string().starts_with("fuzz/"));
    // Attributes that rules take for decided are never a platform's free text.
    for name in ["pull_request", "merge_request"] {
        if provider.kind != IssuerKind::OIDC
            && let Some(number) = identity.attributes.get(name)
        {
            assert!(number.is_u64() || number.is_i64(), "{name}: {number}");
        }
    }
    for name in ["ref_protected", "environment_protected"] {
        let told = identity.attributes.get(name);
        let decided = name == "ref_protected" || provider.kind == IssuerKind::GITLAB;
        if provider.kind != IssuerKind::OIDC
            && decided
            && let Some(told) = told
        {
            assert!(told.is_boolean(), "{name}: {told}");
        }
    }
    true
}
