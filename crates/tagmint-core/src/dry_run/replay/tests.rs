//! Rows under other rules.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Value, json};

use super::*;
use crate::{
    dry_run::{
        fixture::{
            Claims,
            tests::{RULES, compiled, issuer},
        },
        record,
    },
    identity::{CredentialId, VerifiedIdentity},
    ledger::{FORMAT, Minted, Outcome, Refused, Run},
    rules::{RuleName, TagScope},
};

const REMOTE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn job(attributes: Value) -> VerifiedIdentity {
    let Value::Object(attributes) = attributes else { panic!("an object") };
    VerifiedIdentity {
        source: IdentitySource::TrustedIssuer(IssuerKind::GITHUB),
        trusted_issuer: Some(issuer().name),
        subject: "repo:octo/app:ref:refs/heads/main".to_owned(),
        attributes,
        credential: CredentialId::Absent,
        only_rule: None,
        scope: TagScope::default(),
    }
}

/// On `main` of a repository.
fn on_main(repository: &str) -> VerifiedIdentity {
    job(
        json!({"repository_id": repository, "repository": "octo/app", "branch": "main", "event_name": "push", "run_id": "7"}),
    )
}

fn pull_request() -> VerifiedIdentity {
    job(json!({"repository_id": "456789", "event_name": "pull_request", "pull_request": 3, "run_id": "7"}))
}

/// The row that the issuer writes under these rules.
fn row(number: i64, identity: &VerifiedIdentity, request: &MintRequest, rules: &RuleSet) -> LedgerEntry {
    let decision = rules.decide(identity, request);
    let (rule, outcome) = match &decision.result {
        Ok(grant) => {
            let minted = Minted {
                mint_id: format!("mnt_{number:026}").parse().unwrap(),
                kid: "k".into(),
                subject: grant.subject.to_string(),
                audience: grant.audience.to_string(),
                tags: serde_json::to_value(&grant.tags).unwrap(),
                roles: grant.roles.iter().map(ToString::to_string).collect(),
                issued_at: 1_790_000_000,
                expires_at: 1_790_000_000 + i64::from(grant.lifetime.seconds()),
            };
            (Some(grant.rule.to_string()), Outcome::Minted(minted))
        }
        Err(denial) => {
            let refused = Refused {
                refusal_id: format!("rfs_{number:026}").parse().unwrap(),
                code: denial.code().into(),
                detail: denial.to_string(),
                omitted: None,
            };
            (denial.rule.as_ref().map(ToString::to_string), Outcome::Refused(refused))
        }
    };
    LedgerEntry {
        format: FORMAT,
        at_ms: 1_790_000_000_000 + number,
        request_id: format!("req_{number:026}").parse().unwrap(),
        route: "POST /v1/tokens".into(),
        remote: Some(REMOTE.to_string()),
        credential: None,
        source: Some(identity.source.as_str().to_owned()),
        identity: Some(identity.subject.clone()),
        rule,
        run: Some(Box::new(Run::of(identity, request, REMOTE, rules.hash()).with_shadows(&decision.shadows))),
        outcome,
    }
}

fn in_force<'r>(rules: &'r RuleSet, issuers: &'r [TrustedIssuer]) -> RulesInForce<'r> {
    RulesInForce::new(rules, issuers, false)
}

/// Replays rows of `identities` that were recorded under [`RULES`] under them with one text replaced by another.
fn replayed(identities: &[VerifiedIdentity], from: &str, to: &str) -> Tally {
    assert!(RULES.contains(from), "{from}");
    let (old, new, issuers) = (compiled(RULES), compiled(&RULES.replace(from, to)), [issuer()]);
    let mut replay = Replay::new(in_force(&new, &issuers), None);
    let request = MintRequest::default();
    for (number, identity) in identities.iter().enumerate() {
        replay.row(&row(i64::try_from(number).unwrap() + 1, identity, &request, &old));
    }
    replay.tally().clone()
}

fn counts(tally: &Tally) -> [u64; 5] {
    [
        tally.unchanged,
        tally.count(Change::NewlyRefused),
        tally.count(Change::NewlyAllowed),
        tally.count(Change::Changed),
        tally.undecided_rows(),
    ]
}

