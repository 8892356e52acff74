//! Every way to tamper with a ledger, and what tells.

mod archives;

use super::*;
use crate::{environment::Environment, issuer::IssuerUrl};

fn stamp() -> Stamp {
    Stamp { issuer: IssuerUrl::parse("https://broker.example").unwrap(), environment: Environment::Test }
}

fn entry(number: i64) -> LedgerEntry {
    LedgerEntry {
        format: FORMAT,
        at_ms: 1_790_000_000_000 + number,
        request_id: format!("req_{number:026}").parse().unwrap(),
        route: "POST /v1/tokens".into(),
        remote: Some("127.0.0.1".into()),
        credential: Some("ses_1".into()),
        source: Some("session".into()),
        identity: Some("0xa".into()),
        rule: Some("wallet".into()),
        run: None,
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
fn an_entry_with_its_run_survives_the_round_trip() {
    let run = Run {
        only_rule: Some("ci".into()),
        scope: json::parse_as(br#"{"prefix":"ci"}"#).unwrap(),
        trusted_issuer: Some("github".into()),
        attributes: json::parse_as(br#"{"repository_id":"1","protected":true}"#).unwrap(),
        left_out: vec!["matrix".into()],
        request: Some(crate::rules::MintRequest { lifetime_seconds: Some(60), ..Default::default() }),
        address: Some(AddressClass::Public),
        rules: "0123456789abcdef".into(),
        shadows: vec![Shadow { rule: "stricter".into(), outcome: "no_rule".into() }],
    };
    let fetched = Outcome::Fetched(Fetched {
        fetch_id: format!("ftc_{:026}", 1).parse().unwrap(),
        mint_id: format!("mnt_{:026}", 1).parse().unwrap(),
        role: "arn:aws:iam::123456789012:role/ci".into(),
        assume_then: Some("arn:aws:iam::444455556666:role/data".into()),
        sts_request_id: Some("c6104cbe-af31-11e0-8154-cbc7ccf896c7".into()),
        access_key_id: "ASIAEXAMPLE".into(),
        expires_at: 1_790_003_600,
    });
    for outcome in [entry(1).outcome, entry(2).outcome, fetched] {
        let entry = LedgerEntry { run: Some(Box::new(run.clone())), outcome, ..entry(1) };
        let body = entry.to_body();
        assert_eq!(json::parse_as::<LedgerEntry>(body.as_bytes()).unwrap(), entry, "{body}");
        assert!(body.starts_with(r#"{"format":2,"#), "{body}");
        let mut head = LedgerHead::genesis(&stamp());
        let rows = [head.append(&entry)];
        assert_eq!(verify(&rows, &head), Ok(head));
    }
}

/// What the first release wrote.
const FIRST_FORMAT: &str = r#"{"at_ms":1790000000001,"request_id":"req_00000000000000000000000001","route":"POST /v1/tokens","remote":"127.0.0.1","credential":"ses_1","source":"session","identity":"0xa","rule":"wallet","outcome":"minted","mint_id":"mnt_00000000000000000000000001","kid":"k","subject":"wallet:0xa","audience":"sts.amazonaws.com","tags":{"principal_tags":{"wallet":["0xa"]}},"roles":[],"issued_at":1790000000,"expires_at":1790000300}"#;

#[test]
fn rows_of_the_first_format_keep_their_bytes_and_verify() {
    let first: LedgerEntry = json::parse_as(FIRST_FORMAT.as_bytes()).unwrap();
    assert_eq!(first, LedgerEntry { format: 1, ..entry(1) });
    assert_eq!(first.to_body(), FIRST_FORMAT);
    let mut head = LedgerHead::genesis(&stamp());
    let rows = [head.append(&first), head.append(&entry(2))];
    assert_eq!(rows[0].body, FIRST_FORMAT);
    assert_eq!(verify(&rows, &head), Ok(head));
}

#[test]
fn a_later_format_is_named() {
    let body = entry(1).to_body();
    for (changed, fault) in [
        (body.replace(r#""format":2"#, r#""format":3"#), LedgerFault::Format { seq: 1, format: 3 }),
        (body.replace(r#""format":2"#, r#""format":300"#), LedgerFault::Format { seq: 1, format: 300 }),
        (r#"{"format":3,"what":"not known here"}"#.to_owned(), LedgerFault::Format { seq: 1, format: 3 }),
        (r#"{"format":2,"what":"not known here"}"#.to_owned(), LedgerFault::Altered { seq: 1 }),
        (r#"{"what":"not known here"}"#.to_owned(), LedgerFault::Altered { seq: 1 }),
    ] {
        let genesis = LedgerHead::genesis(&stamp());
        let mut row = genesis.clone().append(&entry(1));
        row.hash = row_hash(&genesis.hash, 1, &changed);
        row.body = changed;
        let mut verifier = ChainVerifier::new(&stamp());
        assert_eq!(verifier.check(&row), Err(fault), "{}", row.body);
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
