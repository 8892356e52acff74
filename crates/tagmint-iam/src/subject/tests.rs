mod corrections;

use super::{breadth::Breadth, flaw::Spelling, platforms::ALL, reading::Part, *};

const GITHUB: &str = "token.actions.githubusercontent.com";
const LIKE: Spelling = Spelling { like: true, fold: false };
const EQUALS: Spelling = Spelling { like: false, fold: false };
const CIRCLE: &str = "oidc.circleci.com/org/6b37";
const EKS: &str = "oidc.eks.eu-central-1.amazonaws.com/id/0123456789ABCDEF";
const BITBUCKET: &str = "api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc";

/// A subject of each issuer.
fn subject(url: &str) -> &'static str {
    match url {
        GITHUB => "repo:acme/app:ref:refs/heads/main",
        "gitlab.com" => "project_path:acme/tools/app:ref_type:branch:ref:main",
        "app.terraform.io" => "organization:acme:project:Default Project:workspace:dev:run_phase:plan",
        "agent.buildkite.com" => "organization:acme:pipeline:app:ref:refs/heads/main:commit:9f9f:step:deploy",
        "demo.app.spacelift.io" => "space:production:stack:infra:run_type:TRACKED:scope:write",
        CIRCLE => "org/6b37/project/22aa/user/33bb",
        EKS => "system:serviceaccount:team:deploy",
        BITBUCKET => "{11aa}:{22bb}",
        "vstoken.dev.azure.com/0f" => "sc://acme/app/prod",
        "acme.eu.auth0.com/" => "auth0|5f7c",
        _ => "wallet:0xa",
    }
}

#[test]
fn templates_have_segments_of_the_table() {
    for platform in ALL {
        let starts = platform.forms.iter().flat_map(|form| form.start.iter().chain(form.then));
        let claims = platform.claims.iter().map(|(_, template)| template);
        for template in starts.chain(claims) {
            let named = template.matches('<').count();
            let found = platform.parts(template).iter().filter(|part| matches!(part, Part::Field(_))).count();
            assert_eq!(named, found, "{}: {template}", platform.name);
        }
    }
}