#[test]
fn the_same_rules_change_nothing() {
    let identities = [on_main("456789"), on_main("2"), pull_request()];
    let tally = replayed(&identities, "release", "release");
    assert_eq!((counts(&tally), tally.mints, tally.refusals, tally.rows()), ([3, 0, 0, 0, 0], 2, 1, 3));
    assert!(!tally.has_changes() && tally.groups().is_empty());
}

#[test]
fn what_is_refused_allowed_and_changed_is_counted_by_rule_and_repository() {
    let tally =
        replayed(&[on_main("456789"), on_main("456789"), on_main("2")], "branch = \"main\"", "branch = \"prod\"");
    assert_eq!(counts(&tally), [1, 2, 0, 0, 0]);
    let [group] = tally.groups()[..] else { panic!("{:?}", tally.groups()) };
    assert_eq!((group.change, group.rule.as_str(), group.rows), (Change::NewlyRefused, "release", 2));
    assert_eq!(group.repository, "octo/app (456789)");
    assert_eq!(group.first.id, "mnt_00000000000000000000000001");
    assert_eq!(group.first.reason, "`release`: `branch` is \"main\", and must be \"prod\"");

    let tally = replayed(&[on_main("2"), on_main("3")], "\"456789\", branch", "[\"2\", \"3\"], branch");
    assert_eq!(counts(&tally), [0, 0, 2, 0, 0]);
    assert_eq!(tally.groups().len(), 2);
    assert_eq!(tally.groups()[0].first.reason, "was refused (`no_rule`); `release` grants `github:2:release`");

    let tally = replayed(
        &[on_main("456789"), pull_request()],
        "repository = \"${repository_id}\"",
        "repository = \"r-${repository_id}\"",
    );
    assert_eq!(counts(&tally), [1, 0, 0, 1, 0]);
    let group = tally.groups()[0];
    assert_eq!(group.first.reason, "tags.repository: `456789` -> `r-456789`");
    assert_eq!(group.fields["tags.repository"], 1);
}

#[test]
fn a_rule_that_is_gone_and_one_in_another_place_are_told() {
    let tally = replayed(&[on_main("456789")], "name = \"release\"", "name = \"deploy\"");
    assert_eq!(tally.groups()[0].first.reason, "rule: `release` -> `deploy`");
    let gone = "name = \"release\"\n    from = \"github\"";
    let tally = replayed(&[on_main("456789")], gone, "name = \"other\"\n    mode = \"shadow\"\n    from = \"github\"");
    let reason = &tally.groups()[0].first.reason;
    assert!(reason.starts_with("there is no rule `release`; no rule takes this identity"), "{reason}");
}

#[test]
fn a_changed_order_of_roles_is_no_change() {
    let roles = "[\"arn:aws:iam::111122223333:role/release\", \"arn:aws:iam::111122223333:role/audit\"]";
    let turned = "[\"arn:aws:iam::111122223333:role/audit\", \"arn:aws:iam::111122223333:role/release\"]";
    assert_eq!(counts(&replayed(&[on_main("456789")], roles, turned)), [1, 0, 0, 0, 0]);
    let fewer = "[\"arn:aws:iam::111122223333:role/audit\"]";
    assert_eq!(counts(&replayed(&[on_main("456789")], roles, fewer)), [0, 0, 0, 1, 0]);
}

#[test]
fn an_issuer_that_is_gone_refuses_and_one_of_another_kind_cannot_be_decided() {
    let (rules, request) = (compiled(RULES), MintRequest::default());
    let recorded = row(1, &on_main("456789"), &request, &rules);
    let mut replay = Replay::new(in_force(&rules, &[]), None);
    replay.row(&recorded);
    assert_eq!(counts(replay.tally()), [0, 1, 0, 0, 0]);
    assert_eq!(replay.tally().groups()[0].first.reason, "there is no trusted issuer `github`");
    let other = [TrustedIssuer { kind: IssuerKind::GITLAB, ..issuer() }];
    let mut replay = Replay::new(in_force(&rules, &other), None);
    replay.row(&recorded);
    assert_eq!(counts(replay.tally()), [0, 0, 0, 0, 1]);
    assert!(replay.tally().undecided.contains_key("other_kind"));
}

