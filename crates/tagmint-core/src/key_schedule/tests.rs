//! The two promises, and the ways by which an operator could break them.

use proptest::prelude::*;

use super::*;

mod clock;
mod waiting;

const POLICY: RotationPolicy = RotationPolicy {
    algorithm: Algorithm::Es256,
    jwks_max_age: SignedDuration::from_secs(3600),
    propagation: SignedDuration::from_secs(30),
    rotate_every: SignedDuration::from_hours(24 * 30),
    publish_ahead: SignedDuration::from_hours(24),
    witness_deadline: None,
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

/// A ring that applies changes as the store does, with made-up kids.
#[derive(Debug, Default)]
struct Ring(Vec<KeyState>);

impl Ring {
    fn view(&self) -> KeyRing<'_> {
        KeyRing(&self.0)
    }

    fn apply(&mut self, changes: Vec<KeyChange>) {
        for change in changes {
            match change {
                KeyChange::Publish(schedule) => {
                    let kid = format!("{:0>43}", self.0.len()).parse().unwrap();
                    self.0.push(KeyState { kid, algorithm: POLICY.algorithm, schedule });
                }
                KeyChange::Reschedule { kid, schedule } => {
                    self.0.iter_mut().find(|key| key.kid == kid).unwrap().schedule = schedule;
                }
            }
        }
    }

    fn run(&mut self, now: Timestamp) -> bool {
        let due = self.view().due(now, &POLICY, &Witnesses::default());
        let changed = !due.is_empty();
        self.apply(due);
        changed
    }

    fn phases(&self, now: Timestamp) -> Vec<KeyPhase> {
        self.0.iter().map(|key| key.schedule.phase(now)).collect()
    }

    fn started() -> Self {
        let mut ring = Self::default();
        assert!(ring.run(at(0)));
        ring
    }
}

#[test]
fn the_first_key_signs_at_once_and_nothing_more_is_due() {
    let mut ring = Ring::started();
    assert_eq!(ring.phases(at(0)), [KeyPhase::Active]);
    assert!(!ring.run(at(1)));
}

#[test]
fn a_key_lives_through_all_phases_by_the_schedule() {
    use KeyPhase::{Active, Next, Retiring, Withdrawn};
    let mut ring = Ring::started();
    let (day, month) = (86_400, 30 * 86_400);
    assert!(!ring.run(at(month - day - 1)), "too early");
    assert!(ring.run(at(month - day)));
    for (moment, phases) in [
        (month - day, [Active, Next]),
        (month - 1, [Active, Next]),
        (month, [Retiring, Active]),
        (month + 1229, [Retiring, Active]),
        (month + 1230, [Withdrawn, Active]),
    ] {
        assert_eq!(ring.phases(at(moment)), phases, "{moment}");
        assert!(moment == month - day || !ring.run(at(moment)), "nothing due at {moment}");
    }
    assert_eq!(ring.view().next_change(at(month - day)), Some(at(month)));
}

#[test]
fn the_signing_key_comes_first_in_the_published_set() {
    let mut ring = Ring::started();
    ring.apply(ring.view().rotate(at(10), None, &POLICY).unwrap());
    let order = |ring: &Ring, now| ring.view().published(now).iter().map(|key| key.kid.clone()).collect::<Vec<_>>();
    let (first, second) = (ring.0[0].kid.clone(), ring.0[1].kid.clone());
    assert_eq!(order(&ring, at(20)), [first.clone(), second.clone()]);
    let switch = 10 + 86_400;
    assert_eq!(order(&ring, at(switch)), [second.clone(), first]);
    assert_eq!(order(&ring, at(switch + 1230)), [second]);
}

#[test]
fn a_rotation_by_hand_cannot_outrun_the_caches() {
    let mut ring = Ring::started();
    let asked = SignedDuration::from_secs(3629);
    let refused = ring.view().rotate(at(10), Some(asked), &POLICY).unwrap_err();
    assert_eq!(refused, RotationError::TooSoon { asked, at_least: SignedDuration::from_secs(3630) });
    ring.apply(ring.view().rotate(at(10), Some(SignedDuration::from_secs(3630)), &POLICY).unwrap());
    assert_eq!(ring.view().signing(at(3639)).unwrap().kid, ring.0[0].kid);
    assert_eq!(ring.view().signing(at(3640)).unwrap().kid, ring.0[1].kid);
}

#[test]
fn a_planned_successor_comes_forward_but_no_further_than_it_may() {
    let mut ring = Ring::started();
    ring.apply(ring.view().rotate(at(10), None, &POLICY).unwrap());
    let soon = Some(SignedDuration::from_secs(3630));
    ring.apply(ring.view().rotate(at(20), soon, &POLICY).unwrap());
    assert_eq!(ring.0[1].schedule.active_at, at(10 + 3630));
    assert_eq!(ring.0[0].schedule.retiring_at, Some(at(10 + 3630)));
    assert!(matches!(ring.view().rotate(at(30), soon, &POLICY), Err(RotationError::AlreadyPlanned { .. })));
}

#[test]
fn a_key_is_not_withdrawn_before_its_last_token_has_died() {
    let mut ring = Ring::started();
    let (first, policy) = (ring.0[0].kid.clone(), &POLICY);
    assert_eq!(ring.view().withdraw(at(5), &first, false, policy), Err(RotationError::Active(first.clone())));
    ring.apply(ring.view().rotate(at(10), None, policy).unwrap());
    let switch = 10 + 86_400;
    let refused = ring.view().withdraw(at(switch + 1), &first, false, policy).unwrap_err();
    assert_eq!(refused, RotationError::TokensAlive { kid: first.clone(), until: at(switch + 1230) });
    let gone = ring.view().withdraw(at(switch + 1230), &first, false, policy).unwrap_err();
    assert_eq!(gone, RotationError::AlreadyWithdrawn(first));
}

