//! Any input.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = verify(&text, &github());
    }

    #[test]
    fn no_parts_panic(header in any::<Vec<u8>>(), payload in any::<Vec<u8>>(), signature in any::<Vec<u8>>()) {
        let text = format!("{}.{}.{}", encode(header), encode(payload), encode(signature));
        let refused = verify(&text, &github()).is_err();
        prop_assert!(refused);
    }

    #[test]
    fn no_subject_panics(subject in "(repo|project_path|environment|ref|:|/|@|[0-9]|%3A|[a-z]){0,12}") {
        for (claims, kind) in [(ci_claims::github_push(), IssuerKind::GITHUB), (ci_claims::gitlab_branch(), IssuerKind::GITLAB)] {
            let claims = ci_claims::with(claims, json!({"sub": subject}));
            let _ = verify(&token(&claims), &trusted(kind));
        }
    }

    #[test]
    fn no_document_panics(bytes in any::<Vec<u8>>()) {
        let _ = KeySet::parse(&bytes);
        let _ = discovery::jwks_uri(&bytes, &github().issuer);
    }

    #[test]
    fn no_issuer_panics(text in "(https://|http://)?[a-z0-9:/.@?\\-]{0,30}") {
        if let Ok(issuer) = TrustedIssuerUrl::parse(&text) {
            prop_assert!(!issuer.host().is_empty());
            prop_assert!(discovery::url(&issuer).ends_with("/.well-known/openid-configuration"));
        }
    }
}

#[test]
fn every_changed_character_is_noticed() {
    let good = token(&ci_claims::github_push());
    let keys = keys();
    let now = Timestamp::from_second(NOW).unwrap();
    for position in 0..good.len() {
        for replacement in [b'A', b'_', b'.', good.as_bytes()[position] ^ 1] {
            let mut bytes = good.clone().into_bytes();
            if bytes[position] == replacement {
                continue;
            }
            bytes[position] = replacement;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            let verdict = UnverifiedToken::parse(&changed).and_then(|token| token.verify(&github(), &keys, now));
            assert!(verdict.is_err(), "position {position}");
        }
    }
}
