//! Rows as events of the Open Cybersecurity Schema Framework, for a SIEM or Amazon Security Lake.
//!
//! | row | class |
//! |---|---|
//! | `minted`, `refused` | Authorize Session (3003), activity Assign Privileges |
//! | `fetched` | API Activity (6003), activity Create: `AssumeRoleWithWebIdentity` |
//! | one that cannot be read | Base Event (0) |
//!
//! Source: OCSF schema 1.3.0, the classes `authorize_session`, `api_activity` and `base_event`. Members without an attribute in the schema are in `unmapped`.

use serde_json::{Map, Value, json};
use tagmint_core::{
    environment::Stamp,
    ledger::{LedgerEntry, LedgerRow, Minted, Outcome, Refused},
};

/// The version of the schema.
const SCHEMA: &str = "1.3.0";

/// A class of the schema, with the one activity of it that is used.
struct Class {
    uid: u32,
    name: &'static str,
    category: (u32, &'static str),
    activity: (u32, &'static str),
}

const AUTHORIZE_SESSION: Class = Class {
    uid: 3003,
    name: "Authorize Session",
    category: (3, "Identity & Access Management"),
    activity: (1, "Assign Privileges"),
};
const API_ACTIVITY: Class =
    Class { uid: 6003, name: "API Activity", category: (6, "Application Activity"), activity: (1, "Create") };
const BASE_EVENT: Class =
    Class { uid: 0, name: "Base Event", category: (0, "Uncategorized"), activity: (0, "Unknown") };

/// The event that a row is.
pub(super) fn event(row: &LedgerRow, entry: Option<&LedgerEntry>, stamp: &Stamp) -> Value {
    let mut event = match entry {
        None => base(&BASE_EVENT, row, stamp, false),
        Some(entry) => match &entry.outcome {
            Outcome::Minted(minted) => {
                let mut event = base(&AUTHORIZE_SESSION, row, stamp, true);
                event.extend(members(json!({
                    "user": user(&minted.subject),
                    "session": session(minted, stamp),
                    "privileges": minted.roles,
                })));
                event
            }
            Outcome::Refused(refused) => {
                let mut event = base(&AUTHORIZE_SESSION, row, stamp, false);
                event.extend(members(refusal(entry, refused)));
                event
            }
            Outcome::Fetched(fetched) => {
                let mut event = base(&API_ACTIVITY, row, stamp, true);
                event.extend(members(json!({
                    "api": {
                        "operation": "AssumeRoleWithWebIdentity",
                        "service": {"name": "sts.amazonaws.com"},
                        "request": {"uid": fetched.sts_request_id.as_deref().unwrap_or("unknown")},
                    },
                    "resources": [{"uid": fetched.role, "type": "AWS::IAM::Role"}],
                    "session": {"uid": fetched.access_key_id, "expiration_time": fetched.expires_at * 1000},
                })));
                event["metadata"]["correlation_uid"] = json!(fetched.mint_id);
                event
            }
        },
    };
    if let Some(entry) = entry {
        let actor = json!({
            "user": user(entry.identity.as_deref().unwrap_or("unknown")),
            "session": entry.credential.as_ref().map(|id| json!({"uid": id})),
            "idp": entry.run.as_ref().and_then(|run| run.trusted_issuer.as_ref()).map(|name| json!({"name": name})),
        });
        event.insert("actor".to_owned(), without_nulls(actor));
        if let Some(address) = &entry.remote {
            event.insert("src_endpoint".to_owned(), json!({"ip": address}));
        }
    }
    event.insert("unmapped".to_owned(), unmapped(row, entry));
    Value::Object(event)
}

fn base(class: &Class, row: &LedgerRow, stamp: &Stamp, good: bool) -> Map<String, Value> {
    let (category_uid, category_name) = class.category;
    let (activity_id, activity_name) = class.activity;
    let (status_id, status) = match (class.uid, good) {
        (0, _) => (0, "Unknown"),
        (_, true) => (1, "Success"),
        (_, false) => (2, "Failure"),
    };
    members(json!({
        "class_uid": class.uid,
        "class_name": class.name,
        "category_uid": category_uid,
        "category_name": category_name,
        "activity_id": activity_id,
        "activity_name": activity_name,
        "type_uid": class.uid * 100 + activity_id,
        "type_name": format!("{}: {activity_name}", class.name),
        "severity_id": 1,
        "severity": "Informational",
        "status_id": status_id,
        "status": status,
        "time": row.at_ms,
        "metadata": {
            "version": SCHEMA,
            "product": {"name": "Tagmint", "vendor_name": "Tagmint", "version": env!("CARGO_PKG_VERSION")},
            "uid": row.entry_id,
            "sequence": row.seq,
            "log_name": "ledger",
            "log_provider": stamp.issuer.as_str(),
            "labels": [format!("environment:{}", stamp.environment)],
        },
    }))
}

fn session(minted: &Minted, stamp: &Stamp) -> Value {
    json!({
        "uid": minted.mint_id,
        "issuer": stamp.issuer.as_str(),
        "created_time": minted.issued_at * 1000,
        "expiration_time": minted.expires_at * 1000,
    })
}

fn refusal(entry: &LedgerEntry, refused: &Refused) -> Value {
    let mut members = json!({
        "user": user(entry.identity.as_deref().unwrap_or("unknown")),
        "status_code": refused.code,
        "status_detail": refused.detail,
    });
    if let Some(omitted) = &refused.omitted {
        members["count"] = json!(omitted.count);
        members["start_time"] = json!(omitted.since_ms);
        members["end_time"] = json!(omitted.until_ms);
    }
    members
}

/// The members without an attribute in the schema.
fn unmapped(row: &LedgerRow, entry: Option<&LedgerEntry>) -> Value {
    let chain = json!({"prev_hash": row.prev_hash, "hash": row.hash});
    let Some(entry) = entry else { return json!({"chain": chain, "body": row.body}) };
    let minted = match &entry.outcome {
        Outcome::Minted(minted) => Some(minted),
        Outcome::Refused(_) | Outcome::Fetched(_) => None,
    };
    without_nulls(json!({
        "chain": chain,
        "request_id": entry.request_id,
        "route": entry.route,
        "source": entry.source,
        "rule": entry.rule,
        "audience": minted.map(|minted| &minted.audience),
        "tags": minted.map(|minted| &minted.tags),
        "kid": minted.map(|minted| &minted.kid),
        "run": entry.run,
    }))
}

fn user(name: &str) -> Value {
    // A job or a service is no person: `Other`.
    json!({"name": name, "type_id": 99, "type": "Other"})
}

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn without_nulls(value: Value) -> Value {
    Value::Object(members(value).into_iter().filter(|(_, value)| !value.is_null()).collect())
}

#[cfg(test)]
mod tests {
    use tagmint_core::{environment::Environment, issuer::IssuerUrl, ledger::LedgerHead};
    use tagmint_testkit::ledger::{mint, refusal};

    use super::*;

    /// The required attributes of every event (OCSF 1.3.0, base event).
    const REQUIRED: [&str; 8] =
        ["activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid", "status_id"];

    fn stamp() -> Stamp {
        Stamp { issuer: IssuerUrl::parse("https://broker.example").unwrap(), environment: Environment::Test }
    }

    fn event_of(entry: &LedgerEntry) -> Value {
        let row = LedgerHead::genesis(&stamp()).append(entry);
        let event = event(&row, Some(entry), &stamp());
        for name in REQUIRED {
            assert!(event.get(name).is_some(), "{name}: {event}");
        }
        let uid = event["class_uid"].as_u64().unwrap();
        assert_eq!(event["type_uid"].as_u64().unwrap(), uid * 100 + event["activity_id"].as_u64().unwrap());
        assert!(event["metadata"]["product"]["vendor_name"].is_string());
        assert_eq!(event["unmapped"]["chain"]["hash"], row.hash);
        event
    }

    #[test]
    fn mints_refusals_and_fetches_are_events() {
        let minted = event_of(&mint(1));
        assert_eq!((&minted["class_uid"], &minted["status"]), (&json!(3003), &json!("Success")));
        assert_eq!(minted["session"]["uid"], minted["metadata"]["uid"]);
        assert_eq!(minted["privileges"], json!(["arn:aws:iam::000000000000:role/data"]));
        assert_eq!(minted["src_endpoint"]["ip"], "192.0.2.1");
        let refused = event_of(&refusal(2));
        assert_eq!((&refused["status"], &refused["status_code"]), (&json!("Failure"), &json!("no_rule")));
        let Outcome::Minted(of) = mint(3).outcome else { panic!("a mint") };
        let fetched = LedgerEntry {
            outcome: Outcome::Fetched(tagmint_core::ledger::Fetched {
                fetch_id: "ftc_01K5N0000000000000000000AB".parse().unwrap(),
                mint_id: of.mint_id,
                role: "arn:aws:iam::000000000000:role/data".to_owned(),
                assume_then: None,
                sts_request_id: Some("c6104cbe-af31-11e0-8154-cbc7ccf896c7".to_owned()),
                access_key_id: "ASIAEXAMPLE".to_owned(),
                expires_at: 1_790_000_000,
            }),
            ..mint(4)
        };
        let fetched = event_of(&fetched);
        assert_eq!(fetched["class_uid"], 6003);
        assert_eq!(fetched["api"]["request"]["uid"], "c6104cbe-af31-11e0-8154-cbc7ccf896c7");
        assert_eq!(fetched["metadata"]["correlation_uid"], json!(of.mint_id));
    }

    #[test]
    fn a_row_that_cannot_be_read_is_not_lost() {
        let mut row = LedgerHead::genesis(&stamp()).append(&mint(1));
        row.body = "not JSON".to_owned();
        let event = event(&row, None, &stamp());
        assert_eq!((&event["class_uid"], &event["unmapped"]["body"]), (&json!(0), &json!("not JSON")));
    }
}