#[test]
fn a_next_key_can_be_withdrawn_and_the_active_one_goes_on() {
    let mut ring = Ring::started();
    ring.apply(ring.view().rotate(at(10), None, &POLICY).unwrap());
    let next = ring.0[1].kid.clone();
    ring.apply(ring.view().withdraw(at(20), &next, false, &POLICY).unwrap());
    assert_eq!(ring.phases(at(86_500)), [KeyPhase::Active, KeyPhase::Withdrawn]);
    assert_eq!(ring.0[0].schedule.retiring_at, None);
}

#[test]
fn a_compromised_key_goes_at_once_and_its_successor_still_waits() {
    let mut ring = Ring::started();
    let first = ring.0[0].kid.clone();
    ring.apply(ring.view().withdraw(at(100), &first, true, &POLICY).unwrap());
    assert_eq!(ring.phases(at(100)), [KeyPhase::Withdrawn, KeyPhase::Next]);
    assert_eq!(ring.view().signing(at(100 + 3629)), None);
    assert_eq!(ring.view().signing(at(100 + 3630)).unwrap().kid, ring.0[1].kid);
    assert!(!ring.run(at(101)), "the replacement is planned already");
}

#[test]
fn a_compromised_key_with_a_seasoned_successor_leaves_no_gap() {
    let mut ring = Ring::started();
    ring.apply(ring.view().rotate(at(10), None, &POLICY).unwrap());
    let first = ring.0[0].kid.clone();
    ring.apply(ring.view().withdraw(at(10 + 3630), &first, true, &POLICY).unwrap());
    assert_eq!(ring.phases(at(10 + 3630)), [KeyPhase::Withdrawn, KeyPhase::Active]);
}

#[test]
fn another_algorithm_in_the_config_starts_a_rotation() {
    let mut ring = Ring::started();
    let changed = RotationPolicy { algorithm: Algorithm::Rs256, ..POLICY };
    let due = ring.view().due(at(50), &changed, &Witnesses::default());
    assert_eq!(due.len(), 2);
    ring.apply(due);
    assert_eq!(ring.0[1].schedule.active_at, at(50 + 3630));
}

#[test]
fn a_clock_that_steps_back_finds_the_phases_of_that_time() {
    let mut ring = Ring::started();
    ring.apply(ring.view().rotate(at(10), None, &POLICY).unwrap());
    let switch = at(10 + 86_400);
    assert_eq!(ring.view().signing(switch).unwrap().kid, ring.0[1].kid);
    assert_eq!(ring.view().signing(switch - SignedDuration::from_mins(10)).unwrap().kid, ring.0[0].kid);
}

#[derive(Debug, Clone)]
enum Step {
    Wait(i64),
    Rotate(Option<i64>),
    Withdraw(usize, bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1_i64..2_000_000).prop_map(Step::Wait),
        proptest::option::of(0_i64..200_000).prop_map(Step::Rotate),
        (0_usize..8, proptest::bool::weighted(0.2)).prop_map(|(key, compromised)| Step::Withdraw(key, compromised)),
    ]
}

proptest! {
    /// Whatever the operator does, both promises hold at every moment at which anything changes.
    #[test]
    fn the_promises_hold_under_any_sequence(steps in proptest::collection::vec(step(), 1..40)) {
        let mut ring = Ring::started();
        let mut now = at(0);
        let mut signed_until: std::collections::HashMap<KeyId, Timestamp> = std::collections::HashMap::new();
        let mut compromised_keys = std::collections::HashSet::new();
        for step in steps {
            match step {
                Step::Wait(seconds) => {
                    let end = now + SignedDuration::from_secs(seconds);
                    // Visit each moment of change, as the running server does.
                    while now < end {
                        if let Some(signing) = ring.view().signing(now) {
                            let first_of_all = signing.kid == ring.0[0].kid;
                            let published_for = now.duration_since(signing.schedule.published_at);
                            prop_assert!(first_of_all || published_for >= POLICY.jwks_max_age, "{} signs too soon", signing.kid);
                            signed_until.insert(signing.kid.clone(), now);
                        }
                        for (kid, last) in &signed_until {
                            let key = ring.0.iter().find(|key| key.kid == *kid).unwrap();
                            let token_dies = *last + SignedDuration::from_secs(1200);
                            if token_dies > now && !compromised_keys.contains(kid) {
                                prop_assert!(key.schedule.phase(now) != KeyPhase::Withdrawn, "{kid} left its tokens behind");
                            }
                        }
                        ring.run(now);
                        let step = now + SignedDuration::from_secs(40_000);
                        now = ring.view().next_change(now).unwrap_or(end).min(end).min(step);
                    }
                }
                Step::Rotate(ahead) => {
                    if let Ok(changes) = ring.view().rotate(now, ahead.map(SignedDuration::from_secs), &POLICY) {
                        ring.apply(changes);
                    }
                }
                Step::Withdraw(index, compromised) => {
                    let kid = ring.0[index % ring.0.len()].kid.clone();
                    if let Ok(changes) = ring.view().withdraw(now, &kid, compromised, &POLICY) {
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
