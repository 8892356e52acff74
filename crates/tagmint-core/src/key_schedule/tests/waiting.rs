//! Keys that wait for a witness: what ends the wait, and what a forged or missing witness can do.

use super::*;

const DEADLINE: i64 = 72 * 3600;
const WAITING: RotationPolicy =
    RotationPolicy { witness_deadline: Some(SignedDuration::from_secs(DEADLINE)), ..POLICY };
/// When a successor that is published at 10 by `rotate` is due.
const DUE: i64 = 10 + 86_400;

fn nobody() -> Witnesses {
    Witnesses::default()
}

/// A ring whose second key is published at 10 and waits.
fn waiting() -> Ring {
    let mut ring = Ring::started();
    ring.apply(ring.view().rotate(at(10), None, &WAITING).unwrap());
    ring
}

fn seen(ring: &Ring, key: usize, second: i64) -> Witnesses {
    [(ring.0[key].kid.clone(), at(second))].into_iter().collect()
}

fn signing(ring: &Ring, second: i64) -> usize {
    let kid = &ring.view().signing(at(second)).unwrap().kid;
    ring.0.iter().position(|key| key.kid == *kid).unwrap()
}

#[test]
fn the_first_key_does_not_wait() {
    let due = KeyRing(&[]).due(at(0), &WAITING, &nobody());
    assert_eq!(due, [KeyChange::Publish(open_ended(at(0), at(0)))]);
}

#[test]
fn unseen_it_signs_at_its_deadline_and_the_older_key_until_then() {
    let ring = waiting();
    let schedule = ring.0[1].schedule;
    assert_eq!((schedule.due_at, schedule.active_at), (Some(at(DUE)), at(DUE + DEADLINE)));
    assert_eq!(ring.0[0].schedule.retiring_at, Some(at(DUE + DEADLINE)));
    for second in [DUE - 1, DUE, DUE + DEADLINE - 1] {
        assert_eq!(ring.view().due(at(second), &WAITING, &nobody()), []);
        assert!(schedule.waits(at(second)) && !schedule.began_at_deadline(at(second)), "{second}");
        assert_eq!(signing(&ring, second), 0, "{second}");
    }
    assert_eq!(signing(&ring, DUE + DEADLINE), 1);
    assert!(schedule.began_at_deadline(at(DUE + DEADLINE)) && !schedule.waits(at(DUE + DEADLINE)));
}

#[test]
fn a_witness_before_its_time_lets_it_sign_in_time_and_no_sooner() {
    let mut ring = waiting();
    ring.apply(ring.view().due(at(20), &WAITING, &seen(&ring, 1, 15)));
    assert_eq!((ring.0[1].schedule.due_at, ring.0[1].schedule.active_at), (None, at(DUE)));
    assert_eq!(ring.0[0].schedule.retiring_at, Some(at(DUE)));
    assert_eq!((signing(&ring, DUE - 1), signing(&ring, DUE)), (0, 1));
    assert!(!ring.0[1].schedule.began_at_deadline(at(DUE)));
    assert_eq!(ring.view().due(at(21), &WAITING, &seen(&ring, 1, 15)), [], "told once");
}

#[test]
fn a_late_witness_lets_it_sign_once_every_process_knows() {
    let mut ring = waiting();
    let witnessed = DUE + 5000;
    ring.apply(ring.view().due(at(witnessed), &WAITING, &seen(&ring, 1, witnessed - 3)));
    assert_eq!((signing(&ring, witnessed + 29), signing(&ring, witnessed + 30)), (0, 1));
    assert_eq!(ring.0[0].schedule.withdrawn_at, Some(at(witnessed + 30 + 1230)));
}

#[test]
fn a_witness_just_before_the_deadline_moves_nothing() {
    let mut ring = waiting();
    let before = ring.0[1].schedule;
    ring.apply(ring.view().due(at(DUE + DEADLINE - 10), &WAITING, &seen(&ring, 1, DUE)));
    assert_eq!(ring.0[1].schedule, KeySchedule { due_at: None, ..before });
}

#[test]
fn a_fetch_of_another_key_or_from_before_the_publication_is_no_witness() {
    let ring = waiting();
    assert_eq!(ring.view().due(at(DUE), &WAITING, &seen(&ring, 0, DUE)), []);
    assert_eq!(ring.view().due(at(DUE), &WAITING, &seen(&ring, 1, 9)), []);
    assert_ne!(ring.view().due(at(DUE), &WAITING, &seen(&ring, 1, 10)), []);
}

#[test]
fn switching_the_wait_off_or_shortening_it_holds_for_a_waiting_key() {
    let mut ring = waiting();
    let shorter = RotationPolicy { witness_deadline: Some(SignedDuration::from_secs(60)), ..POLICY };
    ring.apply(ring.view().due(at(20), &shorter, &nobody()));
    assert_eq!((ring.0[1].schedule.due_at, ring.0[1].schedule.active_at), (Some(at(DUE)), at(DUE + 60)));
    assert_eq!(ring.view().due(at(21), &WAITING, &nobody()), [], "a longer one does not");
    ring.apply(ring.view().due(at(30), &POLICY, &nobody()));
    assert_eq!((ring.0[1].schedule.due_at, ring.0[1].schedule.active_at), (None, at(DUE)));
}

#[test]
fn a_waiting_key_comes_forward_by_hand_and_still_waits() {
    let mut ring = waiting();
    let soon = Some(SignedDuration::from_secs(3630));
    ring.apply(ring.view().rotate(at(20), soon, &WAITING).unwrap());
    let schedule = ring.0[1].schedule;
    assert_eq!((schedule.due_at, schedule.active_at), (Some(at(10 + 3630)), at(10 + 3630 + DEADLINE)));
    let refused = ring.view().rotate(at(30), soon, &WAITING).unwrap_err();
    let (due_at, deadline) = (at(10 + 3630), at(10 + 3630 + DEADLINE));
    assert_eq!(refused, RotationError::Waiting { kid: ring.0[1].kid.clone(), due_at, deadline });
}

