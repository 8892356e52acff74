//! Ids that a platform writes as JSON numbers.

use super::*;

/// Rules compare ids with texts, so an id is a text whichever way the platform writes it.
#[test]
fn ids_are_texts_also_where_the_platform_writes_numbers() {
    use ci_claims::{self as set, with};
    let as_numbers = |claims: Map<String, Value>, names: &[&str]| {
        let numbers = names.iter().filter_map(|name| {
            let number: u64 = claims.get(*name)?.as_str()?.parse().ok()?;
            Some(((*name).to_owned(), json!(number)))
        });
        let numbers: Map<String, Value> = numbers.collect();
        assert!(!numbers.is_empty());
        with(claims, Value::Object(numbers))
    };
    let github = ["repository_id", "repository_owner_id", "actor_id", "run_id", "run_number", "run_attempt"];
    for claims in [set::github_push(), set::github_push_with_ids()] {
        let texts = attributes::attributes_of(&claims, IssuerKind::GITHUB).unwrap();
        let numbers = attributes::attributes_of(&as_numbers(claims, &github), IssuerKind::GITHUB).unwrap();
        assert_eq!(numbers, texts);
    }
    let gitlab = ["project_id", "namespace_id", "user_id", "pipeline_id", "job_id", "job_project_id", "runner_id"];
    let claims = set::gitlab_branch();
    let texts = attributes::attributes_of(&claims, IssuerKind::GITLAB).unwrap();
    assert_eq!(attributes::attributes_of(&as_numbers(claims, &gitlab), IssuerKind::GITLAB).unwrap(), texts);
    let largest = with(set::github_push(), json!({"run_id": u64::MAX}));
    assert_eq!(attributes::attributes_of(&largest, IssuerKind::GITHUB).unwrap()["run_id"], "18446744073709551615");
    // Of another issuer it is not known what is an id: its claims stay what they are.
    let mut claims = oidc_claims();
    claims.insert("build_number".to_owned(), json!(7));
    claims.insert("protected".to_owned(), json!(true));
    let attributes = attributes::attributes_of(&claims, IssuerKind::OIDC).unwrap();
    assert_eq!((&attributes["build_number"], &attributes["protected"]), (&json!(7), &json!(true)));
    for number in [json!(456_789.0), json!(1e6), json!(-1), json!(1e30)] {
        let claims = with(set::github_push(), json!({"repository_id": number}));
        let refused = attributes::attributes_of(&claims, IssuerKind::GITHUB).unwrap_err().to_string();
        assert_eq!(refused, "the claim `repository_id` is not a number in decimal digits", "{number}");
    }
}

/// A number as `jti` is that number's digits; uses are counted under them.
#[test]
fn a_jti_may_be_a_whole_number() {
    let with = |jti: Value| {
        let mut claims = oidc_claims();
        claims.insert("jti".to_owned(), jti);
        verify(&token(&claims), &oidc()).map(|token| token.use_id().clone())
    };
    assert_eq!(with(json!(17)), with(json!("17")));
    assert_ne!(with(json!(17)).unwrap(), with(json!(18)).unwrap());
    for bad in [json!(1.5), json!(-1), json!([1]), json!(true), json!(null)] {
        assert!(matches!(with(bad.clone()), Err(TokenError::Claim { claim, .. }) if claim == "jti"), "{bad}");
    }
}
