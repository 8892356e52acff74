//! Recorded calls of IAM: trust policies that it stored or refused, and OIDC providers.

use serde_json::{Value, json};
use tagmint_iam::{
    provider::{IamError, OidcProvider, ProviderRegistry, Registration},
    trust_policy,
};

use crate::ACCOUNT;

/// An account that the calls are made in, one after the other.
pub struct Account(ProviderRegistry);

impl Account {
    pub fn new() -> Self {
        Self(ProviderRegistry::new(ACCOUNT))
    }

    pub fn compare(&mut self, row: &Value) -> Result<(), String> {
        let input = &row["input"];
        let arn = input["arn"].as_str().unwrap_or_default();
        if row["note"].as_str().is_some_and(|note| note.contains("after the provider was deleted")) {
            self.0.delete(arn).map_err(|error| error.to_string())?;
        }
        let actual = match row["action"].as_str().unwrap_or_default() {
            "UpdateAssumeRolePolicy" => {
                answer(trust_policy::check(&row["policy"].to_string()), |_| json!({"ok": true}))
            }
            "CreateOpenIDConnectProvider" => answer(self.0.create(registration(input)?), |provider| {
                let mut answer = json!({"ok": true, "arn": provider.arn()});
                if !input["Tags"].is_null() {
                    answer["Tags"] = input["Tags"].clone();
                }
                answer
            }),
            "GetOpenIDConnectProvider" => answer(self.0.get(arn), described),
            "AddClientIDToOpenIDConnectProvider" => {
                let id = input["ClientID"].as_str().unwrap_or_default();
                answer(self.0.get_mut(arn).and_then(|provider| provider.add_client_id(id)), |()| json!({"ok": true}))
            }
            "RemoveClientIDFromOpenIDConnectProvider" => {
                let id = input["ClientID"].as_str().unwrap_or_default();
                answer(self.0.get_mut(arn).map(|provider| provider.remove_client_id(id)), |()| json!({"ok": true}))
            }
            "UpdateOpenIDConnectProviderThumbprint" => {
                let list = thumbprints(&input["ThumbprintList"]);
                answer(
                    self.0.get_mut(arn).and_then(|provider| provider.set_thumbprints(&list)),
                    |()| json!({"ok": true}),
                )
            }
            "DeleteOpenIDConnectProvider" => answer(self.0.delete(arn), |_| json!({"ok": true})),
            "documentation" => {
                let keys =
                    trust_policy::required_keys(input["issuer"].as_str().unwrap_or_default()).unwrap_or_default();
                let wanted = row["outcome"]["required_claim"].as_str().unwrap_or_default();
                let found = keys.iter().find(|key| *key == wanted);
                json!({"required_claim": found})
            }
            other => return Err(format!("unknown action {other}")),
        };
        let mut expected = row["outcome"].clone();
        expand(&mut expected);
        if actual == expected { Ok(()) } else { Err(format!("expected {expected}, got {actual}")) }
    }
}

fn answer<T>(result: Result<T, IamError>, ok: impl FnOnce(T) -> Value) -> Value {
    match result {
        Ok(value) => ok(value),
        Err(error) => json!({"ok": false, "code": error.code.as_str(), "message": error.message}),
    }
}

fn described(provider: &OidcProvider) -> Value {
    let tags: Vec<Value> = provider.tags().iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
    json!({
        "ok": true, "Url": provider.url(), "ClientIDList": provider.client_ids(), "ThumbprintList": provider.thumbprints(),
        "Tags": tags,
    })
}

fn registration(input: &Value) -> Result<Registration, String> {
    let tag = |tag: &Value| Some((tag["Key"].as_str()?.to_owned(), tag["Value"].as_str()?.to_owned()));
    Ok(Registration {
        url: input["Url"].as_str().ok_or("no Url")?.to_owned(),
        client_ids: strings(&input["ClientIDList"]),
        thumbprints: thumbprints(&input["ThumbprintList"]),
        tags: input["Tags"].as_array().into_iter().flatten().filter_map(tag).collect(),
    })
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// "A x40" stands for forty letters.
fn thumbprints(list: &Value) -> Vec<String> {
    strings(list)
        .iter()
        .map(|text| text.strip_suffix(" x40").map_or_else(|| text.clone(), |letter| letter.repeat(40)))
        .collect()
}

fn expand(outcome: &mut Value) {
    if outcome["ThumbprintList"].is_array() {
        outcome["ThumbprintList"] = json!(thumbprints(&outcome["ThumbprintList"]));
    }
}
