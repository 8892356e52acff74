//! Whatever a token and a key set hold, there is an answer with its reason.

use proptest::prelude::*;
use serde_json::{Value, json};
use tagmint_iam::web_identity::{Verdict, unverified_issuer};

use crate::case::{Case, ROLE_ARN};

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!(ROLE_ARN))
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let names = "principal_tags|transitive_tag_keys|[a-z]{1,2}";
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map(names, inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect()))
        ]
    })
}

const CLAIMS: &str = "iss|sub|aud|azp|exp|nbf|iat|amr|email|https://aws\\.amazon\\.com/(tags|roles|source_identity|tags/principal_tags/x)";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_claims_panic_and_every_refusal_has_its_check(claims in proptest::collection::vec((CLAIMS, value()), 0..4)) {
        let case = claims.into_iter().fold(Case::new(), |case, (name, value)| case.claim(&name, value));
        let report = case.report();
        let failed = report.checks.iter().filter(|check| !check.passed).count();
        prop_assert_eq!(failed, usize::from(matches!(report.verdict, Verdict::Refused(_))));
    }

    #[test]
    fn no_token_panics(token in "[A-Za-z0-9_.=-]{0,40}|e30\\.[A-Za-z0-9]{0,12}\\.[a-z]{0,3}|.{0,20}") {
        let _ = unverified_issuer(&token);
        prop_assert!(Case::new().token(&token).report().session().is_none());
    }

    #[test]
    fn no_key_set_panics(bytes in any::<Vec<u8>>(), name in "kty|crv|x|y|n|e|kid|use|alg|key_ops|x5c", member in value()) {
        prop_assert!(Case::new().document(&bytes).report().session().is_none());
        let _ = Case::new().one_key().key(&name, member).report();
    }
}
