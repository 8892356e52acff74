//! Tokens with `azp`, as Keycloak, Entra ID and Google make them.

use serde_json::{Value, json};

use crate::{allow, explain, fix, policy};

const KEYCLOAK: &str = "keycloak.example.com/realms/acme";

fn claims(url: &str, aud: &Value, azp: &Value) -> Value {
    json!({"iss": format!("https://{url}"), "aud": aud, "azp": azp, "sub": "f:1:alice"})
}

#[test]
fn the_condition_on_the_audience_names_the_authorized_party() {
    let entra = "login.microsoftonline.com/9122040d-6c67-4c5b-b112-36a304b66dad/v2.0";
    let google = "accounts.google.com";
    for url in [KEYCLOAK, entra, google] {
        let trust = policy(&[allow(url, &json!({"StringEquals": {format!("{url}:aud"): "account"}}))]);
        let explanation = explain(&claims(url, &json!("account"), &json!("storage")), &trust, &["account", "storage"]);
        let both = format!("\"StringEquals\": {{\"{url}:aud\": \"storage\", \"{url}:oaud\": \"account\"}}");
        assert!(fix(&explanation).contains(&both), "{}", fix(&explanation));
        let followed: Value = serde_json::from_str(&format!("{{{both}}}")).unwrap();
        let trust = policy(&[allow(url, &followed)]);
        assert!(explain(&claims(url, &json!("account"), &json!("storage")), &trust, &["storage"]).accepted);
    }
    let swapped = json!({"StringEquals": {format!("{KEYCLOAK}:oaud"): "storage"}});
    let explanation =
        explain(&claims(KEYCLOAK, &json!("account"), &json!("storage")), &policy(&[allow(KEYCLOAK, &swapped)]), &[]);
    assert!(fix(&explanation).contains("is the token's `aud` (\"account\")"), "{}", fix(&explanation));
}

#[test]
fn several_audiences_are_a_multivalued_key() {
    let both = json!(["account", "broker"]);
    let trust = policy(&[allow(KEYCLOAK, &json!({"StringEquals": {format!("{KEYCLOAK}:aud"): "broker"}}))]);
    let explanation = explain(&claims(KEYCLOAK, &both, &json!("storage")), &trust, &["storage"]);
    let advised = format!(
        "\"StringEquals\": {{\"{KEYCLOAK}:aud\": \"storage\"}}, \"ForAnyValue:StringEquals\": {{\"{KEYCLOAK}:oaud\": [\"account\", \"broker\"]}}"
    );
    assert!(fix(&explanation).contains(&advised), "{}", fix(&explanation));
    let followed: Value = serde_json::from_str(&format!("{{{advised}}}")).unwrap();
    assert!(
        explain(&claims(KEYCLOAK, &both, &json!("storage")), &policy(&[allow(KEYCLOAK, &followed)]), &["storage"])
            .accepted
    );
    let mut without = claims(KEYCLOAK, &both, &json!(null));
    without.as_object_mut().unwrap().remove("azp");
    let explanation = explain(&without, &trust, &["broker"]);
    assert!(explanation.error.as_ref().unwrap().message.starts_with("Token audience contains more than one audience"));
    assert!(fix(&explanation).contains("2 audiences (account, broker)"), "{}", fix(&explanation));
}

#[test]
fn the_client_ids_are_compared_with_the_authorized_party() {
    let trust = policy(&[allow(KEYCLOAK, &json!({"StringEquals": {format!("{KEYCLOAK}:sub"): "f:1:alice"}}))]);
    let explanation = explain(&claims(KEYCLOAK, &json!("account"), &json!("storage")), &trust, &["account"]);
    assert_eq!(explanation.error.as_ref().unwrap().message, "Incorrect token audience");
    let told = fix(&explanation);
    assert!(told.contains("STS compares `azp` alone") && told.contains("--client-id storage"), "{told}");
    assert!(told.contains(&format!("\"{KEYCLOAK}:oaud\": \"account\"")), "{told}");
    let neither = explain(&claims(KEYCLOAK, &json!("account"), &json!("storage")), &trust, &["else"]);
    assert!(fix(&neither).contains("from `azp`, which decides"), "{}", fix(&neither));
    assert!(explain(&claims(KEYCLOAK, &json!("account"), &json!("storage")), &trust, &["storage"]).accepted);
    let plain = json!({"iss": format!("https://{KEYCLOAK}"), "aud": "account", "sub": "f:1:alice"});
    let plain = explain(&plain, &trust, &["else"]);
    assert_eq!(plain.error.as_ref().unwrap().message, "Incorrect token audience");
}
