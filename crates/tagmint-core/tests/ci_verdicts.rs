//! What rules say of CI jobs: platforms' claims against the rules of deploy/examples/ci-rules.toml, and against
//! rules that go by names, which admit strangers and are warned about.
//!
//! Every set of claims takes the whole way: signed by a platform, verified, turned into attributes, decided.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on ends here")]

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::json;
use tagmint_core::{
    identity::{IdentitySource, VerifiedIdentity},
    jwk::{Jwk, JwkSet},
    rules::{Denial, Grant, MintRequest, RuleConfig, RuleSet, TrustedIssuers},
    signing_key::{Algorithm, Signer as _},
    trusted_issuer::{
        IssuerKind, KeySet, TokenAlgorithm, TrustedIssuer, TrustedIssuerName, TrustedIssuerUrl, UnverifiedToken,
    },
};
use tagmint_testkit::{
    ci_claims::{self as claims, ClaimSet},
    keys,
};

const EXAMPLE: &str = include_str!("../../../deploy/examples/ci-rules.toml");

fn trusted_issuer(name: &str, kind: IssuerKind) -> TrustedIssuer {
    let name = TrustedIssuerName::parse(name).unwrap();
    let issuer = TrustedIssuerUrl::parse(kind.default_issuer().unwrap()).unwrap();
    let mut trusted = TrustedIssuer::new(name, kind, issuer, vec![claims::AUDIENCE.to_owned()]);
    trusted.algorithms = vec![TokenAlgorithm::Es256];
    trusted
}

fn trusted_issuers() -> [TrustedIssuer; 2] {
    [trusted_issuer("github", IssuerKind::GITHUB), trusted_issuer("gitlab", IssuerKind::GITLAB)]
}

