//! Subjects of a policy that can never match, and the ones that only name another project.

use serde_json::json;

use super::{CIRCLE, GITHUB, case, has, on_subject};

#[test]
fn a_repository_without_an_end() {
    let fix = on_subject(GITHUB, "repo:acme/app:pull_request", "StringLike", "repo:acme/app").fix();
    has(
        &fix,
        &[
            "malformed pattern",
            "\"repo:acme/app\"",
            "\"repo:acme/app:pull_request\"",
            "\"repo:acme/app:*\" admits every branch",
        ],
    );
    assert!(!fix.contains("include_claim_keys"), "{fix}");
}

#[test]
fn a_slash_in_place_of_a_colon() {
    let fix = on_subject(GITHUB, "repo:acme/app:ref:refs/heads/main", "StringLike", "repo:acme/app/*").fix();
    has(
        &fix,
        &[
            "malformed pattern",
            "\"repo:acme/app:*\"",
            "a `:` stands after the repository, not a `/`",
            "repo:OWNER/REPO:ref:refs/heads/BRANCH",
        ],
    );
}

#[test]
fn the_subject_of_the_other_token_of_circleci() {
    let org = "6b376885-8f20-45b2-ba2f-c27c0919bc6d";
    let project = "22222222-2222-4222-8222-222222222222";
    let token = format!("org/{org}/project/{project}/user/33333333-3333-4333-8333-333333333333");
    let value = format!("org/{org}/project/*/user/*/vcs-origin/github.com/acme/*/vcs-ref/refs/heads/main");
    let fix = on_subject(CIRCLE, &token, "StringLike", value).fix();
    // The project stands in for the origin that the token does not have.
    has(&fix, &["malformed pattern", &format!("\"org/{org}/project/{project}/user/*\""), "$CIRCLE_OIDC_TOKEN_V2"]);
}

#[test]
fn terraforms_subject_without_a_project() {
    let token = "organization:acme:project:Default Project:workspace:dev:run_phase:plan";
    let fix = on_subject("app.terraform.io", token, "StringLike", "organization:acme:workspace:dev:run_phase:*").fix();
    has(
        &fix,
        &[
            "malformed pattern",
            "the older subject without a project",
            "\"organization:acme:project:Default Project:workspace:dev:run_phase:*\"",
        ],
    );
}

#[test]
fn a_right_form_is_another_value() {
    let main = "repo:acme/app:ref:refs/heads/main";
    let cases = [
        (GITHUB, main, "repo:acme/other:*"),
        (GITHUB, main, "repo:acme/app:environment:*"),
        (GITHUB, "repo:acme@12/app@34:ref:refs/heads/main", "repo:acme/app:*"),
        (
            "app.terraform.io",
            "organization:acme:project:p:workspace:dev:run_phase:plan",
            "organization:acme:project:q:*",
        ),
        (
            "agent.buildkite.com",
            "organization:acme:pipeline:app:ref:refs/heads/main:commit:9f:step:s",
            "organization:acme:pipeline:web:*",
        ),
        ("id.example.com", "wallet:0xa", "wallet:0xb*"),
    ];
    for (url, token, value) in cases {
        let fix = on_subject(url, token, "StringLike", value).fix();
        assert!(!fix.contains("malformed"), "{value}: {fix}");
    }
}

#[test]
fn of_several_values_the_one_that_is_meant_is_corrected() {
    let token = "repo:acme/app:ref:refs/heads/main";
    let values = json!(["repo:acme/apple:ref:refs/heads/main", "repo:acme/app/*", "repo:acme/web:*"]);
    let fix = on_subject(GITHUB, token, "StringLike", values).fix();
    has(&fix, &["malformed pattern", "\"repo:acme/app/*\"", "\"repo:acme/app:*\""]);
}

#[test]
fn every_operator_on_texts_is_judged() {
    let token = "repo:acme/app:ref:refs/heads/main";
    for operator in [
        "StringEquals",
        "StringLike",
        "StringEqualsIgnoreCase",
        "ForAnyValue:StringEquals",
        "ForAllValues:StringLike",
        "StringEqualsIfExists",
        "ForAnyValue:StringLikeIfExists",
    ] {
        let fix = on_subject(GITHUB, token, operator, "repo:acme/app:ref:main").fix();
        has(&fix, &["malformed pattern", "\"repo:acme/app:ref:refs/heads/main\""]);
    }
    let fix = on_subject(GITHUB, token, "StringEquals", "repo:acme/other:*").fix();
    has(&fix, &["plain characters", "under StringLike"]);
}

#[test]
fn a_value_that_never_matches_is_told_where_others_do() {
    let token = "repo:acme@12/app@34:ref:refs/heads/main";
    let values = json!([token, "repo:acme@12/web@35:ref:main"]);
    let warnings = on_subject(GITHUB, token, "StringEquals", values).warnings();
    let [(id, text)] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert_eq!(*id, "pattern-never-matches");
    has(text, &["\"repo:acme@12/web@35:ref:main\"", "can never match"]);
    // What repositories with another template have is no mistake.
    let values = json!([token, "repo:acme/app:ref:refs/heads/main", "repository_id:34"]);
    assert_eq!(on_subject(GITHUB, token, "StringEquals", values).ids(), Vec::<&str>::new());
}

#[test]
fn a_value_that_never_matches_excludes_nobody() {
    let token = "repo:acme@12/app@34:ref:refs/heads/main";
    let sub = format!("{GITHUB}:sub");
    let both =
        json!({"StringEquals": {sub.as_str(): token}, "StringNotLike": {sub.as_str(): "repo:acme/app/pull_request"}});
    let warnings = case(GITHUB, token, &both).warnings();
    let [(id, text)] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert_eq!(*id, "pattern-never-matches");
    has(text, &["StringNotLike", "excludes nobody"]);

    let mut denied = on_subject(GITHUB, token, "StringEquals", token);
    denied.trust["Statement"].as_array_mut().unwrap().push(json!({
        "Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringLike": {sub: "repo:acme/app/pull_request"}},
    }));
    assert_eq!(denied.ids(), ["pattern-never-matches"]);
}