#[test]
fn a_base_takes_the_place_of_the_record() {
    let (old, new, issuers) = (compiled(RULES), compiled(&RULES.replace("\"main\"", "\"prod\"")), [issuer()]);
    let recorded = row(1, &on_main("456789"), &MintRequest::default(), &old);
    let mut replay = Replay::new(in_force(&new, &issuers), Some(in_force(&new, &issuers)));
    replay.row(&recorded);
    assert_eq!(counts(replay.tally()), [1, 0, 0, 0, 0]);
    assert_eq!(replay.rule_sets().collect::<Vec<_>>(), [old.hash()]);
}

#[test]
fn session_terms_are_compared_with_a_base_only() {
    let (old, issuers) = (compiled(RULES), [issuer()]);
    let new = compiled(&RULES.replace("444455556666:role/data", "444455556666:role/other"));
    let recorded = row(1, &pull_request(), &MintRequest::default(), &old);
    let mut replay = Replay::new(in_force(&new, &issuers), None);
    replay.row(&recorded);
    assert!(counts(replay.tally()) == [1, 0, 0, 0, 0] && replay.has_session_terms());
    let mut replay = Replay::new(in_force(&new, &issuers), Some(in_force(&old, &issuers)));
    replay.row(&recorded);
    assert!(replay.tally().groups()[0].first.reason.starts_with("assume_then: "));
}

#[test]
fn what_a_credential_is_bound_to_is_replayed() {
    let (rules, issuers) = (compiled(RULES), [issuer()]);
    let bearer = VerifiedIdentity {
        source: IdentitySource::Bearer,
        trusted_issuer: None,
        subject: "ci".to_owned(),
        attributes: serde_json::Map::new(),
        scope: TagScope::new([("prefix", "ci/a")]).unwrap(),
        only_rule: Some(RuleName::parse("batch").unwrap()),
        ..VerifiedIdentity::anonymous()
    };
    let refused = row(1, &bearer, &MintRequest::default(), &rules);
    assert_eq!(refused.outcome_name(), "refused");
    let mut replay = Replay::new(in_force(&rules, &issuers), None);
    replay.row(&refused);
    assert_eq!(counts(replay.tally()), [1, 0, 0, 0, 0], "without its scope it would be newly allowed");
}

#[test]
fn rows_that_cannot_be_decided_are_counted_by_why() {
    let (rules, issuers, request) = (compiled(RULES), [issuer()], MintRequest::default());
    let mut replay = Replay::new(in_force(&rules, &issuers), None);
    let good = row(1, &on_main("456789"), &request, &rules);
    let with = |change: fn(&mut LedgerEntry)| {
        let mut entry = good.clone();
        change(&mut entry);
        entry
    };
    for entry in [
        with(|entry| {
            entry.format = 1;
            entry.run = None;
        }),
        with(|entry| entry.run = None),
        with(|entry| entry.run.as_mut().unwrap().left_out.push("sha".into())),
        with(|entry| entry.run.as_mut().unwrap().request = None),
        with(|entry| entry.source = Some("fax".into())),
        with(|entry| entry.run.as_mut().unwrap().trusted_issuer = None),
    ] {
        replay.row(&entry);
    }
    replay.tally().unreadable("mnt_x", 5);
    let undecided: Vec<(&str, u64)> = replay.tally().undecided.iter().map(|(code, it)| (*code, it.rows)).collect();
    assert_eq!(
        undecided,
        [
            ("claims_left_out", 1),
            ("format_1", 1),
            ("no_run", 1),
            ("request_left_out", 1),
            ("unreadable", 2),
            ("unreadable_row", 1)
        ]
    );
    assert_eq!((counts(replay.tally()), replay.tally().rows()), ([0, 0, 0, 0, 7], 7));

    // Refusals that no rule decided.
    let refused = |code: &str, source: Option<&str>| {
        let mut entry = row(2, &on_main("2"), &request, &rules);
        entry.source = source.map(str::to_owned);
        let Outcome::Refused(refused) = &mut entry.outcome else { panic!("{entry:?}") };
        refused.code = code.to_owned();
        entry
    };
    replay.row(&refused("credential_unknown", None));
    replay.row(&refused("ci_token_spent", Some("github")));
    assert_eq!(counts(replay.tally())[4], 7);
    assert_eq!(replay.tally().not_affected.values().sum::<u64>(), 2);
}