fn rules(text: &str) -> RuleSet {
    #[derive(serde::Deserialize)]
    struct File {
        rule: Vec<RuleConfig>,
    }
    let issuers: TrustedIssuers = trusted_issuers().iter().collect();
    let configs = toml::from_str::<File>(text).unwrap().rule;
    RuleSet::compile(&configs, &issuers).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

/// The identity that a platform's token with these claims proves.
fn identity(claims: &ClaimSet) -> VerifiedIdentity {
    let key = keys::signing_key(Algorithm::Es256);
    let header = json!({"alg": "ES256", "typ": "JWT", "kid": key.kid().as_str()});
    let encode = |json: String| URL_SAFE_NO_PAD.encode(json);
    let mut token = format!("{}.{}", encode(header.to_string()), encode(serde_json::to_string(claims).unwrap()));
    let signature = key.sign(token.as_bytes()).unwrap();
    write!(token, ".{}", URL_SAFE_NO_PAD.encode(signature)).unwrap();
    let published = JwkSet { keys: vec![Jwk::new(key.public(), None)] };
    let key_set = KeySet::parse(serde_json::to_string(&published).unwrap().as_bytes()).unwrap();
    let token = UnverifiedToken::parse(&token).unwrap();
    let trusted = trusted_issuers().into_iter().find(|it| it.issuer.as_str() == token.issuer()).unwrap();
    let now = Timestamp::from_second(claims::ISSUED_AT + 1).unwrap();
    token.verify(&trusted, &key_set, now).unwrap_or_else(|error| panic!("{error}: {claims:?}")).into_identity()
}

fn decide(rules: &RuleSet, claims: &ClaimSet) -> Result<Grant, Denial> {
    rules.decide(&identity(claims), &MintRequest::default()).result
}

/// The rule and its prefix, or the refusal's code.
fn verdict(rules: &RuleSet, claims: &ClaimSet) -> String {
    match decide(rules, claims) {
        Ok(grant) => {
            let tags = serde_json::to_value(&grant.tags).unwrap();
            let prefix = tags["principal_tags"]["prefix"][0].as_str().unwrap_or("-");
            format!("{} {prefix}", grant.rule)
        }
        Err(denial) => denial.code().to_owned(),
    }
}

fn moved(claims: ClaimSet, changes: serde_json::Value) -> ClaimSet {
    claims::with(claims, changes)
}

/// Every case of both platforms, with what the example's rules say of it.
fn cases() -> Vec<(&'static str, ClaimSet, &'static str)> {
    let branch = |name: &str| {
        let git_ref = format!("refs/heads/{name}");
        moved(
            claims::github_push(),
            json!({"sub": format!("repo:octo-org/octo-repo:ref:{git_ref}"), "ref": git_ref, "ref_protected": "false"}),
        )
    };
    vec![
        ("GitHub: main, old subject", claims::github_push(), "github-main github/456789/main"),
        ("GitHub: main, subject with ids", claims::github_push_with_ids(), "github-main github/456789/main"),
        ("GitHub: main, custom subject", claims::github_custom_subject(), "github-main github/456789/main"),
        (
            "GitHub: main, another's reusable workflow",
            claims::github_reusable_workflow(),
            "github-main github/456789/main",
        ),
        ("GitHub: renamed, the ids stay", claims::github_renamed(), "github-main github/456789/main"),
        ("GitHub: owner and name taken over", claims::github_name_taken_over(), "no_rule"),
        ("GitHub: a fork's own push", claims::github_fork_push(), "no_rule"),
        ("GitHub: another repository of the owner", claims::github_sibling_repository(), "no_rule"),
        ("GitHub: pull_request_target", claims::github_pull_request_target(), "no_rule"),
        (
            "GitHub: pull_request_target in the environment",
            moved(
                claims::github_environment(),
                json!({"event_name": "pull_request_target", "actor": "mallory", "actor_id": "666"}),
            ),
            "no_rule",
        ),
        ("GitHub: the environment", claims::github_environment(), "github-production github/456789/production"),
        (
            "GitHub: another environment is main's job",
            claims::github_environment_with_colon(),
            "github-main github/456789/main",
        ),
        ("GitHub: a pull request", claims::github_pull_request(), "github-pull-request github/456789/pr/42"),
        (
            "GitHub: a pull request of a branch called main",
            moved(claims::github_pull_request(), json!({"head_ref": "main"})),
            "github-pull-request github/456789/pr/42",
        ),
        ("GitHub: a version's tag", claims::github_tag(), "github-release github/456789/release/v1.2.3"),
        (
            "GitHub: a tag that only contains a version",
            moved(
                claims::github_tag(),
                json!({"sub": "repo:octo-org/octo-repo:ref:refs/tags/v1.2.3/../main", "ref": "refs/tags/v1.2.3/../main"}),
            ),
            "no_rule",
        ),
        (
            "GitHub: a branch",
            claims::github_feature_branch(),
            "github-branch github/456789/branch/feature-login-df7c7aeb3560d333",
        ),
        ("GitHub: a branch with a plain name", branch("topic"), "github-branch github/456789/branch/topic"),
        (
            "GitHub: a branch that would be another's prefix",
            branch("../main"),
            "github-branch github/456789/branch/main-485d6d6b265d5684",
        ),
        ("GitHub: a branch of nothing but signs", branch("---"), "template_error"),
        ("GitLab: protected main", claims::gitlab_branch(), "gitlab-main gitlab/20/main"),
        (
            "GitLab: main, no longer protected",
            moved(claims::gitlab_branch(), json!({"ref_protected": "false"})),
            "no_rule",
        ),
        ("GitLab: a branch that nothing protects", claims::gitlab_unprotected_branch(), "no_rule"),
        (
            "GitLab: a tag called main",
            moved(
                claims::gitlab_tag(),
                json!({
                    "sub": "project_path:my-group/my-project:ref_type:tag:ref:main",
                    "ref": "main",
                    "ref_path": "refs/tags/main",
                }),
            ),
            "no_rule",
        ),
        ("GitLab: the environment", claims::gitlab_environment(), "gitlab-production gitlab/20/production"),
        (
            "GitLab: an environment of that name that nothing protects",
            moved(claims::gitlab_environment(), json!({"environment_protected": "false", "ref_protected": "false"})),
            "no_rule",
        ),
        (
            "GitLab: a merge request",
            claims::gitlab_merge_request(),
            "gitlab-merge-request gitlab/20/mr/feature-branch-1",
        ),
        ("GitLab: a fork's merge request", claims::gitlab_fork_merge_request(), "no_rule"),
        ("GitLab: a path that was used again", claims::gitlab_reused_path(), "no_rule"),
    ]
}

#[test]
fn the_example_has_no_warnings() {
    let rules = rules(EXAMPLE);
    assert_eq!(rules.warnings(), []);
    assert_eq!(rules.names().count(), 8);
}

#[test]
fn the_example_gives_each_job_its_own() {
    let rules = rules(EXAMPLE);
    for (what, claims, expected) in cases() {
        assert_eq!(verdict(&rules, &claims), expected, "{what}");
    }
}

#[test]
fn a_request_cannot_leave_its_prefix() {
    let rules = rules(EXAMPLE);
    for (what, claims, expected) in cases() {
        let tags = [("prefix".to_owned(), "github/456789/production".to_owned())].into();
        let request = MintRequest { tags, ..MintRequest::default() };
        let granted = rules.decide(&identity(&claims), &request).result.is_ok();
        assert_eq!(granted, expected.starts_with("github-production"), "{what}");
    }
}

/// A rule as one would write it, the stranger that it admits, and the warning about it.
struct Naive {
    rule: &'static str,
    admits: fn() -> ClaimSet,
    verdict: &'static str,
    warning: &'static str,
}

const NAIVE: &[Naive] = &[
    Naive {
        rule: "from = 'github'\nmatch.repository = 'octo-org/octo-repo'",
        admits: claims::github_name_taken_over,
        verdict: "naive -",
        warning: "name-without-id",
    },
    Naive {
        rule: "from = 'github'\nmatch.repository_owner = 'octo-org'",
        admits: claims::github_name_taken_over,
        verdict: "naive -",
        warning: "name-without-id",
    },
    Naive {
        rule: "from = 'github'\nmatch.repository_owner_id = '123456'",
        admits: claims::github_sibling_repository,
        verdict: "naive -",
        warning: "owner-without-repository",
    },
    Naive {
        rule: "from = 'github'\nwhen = 'repository.contains(\"octo-repo\")'",
        admits: claims::github_fork_push,
        verdict: "naive -",
        warning: "nothing-bound",
    },
    Naive {
        rule: "from = 'github'\nwhen = 'repository.matches(\"octo-repo$\")'",
        admits: claims::github_fork_push,
        verdict: "naive -",
        warning: "nothing-bound",
    },
    Naive {
        rule: "from = 'github'\nmatch.ref = 'refs/heads/main'",
        admits: claims::github_fork_push,
        verdict: "naive -",
        warning: "nothing-bound",
    },
    Naive {
        rule: "from = 'github'\nmatch = { repository_id = '456789', ref = 'refs/heads/main' }",
        admits: claims::github_pull_request_target,
        verdict: "naive -",
        warning: "pull-request-target",
    },
    Naive {
        rule: "from = 'github'\nmatch.job_workflow_ref = 'octo-automation/workflows/**'",
        admits: strangers_call_of_a_workflow,
        verdict: "naive -",
        warning: "workflow-without-repository",
    },
    Naive {
        rule: "from = 'github'\n\
               match = { repository_id = '456789', event_name = 'push', branch = { present = true } }\n\
               tags.prefix = 'ci/${branch}'",
        admits: claims::github_feature_branch,
        verdict: "naive ci/feature/login",
        warning: "shapeable-value",
    },
    Naive {
        rule: "from = 'github'\nmatch = { repository_id = '456789', event_name = 'push', branch = 'feature/**' }\n\
               tags.prefix = 'ci/${branch}'",
        admits: claims::github_feature_branch,
        verdict: "naive ci/feature/login",
        warning: "shapeable-value",
    },
    Naive {
        rule: "from = 'github'\n\
               match = { repository_id = '456789', event_name = 'push', branch = { present = true } }\n\
               tags.prefix = 'ci/${repository_id}${slug(branch)}'",
        admits: branch_of_digits,
        verdict: "naive ci/4567890",
        warning: "shapeable-value",
    },
    Naive {
        rule: "from = 'github'\n\
               match = { repository_owner_id = '123456', event_name = 'push', branch = { present = true } }\n\
               tags.prefix = 'ci/${slug(branch)}'\ntags.repository = '${repository_id}'",
        admits: claims::github_sibling_repository,
        verdict: "naive ci/main",
        warning: "owner-without-repository",
    },
    Naive {
        rule: "from = 'github'\nwhen = 'sub.matches(\"^repository_id:4567.*$\")'",
        admits: another_ids_beginning,
        verdict: "naive -",
        warning: "nothing-bound",
    },
    Naive {
        rule: "from = 'github'\nmatch.sub = 'repo:octo-org/octo-repo:ref:refs/heads/main'",
        admits: name_taken_over_with_the_old_subject,
        verdict: "naive -",
        warning: "name-without-id",
    },
    Naive {
        rule: "from = 'gitlab'\nmatch.project_path = 'my-group/my-project'",
        admits: claims::gitlab_reused_path,
        verdict: "naive -",
        warning: "name-without-id",
    },
    Naive {
        rule: "from = 'gitlab'\nmatch.pipeline_source = 'merge_request_event'",
        admits: claims::gitlab_fork_merge_request,
        verdict: "naive -",
        warning: "nothing-bound",
    },
    Naive {
        rule: "from = 'gitlab'\nmatch = { project_id = '20', branch = 'feature-branch-1' }",
        admits: claims::gitlab_unprotected_branch,
        verdict: "naive -",
        warning: "unprotected-ref",
    },
];

/// A branch whose name looks like the end of an id.
fn branch_of_digits() -> ClaimSet {
    moved(
        claims::github_push(),
        json!({"sub": "repo:octo-org/octo-repo:ref:refs/heads/0", "ref": "refs/heads/0", "ref_protected": "false"}),
    )
}

/// A repository that was made under a name that somebody else had before, and whose owner kept the subject without ids.
fn name_taken_over_with_the_old_subject() -> ClaimSet {
    moved(claims::github_name_taken_over(), json!({"sub": "repo:octo-org/octo-repo:ref:refs/heads/main"}))
}

/// A subject of a repository whose id begins like the one that is meant.
fn another_ids_beginning() -> ClaimSet {
    moved(claims::github_custom_subject(), json!({"sub": "repository_id:45678", "repository_id": "45678"}))
}

fn strangers_call_of_a_workflow() -> ClaimSet {
    moved(
        claims::github_fork_push(),
        json!({"job_workflow_ref": "octo-automation/workflows/.github/workflows/deploy.yml@refs/heads/main"}),
    )
}

#[test]
fn naive_rules_admit_strangers_and_are_warned_about() {
    for Naive { rule, admits, verdict: expected, warning } in NAIVE {
        let text = format!("[[rule]]\nname = 'naive'\nsubject = 'naive-job'\n{rule}\n");
        let rules = rules(&text);
        assert_eq!(verdict(&rules, &admits()), *expected, "{rule}");
        let ids: Vec<&str> = rules.warnings().iter().map(|warning| warning.id.as_str()).collect();
        assert!(ids.contains(warning), "{rule}: {ids:?}");
    }
}

#[test]
fn a_rule_takes_no_identity_of_another_trusted_issuer() {
    let text = "[[rule]]\nname = 'one'\nfrom = 'gitlab'\nsubject = 'one-only'\n";
    let rules = rules(text);
    assert_eq!(verdict(&rules, &claims::gitlab_branch()), "one -");
    assert_eq!(verdict(&rules, &claims::github_push()), "no_rule");
    // The same claims, for which another or no trusted issuer vouches.
    let of_gitlab = identity(&claims::gitlab_branch());
    let other = TrustedIssuerName::parse("github").unwrap();
    let of_another = VerifiedIdentity { trusted_issuer: Some(other), ..of_gitlab.clone() };
    let of_a_bearer_token =
        VerifiedIdentity { trusted_issuer: None, source: IdentitySource::Bearer, ..of_gitlab.clone() };
    let of_none = VerifiedIdentity { trusted_issuer: None, ..of_gitlab };
    for identity in [of_another, of_a_bearer_token, of_none] {
        let denial = rules.decide(&identity, &MintRequest::default()).result.unwrap_err();
        assert_eq!(denial.code(), "no_rule", "{identity:?}");
    }
}

#[test]
fn claims_are_matched_by_their_whole_value() {
    let rule = |matches: &str| {
        rules(&format!("[[rule]]\nname = 'one'\nfrom = 'github'\nmatch = {{ {matches} }}\nsubject = 'one-only'\n"))
    };
    for (matches, takes) in [
        ("repository_id = '456789'", true),
        ("repository_id = 456789", true),
        ("repository_id = '45678'", false),
        ("repository_id = ['1', '456789']", true),
        ("repository_id = ['1', '2']", false),
        ("repository = 'octo-org/octo-repo'", true),
        ("repository = 'octo-org/octo-REPO'", false),
        ("branch = 'ma*'", true),
        ("branch = 'main*'", true),
        ("branch = '*'", true),
        ("ref = '*'", false),
        ("ref = '**'", true),
        ("branch = { exact = 'ma*' }", false),
        ("branch = { present = true }", true),
        ("branch = { absent = true }", false),
        ("environment = { absent = true }", true),
        ("environment = 'production'", false),
        ("'/repository_id' = '456789'", true),
    ] {
        let expected = if takes { "one -" } else { "no_rule" };
        assert_eq!(verdict(&rule(matches), &claims::github_push()), expected, "{matches}");
    }
}
