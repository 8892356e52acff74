//! How much of an issuer a trust policy lets in, and conditions that demand nothing.

use serde_json::{Value, json};

use super::{CIRCLE, GITHUB, case, has, on_subject};

const NONE: [&str; 0] = [];

#[test]
fn patterns_that_bind_a_project_behind_a_wildcard() {
    let stack = "space:production:stack:oidc-is-awesome:run_type:TRACKED:scope:write";
    assert_eq!(on_subject("demo.app.spacelift.io", stack, "StringLike", "*:stack:oidc-is-awesome:*").ids(), NONE);
    let project = "22222222-2222-4222-8222-222222222222";
    let token = format!("org/6b376885-8f20-45b2-ba2f-c27c0919bc6d/project/{project}/user/u1");
    let value = format!("org/6b376885-8f20-45b2-ba2f-c27c0919bc6d/project/{project}/user/*");
    assert_eq!(on_subject(CIRCLE, &token, "StringLike", value).ids(), NONE);
    let user = on_subject("acme.eu.auth0.com/", "samlp|acme|42", "StringLike", "samlp|acme|*").ids();
    assert_eq!(user, NONE);
    let flow = "organization:acme:project:core:workspace:dev:run_phase:plan";
    assert_eq!(on_subject("app.terraform.io", flow, "StringLike", "organization:acme:*:workspace:dev:*").ids(), NONE);
}

#[test]
fn patterns_that_bind_only_what_the_issuer_shares() {
    let cases: [(&str, &str, Value, &str); 8] = [
        (
            "agent.buildkite.com",
            "organization:acme:pipeline:app:ref:refs/heads/main:commit:9f:step:deploy",
            json!("organization:*"),
            "subject-unscoped",
        ),
        (
            "app.terraform.io",
            "organization:acme:project:core:workspace:dev:run_phase:plan",
            json!("organization:*"),
            "subject-unscoped",
        ),
        (
            "app.terraform.io",
            "organization:acme:project:core:workspace:dev:run_phase:plan",
            json!("organization:acme:*"),
            "subject-broad",
        ),
        (
            "oidc.eks.eu-central-1.amazonaws.com/id/0123456789ABCDEF",
            "system:serviceaccount:team:deploy",
            json!("system:serviceaccount:*:*"),
            "subject-unscoped",
        ),
        (
            "oidc.eks.eu-central-1.amazonaws.com/id/0123456789ABCDEF",
            "system:serviceaccount:team:deploy",
            json!("system:serviceaccount:*:deploy"),
            "subject-broad",
        ),
        ("gitlab.com", "project_path:acme/app:ref_type:branch:ref:main", json!("project_path:*"), "subject-unscoped"),
        // One value that is too wide is enough.
        (
            "agent.buildkite.com",
            "organization:acme:pipeline:app:ref:refs/heads/main:commit:9f:step:deploy",
            json!(["organization:acme:pipeline:app:ref:refs/heads/main:*", "organization:*:pipeline:app:*"]),
            "subject-unscoped",
        ),
        (GITHUB, "repo:acme/app:ref:refs/heads/main", json!("repo:*/app:ref:refs/heads/main"), "subject-unscoped"),
    ];
    for (url, token, value, expected) in cases {
        for operator in ["StringLike", "StringLikeIfExists", "ForAnyValue:StringLike", "ForAllValues:StringLike"] {
            let warnings = on_subject(url, token, operator, value.clone()).warnings();
            let ids: Vec<&str> = warnings.iter().map(|(id, _)| *id).collect();
            assert_eq!(ids, [expected], "{url} {value}");
            has(&warnings[0].1, &[url]);
        }
    }
}

#[test]
fn a_negated_condition_binds_nothing() {
    let token = "repo:acme/app:ref:refs/heads/main";
    assert_eq!(on_subject(GITHUB, token, "StringNotLike", "repo:evil/*").ids(), ["subject-unscoped"]);
}

