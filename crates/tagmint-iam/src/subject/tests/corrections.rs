//! Values that no subject of the token's form can have, and what they should be.

use super::*;

/// A value, the token's subject, and what the value should be; none where it is a well-formed value for another subject.
fn corrections(url: &str, cases: &[(&str, &str, Option<&str>)]) {
    let mut wrong = Vec::new();
    for (value, token, expected) in cases {
        let like = if value.contains(['*', '?']) { LIKE } else { EQUALS };
        let found = flaw(url, token, value, like);
        if found.as_ref().map(|flaw| flaw.corrected.as_str()) != *expected {
            wrong.push(format!("{value}: wanted {expected:?}, found {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn github_subjects_are_corrected() {
    const MAIN: &str = "repo:acme/app:ref:refs/heads/main";
    const PULL: &str = "repo:acme/app:pull_request";
    const PROD: &str = "repo:acme/app:environment:prod";
    const IDS: &str = "repo:acme@12/app@34:ref:refs/heads/main";
    corrections(
        GITHUB,
        &[
            // Without an end.
            ("repo:acme/app", MAIN, Some(MAIN)),
            ("repo:acme/app", PULL, Some(PULL)),
            ("repo:acme/app:", MAIN, Some(MAIN)),
            ("repo:acme/app/", MAIN, Some(MAIN)),
            ("repo:acme@12/app@34", IDS, Some(IDS)),
            ("repo:acme/app", IDS, Some(IDS)),
            ("repo:acme", MAIN, Some(MAIN)),
            ("repo:acme:*", MAIN, Some("repo:acme/*")),
            // Separators.
            ("repo:acme/app/*", MAIN, Some("repo:acme/app:*")),
            ("repo:acme/app/ref:refs/heads/*", MAIN, Some("repo:acme/app:ref:refs/heads/*")),
            ("repo:acme/app/ref/refs/heads/main", MAIN, Some(MAIN)),
            ("repo:acme/app/environment/prod", PROD, Some(PROD)),
            ("repo:acme:app:ref:refs/heads/main", MAIN, Some(MAIN)),
            ("repo/acme/app:ref:refs/heads/main", MAIN, Some(MAIN)),
            ("repo:/acme/app:*", MAIN, Some("repo:acme/app:*")),
            ("repo:acme/app::*", MAIN, Some("repo:acme/app:*")),
            ("repo:acme/app::ref:refs/heads/main", MAIN, Some(MAIN)),
            ("repo:acme/app:environment=prod", PROD, Some(PROD)),
            // Refs.
            ("repo:acme/app:ref:main", MAIN, Some(MAIN)),
            ("repo:acme/app:ref:heads/main", MAIN, Some(MAIN)),
            ("repo:acme/app:ref:refs/main", MAIN, Some(MAIN)),
            ("repo:acme/app:ref:refs/head/main", MAIN, Some(MAIN)),
            ("repo:acme/app:ref:/refs/heads/main", MAIN, Some(MAIN)),
            ("repo:acme/app:refs/heads/main", MAIN, Some(MAIN)),
            ("repo:acme/app:refs/heads/*", MAIN, Some("repo:acme/app:ref:refs/heads/*")),
            ("repo:acme/app:heads/main", MAIN, Some(MAIN)),
            ("repo:acme/app:branch:main", MAIN, Some(MAIN)),
            ("repo:acme/app:main", MAIN, Some(MAIN)),
            ("repo:acme/app:ref:v1", "repo:acme/app:ref:refs/tags/v1", Some("repo:acme/app:ref:refs/tags/v1")),
            ("repo:acme/app:ref:tags/*", "repo:acme/app:ref:refs/tags/v1", Some("repo:acme/app:ref:refs/tags/*")),
            ("repo:acme/app:ref_type:branch:ref:main", MAIN, Some(MAIN)),
            // The beginning.
            ("acme/app:ref:refs/heads/main", MAIN, Some(MAIN)),
            ("acme/app:*", MAIN, Some("repo:acme/app:*")),
            ("acme/app", MAIN, Some(MAIN)),
            ("repository:acme/app:ref:refs/heads/main", MAIN, Some(MAIN)),
            ("repos:acme/app:*", MAIN, Some("repo:acme/app:*")),
            ("sub:repo:acme/app:*", MAIN, Some("repo:acme/app:*")),
            ("Repo:acme/app:*", MAIN, Some("repo:acme/app:*")),
            ("repo:https://github.com/acme/app:*", MAIN, Some("repo:acme/app:*")),
            ("https://github.com/acme/app:*", MAIN, Some("repo:acme/app:*")),
            ("repo:acme/app.git:*", MAIN, None),
            // Environments and pull requests.
            ("repo:acme/app:env:prod", PROD, Some(PROD)),
            ("repo:acme/app:environments:prod", PROD, Some(PROD)),
            ("repo:acme/app:prod", PROD, Some(PROD)),
            ("repo:acme/app:ref:refs/heads/main:environment:prod", PROD, Some(PROD)),
            ("repo:acme/app:environment:prod:ref:refs/heads/main", PROD, Some(PROD)),
            (
                "repo:acme/app:environment:eu:prod",
                "repo:acme/app:environment:eu%3Aprod",
                Some("repo:acme/app:environment:eu%3Aprod"),
            ),
            (
                "repo:acme/app:environment:my%20env",
                "repo:acme/app:environment:my env",
                Some("repo:acme/app:environment:my env"),
            ),
            ("repo:acme/app:pull-request", PULL, Some(PULL)),
            ("repo:acme/app:pull_requests", PULL, Some(PULL)),
            ("repo:acme/app:pull_request:*", PULL, Some(PULL)),
            ("repo:acme/app:event_name:pull_request", PULL, Some(PULL)),
            ("repo:acme/app:pull_request:ref:refs/heads/main", PULL, Some(PULL)),
            // Other spellings.
            (" repo:acme/app:*", MAIN, Some("repo:acme/app:*")),
            ("repo:acme/app:ref:refs/heads/main ", MAIN, Some(MAIN)),
            ("repo: acme/app:*", MAIN, Some("repo:acme/app:*")),
            ("^repo:acme/app:.*$", MAIN, Some("repo:acme/app:*")),
            ("\"repo:acme/app:*\"", MAIN, Some("repo:acme/app:*")),
            ("repo:acme\\/app:*", MAIN, Some("repo:acme/app:*")),
            ("repo:<ORG>/<REPO>:*", MAIN, Some(MAIN)),
            ("repo:acme/app@main:*", MAIN, Some("repo:acme/app:*")),
            // Other values, whose form is right.
            ("repo:acme/other:ref:refs/heads/main", MAIN, None),
            ("repo:acme/app:environment:prod", MAIN, None),
            ("repo:acme/app:pull_request", MAIN, None),
            ("repo:acme@12/app@34:*", MAIN, None),
            ("repo:acme/*", IDS, None),
            // The form is right once corrected, the repository another.
            ("repo:acme/other/*", MAIN, Some("repo:acme/other:*")),
        ],
    );
    // Under StringLike, too, what lacks its end does not become a pattern for the owner.
    assert_eq!(flaw(GITHUB, MAIN, "repo:acme", LIKE).map(|flaw| flaw.corrected).as_deref(), Some(MAIN));
    let other = flaw(GITHUB, MAIN, "repo:acme/other/*", LIKE).unwrap();
    assert!(!other.admits && other.fix(MAIN).contains("does not admit this token either"), "{other:?}");
}

#[test]
fn customized_github_subjects_are_another_template() {
    let main = "repo:acme/app:ref:refs/heads/main";
    let workflow = "repo:acme/app:job_workflow_ref:acme/ops/.github/workflows/d.yml@refs/heads/main";
    for value in [workflow, "repository_id:34", "repository_owner:acme"] {
        let found = flaw(GITHUB, main, value, EQUALS).unwrap();
        assert!(found.why.contains("include_claim_keys") && found.remark.contains("include_claim_keys"), "{found:?}");
        assert_eq!(found.corrected, main, "{value}");
        assert_eq!(never_matches(GITHUB, main, value, EQUALS), None, "a repository with that template has it");
    }
    let by_id = flaw(GITHUB, "repository_id:34", "repo:acme/app:*", LIKE).unwrap();
    assert_eq!(by_id.corrected, "repository_id:34", "{by_id:?}");
    // These have no claim that only customized subjects have.
    for value in ["repo:acme/app:pull_request:*", "repo:acme/app:ref:refs/heads/main:environment:prod", "repo:acme/app"]
    {
        let found = flaw(GITHUB, main, value, LIKE).unwrap();
        assert!(!found.why.contains("include_claim_keys"), "{found:?}");
    }
    let found = flaw(GITHUB, workflow, main, EQUALS).unwrap();
    assert_eq!(found.corrected, workflow, "{found:?}");
    assert_eq!(flaw(GITHUB, workflow, "repo:acme/app:job_workflow_ref:acme/ops/.github/workflows/e.yml@*", LIKE), None);
}

#[test]
fn wildcards_under_equals_are_characters() {
    let found = flaw(GITHUB, "repo:acme/app:ref:refs/heads/main", "repo:acme/other:*", EQUALS).unwrap();
    assert!(found.why.contains("plain characters") && found.corrected == "repo:acme/other:*", "{found:?}");
}

#[test]
fn letters_case_may_not_count() {
    let fold = Spelling { like: false, fold: true };
    assert_eq!(flaw(GITHUB, "repo:acme/app:ref:refs/heads/main", "Repo:Acme/App:ref:refs/heads/dev", fold), None);
    assert!(flaw(GITHUB, "repo:acme/app:ref:refs/heads/main", "Repo:Acme/App", fold).is_some());
}

#[test]
fn gitlab_subjects_are_corrected() {
    const MAIN: &str = "project_path:acme/tools/app:ref_type:branch:ref:main";
    const TAG: &str = "project_path:acme/tools/app:ref_type:tag:ref:v1";
    corrections(
        "gitlab.com",
        &[
            ("project_path:acme/tools/app:ref:main", MAIN, Some(MAIN)),
            ("project_path:acme/tools/app:ref_type:branch:ref:refs/heads/main", MAIN, Some(MAIN)),
            ("project_path:acme/tools/app:ref:refs/heads/main", MAIN, Some(MAIN)),
            ("project_path:acme/tools/app:ref:refs/tags/v1", TAG, Some(TAG)),
            ("project_path:acme/tools/app:branch:main", MAIN, Some(MAIN)),
            ("project_path:acme/tools/app:ref_type:branch:main", MAIN, Some(MAIN)),
            ("project_path:acme/tools/app:ref_type:branches:ref:main", MAIN, Some(MAIN)),
            ("project_path:acme/tools/app", MAIN, Some(MAIN)),
            ("project_path:acme/tools/app:main", MAIN, Some(MAIN)),
            ("acme/tools/app:ref_type:branch:ref:main", MAIN, Some(MAIN)),
            ("project:acme/tools/app:ref_type:branch:ref:main", MAIN, Some(MAIN)),
            ("repo:acme/tools/app:ref:refs/heads/main", MAIN, Some(MAIN)),
            ("project_path:/acme/tools/app:*", MAIN, Some("project_path:acme/tools/app:*")),
            ("project_path:https://gitlab.com/acme/tools/app:*", MAIN, Some("project_path:acme/tools/app:*")),
            ("project_path:acme/tools/app:environment:prod", MAIN, Some(MAIN)),
            ("project_path:acme/tools/app:ref_type:branch:ref:dev", MAIN, None),
            ("project_path:acme/other:ref_type:branch:ref:main", MAIN, None),
            ("project_path:acme/tools/app:ref_type:tag:ref:*", MAIN, None),
        ],
    );
}

#[test]
fn terraform_subjects_are_corrected() {
    const PLAN: &str = "organization:acme:project:Default Project:workspace:dev:run_phase:plan";
    corrections(
        "app.terraform.io",
        &[
            (
                "organization:acme:workspace:dev:run_phase:*",
                PLAN,
                Some("organization:acme:project:Default Project:workspace:dev:run_phase:*"),
            ),
            (
                "organization:acme:workspace:*:run_phase:plan",
                PLAN,
                Some("organization:acme:project:Default Project:workspace:*:run_phase:plan"),
            ),
            ("organization:acme:project:Default Project:workspace:dev", PLAN, Some(PLAN)),
            (
                "organization:acme:project:*:workspace:dev",
                PLAN,
                Some("organization:acme:project:*:workspace:dev:run_phase:*"),
            ),
            (
                "organization:acme:project:Default%20Project:workspace:dev:run_phase:*",
                PLAN,
                Some("organization:acme:project:Default Project:workspace:dev:run_phase:*"),
            ),
            ("org:acme:project:Default Project:workspace:dev:run_phase:plan", PLAN, Some(PLAN)),
            ("acme:project:Default Project:workspace:dev:run_phase:plan", PLAN, Some(PLAN)),
            ("organization/acme/project/Default Project/workspace/dev/run_phase/plan", PLAN, Some(PLAN)),
            ("organization:acme:workspace:dev:project:Default Project:run_phase:plan", PLAN, Some(PLAN)),
            ("organization:acme:project:Default Project:workspace:dev:plan", PLAN, Some(PLAN)),
            ("organization:acme:project:core:workspace:dev:run_phase:plan", PLAN, None),
            ("organization:acme:project:*:workspace:*:run_phase:apply", PLAN, None),
        ],
    );
    let old = "organization:acme:workspace:dev:run_phase:plan";
    let found = flaw("tfe.example.com", old, "organization:acme:project:core:workspace:dev:run_phase:plan", EQUALS);
    assert_eq!(found, None, "an older server of another name is not known by its subject");
    let found =
        flaw("app.terraform.io", old, "organization:acme:project:core:workspace:dev:run_phase:*", LIKE).unwrap();
    assert_eq!(found.corrected, "organization:acme:workspace:dev:run_phase:*", "{found:?}");
}

#[test]
fn other_platforms_subjects_are_corrected() {
    let build = subject("agent.buildkite.com");
    corrections(
        "agent.buildkite.com",
        &[
            ("organization:acme:pipeline:app", build, Some(build)),
            ("organization:acme:pipeline:app/*", build, Some("organization:acme:pipeline:app:*")),
            (
                "organization:acme:pipeline:app:ref:main:*",
                build,
                Some("organization:acme:pipeline:app:ref:refs/heads/main:*"),
            ),
            ("org:acme:pipeline:app:*", build, Some("organization:acme:pipeline:app:*")),
            ("organization\\:acme\\:pipeline\\:app\\:*", build, Some("organization:acme:pipeline:app:*")),
            ("acme:pipeline:app:*", build, Some("organization:acme:pipeline:app:*")),
            ("organization/acme/pipeline/app/*", build, Some("organization:acme:pipeline:app:*")),
            ("organization:acme:pipeline:web:*", build, None),
        ],
    );
    let run = subject("demo.app.spacelift.io");
    corrections(
        "demo.app.spacelift.io",
        &[
            ("space:production:stack:infra", run, Some(run)),
            ("space:production/stack:infra:*", run, Some("space:production:stack:infra:*")),
            ("space/production/stack/infra/*", run, Some("space:production:stack:infra:*")),
            ("stack:infra:*", run, Some("space:production:stack:infra:*")),
            ("space:production:stack:infra:run-type:TRACKED:scope:write", run, Some(run)),
            (
                "space:production:space_path:/root/production:stack:infra:*",
                run,
                Some("space:production:stack:infra:run_type:TRACKED:scope:write"),
            ),
            ("space:production:stack:web:*", run, None),
        ],
    );
    let pod = subject(EKS);
    corrections(
        EKS,
        &[
            ("system:serviceaccount:team/deploy", pod, Some(pod)),
            ("system:serviceaccount/team/deploy", pod, Some(pod)),
            ("serviceaccount:team:deploy", pod, Some(pod)),
            ("team:deploy", pod, Some(pod)),
            ("team/deploy", pod, Some(pod)),
            ("system:serviceaccounts:team:deploy", pod, Some(pod)),
            ("system:service-account:team:deploy", pod, Some(pod)),
            ("system:serviceaccount:team", pod, Some(pod)),
            ("system:serviceaccount:deploy", pod, Some(pod)),
            ("System:ServiceAccount:team:deploy", pod, Some(pod)),
            ("system:serviceaccount:team:other", pod, None),
            ("system:serviceaccount:*:other", pod, None),
        ],
    );
    let step = subject(BITBUCKET);
    corrections(
        BITBUCKET,
        &[
            ("11aa:*", step, Some("{11aa}:*")),
            ("{11aa}", step, Some(step)),
            ("acme/app:*", step, Some("{11aa}:*")),
            ("{33cc}:*", step, None),
        ],
    );
}

#[test]
fn circleci_subjects_of_the_other_token_are_carried_over() {
    let first = "org/6b37/project/22aa/user/33bb";
    let second = "org/6b37/project/22aa/user/33bb/vcs-origin/github.com/acme/app/vcs-ref/refs/heads/main";
    let value = "org/6b37/project/*/user/*/vcs-origin/github.com/acme/*/vcs-ref/refs/heads/main";
    let found = flaw(CIRCLE, first, value, LIKE).unwrap();
    assert_eq!(found.corrected, "org/6b37/project/22aa/user/*", "the project is pinned in place of the origin");
    assert!(
        found.remark.contains("$CIRCLE_OIDC_TOKEN_V2") && found.remark.contains("vcs-origin and vcs-ref"),
        "{found:?}"
    );
    corrections(
        CIRCLE,
        &[
            (first, second, Some(second)),
            ("org/6b37/project/22aa", first, Some(first)),
            ("org:6b37:project:22aa:user:*", first, Some("org/6b37/project/22aa/user/*")),
            ("organization/6b37/project/22aa/user/*", first, Some("org/6b37/project/22aa/user/*")),
            (
                "org/6b37/project/22aa/user/*/vcs-origin/https://github.com/acme/app/vcs-ref/*",
                second,
                Some("org/6b37/project/22aa/user/*/vcs-origin/github.com/acme/app/vcs-ref/*"),
            ),
            (
                "org/6b37/project/22aa/user/*/vcs-origin/github.com/acme/app/vcs-ref/main",
                second,
                Some("org/6b37/project/22aa/user/*/vcs-origin/github.com/acme/app/vcs-ref/refs/heads/main"),
            ),
            ("org/6b37/project/44dd/user/*", first, None),
            ("org/6b37/project/22aa/user/*", second, None),
        ],
    );
}

#[test]
fn unknown_issuers_are_not_judged() {
    assert_eq!(flaw("id.example.com", "wallet:0xa", "repo:acme/app", EQUALS), None);
    assert_eq!(flaw(GITHUB, "something:else", "repo:acme/app", EQUALS), None);
    assert_eq!(flaw(GITHUB, "repo:acme/app:ref:refs/heads/main", "repo:${aws:RequestTag/repo}", LIKE), None);
}
