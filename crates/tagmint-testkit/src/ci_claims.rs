//! The claims of CI platforms' ID tokens as the platforms' documentation shows them, for tests to modify.
//!
//! Every set is a whole payload: `iss`, `aud` = [`AUDIENCE`], `jti`, and times around [`ISSUED_AT`], where [`MockClock`] stands too. A token
//! with other times or another id is made by [`issued`]; a test that changes what a token says changes all claims that the platform
//! makes of it, `sub` included, or is about the contradiction.
//!
//! [`MockClock`]: crate::clock::MockClock

mod github;
mod gitlab;

use serde_json::{Map, Value, json};

pub use self::{github::*, gitlab::*};

/// A payload.
pub type ClaimSet = Map<String, Value>;

/// The `aud` of all sets.
pub const AUDIENCE: &str = "https://broker.example.org";
/// The `iat` of all sets, in seconds since the epoch.
pub const ISSUED_AT: i64 = 1_790_000_000;
/// GitHub's issuer.
pub const GITHUB_ISSUER: &str = "https://token.actions.githubusercontent.com";
/// GitLab's issuer.
pub const GITLAB_ISSUER: &str = "https://gitlab.com";

/// The id of GitHub's `octo-org/octo-repo`.
pub const GITHUB_REPOSITORY_ID: &str = "456789";
/// The id of GitHub's `octo-org`.
pub const GITHUB_OWNER_ID: &str = "123456";
/// The id of GitLab's `my-group/my-project`.
pub const GITLAB_PROJECT_ID: &str = "20";
/// The id of GitLab's `my-group`.
pub const GITLAB_NAMESPACE_ID: &str = "72";

/// The set as a token of another platform (`iss`) for another issuer of ours (`aud`).
#[must_use]
pub fn at(mut claims: ClaimSet, issuer: &str, audience: &str) -> ClaimSet {
    claims.insert("iss".to_owned(), issuer.into());
    claims.insert("aud".to_owned(), audience.into());
    claims
}

/// The set as a token that is issued at `iat` and lives `lifetime` seconds, under an id of its own.
#[must_use]
pub fn issued(mut claims: ClaimSet, jti: &str, iat: i64, lifetime: i64) -> ClaimSet {
    for (name, at) in [("iat", iat), ("nbf", iat - 5), ("exp", iat + lifetime)] {
        claims.insert(name.to_owned(), at.into());
    }
    claims.insert("jti".to_owned(), jti.into());
    claims
}

/// The set with other claims; null removes one.
#[must_use]
pub fn with(mut claims: ClaimSet, changes: Value) -> ClaimSet {
    for (name, value) in changes.as_object().into_iter().flatten() {
        if value.is_null() {
            claims.shift_remove(name);
        } else {
            claims.insert(name.clone(), value.clone());
        }
    }
    claims
}

fn set(value: Value) -> ClaimSet {
    match value {
        Value::Object(map) => map,
        _ => ClaimSet::new(),
    }
}

/// Kubernetes: a projected service account token. Its `aud` is a list.
pub fn kubernetes_service_account() -> ClaimSet {
    let claims = json!({
        "iss": "https://kubernetes.default.svc.cluster.local",
        "aud": [AUDIENCE],
        "sub": "system:serviceaccount:default:builder",
        "kubernetes.io": {
            "namespace": "default",
            "node": {"name": "node-1", "uid": "646e7c5e-32d6-4d42-9dbd-e504e6cbe6b1"},
            "pod": {"name": "builder-0", "uid": "5e0bd49b-f040-43b0-99b7-22765a53f7f3"},
            "serviceaccount": {"name": "builder", "uid": "14ee3fa4-a7e2-420f-9f9a-dbc4507c3798"},
        },
    });
    issued(set(claims), "ea28ed49-2e11-4280-9ec5-bc3d1d84661a", ISSUED_AT, 3600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_replace_and_remove() {
        let claims = with(github_push(), json!({"ref": "refs/heads/x", "actor": null}));
        assert_eq!(claims["ref"], "refs/heads/x");
        assert!(!claims.contains_key("actor"));
        let claims = issued(at(claims, "https://a.example", "b"), "id", 1_000, 60);
        assert_eq!(
            (&claims["iss"], &claims["aud"], &claims["jti"]),
            (&json!("https://a.example"), &json!("b"), &json!("id"))
        );
        assert_eq!((&claims["iat"], &claims["nbf"], &claims["exp"]), (&json!(1_000), &json!(995), &json!(1_060)));
    }
}
