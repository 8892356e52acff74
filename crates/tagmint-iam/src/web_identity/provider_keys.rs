//! Claims of certain platforms that AWS makes condition keys of, in addition to those of every issuer.
//!
//! Source: the Service Authorization Reference, "Actions, resources, and condition keys for AWS Security Token Service",
//! `AssumeRoleWithWebIdentity`. Servers that customers run themselves (GitHub Enterprise Server, self-managed GitLab) have none.

use crate::pattern;

/// Claims that are condition keys for every issuer (IAM user guide, "Available keys for AWS OIDC federation").
const COMMON: [&str; 5] = ["sub", "aud", "oaud", "amr", "email"];

const GITHUB: [&str; 10] = [
    "actor",
    "actor_id",
    "job_workflow_ref",
    "repository",
    "repository_id",
    "repository_owner_id",
    "workflow",
    "ref",
    "environment",
    "enterprise_id",
];
const GITLAB: [&str; 9] = [
    "namespace_id",
    "project_id",
    "user_id",
    "user_login",
    "user_email",
    "user_access_level",
    "ref_protected",
    "pipeline_source",
    "runner_environment",
];
const BUILDKITE: [&str; 7] = [
    "organization_slug",
    "organization_id",
    "pipeline_slug",
    "pipeline_id",
    "cluster_name",
    "cluster_id",
    "build_branch",
];

/// Issuers (host and path, without scheme, `*` for any text) with their claims.
const ISSUERS: [(&str, &[&str]); 11] = [
    ("token.actions.githubusercontent.com", &GITHUB),
    ("token.actions.githubusercontent.com/*", &GITHUB),
    ("token.actions.*.ghe.com", &GITHUB),
    ("github.com/enterprises/*", &GITHUB),
    ("gitlab.com", &GITLAB),
    ("agent.buildkite.com", &BUILDKITE),
    ("agent.*.buildkite.dev", &BUILDKITE),
    ("agent.*.buildkite.site", &BUILDKITE),
    ("oidc.circleci.com/org/*", &["oidc.circleci.com/project-id"]),
    ("accounts.google.com", &["google/organization_number"]),
    ("idcs-*.identity.oraclecloud.com", &["rpst_id"]),
];

/// The claims of an issuer that are condition keys in addition to those of every issuer.
pub(crate) fn of(url: &str) -> &'static [&'static str] {
    let issuer = ISSUERS.iter().find(|(issuer, _)| pattern::matches_ignoring_case(issuer, url));
    issuer.map_or(&[], |(_, claims)| claims)
}

/// Whether AWS makes a condition key of a claim of an issuer.
pub(crate) fn has(url: &str, claim: &str) -> bool {
    COMMON.iter().chain(of(url)).any(|own| own.eq_ignore_ascii_case(claim))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_have_their_claims() {
        let cases = [
            ("token.actions.githubusercontent.com", "repository_id", true),
            ("token.actions.githubusercontent.com/acme", "environment", true),
            ("token.actions.acme.ghe.com", "ref", true),
            ("token.actions.githubusercontent.com", "repository_owner", false),
            ("token.actions.githubusercontent.com", "iss", false),
            ("github.acme.example/_services/token", "repository_id", false),
            ("gitlab.com", "project_id", true),
            ("gitlab.com", "project_path", false),
            ("gitlab.acme.example", "project_id", false),
            ("agent.buildkite.com", "pipeline_slug", true),
            ("oidc.circleci.com/org/6b37", "oidc.circleci.com/project-id", true),
            ("oidc.circleci.com/org/6b37", "oidc.circleci.com/context-ids", false),
            ("id.example.com", "sub", true),
            ("id.example.com", "AMR", true),
            ("id.example.com", "groups", false),
        ];
        for (url, claim, expected) in cases {
            assert_eq!(has(url, claim), expected, "{url}:{claim}");
        }
    }
}
