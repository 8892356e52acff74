//! Tokens of another kind than STS takes.

use serde_json::{Value, json};

use super::{Case, GITHUB, explain, has, on_subject};

const EKS: &str = "oidc.eks.eu-central-1.amazonaws.com/id/0123456789ABCDEF";
const ACCOUNT: &str = "system:serviceaccount:a:b";

fn pod() -> Case {
    on_subject(EKS, ACCOUNT, "StringEquals", ACCOUNT)
}

#[test]
fn a_pods_default_token() {
    let cluster = "https://kubernetes.default.svc.cluster.local";
    let cases = [
        // Of a cluster whose issuer is its own name.
        (pod().with("iss", cluster).with("aud", json!([cluster, "k3s"])), "claim-issuer"),
        // Of EKS, for the API server.
        (pod().with("aud", json!(["https://kubernetes.default.svc"])), "claim-audience"),
        (pod().with("aud", json!(["https://kubernetes.default.svc.cluster.local", "rke2"])), "claim-audience"),
        // Of GKE, whose API server has the issuer's URL for its audience.
        (pod().with("aud", json!([format!("https://{EKS}")])), "claim-audience"),
        // Of a Secret.
        (pod().with("iss", "kubernetes/serviceaccount").without("aud").without("exp").without("iat"), "claim-presence"),
    ];
    for (case, expected) in cases {
        let (check, fix) = case.refused();
        assert_eq!(check, expected, "{fix}");
        has(
            &fix,
            &["service account token", "not the projected one", "audience: sts.amazonaws.com", "eks.amazonaws.com"],
        );
        assert!(!fix.contains("add-client-id"), "{fix}");
    }
}

#[test]
fn a_pods_default_token_where_no_client_id_is_known() {
    let mut case = pod().with("aud", json!(["https://kubernetes.default.svc"]));
    case.client_ids = Vec::new();
    case.trust["Statement"][0]["Condition"]["StringEquals"][format!("{EKS}:aud")] = json!("sts.amazonaws.com");
    has(&case.fix(), &["not the projected one"]);
}

#[test]
fn a_projected_token_is_not_taken_for_the_default_one() {
    let fix = pod().with("aud", "vault").fix();
    assert!(!fix.contains("projected") && fix.contains("add-client-id"), "{fix}");
}

/// A token of an issuer with these claims, for a provider with another audience.
fn access(url: &str, claims: &Value, header: Value) -> Case {
    let mut case = on_subject(url, "u", "StringEquals", "u").without("aud");
    case.claims.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    case.header = header;
    case
}

#[test]
fn access_tokens() {
    let plain = json!({"alg": "RS256", "kid": "k", "typ": "JWT"});
    let at = json!({"alg": "RS256", "kid": "k", "typ": "at+jwt"});
    let cases = [
        (
            "cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEf",
            json!({"client_id": "abc", "token_use": "access"}),
            &plain,
            "`token_use`",
        ),
        ("id.example.com", json!({"aud": "https://api.example.com"}), &at, "RFC 9068"),
        (
            "sts.windows.net/t/",
            json!({"aud": "00000003-0000-0000-c000-000000000000", "appid": "x", "scp": "User.Read"}),
            &plain,
            "Entra",
        ),
        (
            "acme.okta.com/oauth2/default",
            json!({"aud": "api://default", "cid": "x", "scp": ["openid"]}),
            &plain,
            "Okta",
        ),
        (
            "sso.example.com/realms/acme",
            json!({"aud": "account", "typ": "Bearer", "scope": "openid"}),
            &plain,
            "Keycloak",
        ),
        (
            "sso.example.com/realms/acme",
            json!({"aud": "https://sso.example.com/realms/acme", "typ": "Refresh"}),
            &plain,
            "a refresh token",
        ),
        (
            "acme.eu.auth0.com/",
            json!({"aud": ["https://api", "https://acme.eu.auth0.com/userinfo"], "azp": "x", "scope": "openid"}),
            &plain,
            "Auth0",
        ),
        ("id.example.com", json!({"client_id": "abc", "scope": "read"}), &plain, "no `aud`"),
    ];
    for (url, claims, header, expected) in cases {
        let fix = access(url, &claims, header.clone()).fix();
        has(&fix, &[expected, "not an ID token", "id_token"]);
        assert!(!fix.contains("put `aud` into the token"), "{fix}");
    }
}

#[test]
fn an_id_token_is_not_taken_for_an_access_token() {
    let claims = json!({"aud": "other", "token_use": "id", "nonce": "n", "typ": "ID", "azp": "other"});
    let fix = access("sso.example.com/realms/acme", &claims, json!({"alg": "RS256", "kid": "k", "typ": "JWT"})).fix();
    assert!(!fix.contains("access token"), "{fix}");
}

#[test]
fn tokens_of_runners_and_jobs() {
    let runner = on_subject(GITHUB, "repo:acme/app:ref:refs/heads/main", "StringEquals", "x");
    let runner = runner.with("aud", "vso:0f").with("scp", "Actions.GenericRead:1 generate_id_token:1:2");
    has(&runner.fix(), &["ACTIONS_ID_TOKEN_REQUEST_TOKEN", "not the job's ID token"]);
    let job = on_subject("gitlab.com", "job_7", "StringEquals", "x").without("aud").with("project_path", "acme/app");
    has(&job.fix(), &["id_tokens", "CI_JOB_JWT"]);
}

#[test]
fn what_is_no_jwt() {
    let case = on_subject(GITHUB, "x", "StringEquals", "x");
    let encrypted = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..a.b.c";
    for (token, expected) in
        [("ya29.planted", "Google"), ("ghs_planted", "GITHUB_TOKEN"), (encrypted, "encrypted"), ("planted", "compact")]
    {
        let explanation = explain(token, &case);
        let fix = explanation.checks.iter().find(|check| !check.passed).and_then(|check| check.fix.clone()).unwrap();
        has(&fix, &[expected, "ID token"]);
        assert!(!fix.contains("planted"), "the token is shown: {fix}");
    }
}