#[test]
fn every_pattern_is_judged_whole() {
    use Breadth::{All, AnyRef, Narrow, Several};
    let cases: &[(&str, &str, Breadth)] = &[
        (GITHUB, "*", All),
        (GITHUB, "??*", All),
        (GITHUB, "*:acme", All),
        (GITHUB, "repo:*", All),
        (GITHUB, "r*", All),
        (GITHUB, "repo:?*/app:*", All),
        (GITHUB, "repo:*/app:ref:refs/heads/main", All),
        (GITHUB, "repo:*:environment:prod", All),
        (GITHUB, "*:ref:refs/heads/main", All),
        (GITHUB, "*:job_workflow_ref:*", All),
        (GITHUB, "repo?acme/*", Several),
        (GITHUB, "re*:acme/app:*", Several),
        // A stranger's branch `x@12/y`, and his customized subject with such a branch.
        (GITHUB, "repo:*@12/*", All),
        (GITHUB, "repo:*@12/*@34:ref:refs/heads/main", Several),
        (GITHUB, "repo:acme/*", Several),
        (GITHUB, "repo:acme/*:ref:refs/heads/main", Several),
        (GITHUB, "repo:acme/app*", Several),
        (GITHUB, "repo:acme*/app:*", Several),
        (GITHUB, "repo:acme/ap?:ref:refs/heads/main", Several),
        (GITHUB, "repo:acme@12/*", Several),
        (GITHUB, "repository_owner:acme*", Several),
        (GITHUB, "repository_owner:acme:*", Several),
        (GITHUB, "repository_owner_id:12:*", Several),
        (GITHUB, "repo:acme/app:*", AnyRef),
        (GITHUB, "repo:acme/app:?*", AnyRef),
        (GITHUB, "repo:acme/app:**", AnyRef),
        (GITHUB, "repo:acme@*/app@*:*", Narrow),
        (GITHUB, "repo:*@12/*@34", All),
        (GITHUB, "repo:*@12/*@3*:*", Several),
        (GITHUB, "repo:acme/app:ref:refs/heads/*", Narrow),
        (GITHUB, "repo:acme/app:environment:*", Narrow),
        (GITHUB, "repository_id:34:*", Narrow),
        (GITHUB, "repo:acme/app:*:job_workflow_ref:acme/ops/.github/workflows/d.yml@refs/heads/main", Narrow),
        ("ghes.example.com/_services/token", "repo:*", All),
        ("ghes.example.com/_services/token", "repo:*/app:*", Several),
        ("token.actions.githubusercontent.com/acme-inc", "repo:*", All),
        ("gitlab.com", "project_path:*", All),
        ("gitlab.com", "project_path:*/app:*", All),
        ("gitlab.com", "*:ref_type:branch:ref:main", All),
        ("gitlab.com", "project_path:acme/*", Several),
        ("gitlab.com", "project_path:acme/tools/*:ref_type:branch:ref:main", Several),
        ("gitlab.com", "project_path:acme/tools/app:*", AnyRef),
        ("gitlab.com", "project_path:acme/tools/app:ref_type:branch:ref:*", Narrow),
        ("git.acme.example", "project_path:*", All),
        ("app.terraform.io", "organization:*", All),
        ("app.terraform.io", "organization:*:workspace:dev:*", All),
        ("app.terraform.io", "*:project:core:*", All),
        ("app.terraform.io", "organization:acme:*", Several),
        ("app.terraform.io", "organization:acme*:project:core:workspace:dev:run_phase:*", Several),
        ("app.terraform.io", "organization:acme:project:*:workspace:*:run_phase:*", Several),
        ("app.terraform.io", "organization:acme:project:core:workspace:*:run_phase:*", Narrow),
        ("app.terraform.io", "organization:acme:project:*:workspace:dev:run_phase:*", Narrow),
        ("app.terraform.io", "organization:acme:*:workspace:dev:*", Narrow),
        ("agent.buildkite.com", "organization:*", All),
        ("agent.buildkite.com", "organization:*:pipeline:app:*", All),
        ("agent.buildkite.com", "organization:acme:*", Several),
        ("agent.buildkite.com", "organization:acme:pipeline:*:ref:refs/heads/main:*", Several),
        ("agent.buildkite.com", "organization:acme:pipeline:app:*", AnyRef),
        ("agent.buildkite.com", "organization:acme:pipeline:app:ref:refs/heads/main:*", Narrow),
        ("demo.app.spacelift.io", "*", All),
        ("demo.app.spacelift.io", "space:*", All),
        ("demo.app.spacelift.io", "*:stack:*", All),
        ("demo.app.spacelift.io", "*:stack:infra-*", Several),
        ("demo.app.spacelift.io", "*:scope:write", All),
        ("demo.app.spacelift.io", "*:stack:infra:*", Narrow),
        ("demo.app.spacelift.io", "space:production:*", Narrow),
        ("demo.app.spacelift.io", "*:space_path:/root/production/*", Several),
        (CIRCLE, "org/6b37/*", All),
        (CIRCLE, "org/6b37/project/*/user/*", All),
        (CIRCLE, "org/6b37/project/*/user/*/vcs-origin/github.com/acme/*", Several),
        (CIRCLE, "org/6b37/project/*/user/*/vcs-origin/*/vcs-ref/refs/heads/main", Several),
        (CIRCLE, "org/6b37/project/22aa/user/*", Narrow),
        (CIRCLE, "org/6b37/project/22aa/*", Narrow),
        (CIRCLE, "*/project/22aa/user/*", Several),
        // A branch `project/22aa/x`.
        (CIRCLE, "*/project/22aa/*", Several),
        (CIRCLE, "org/6b37/project/*/user/*/vcs-origin/github.com/acme/app/vcs-ref/refs/heads/main", Narrow),
        (EKS, "system:serviceaccount:*", All),
        (EKS, "system:serviceaccount:*:*", All),
        (EKS, "system:serviceaccount:*:deploy", Several),
        (EKS, "system:serviceaccount:team-*:deploy", Several),
        (EKS, "*:deploy", Several),
        (EKS, "system:serviceaccount:team:*", AnyRef),
        (EKS, "system:serviceaccount:team:deploy-*", Narrow),
        ("k8s.example.com", "system:serviceaccount:*:*", All),
        (BITBUCKET, "*", All),
        (BITBUCKET, "*:*", All),
        (BITBUCKET, "{11aa}:*", Narrow),
        (BITBUCKET, "{11aa}*:{22bb}:*", Narrow),
        ("vstoken.dev.azure.com/0f", "sc://acme/*", Several),
        ("vstoken.dev.azure.com/0f", "sc://acme/app/*", Narrow),
        ("acme.eu.auth0.com/", "*|*", Several),
        ("acme.eu.auth0.com/", "*", All),
        ("acme.eu.auth0.com/", "*@clients", Several),
        ("acme.eu.auth0.com/", "auth0|*", AnyRef),
        ("acme.eu.auth0.com/", "*|5f7c", Several),
        ("id.example.com", "*", All),
        ("id.example.com", "w*", All),
        ("id.example.com", "*:*", All),
        ("id.example.com", "*:team:blue", Several),
        ("id.example.com", "*@example.com", Several),
        ("id.example.com", "wallet:*", Narrow),
        ("id.example.com", "user/*", Narrow),
        ("id.example.com", "user|*", Narrow),
    ];
    let mut wrong = Vec::new();
    for (url, value, expected) in cases {
        let token = match *url {
            "ghes.example.com/_services/token" | "token.actions.githubusercontent.com/acme-inc" => subject(GITHUB),
            "git.acme.example" => subject("gitlab.com"),
            "k8s.example.com" => subject(EKS),
            other => subject(other),
        };
        let found = breadth(url, token, value, true);
        if found != *expected {
            wrong.push(format!("{url} {value}: wanted {expected:?}, found {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn exact_values_bind_what_they_name() {
    let cases = [
        (GITHUB, "repo:acme/app:ref:refs/heads/main", Breadth::Narrow),
        (GITHUB, "repo:acme/app:*", Breadth::Narrow),
        (GITHUB, "repository_owner:acme", Breadth::Several),
        (GITHUB, "environment:prod", Breadth::All),
        ("id.example.com", "*", Breadth::Narrow),
    ];
    for (url, value, expected) in cases {
        assert_eq!(breadth(url, subject(url), value, false), expected, "{url} {value}");
    }
}

#[test]
fn other_claims_bind_as_the_subject_does() {
    let cases = [
        (GITHUB, "repository", "acme/app", Some(Breadth::Narrow)),
        (GITHUB, "repository", "acme/*", Some(Breadth::Several)),
        (GITHUB, "repository", "*/app", Some(Breadth::All)),
        (GITHUB, "repository_id", "34", Some(Breadth::Narrow)),
        (GITHUB, "repository_owner_id", "12", Some(Breadth::Several)),
        (GITHUB, "enterprise_id", "9", Some(Breadth::Several)),
        (GITHUB, "job_workflow_ref", "acme/ops/.github/workflows/d.yml@*", Some(Breadth::Narrow)),
        (GITHUB, "actor", "dev", None),
        ("gitlab.com", "project_id", "7", Some(Breadth::Narrow)),
        ("gitlab.com", "namespace_id", "7", Some(Breadth::Several)),
        ("agent.buildkite.com", "organization_slug", "acme", Some(Breadth::Several)),
        ("agent.buildkite.com", "pipeline_id", "0184990a", Some(Breadth::Narrow)),
        (CIRCLE, "oidc.circleci.com/project-id", "22aa", Some(Breadth::Narrow)),
        (CIRCLE, "oidc.circleci.com/project-id", "*", Some(Breadth::All)),
    ];
    for (url, claim, value, expected) in cases {
        assert_eq!(breadth_of_claim(url, subject(url), claim, value, true), expected, "{url} {claim} {value}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(48))]

    #[test]
    fn no_value_panics_and_no_correction_is_malformed(value in "(repo:|organization:)?[a-z:/@*?% é{}.]{0,24}") {
        for url in [GITHUB, "gitlab.com", "app.terraform.io", CIRCLE, EKS, BITBUCKET, "id.example.com"] {
            let token = subject(url);
            let _ = breadth(url, token, &value, true);
            let Some(found) = flaw(url, token, &value, LIKE) else { continue };
            let platform = Platform::of(url, token).unwrap();
            let pattern = pattern::parse(&found.corrected);
            proptest::prop_assert!(flaw::is_well_formed(platform, &pattern), "{found:?}");
            proptest::prop_assert_eq!(pattern::matches(&pattern, token), found.admits);
        }
    }
}
