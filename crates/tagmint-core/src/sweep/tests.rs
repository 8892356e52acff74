use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;

const DAY: SignedDuration = SignedDuration::from_hours(24);

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn ago(duration: SignedDuration) -> Timestamp {
    now().checked_sub(duration).unwrap()
}

fn prefix(key: &str) -> RunPrefix {
    RunPrefix::of_key(key).unwrap_or_else(|| panic!("{key}"))
}

fn found(key: &str, age: SignedDuration) -> Found {
    Found {
        prefix: prefix(key),
        objects: 10,
        bytes: 1_000,
        uploads: 1,
        newest: ago(age),
        minted_at: None,
        pull: Pull::Unknown,
    }
}

fn policy() -> Policy {
    Policy { older_than: DAY * 7, closed_for: DAY, most_objects: 1_000, most_prefixes: 100, keep: Vec::new() }
}

/// The prefixes that go, with what may be taken of them.
fn goes(all: Vec<Found>, policy: &Policy) -> Vec<(String, u64)> {
    plan(all, policy, now()).due.into_iter().map(|due| (due.found.prefix.to_string(), due.take)).collect()
}

#[test]
fn only_a_test_issuers_test_bucket_is_swept() {
    assert_eq!(Ground::new(Environment::Test, "agentkeys-mail-test-1").unwrap().bucket(), "agentkeys-mail-test-1");
    for bucket in ["agentkeys-mail-test-1", "agentkeys-mail-1", ""] {
        let refused = Ground::new(Environment::Prod, bucket);
        assert_eq!(refused, Err(NotToBeSwept::Environment(Environment::Prod)), "{bucket}");
    }
    for bucket in ["agentkeys-mail-1", "latest-mail", "contest", ""] {
        assert_eq!(Ground::new(Environment::Test, bucket), Err(NotToBeSwept::Bucket(bucket.to_owned())));
    }
}

#[test]
fn the_namespaces_have_a_grammar() {
    for (key, expected) in [
        ("pr-42/run-7/a/b", "pr-42/run-7/"),
        ("pr-42/run-7/", "pr-42/run-7/"),
        ("pr-42/run-7//x", "pr-42/run-7/"),
        ("branch-feature-login-df7c7aeb3560d333/run-7/x", "branch-feature-login-df7c7aeb3560d333/run-7/"),
        ("mr-a/run-18446744073709551615/x", "mr-a/run-18446744073709551615/"),
        ("ref-main/run-1/x", "ref-main/run-1/"),
        ("bearer-Jenkins_1/x", "bearer-Jenkins_1/"),
        ("bearer-a/run-1/x", "bearer-a/"),
    ] {
        assert_eq!(prefix(key).as_str(), expected);
    }
    for key in [
        "",
        "/",
        "x",
        "pr-42",
        "pr-42/",
        "pr-42/x",
        "pr-42/run-7",
        "pr-42/run-/x",
        "pr-42/run-x/x",
        "pr-42/run-07/x",
        "pr-042/run-7/x",
        "pr-/run-7/x",
        "pr-a/run-7/x",
        "pr--1/run-7/x",
        "PR-1/run-7/x",
        "/pr-42/run-7/x",
        "pr-42//run-7/x",
        "x/pr-42/run-7/x",
        "branch-/run-7/x",
        "branch-A/run-7/x",
        "branch--a/run-7/x",
        "branch-a--b/run-7/x",
        "branch-a-/run-7/x",
        "branch-a/x",
        "bearer-/x",
        "bearer-a b/x",
        "bearer-a",
        "0x90f8bf6a479f320ead074411a4b0e7944ea8c9c1/x",
        "fixtures/x",
    ] {
        assert_eq!(RunPrefix::of_key(key), None, "{key}");
    }
    assert_eq!(prefix("pr-42/run-7/x").pull_request(), Some((42, 7)));
    assert_eq!(prefix("branch-a/run-7/x").pull_request(), None);
}

#[test]
fn what_the_ledger_minted_is_a_plain_path_and_no_wallet() {
    let minted = |value: &str| RunPrefix::minted(value).map(|prefix| prefix.to_string());
    for (value, expected) in [
        ("pr-1/run-2", "pr-1/run-2/"),
        ("bearer-a", "bearer-a/"),
        ("team", "team/"),
        ("github/456789/main", "github/456789/main/"),
    ] {
        assert_eq!(minted(value).as_deref(), Some(expected));
    }
    for value in [
        "",
        "/",
        ".",
        "..",
        "a/",
        "/a",
        "a//b",
        "a/../b",
        "a b",
        "a*",
        "pr-1",
        "pr-x",
        "pr-1/run-2/more",
        "branch-a",
        "bearer-a/more",
        "0x90f8bf6a479f320ead074411a4b0e7944ea8c9c1",
        "0X90F8bf6a479f320ead074411a4b0e7944ea8c9c1/inbox",
        "0xa",
        &"x".repeat(300),
    ] {
        assert_eq!(minted(value), None, "{value}");
    }
}

