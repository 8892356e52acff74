//! Recorded calls of `AssumeRoleWithWebIdentity`.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tagmint_iam::{
    context::Context,
    policy::Policy,
    provider::{OidcProvider, Registration},
    web_identity::{Fetched, LEEWAY_SECONDS, Role, Verdict, WebIdentityRequest, World, verdict},
};

use crate::{ACCOUNT, HOST, ROLE, signing::Keys};

pub fn compare(row: &Value, keys: &Keys) -> Result<(), String> {
    let observed = row["observed_at"].as_str().ok_or("no observed_at")?;
    let observed: Timestamp = observed.parse().map_err(|error| format!("observed_at: {error}"))?;
    let alg = row["alg"].as_str().ok_or("no alg")?;
    let payload = payload(row, observed.as_second())?;
    let token = keys.sign(alg, &header(row, alg), &payload);
    let jwks = keys.jwks(alg, &row["jwks"])?.to_string();
    let registration = Registration {
        url: format!("https://{HOST}"),
        client_ids: vec!["client-a".to_owned(), "client-b".to_owned()],
        ..Registration::default()
    };
    let provider = OidcProvider::register(ACCOUNT, registration).map_err(|error| error.to_string())?;
    let call = &row["request"];
    let role = Role {
        arn: format!("arn:aws:iam::{ACCOUNT}:role/{ROLE}"),
        trust_policy: trust_policy(&row["trust_policy"], &provider)?,
        max_session_seconds: if call["role"].is_null() { 7200 } else { 3600 },
    };
    let request = WebIdentityRequest {
        token: &token,
        role_arn: &role.arn,
        role_session_name: call["RoleSessionName"].as_str().unwrap_or("oidc-probe"),
        duration_seconds: call["DurationSeconds"].as_i64(),
        policy: call["Policy"].as_str(),
        provider_id: call["ProviderId"].as_str(),
    };
    let world = World {
        provider: Some(&provider),
        discovery: None,
        jwks: Fetched::Document(jwks.as_bytes()),
        role: Some(&role),
        base: &Context::new(),
        now: server_time(row, observed)?,
    };
    let report = verdict(&request, &world);
    let outcome = &row["outcome"];
    let actual = match &report.verdict {
        Verdict::Accepted(session) => {
            if !report.checks.iter().all(|check| check.passed) {
                return Err("accepted with a failed check".to_owned());
            }
            json!({
                "ok": true, "audience": session.audience, "subject": session.subject,
                "source_identity": session.source_identity, "duration": session.duration_seconds,
                "arn": session.session_arn, "provider": session.provider,
            })
        }
        Verdict::Refused(error) => {
            if report.checks.last().is_none_or(|check| check.passed) {
                return Err("refused without a failed check".to_owned());
            }
            json!({"ok": false, "code": error.code.as_str(), "message": error.message})
        }
    };
    let expected = if outcome["ok"] == true {
        // The end was recorded relative to the client's clock; the granted length is a multiple of a minute.
        let duration = outcome["expiration_offset"].as_i64().map(|offset| offset / 60 * 60);
        json!({
            "ok": true, "audience": outcome["audience"], "subject": outcome["subject"],
            "source_identity": outcome["source_identity"], "duration": duration,
            "arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/{ROLE}/{}", request.role_session_name),
            "provider": format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{HOST}"),
        })
    } else {
        json!({"ok": false, "code": outcome["code"], "message": outcome["message"]})
    };
    if actual == expected { Ok(()) } else { Err(format!("expected {expected}, got {actual}")) }
}

/// The server's clock was up to a second ahead. Where a message shows it, five minutes off, it is taken from there.
fn server_time(row: &Value, observed: Timestamp) -> Result<Timestamp, String> {
    let seconds = match row["outcome"]["message_offsets"]["current"].as_i64() {
        Some(offset) if offset < 0 => observed.as_second() + offset + LEEWAY_SECONDS,
        Some(offset) => observed.as_second() + offset - LEEWAY_SECONDS,
        None => observed.as_second(),
    };
    Timestamp::from_second(seconds).map_err(|error| error.to_string())
}

fn header(row: &Value, alg: &str) -> Value {
    let mut header = json!({"alg": alg, "kid": alg, "typ": "JWT"});
    for (name, value) in row["header"].as_object().into_iter().flatten() {
        if value == "absent" {
            header.as_object_mut().unwrap().remove(name);
        } else {
            header[name] = value.clone();
        }
    }
    header
}

fn payload(row: &Value, now: i64) -> Result<String, String> {
    let mut claims = Map::new();
    for (name, value) in row["claims"].as_object().ok_or("no claims")? {
        claims.insert(name.clone(), claim(value, now));
    }
    let raw = row["raw"].as_str().unwrap_or_default();
    if raw.is_empty() {
        return Ok(Value::Object(claims).to_string());
    }
    if raw.contains("second") {
        // … "NAME":VALUE ... "NAME":LAST …: the last member is appended.
        let last = raw.rsplit(" ... ").next().and_then(|last| last.split(" (").next()).ok_or("raw")?;
        let text = Value::Object(claims).to_string();
        return Ok(format!("{},{last}}}", &text[..text.len() - 1]));
    }
    let digits: String = raw.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    match digits.parse::<usize>() {
        Ok(letters) if raw.contains("sub") => {
            claims.insert("sub".to_owned(), json!("a".repeat(letters)));
            Ok(Value::Object(claims).to_string())
        }
        _ => Err(format!("cannot rebuild the payload: {raw}")),
    }
}

/// Times are kept as offsets, with the JSON type that they had.
fn claim(value: &Value, now: i64) -> Value {
    let Some(offset) = value.get("offset") else { return value.clone() };
    match (value["json"].as_str(), offset.as_i64()) {
        (Some("string"), Some(whole)) => json!((now + whole).to_string()),
        (Some("string"), None) => json!(seconds_text(now, offset)),
        (Some("float"), _) => serde_json::from_str(&seconds_text(now, offset)).unwrap(),
        _ => json!(now + offset.as_i64().unwrap()),
    }
}

fn seconds_text(now: i64, offset: &Value) -> String {
    let text = offset.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, "0"));
    format!("{}.{fraction}", now + whole.parse::<i64>().unwrap())
}

fn trust_policy(value: &Value, provider: &OidcProvider) -> Result<Policy, String> {
    let text = if value.is_null() {
        json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Federated": provider.arn()},
            "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"],
        }]})
        .to_string()
    } else {
        value.to_string()
    };
    Policy::parse(&text).map_err(|error| error.to_string())
}