#[test]
fn groups_are_bounded() {
    let (old, new, issuers) = (
        compiled(RULES),
        compiled(&RULES.replace("repository_id = \"456789\", branch", "repository_id = { present = true }, branch")),
        [issuer()],
    );
    let mut replay = Replay::new(in_force(&new, &issuers), None);
    let mut entry = row(1, &on_main("2"), &MintRequest::default(), &old);
    for number in 0..MAX_GROUPS + 10 {
        entry.run.as_mut().unwrap().attributes.insert("repository_id".into(), json!(number.to_string()));
        replay.row(&entry);
    }
    let tally = replay.tally();
    assert_eq!((tally.groups().len(), tally.rows_beyond), (MAX_GROUPS, 10));
}

#[test]
fn a_listed_claim_that_no_row_holds_is_told() {
    let (rules, issuers) =
        (compiled(RULES), [TrustedIssuer { claims: Some(vec!["run_id".into(), "new".into()]), ..issuer() }]);
    let mut replay = Replay::new(in_force(&rules, &issuers), None).watching(&issuers);
    replay.row(&row(1, &on_main("456789"), &MintRequest::default(), &rules));
    assert_eq!(replay.unseen_claims().collect::<Vec<_>>(), [("github", "new")]);
}

#[test]
fn a_recorded_test_passes_under_the_rules_that_recorded_it() {
    let (rules, issuers) = (compiled(RULES), [&issuer()]);
    let session = VerifiedIdentity {
        source: IdentitySource::Session,
        subject: "0xa".to_owned(),
        attributes: json!({"team": "blue", "none": null, "big": u64::MAX, "deep": {"a": [1, "x", 2.5]}})
            .as_object()
            .unwrap()
            .clone(),
        ..VerifiedIdentity::anonymous()
    };
    let asking = MintRequest {
        lifetime_seconds: Some(900),
        tags: [("run".to_owned(), "x".to_owned())].into(),
        ..MintRequest::default()
    };
    for (number, (identity, request)) in [
        (on_main("456789"), asking),
        (pull_request(), MintRequest::default()),
        (on_main("2"), MintRequest::default()),
        (session, MintRequest::default()),
    ]
    .into_iter()
    .enumerate()
    {
        let entry = row(i64::try_from(number).unwrap(), &identity, &request, &rules);
        let fixture = record(&entry, None).unwrap();
        let text = toml::to_string(&fixture).unwrap();
        let again =
            toml::from_str::<crate::dry_run::fixture::Fixture>(&text).unwrap_or_else(|error| panic!("{text}\n{error}"));
        assert_eq!(again, fixture, "{text}");
        assert_eq!(again.run(&rules, &issuers).unwrap().differences, [], "{text}");
        let asked = again.identity(&issuers).unwrap();
        assert_eq!((asked.subject(), asked.attributes()), (identity.subject.as_str(), &identity.attributes), "{text}");
        assert_eq!(matches!(fixture.attributes, Some(Claims::Json(_))), number == 3);
    }
}

#[test]
fn a_row_that_no_test_can_be_made_of_says_why() {
    let rules = compiled(RULES);
    let mut entry = row(1, &on_main("456789"), &MintRequest::default(), &rules);
    entry.run.as_mut().unwrap().left_out = vec!["sha".to_owned()];
    let error = record(&entry, None).unwrap_err().to_string();
    assert!(error.starts_with("no test can be made of mnt_") && error.contains("`sha`"), "{error}");
    entry.run = None;
    entry.format = 1;
    assert!(record(&entry, None).unwrap_err().to_string().contains("format 1"));
}