#[test]
fn other_claims_may_bind_in_place_of_the_subject() {
    let key = |claim: &str| format!("{GITHUB}:{claim}");
    let token = "repo:acme/app:ref:refs/heads/main";
    let owner = json!({"StringLike": {key("sub"): "repo:*"}, "StringEquals": {key("repository_owner_id"): "12"}});
    assert_eq!(case(GITHUB, token, &owner).ids(), ["subject-broad"]);
    let repository = json!({"StringEquals": {key("repository"): "acme/app", key("ref"): "refs/heads/main"}});
    assert_eq!(case(GITHUB, token, &repository).ids(), NONE);
    let on_ref =
        json!({"StringLike": {key("sub"): "repo:acme/app:*"}, "StringEquals": {key("ref"): "refs/heads/main"}});
    assert_eq!(case(GITHUB, token, &on_ref).ids(), NONE);
    let build = "organization:acme:pipeline:app:ref:refs/heads/main:commit:9f:step:deploy";
    let pipeline = json!({
        "StringLike": {"agent.buildkite.com:sub": "organization:acme:*"},
        "StringEquals": {"agent.buildkite.com:pipeline_slug": "app"},
    });
    assert_eq!(case("agent.buildkite.com", build, &pipeline).with("pipeline_slug", "app").ids(), NONE);
}

#[test]
fn gitlabs_ids_are_keys_at_gitlab_com() {
    let token = "project_path:acme/app:ref_type:branch:ref:main";
    let conditions = json!({"StringEquals": {"gitlab.com:sub": token, "gitlab.com:project_id": "7"}});
    let case = case("gitlab.com", token, &conditions)
        .with("project_path", "acme/app")
        .with("namespace_path", "acme")
        .with("project_id", "7");
    assert!(!case.explain().warnings.iter().any(|warning| warning.id == "names-not-ids"));
}

#[test]
fn for_all_values_on_a_claim_that_is_no_key() {
    let sub = format!("{GITHUB}:sub");
    let iss = format!("{GITHUB}:iss");
    let token = "repo:acme/app:ref:refs/heads/main";
    for operator in ["ForAllValues:StringEquals", "StringEqualsIfExists", "StringNotEquals", "ForAllValues:StringLike"]
    {
        let conditions = json!({"StringEquals": {sub.as_str(): token}, operator: {iss.as_str(): "https://token.actions.githubusercontent.com"}});
        let warnings = case(GITHUB, token, &conditions).warnings();
        let [(_, text)] = warnings.as_slice() else { panic!("{operator}: {warnings:?}") };
        has(text, &["demands nothing", "AWS has no condition key", "Take the condition out"]);
        assert!(!text.contains("Null"), "{text}");
    }
    for claim in ["repository_owner", "jti", "environment_node_id"] {
        let conditions = json!({"StringEquals": {sub.as_str(): token}, "ForAllValues:StringEquals": {format!("{GITHUB}:{claim}"): "acme"}});
        let warnings = case(GITHUB, token, &conditions).warnings();
        let [(id, text)] = warnings.as_slice() else { panic!("{claim}: {warnings:?}") };
        assert_eq!(*id, "for-all-values");
        has(text, &["demands nothing", claim]);
        assert!(!text.contains("Null"), "{text}");
    }
    let key = format!("{GITHUB}:environment");
    let conditions = json!({"StringEquals": {sub: token}, "ForAllValues:StringEquals": {key: "prod"}});
    let warnings = case(GITHUB, token, &conditions).warnings();
    has(&warnings[0].1, &["\"Null\": {\"token.actions.githubusercontent.com:environment\": \"false\"}"]);
}

#[test]
fn a_demand_for_a_key_that_does_not_exist_is_taken_out() {
    let token = "repo:acme/app:ref:refs/heads/main";
    let iss = format!("{GITHUB}:iss");
    let conditions = json!({"Null": {iss.as_str(): "false"}});
    has(&case(GITHUB, token, &conditions).fix(), &["AWS has no condition key", "Take the condition out"]);
    let conditions = json!({"StringEquals": {format!("{GITHUB}:sha"): "9f"}});
    has(
        &case(GITHUB, token, &conditions).fix(),
        &["AWS makes no condition key of the claim \"sha\"", "Take the condition out"],
    );
    let mut denied = on_subject(GITHUB, token, "StringEquals", token);
    denied.trust["Statement"].as_array_mut().unwrap().push(json!({
        "Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringNotEquals": {iss: "https://token.actions.githubusercontent.com"}},
    }));
    let fix = denied.fix();
    has(&fix, &["to every token", "Take the condition out"]);
    assert!(!fix.contains("Null"), "{fix}");
}
