//! Claim sets of the platforms, and what rules see of them.

use super::*;

/// What a claim set is, the set, the attributes that it must give, and those that it must not.
type Row<'a> = (&'a str, Map<String, Value>, &'a [(&'a str, Value)], &'a [&'a str]);

pub(super) fn attributes_of(claims: &Map<String, Value>, kind: IssuerKind) -> Result<Map<String, Value>, TokenError> {
    verify(&token(claims), &trusted(kind)).map(|token| token.attributes().clone())
}

/// Holds a table of claim sets and the attributes that they must and must not give.
fn hold(kind: IssuerKind, table: &[Row<'_>]) {
    for (what, claims, expected, absent) in table {
        let attributes = attributes_of(claims, kind).unwrap_or_else(|error| panic!("{what}: {error}"));
        for (name, value) in *expected {
            assert_eq!(attributes.get(*name), Some(value), "{what}: {name}");
        }
        for name in *absent {
            assert_eq!(attributes.get(*name), None, "{what}: {name}");
        }
        let token = verify(&token(claims), &trusted(kind)).unwrap();
        assert_eq!(Some(token.subject()), claims["sub"].as_str(), "{what}");
    }
}

#[test]
fn github_jobs() {
    use ci_claims as set;
    let ours = [("repository_id", json!("456789")), ("repository_owner_id", json!("123456"))];
    let theirs = [("repository_id", json!("6660002")), ("repository_owner_id", json!("6660001"))];
    let main = [("branch", json!("main")), ("ref_protected", json!(true))];
    let subject_form = |name: &'static str| [("subject_form", json!(name))];
    let names = [&ours[..], &main, &subject_form("names")].concat();
    let ids = [&ours[..], &main, &subject_form("ids")].concat();
    let custom = [&ours[..], &main, &subject_form("custom")].concat();
    let feature = [&ours[..], &[("branch", json!("feature/login")), ("ref_protected", json!(false))]].concat();
    let tag = [&ours[..], &[("tag", json!("v1.2.3")), ("ref_type", json!("tag"))], &subject_form("names")].concat();
    let pull_request = [
        &ours[..],
        &[("pull_request", json!(42)), ("event_name", json!("pull_request")), ("head_ref", json!("feature/login"))],
    ]
    .concat();
    // The base's branch and protection, the stranger's hands.
    let target = [&names[..], &[("event_name", json!("pull_request_target")), ("actor", json!("mallory"))]].concat();
    let environment = [&names[..], &[("environment", json!("production"))]].concat();
    let colon = [&names[..], &[("environment", json!("eu:production"))]].concat();
    let reusable = [
        &names[..],
        &[("job_workflow_ref", json!("octo-automation/workflows/.github/workflows/deploy.yml@refs/heads/main"))],
    ]
    .concat();
    let renamed = [&ids[..], &[("repository", json!("octo-org/renamed"))]].concat();
    let taken = [&theirs[..], &main, &subject_form("ids"), &[("repository", json!("octo-org/octo-repo"))]].concat();
    let fork = [&main[..], &[("repository", json!("mallory/octo-repo")), ("repository_id", json!("6660003"))]].concat();
    let sibling = [&main[..], &[("repository_id", json!("456790")), ("repository_owner_id", json!("123456"))]].concat();
    hold(
        IssuerKind::GITHUB,
        &[
            ("push", set::github_push(), &names, &["tag", "pull_request", "environment", "jti", "aud", "sub"]),
            ("push, ids", set::github_push_with_ids(), &ids, &["tag", "pull_request"]),
            ("feature branch", set::github_feature_branch(), &feature, &["tag"]),
            ("tag", set::github_tag(), &tag, &["branch", "pull_request"]),
            ("pull request", set::github_pull_request(), &pull_request, &["branch", "tag"]),
            ("pull_request_target", set::github_pull_request_target(), &target, &["pull_request"]),
            ("environment", set::github_environment(), &environment, &[]),
            ("environment with a colon", set::github_environment_with_colon(), &colon, &[]),
            ("reusable workflow", set::github_reusable_workflow(), &reusable, &[]),
            ("custom subject", set::github_custom_subject(), &custom, &[]),
            ("renamed", set::github_renamed(), &renamed, &[]),
            ("name taken over", set::github_name_taken_over(), &taken, &[]),
            ("push in a fork", set::github_fork_push(), &fork, &[]),
            ("sibling", set::github_sibling_repository(), &sibling, &[]),
        ],
    );
}

#[test]
fn gitlab_jobs() {
    use ci_claims as set;
    let ours = [("project_id", json!("20")), ("namespace_id", json!("72")), ("runner_id", json!("1"))];
    let main = [("branch", json!("main")), ("ref_protected", json!(true))];
    let protected = [&ours[..], &main].concat();
    let unprotected = [&ours[..], &[("branch", json!("feature-branch-1")), ("ref_protected", json!(false))]].concat();
    let tag = [&ours[..], &[("tag", json!("v1.2.3")), ("ref_protected", json!(true))]].concat();
    let environment =
        [&protected[..], &[("environment", json!("production")), ("environment_protected", json!(true))]].concat();
    let merge_request = [&unprotected[..], &[("pipeline_source", json!("merge_request_event"))]].concat();
    let fork = [
        ("project_id", json!("6660002")),
        ("job_project_id", json!("20")),
        ("project_path", json!("mallory/my-project")),
        ("branch", json!("main")),
        ("ref_protected", json!(false)),
        ("pipeline_source", json!("merge_request_event")),
    ];
    let reused =
        [&main[..], &[("project_path", json!("my-group/my-project")), ("project_id", json!("6660002"))]].concat();
    hold(
        IssuerKind::GITLAB,
        &[
            (
                "branch",
                set::gitlab_branch(),
                &protected,
                &["tag", "environment", "merge_request", "user_email", "groups_direct"],
            ),
            ("unprotected branch", set::gitlab_unprotected_branch(), &unprotected, &[]),
            ("tag", set::gitlab_tag(), &tag, &["branch"]),
            ("environment", set::gitlab_environment(), &environment, &[]),
            ("merge request", set::gitlab_merge_request(), &merge_request, &[]),
            ("merge request of a fork", set::gitlab_fork_merge_request(), &fork, &[]),
            ("reused path", set::gitlab_reused_path(), &reused, &[]),
        ],
    );
    for (git_ref, number) in [
        ("refs/merge-requests/7/head", Some(7)),
        ("refs/merge-requests/7/merge", Some(7)),
        ("refs/merge-requests/07/head", None),
        ("refs/merge-requests/7/x", None),
    ] {
        let subject = format!("project_path:my-group/my-project:ref_type:branch:ref:{git_ref}");
        let claims = set::with(set::gitlab_branch(), json!({"sub": subject, "ref": git_ref}));
        let attributes = attributes_of(&claims, IssuerKind::GITLAB).unwrap();
        assert_eq!(attributes.get("merge_request"), number.map(Value::from).as_ref(), "{git_ref}");
        assert_eq!(attributes.contains_key("branch"), number.is_none(), "{git_ref}");
    }
}

/// What a platform never writes: the subject says one thing, a claim another.
#[test]
fn claims_that_contradict_each_other_are_refused() {
    use ci_claims::{self as set, with};
    let github = [
        (with(set::github_push(), json!({"repository": "octo-org/other"})), "repository"),
        (
            with(set::github_push(), json!({"repository": "mallory/octo-repo", "repository_owner": "mallory"})),
            "repository",
        ),
        (with(set::github_push(), json!({"repository_owner": "mallory"})), "repository_owner"),
        (with(set::github_push_with_ids(), json!({"repository_id": "1"})), "repository_id"),
        (with(set::github_push_with_ids(), json!({"repository_owner_id": "1"})), "repository_owner_id"),
        (with(set::github_push_with_ids(), json!({"repository": "octo-org/other"})), "repository"),
        (with(set::github_push(), json!({"ref": "refs/heads/other"})), "ref"),
        (with(set::github_push(), json!({"ref": null})), "ref"),
        (with(set::github_environment(), json!({"environment": "staging"})), "environment"),
        (with(set::github_environment(), json!({"environment": null})), "environment"),
        (with(set::github_custom_subject(), json!({"repository": "octo-org/other"})), "repository"),
    ];
    for (claims, about) in github {
        let refused = attributes_of(&claims, IssuerKind::GITHUB).unwrap_err();
        assert!(matches!(refused, TokenError::Contradiction { second, .. } if second == about), "{about}: {refused}");
    }
    let gitlab = [
        (with(set::gitlab_branch(), json!({"project_path": "mallory/my-project"})), "project_path"),
        (with(set::gitlab_branch(), json!({"ref": "other"})), "ref"),
        (with(set::gitlab_branch(), json!({"ref_type": "tag"})), "ref_type"),
    ];
    for (claims, about) in gitlab {
        let refused = attributes_of(&claims, IssuerKind::GITLAB).unwrap_err();
        assert!(matches!(refused, TokenError::Contradiction { second, .. } if second == about), "{about}: {refused}");
    }
}

#[test]
fn what_is_legitimate_though_unusual_is_accepted() {
    use ci_claims::{self as set, with};
    let github = [
        (
            "case of names",
            with(set::github_push(), json!({"sub": "repo:Octo-Org/Octo-Repo:ref:refs/heads/main"})),
            "names",
        ),
        ("case of an environment", with(set::github_environment(), json!({"environment": "Production"})), "names"),
        (
            "an environment that a custom subject leaves out",
            with(set::github_push(), json!({"environment": "production"})),
            "names",
        ),
        (
            "ids alone",
            with(set::github_push(), json!({"sub": "repository_id:456789:repository_owner_id:123456"})),
            "custom",
        ),
        ("repository alone", with(set::github_push(), json!({"sub": "repo:octo-org/octo-repo"})), "custom"),
        ("a claim of its own", with(set::github_push(), json!({"sub": "octo-org:main"})), "custom"),
        (
            "a merge group",
            with(
                set::github_push(),
                json!({
                    "sub": "repo:octo-org/octo-repo:ref:refs/heads/gh-readonly-queue/main/pr-42-0a1b",
                    "ref": "refs/heads/gh-readonly-queue/main/pr-42-0a1b",
                    "event_name": "merge_group",
                }),
            ),
            "names",
        ),
        (
            "custom properties",
            with(set::github_push(), json!({"repo_property_team": "storage", "repo_property_tiers": ["1", "2"]})),
            "names",
        ),
        (
            "nothing that is optional",
            with(set::github_push(), json!({"check_run_id": null, "actor_id": null, "ref_protected": null})),
            "names",
        ),
    ];
    for (what, claims, form) in github {
        let attributes = attributes_of(&claims, IssuerKind::GITHUB).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(attributes["subject_form"], form, "{what}");
        for name in ["repo_property_team", "repo_property_tiers"] {
            assert_eq!(attributes.get(name), claims.get(name), "{what}");
        }
    }
    for subject in
        ["project_path:my-group/my-project", "project_path:my-group/my-project:environment_protected:true", "job_302"]
    {
        let claims = with(set::gitlab_branch(), json!({"sub": subject}));
        assert!(attributes_of(&claims, IssuerKind::GITLAB).is_ok(), "{subject}");
    }
    let no_runner = with(set::gitlab_environment(), json!({"runner_id": Value::Null}));
    assert!(attributes_of(&no_runner, IssuerKind::GITLAB).is_ok());
    let mut nulls = set::gitlab_environment();
    nulls.insert("deployment_tier".to_owned(), Value::Null);
    assert!(!attributes_of(&nulls, IssuerKind::GITLAB).unwrap().contains_key("deployment_tier"));
}

#[test]
fn a_claim_that_is_not_what_the_platform_writes_is_refused() {
    use ci_claims::{self as set, with};
    let github = [
        json!({"repository_id": "0x10"}),
        json!({"repository_id": "-1"}),
        json!({"repository_id": "456789 "}),
        json!({"repository_id": ""}),
        json!({"repository_id": "1".repeat(21)}),
        json!({"repository_id": null}),
        json!({"repository_owner_id": null}),
        json!({"repository": null}),
        json!({"repository": "octo-org"}),
        json!({"repository": "octo-org/octo-repo/x"}),
        json!({"repository": "octo-org@123456/octo-repo@456789"}),
        json!({"repository": ["octo-org/octo-repo"]}),
        json!({"actor_id": "root"}),
        json!({"run_id": 1.5}),
        json!({"ref": 1}),
        json!({"ref_protected": "yes"}),
        json!({"ref_protected": "True"}),
        json!({"ref_protected": 1}),
        json!({"environment": ["production"]}),
    ];
    for changes in github {
        let name = changes.as_object().unwrap().keys().next().unwrap().clone();
        let refused = attributes_of(&with(set::github_push(), changes.clone()), IssuerKind::GITHUB).unwrap_err();
        assert!(matches!(&refused, TokenError::Claim { claim, .. } if *claim == name), "{changes}: {refused}");
    }
    let gitlab = [
        json!({"project_id": "x"}),
        json!({"project_id": null}),
        json!({"namespace_path": null}),
        json!({"runner_id": -1}),
        json!({"runner_id": 1.5}),
        json!({"ref_protected": "1"}),
        json!({"environment_protected": ""}),
    ];
    for changes in gitlab {
        let name = changes.as_object().unwrap().keys().next().unwrap().clone();
        let refused = attributes_of(&with(set::gitlab_branch(), changes.clone()), IssuerKind::GITLAB).unwrap_err();
        assert!(matches!(&refused, TokenError::Claim { claim, .. } if *claim == name), "{changes}: {refused}");
    }
}

#[test]
fn further_claims_are_taken_as_they_are() {
    let listed = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    let gitlab = TrustedIssuer {
        claims: listed(&["groups_direct", "user_email", "absent", "ref_protected"]),
        ..trusted(IssuerKind::GITLAB)
    };
    let token_of = |claims: &Map<String, Value>, trusted: &TrustedIssuer| {
        verify(&token(claims), trusted).unwrap().attributes().clone()
    };
    let attributes = token_of(&ci_claims::gitlab_branch(), &gitlab);
    assert_eq!(attributes["groups_direct"], json!(["my-group/my-subgroup"]));
    assert_eq!(attributes["user_email"], "sample-user@example.com");
    assert_eq!(attributes["ref_protected"], true, "what is known keeps its form");
    assert!(!attributes.contains_key("absent"));

    let kubernetes = ci_claims::at(ci_claims::kubernetes_service_account(), "https://issuer.example", "second");
    let all = token_of(&kubernetes, &oidc());
    assert_eq!(all.keys().collect::<Vec<_>>(), ["sub", "kubernetes.io"]);
    assert_eq!(all["kubernetes.io"], kubernetes["kubernetes.io"]);
    let some = TrustedIssuer { claims: listed(&["sub", "jti"]), ..oidc() };
    assert_eq!(token_of(&kubernetes, &some).keys().collect::<Vec<_>>(), ["sub", "jti"]);
    let none = TrustedIssuer { claims: Some(vec![]), ..oidc() };
    assert!(token_of(&kubernetes, &none).is_empty());
    let own = TrustedIssuer { audience_list: true, ..oidc() };
    let kubernetes = ci_claims::with(ci_claims::kubernetes_service_account(), json!({"iss": "https://issuer.example"}));
    assert!(verify(&token(&kubernetes), &own).is_ok());
    assert_eq!(verify(&token(&kubernetes), &oidc()), Err(TokenError::AudienceList(1)));
}

#[test]
fn names_kinds_and_issuers_are_checked() {
    for bad in ["", "GitHub", "a b", "a_b", &"x".repeat(65)] {
        assert_eq!(bad.parse::<TrustedIssuerName>(), Err(InvalidTrustedIssuerName));
    }
    assert_eq!("a-1".parse::<TrustedIssuerName>().unwrap().to_string(), "a-1");
    assert_eq!("gitlab".parse::<IssuerKind>(), Ok(IssuerKind::GITLAB));
    assert!("github-actions".parse::<IssuerKind>().unwrap_err().to_string().contains("`github`"));
    for good in [
        "https://gitlab.example:8443/x/",
        "http://localhost:1",
        "http://127.0.0.1:8080/x",
        "https://a.example/",
        "https://Tenant.auth.example/",
        "https://[::1]",
        "https://[::1]:8443/path",
        "https://[2001:db8::1]/x:y",
        "http://[::1]:8080",
        "https://[::ffff:192.0.2.1]/",
    ] {
        assert_eq!(TrustedIssuerUrl::parse(good).unwrap().as_str(), good);
    }
    for bad in [
        "",
        "a.example",
        "ftp://a.example",
        "http://a.example",
        "http://127.0.0.1.attacker.example",
        "https://",
        "https://u@a.example",
        "https://a.example?x",
        "https://a.example#x",
        "https://a b",
        "https://a..b",
        "https://a.example:99999",
        "https://a.example:",
        "https://-a.example",
        "https://[::1",
        "https://::1",
        "https://::1]",
        "https://[::1]x",
        "https://[::1]:",
        "https://[::1]:99999",
        "https://[]",
        "https://[127.0.0.1]",
        "https://[a.example]",
        "https://[fe80::1%25eth0]",
        "https://a.example/[x]",
        "http://[2001:db8::1]",
    ] {
        assert!(TrustedIssuerUrl::parse(bad).is_err(), "{bad}");
    }
    assert!(matches!(
        TrustedIssuerUrl::parse(&format!("https://a.example/{}", "x".repeat(250))),
        Err(InvalidTrustedIssuerUrl::TooLong(_))
    ));
    for (text, host) in [
        ("https://a.example:8443/x", "a.example"),
        ("https://[::1]:8443/x", "::1"),
        ("https://[2001:db8::1]", "2001:db8::1"),
        ("https://192.0.2.1/a:b", "192.0.2.1"),
    ] {
        assert_eq!(TrustedIssuerUrl::parse(text).unwrap().host(), host);
    }
}
