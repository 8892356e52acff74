//! Every way to tamper with a ledger, and what tells.

mod archives;

use super::*;
use crate::{environment::Environment, issuer::IssuerUrl};

fn stamp() -> Stamp {
    Stamp { issuer: IssuerUrl::parse("https://broker.example").unwrap(), environment: Environment::Test }
}

fn entry(number: i64) -> LedgerEntry {
    LedgerEntry {
        at_ms: 1_790_000_000_000 + number,
        request_id: format!("req_{number:026}").parse().unwrap(),
        route: "POST /v1/tokens".into(),
        remote: Some("127.0.0.1".into()),
        credential: Some("ses_1".into()),
        source: Some("session".into()),
        identity: Some("0xa".into()),
        rule: Some("wallet".into()),
        outcome: if number % 2 == 0 {
            Outcome::Refused(Refused {
                refusal_id: format!("rfs_{number:026}").parse().unwrap(),
                code: "no_rule".into(),
                detail: "no rule".into(),
                omitted: None,
            })
        } else {
            Outcome::Minted(Minted {
                mint_id: format!("mnt_{number:026}").parse().unwrap(),
                kid: "k".into(),
                subject: "wallet:0xa".into(),
                audience: "sts.amazonaws.com".into(),
                tags: serde_json::json!({"principal_tags": {"wallet": ["0xa"]}}),
                roles: vec![],
                issued_at: 1_790_000_000,
                expires_at: 1_790_000_300,
            })
        },
    }
}

fn chain(count: i64) -> (Vec<LedgerRow>, LedgerHead) {
    let mut head = LedgerHead::genesis(&stamp());
    let rows = (1..=count).map(|number| head.append(&entry(number))).collect();
    (rows, head)
}

fn verify(rows: &[LedgerRow], head: &LedgerHead) -> Result<LedgerHead, LedgerFault> {
    let mut verifier = ChainVerifier::new(&stamp());
    rows.iter().try_for_each(|row| verifier.check(row))?;
    verifier.finish(head)
}

#[test]
fn an_untouched_ledger_verifies() {
    let (rows, head) = chain(5);
    assert_eq!(verify(&rows, &head), Ok(head));
    let (rows, head) = chain(0);
    assert_eq!(verify(&rows, &head), Ok(head));
}

#[test]
fn an_entry_survives_the_round_trip() {
    for number in 1..3 {
        let body = entry(number).to_body();
        assert_eq!(json::parse_as::<LedgerEntry>(body.as_bytes()).unwrap(), entry(number), "{body}");
    }
}

#[test]
fn an_altered_row_is_found() {
    let (mut rows, head) = chain(5);
    rows[2].body = rows[2].body.replace("0xa", "0xb");
    assert_eq!(verify(&rows, &head), Err(LedgerFault::Altered { seq: 3 }));
    rows[2].hash = row_hash(&rows[2].prev_hash, 3, &rows[2].body);
    assert_eq!(verify(&rows, &head), Err(LedgerFault::Unchained { seq: 4 }));
}

#[test]
fn an_altered_column_is_found() {
    let (rows, head) = chain(3);
    for (column, change) in [
        ("entry_id", (|row| row.entry_id.push('x')) as fn(&mut LedgerRow)),
        ("at_ms", |row| row.at_ms += 1),
        ("outcome", |row| row.outcome = "refused".into()),
    ] {
        let mut rows = rows.clone();
        change(&mut rows[0]);
        assert_eq!(verify(&rows, &head), Err(LedgerFault::Column { seq: 1, column }));
    }
}

#[test]
fn dropped_and_inserted_rows_are_found() {
    let (rows, head) = chain(5);
    let without =
        |index: usize| rows.iter().enumerate().filter(|(i, _)| *i != index).map(|(_, r)| r.clone()).collect::<Vec<_>>();
    assert_eq!(verify(&without(0), &head), Err(LedgerFault::Dropped { expected: 1, found: 2 }));
    assert_eq!(verify(&without(2), &head), Err(LedgerFault::Dropped { expected: 3, found: 4 }));
    assert_eq!(verify(&without(4), &head), Err(LedgerFault::Cut { expected: 5, found: 4 }));
    assert_eq!(verify(&[], &head), Err(LedgerFault::Cut { expected: 5, found: 0 }));

    let mut closed_up = without(2);
    closed_up[2].seq = 3;
    assert_eq!(verify(&closed_up, &head), Err(LedgerFault::Unchained { seq: 3 }));

    let mut added = rows.clone();
    added.push(head.clone().append(&entry(9)));
    assert_eq!(verify(&added, &head), Err(LedgerFault::Cut { expected: 5, found: 6 }));

    let mut inserted = rows.clone();
    inserted.insert(2, rows[1].clone());
    assert_eq!(verify(&inserted, &head), Err(LedgerFault::Dropped { expected: 3, found: 2 }));
}

#[test]
fn a_chain_computed_anew_ends_in_another_hash() {
    let (_, head) = chain(5);
    let mut forged_head = LedgerHead::genesis(&stamp());
    let forged: Vec<_> = (11..=15).map(|number| forged_head.append(&entry(number))).collect();
    assert_eq!(verify(&forged, &head), Err(LedgerFault::Unchained { seq: 5 }));
}

#[test]
fn another_issuers_chain_does_not_pass() {
    let (rows, head) = chain(2);
    let other = Stamp { environment: Environment::Prod, ..stamp() };
    let mut verifier = ChainVerifier::new(&other);
    assert_eq!(verifier.check(&rows[0]), Err(LedgerFault::Unchained { seq: 1 }));
    assert_ne!(LedgerHead::genesis(&other), head);
}

#[test]
fn hexadecimal_goes_both_ways() {
    assert_eq!(hex(&[0, 15, 255]), "000fff");
    assert_eq!(unhex("000fff"), Some(vec![0, 15, 255]));
    assert_eq!(unhex("0"), None);
    assert_eq!(unhex("zz"), None);
}
