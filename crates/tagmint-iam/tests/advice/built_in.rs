//! Providers that a trust policy names by host.

use serde_json::{Value, json};

use crate::{GITHUB, allow, explain, explain_token, fix, github, policy, warnings};

fn statement(host: &str, condition: &Value) -> Value {
    json!({
        "Effect": "Allow", "Principal": {"Federated": host}, "Action": "sts:AssumeRoleWithWebIdentity", "Condition": condition,
    })
}

fn google(azp: bool) -> Value {
    let mut claims = json!({
        "iss": "https://accounts.google.com", "aud": "acme-export", "sub": "108000000000000000001",
        "email": "x@p.iam.gserviceaccount.com", "email_verified": true,
    });
    if azp {
        claims["azp"] = json!("108000000000000000001");
    }
    claims
}

/// The guide's keys, each by itself.
#[test]
fn the_keys_of_google_and_cognito() {
    let cognito = json!({
        "iss": "https://cognito-identity.amazonaws.com", "aud": "eu-west-1:pool", "sub": "eu-west-1:identity",
        "amr": ["authenticated", "login.example.com", "login.example.com:eu-west-1:pool:user"],
    });
    let bare = json!({"iss": "accounts.google.com", "aud": "acme-export", "sub": "1"});
    let (g, c) = ("accounts.google.com", "cognito-identity.amazonaws.com");
    let cases = [
        (
            google(true),
            g,
            json!({"StringEquals": {"accounts.google.com:oaud": "acme-export", "accounts.google.com:sub": "108000000000000000001"}}),
            true,
        ),
        (google(true), g, json!({"StringEquals": {"accounts.google.com:aud": "108000000000000000001"}}), true),
        (google(true), g, json!({"StringEquals": {"accounts.google.com:aud": "acme-export"}}), false),
        (
            google(false),
            g,
            json!({"StringEquals": {"accounts.google.com:aud": "acme-export", "accounts.google.com:oaud": "acme-export"}}),
            true,
        ),
        (google(false), g, json!({"StringEquals": {"accounts.google.com:email": "x@p.iam.gserviceaccount.com"}}), true),
        (google(false), g, json!({"StringEquals": {"accounts.google.com:aud": "else"}}), false),
        (bare, g, json!({"StringEquals": {"accounts.google.com:sub": "1"}}), true),
        (cognito.clone(), c, json!({"StringEquals": {"cognito-identity.amazonaws.com:aud": "eu-west-1:pool"}}), true),
        (
            cognito.clone(),
            c,
            json!({"ForAnyValue:StringLike": {"cognito-identity.amazonaws.com:amr": "authenticated"}}),
            true,
        ),
        (
            cognito.clone(),
            c,
            json!({"ForAnyValue:StringLike": {"cognito-identity.amazonaws.com:amr": "unauthenticated"}}),
            false,
        ),
        (cognito, c, json!({"StringEquals": {"cognito-identity.amazonaws.com:sub": "eu-west-1:identity"}}), true),
    ];
    for (claims, host, condition, expected) in cases {
        // Client ids are those of a registered provider: a provider that AWS knows by itself has none.
        for client_ids in [&[][..], &["108000000000000000001"]] {
            let explanation = explain(&claims, &policy(&[statement(host, &condition)]), client_ids);
            assert_eq!(explanation.accepted, expected, "{condition} {explanation:#?}");
            let audience = explanation.checks.iter().find(|check| check.check == "claim-audience").unwrap();
            assert!(audience.passed && audience.expected.starts_with("any"), "{audience:?}");
            assert!(!explanation.warnings.iter().any(|warning| warning.id == "audience-not-checked"));
        }
    }
}

#[test]
fn tokens_of_amazon_and_facebook() {
    let amazon = json!({"iss": "https://www.amazon.com", "aud": "a", "sub": "s", "app_id": "amzn1.application", "user_id": "amzn1.account"});
    let facebook = json!({"iss": "https://www.facebook.com", "aud": "4711", "sub": "815"});
    for (claims, host, condition, expected) in [
        (
            &amazon,
            "www.amazon.com",
            json!({"www.amazon.com:app_id": "amzn1.application", "www.amazon.com:user_id": "amzn1.account"}),
            true,
        ),
        (&amazon, "www.amazon.com", json!({"www.amazon.com:app_id": "else"}), false),
        (
            &facebook,
            "graph.facebook.com",
            json!({"graph.facebook.com:app_id": "4711", "graph.facebook.com:id": "815"}),
            true,
        ),
        (&facebook, "graph.facebook.com", json!({"graph.facebook.com:user_id": "815"}), false),
    ] {
        let explanation = explain(claims, &policy(&[statement(host, &json!({"StringEquals": condition}))]), &[]);
        assert_eq!(explanation.accepted, expected, "{condition} {explanation:#?}");
    }
    for (host, keys) in [("www.amazon.com", "www.amazon.com:user_id"), ("graph.facebook.com", "graph.facebook.com:id")]
    {
        let trust = policy(&[statement(host, &json!({"StringEquals": {format!("{host}:app_id"): "x"}}))]);
        let explanation = explain_token("Atza|IQEBLjAsAhRFiXuWpUXuRvQ9PZL3GMFcYevydwIUFAHZwXZ", &trust, &[], None);
        let told = fix(&explanation);
        assert!(told.contains(&format!("--provider-id {host}")) && told.contains(keys), "{told}");
    }
}

/// A registered provider of the same URL stays one, and a host does not admit another issuer's token.
#[test]
fn hosts_and_arns() {
    let condition =
        json!({"StringEquals": {"accounts.google.com:aud": "acme-export", "accounts.google.com:oaud": "acme-export"}});
    let trust = policy(&[allow("accounts.google.com", &condition)]);
    assert!(explain(&google(false), &trust, &["acme-export"]).accepted);
    let refused = explain(&google(false), &trust, &["else"]);
    assert_eq!(refused.error.unwrap().message, "Incorrect token audience");
    let both = policy(&[
        statement("accounts.google.com", &json!({"StringEquals": {"accounts.google.com:sub": "1"}})),
        allow("accounts.google.com", &condition),
    ]);
    assert!(explain(&google(false), &both, &["acme-export"]).accepted);
    let trust = policy(&[statement("accounts.google.com", &json!({"StringEquals": {"accounts.google.com:aud": "x"}}))]);
    let explanation = explain(&github("repo:acme/ops:ref:refs/heads/main", &json!({})), &trust, &["sts.amazonaws.com"]);
    assert!(
        !explanation.accepted && fix(&explanation).contains("no statement trusts the token's provider"),
        "{}",
        fix(&explanation)
    );
    assert!(fix(&explanation).contains(GITHUB));
    assert_eq!(warnings(&explanation), Vec::<&str>::new());
}
