//! Ledger entries by number.

use tagmint_core::{
    json,
    ledger::{FORMAT, LedgerEntry, Minted, Outcome, Refused},
};

/// The time of entry 0, in milliseconds since the epoch; every further one is a millisecond later.
pub const FIRST_ENTRY_AT_MS: i64 = 1_790_000_000_000;

/// The mint with this number. Numbers give different ids.
pub fn mint(number: i64) -> LedgerEntry {
    let minted = Minted {
        mint_id: format!("mnt_{number:026}").parse().expect("digits are a ULID"),
        kid: "made-up".to_owned(),
        subject: "wallet:0xa".to_owned(),
        audience: "sts.amazonaws.com".to_owned(),
        tags: json::parse(br#"{"principal_tags":{"wallet":["0xa"]},"transitive_tag_keys":["wallet"]}"#)
            .expect("the text is JSON"),
        roles: vec!["arn:aws:iam::000000000000:role/data".to_owned()],
        issued_at: 1_790_000_000,
        expires_at: 1_790_000_300,
    };
    entry(number, Outcome::Minted(minted))
}

/// The refusal with this number. Numbers give different ids.
pub fn refusal(number: i64) -> LedgerEntry {
    let refused = Refused {
        refusal_id: format!("rfs_{number:026}").parse().expect("digits are a ULID"),
        code: "no_rule".to_owned(),
        detail: "no rule matches".to_owned(),
        omitted: None,
    };
    entry(number, Outcome::Refused(refused))
}

fn entry(number: i64, outcome: Outcome) -> LedgerEntry {
    LedgerEntry {
        format: FORMAT,
        at_ms: FIRST_ENTRY_AT_MS + number,
        request_id: format!("req_{number:026}").parse().expect("digits are a ULID"),
        route: "POST /v1/tokens".to_owned(),
        remote: Some("192.0.2.1".to_owned()),
        credential: Some(format!("ses_{number:026}")),
        source: Some("session".to_owned()),
        identity: Some("0xa".to_owned()),
        rule: Some("wallet".to_owned()),
        run: None,
        outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_make_entries_distinct() {
        assert_eq!(mint(1), mint(1));
        assert_ne!(mint(1).id(), mint(2).id());
        assert_ne!(mint(1).id(), refusal(1).id());
    }
}