#[test]
fn what_is_old_goes_the_oldest_first() {
    let all = vec![found("pr-1/run-1/", DAY * 7), found("pr-1/run-2/", DAY * 9), found("pr-2/run-1/", DAY * 6)];
    let plan = plan(all, &policy(), now());
    let due: Vec<_> = plan.due.iter().map(|due| (due.found.prefix.as_str(), due.why, due.age)).collect();
    assert_eq!(due, [("pr-1/run-2/", Why::Old, DAY * 9), ("pr-1/run-1/", Why::Old, DAY * 7)]);
    assert_eq!(plan.kept.into_iter().collect::<Vec<_>>(), [(Kept::Young, 1)]);
}

#[test]
fn a_token_that_was_minted_lately_keeps_its_prefix() {
    let minted = Found { minted_at: Some(ago(DAY)), ..found("pr-1/run-1/", DAY * 90) };
    assert_eq!(goes(vec![minted], &policy()), []);
}

#[test]
fn a_closed_pull_request_goes_sooner_and_only_when_it_is_known() {
    let with = |pull| Found { pull, ..found("pr-1/run-1/", DAY * 2) };
    let count = |pull| goes(vec![with(pull)], &policy()).len();
    assert_eq!(count(Pull::Closed { at: ago(DAY) }), 1);
    assert_eq!(count(Pull::Closed { at: ago(DAY - SignedDuration::from_secs(1)) }), 0);
    assert_eq!((count(Pull::Open), count(Pull::Unknown)), (0, 0));
    // A run that goes on after its pull request was closed is not disturbed.
    let busy = Found { newest: ago(SignedDuration::from_secs(60)), ..with(Pull::Closed { at: ago(DAY * 3) }) };
    assert_eq!(goes(vec![busy], &policy()), []);
}

#[test]
fn what_is_of_the_future_stays_and_a_second_is_none() {
    let careless = Policy { older_than: SignedDuration::from_hours(-1), ..policy() };
    for (seconds, kept) in [(1, Kept::Young), (300, Kept::Young), (301, Kept::Future)] {
        let future = found("pr-1/run-1/", SignedDuration::from_secs(-seconds));
        let plan = plan(vec![future], &careless, now());
        assert_eq!((plan.due.len(), plan.kept.into_iter().collect::<Vec<_>>()), (0, vec![(kept, 1)]), "{seconds}");
    }
}

#[test]
fn what_is_named_stays() {
    for keep in ["pr-1/", "pr-1/run-1/", "pr-1/run-1/fixtures/"] {
        let policy = Policy { keep: vec![keep.to_owned()], ..policy() };
        let all = vec![found("pr-1/run-1/", DAY * 90), found("pr-12/run-1/", DAY * 90)];
        assert_eq!(goes(all, &policy), [("pr-12/run-1/".to_owned(), 11)], "{keep}");
    }
}

#[test]
fn limits_hold_in_order() {
    let all = || (1..=5).map(|run| found(&format!("pr-1/run-{run}/"), DAY * (10 + run))).collect::<Vec<_>>();
    let taken = |policy: &Policy| goes(all(), policy).into_iter().map(|(_, take)| take).collect::<Vec<_>>();
    assert_eq!(taken(&Policy { most_objects: 25, ..policy() }), [11, 11, 3, 0, 0]);
    assert_eq!(taken(&Policy { most_prefixes: 2, ..policy() }), [11, 11, 0, 0, 0]);
    assert_eq!(taken(&Policy { most_objects: 0, ..policy() }), [0; 5]);
    assert_eq!(taken(&policy()), [11; 5]);
}

proptest! {
    #[test]
    fn a_prefix_holds_its_key_and_is_deep_enough(key in "(pr|branch|mr|ref|bearer|x|0x)-?[a-z0-9./-]{0,12}/(run-)?[0-9a-z/]{0,6}/?[a-z/]{0,4}") {
        if let Some(prefix) = RunPrefix::of_key(&key) {
            prop_assert!(key.starts_with(prefix.as_str()) && prefix.as_str().ends_with('/'));
            prop_assert!(NAMESPACES.iter().any(|name| prefix.as_str().starts_with(name)));
            let parts = prefix.as_str().matches('/').count();
            prop_assert_eq!(parts, if prefix.as_str().starts_with("bearer-") { 1 } else { 2 });
            prop_assert_eq!(RunPrefix::minted(prefix.as_str().trim_end_matches('/')), Some(prefix.clone()));
        }
    }

    #[test]
    fn a_run_takes_no_more_than_its_limits(
        counts in prop::collection::vec(0_u64..50, 0..20), most_objects in 0_u64..200, most_prefixes in 0_u64..20
    ) {
        let all = counts.iter().enumerate().map(|(index, objects)| {
            let one = found(&format!("pr-1/run-{}/", index + 1), DAY * 30);
            Found { objects: *objects, ..one }
        });
        let plan = plan(all.collect(), &Policy { most_objects, most_prefixes, ..policy() }, now());
        let taken = plan.due.iter().filter(|due| due.take > 0);
        prop_assert!(taken.clone().map(|due| due.take).sum::<u64>() <= most_objects);
        prop_assert!(taken.count() as u64 <= most_prefixes);
    }
}