#[test]
fn where_no_other_key_signs_nothing_waits() {
    let mut ring = waiting();
    let first = ring.0[0].kid.clone();
    // Its successor is seasoned: it signs at once, though nobody was seen to fetch it.
    ring.apply(ring.view().withdraw(at(10 + 3630), &first, true, &WAITING).unwrap());
    assert_eq!(signing(&ring, 10 + 3630), 1);
    assert_eq!(ring.0[1].schedule.due_at, None);

    let mut ring = Ring::started();
    let first = ring.0[0].kid.clone();
    ring.apply(ring.view().withdraw(at(100), &first, true, &WAITING).unwrap());
    assert_eq!(signing(&ring, 100 + 3630), 1);
}

#[test]
fn a_waiting_key_can_be_withdrawn_and_the_older_one_goes_on() {
    let mut ring = waiting();
    let next = ring.0[1].kid.clone();
    ring.apply(ring.view().withdraw(at(DUE), &next, false, &WAITING).unwrap());
    assert_eq!(ring.phases(at(DUE + DEADLINE)), [KeyPhase::Active, KeyPhase::Withdrawn]);
    assert_eq!(ring.0[0].schedule.retiring_at, None);
}

#[derive(Debug, Clone)]
enum Event {
    Wait(i64),
    /// A fetch, true or forged, of the latest key or of all of them.
    Fetch(bool),
    Rotate(i64),
    Withdraw(usize, bool),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (1_i64..400_000).prop_map(Event::Wait),
        2 => proptest::bool::ANY.prop_map(Event::Fetch),
        1 => (3630_i64..200_000).prop_map(Event::Rotate),
        1 => (0_usize..8, proptest::bool::weighted(0.2)).prop_map(|(key, compromised)| Event::Withdraw(key, compromised)),
    ]
}

proptest! {
    /// The two promises hold whatever is fetched, and a key that follows another one signs between its time and its deadline.
    #[test]
    fn a_witness_delays_and_never_hastens(events in proptest::collection::vec(event(), 1..40)) {
        let mut ring = Ring::started();
        let mut now = at(0);
        let mut fetched: std::collections::HashMap<KeyId, Timestamp> = std::collections::HashMap::new();
        let mut compromised_keys = std::collections::HashSet::new();
        let mut signed_until: std::collections::HashMap<KeyId, Timestamp> = std::collections::HashMap::new();
        for event in events {
            match event {
                Event::Wait(seconds) => {
                    let end = now + SignedDuration::from_secs(seconds);
                    while now < end {
                        // Nobody signs for a while after a compromise alone.
                        let signing = ring.view().signing(now);
                        prop_assert!(signing.is_some() || !compromised_keys.is_empty(), "nothing signs");
                        if let Some(key) = signing {
                            let first_of_all = key.kid == ring.0[0].kid;
                            let published_for = now.duration_since(key.schedule.published_at);
                            prop_assert!(first_of_all || published_for >= WAITING.min_publish_ahead(), "too soon");
                            signed_until.insert(key.kid.clone(), now);
                            let began_unseen = key.schedule.began_at_deadline(now);
                            prop_assert!(!began_unseen || key.schedule.due_at.unwrap() + SignedDuration::from_secs(DEADLINE) <= now);
                        }
                        for key in &ring.0 {
                            if let Some(due_at) = key.schedule.due_at {
                                prop_assert!(key.schedule.active_at >= due_at, "hastened");
                                prop_assert!(key.schedule.active_at <= due_at + SignedDuration::from_secs(DEADLINE), "too late");
                            }
                            let dies = signed_until.get(&key.kid).map(|last| *last + SignedDuration::from_secs(1200));
                            if dies.is_some_and(|dies| dies > now) && !compromised_keys.contains(&key.kid) {
                                prop_assert!(key.schedule.phase(now) != KeyPhase::Withdrawn, "left its tokens behind");
                            }
                        }
                        let witnesses: Witnesses = fetched.clone().into_iter().collect();
                        let next_before = ring.view().next(now).cloned();
                        ring.apply(ring.view().due(now, &WAITING, &witnesses));
                        if let Some(before) = next_before {
                            let after = ring.0.iter().find(|key| key.kid == before.kid).unwrap().schedule;
                            let least = before.schedule.due_at.unwrap_or(before.schedule.active_at);
                            prop_assert!(after.active_at >= least && after.active_at <= before.schedule.active_at);
                        }
                        let step = now + SignedDuration::from_secs(40_000);
                        now = ring.view().next_change(now).unwrap_or(end).min(end).min(step);
                    }
                }
                Event::Fetch(all) => {
                    let from = if all { 0 } else { ring.0.len() - 1 };
                    fetched.extend(ring.0[from..].iter().map(|key| (key.kid.clone(), now)));
                }
                Event::Rotate(ahead) => {
                    if let Ok(changes) = ring.view().rotate(now, Some(SignedDuration::from_secs(ahead)), &WAITING) {
                        ring.apply(changes);
                    }
                }
                Event::Withdraw(index, compromised) => {
                    let kid = ring.0[index % ring.0.len()].kid.clone();
                    if let Ok(changes) = ring.view().withdraw(now, &kid, compromised, &WAITING) {
                        if compromised {
                            compromised_keys.insert(kid);
                        }
                        ring.apply(changes);
                    }
                }
            }
        }
    }
}
