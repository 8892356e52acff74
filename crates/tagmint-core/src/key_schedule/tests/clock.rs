//! A clock that is set, ahead and back, at any moment: no key moves to another phase by it, none signs too soon, none comes back.

use super::*;
use crate::key_schedule::clock::ClockJump;

const DAY: i64 = 86_400;

fn jump(reached: i64, now: i64) -> ClockJump {
    ClockJump { reached: at(reached), now: at(now), certain: true }
}

impl Ring {
    /// The clock showed `reached` and shows `now`.
    fn step(&mut self, reached: i64, now: i64) {
        let changes = self.view().follow_clock(&jump(reached, now), &POLICY);
        self.apply(changes);
    }

    fn signing_index(&self, second: i64) -> Option<usize> {
        let kid = &self.view().signing(at(second))?.kid;
        self.0.iter().position(|key| key.kid == *kid)
    }
}

#[test]
fn a_small_difference_is_no_jump() {
    let by = |seconds| ClockJump::while_running(at(0), at(seconds)).map(|jump| jump.by().as_secs());
    assert_eq!([-2, -1, 0, 29, 30].map(by), [Some(-2), None, None, None, Some(30)]);
    let start = |seconds| ClockJump::at_start(at(0), at(seconds)).map(|jump| (jump.by().as_secs(), jump.certain));
    assert_eq!([-2, -1, 119, 120].map(start), [Some((-2, true)), None, None, Some((120, false))]);
}

#[test]
fn the_first_key_goes_on_signing_whatever_the_clock_was() {
    for ahead in [3, 180, 2 * DAY, 400 * DAY] {
        let mut ring = Ring::default();
        ring.run(at(ahead));
        ring.step(ahead + 5, 5);
        assert_eq!(ring.signing_index(5), Some(0), "{ahead}");
        assert!(ring.0[0].schedule.published_at <= at(5) && !ring.run(at(6)), "{ahead}");
        // The next one comes after its own time.
        assert!(ring.run(at(29 * DAY + 5)), "{ahead}");
    }
}

#[test]
fn a_successor_of_a_clock_that_was_ahead_keeps_what_is_left_of_its_wait() {
    let mut ring = Ring::started();
    // By a clock that is 40 days ahead the first key's turn is over: the second one signs in 3630 s.
    let ahead = 40 * DAY;
    ring.run(at(ahead));
    assert_eq!(ring.0[1].schedule.active_at, at(ahead + 3630));
    ring.step(ahead + 600, 600);
    assert_eq!(ring.0[1].schedule.published_at, at(0));
    assert_eq!(ring.0[1].schedule.active_at, at(3630));
    assert_eq!(ring.0[0].schedule.retiring_at, Some(at(3630)));
    assert_eq!((ring.signing_index(3629), ring.signing_index(3630)), (Some(0), Some(1)));
    assert_eq!(ring.phases(at(3630 + 1230)), [KeyPhase::Withdrawn, KeyPhase::Active]);
}

#[test]
fn a_rotation_that_was_finished_under_a_clock_ahead_stays_finished() {
    let mut ring = Ring::started();
    let ahead = 40 * DAY;
    ring.run(at(ahead));
    for (later, phases) in [
        (3630, [KeyPhase::Retiring, KeyPhase::Active]),
        (3630 + 1230, [KeyPhase::Withdrawn, KeyPhase::Active]),
        (3 * DAY, [KeyPhase::Withdrawn, KeyPhase::Active]),
    ] {
        let mut ring = Ring(ring.0.clone());
        ring.step(ahead + later, later);
        assert_eq!(ring.phases(at(later)), phases, "{later}");
        assert_eq!(ring.signing_index(later), Some(1), "{later}");
        assert!(ring.0.iter().all(|key| key.schedule.published_at <= at(later)), "{later}");
        let first = ring.0[0].schedule;
        assert_eq!(first.withdrawn, phases[0] == KeyPhase::Withdrawn, "for good: {later}");
        if phases[0] == KeyPhase::Retiring {
            assert_eq!(first.withdrawn_at, Some(at(later + 1230)), "as long as its tokens live");
        }
    }
}

#[test]
fn a_withdrawn_key_stays_withdrawn_by_every_clock() {
    let mut ring = Ring::started();
    let first = ring.0[0].kid.clone();
    ring.apply(ring.view().withdraw(at(100 * DAY), &first, true, &POLICY).unwrap());
    for second in [-900 * DAY, 0, 99 * DAY, 100 * DAY, 900 * DAY] {
        assert_eq!(ring.0[0].schedule.phase(at(second)), KeyPhase::Withdrawn, "{second}");
        assert!(ring.view().published(at(second)).iter().all(|key| key.kid != first), "{second}");
    }
    ring.step(100 * DAY + 10, 10);
    assert_eq!(ring.phases(at(10)), [KeyPhase::Withdrawn, KeyPhase::Next]);
    assert_eq!(ring.0[1].schedule.active_at, at(10 + 3620), "the successor's wait continues");
}

#[test]
fn a_clock_that_is_set_ahead_brings_no_key_nearer() {
    let mut ring = Ring::started();
    ring.apply(ring.view().rotate(at(10), Some(SignedDuration::from_secs(3630)), &POLICY).unwrap());
    // Ten minutes after the publication the clock is set ahead by two days.
    let now = 610 + 2 * DAY;
    ring.step(610, now);
    assert_eq!(ring.phases(at(now)), [KeyPhase::Active, KeyPhase::Next]);
    assert_eq!(ring.0[1].schedule.active_at, at(now + 3030), "3630 s in the key set, and 600 were seen");
    assert_eq!((ring.signing_index(now + 3029), ring.signing_index(now + 3030)), (Some(0), Some(1)));
    assert_eq!(ring.0[0].schedule.withdrawn_at, Some(at(now + 3030 + 1230)));
    // Back again: what was left is left.
    let later = now + 1000;
    ring.step(later, 1610);
    assert_eq!(ring.0[1].schedule.active_at, at(1610 + 2030));
}

#[test]
fn a_key_that_was_seen_long_enough_signs_after_a_start_when_its_time_has_come() {
    let mut ring = Ring::started();
    ring.apply(ring.view().rotate(at(10), None, &POLICY).unwrap());
    let now = 5000 + 3 * DAY;
    let mut running = Ring(ring.0.clone());
    running.step(5000, now);
    assert_eq!(running.phases(at(now)), [KeyPhase::Active, KeyPhase::Next], "set for sure: what was left is left");
    assert_eq!(running.0[1].schedule.active_at, at(10 + DAY + 3 * DAY));
    assert_eq!(running.0[0].schedule.retiring_at, Some(at(10 + DAY + 3 * DAY)));
    let changes = ring.view().follow_clock(&ClockJump::at_start(at(5000), at(now)).unwrap(), &POLICY);
    ring.apply(changes);
    assert_eq!(ring.phases(at(now)), [KeyPhase::Retiring, KeyPhase::Active]);
    assert_eq!(ring.0[0].schedule.withdrawn_at, Some(at(now + 1230)), "its last token was signed just now");
}

#[test]
fn a_retiring_key_stays_for_its_tokens_when_the_clock_is_set_ahead() {
    let mut ring = Ring::started();
    ring.apply(ring.view().rotate(at(10), Some(SignedDuration::from_secs(3630)), &POLICY).unwrap());
    ring.step(3640 + 30, 3640 + 30 + DAY);
    assert_eq!(ring.phases(at(3670 + DAY)), [KeyPhase::Retiring, KeyPhase::Active]);
    assert_eq!(ring.0[0].schedule.withdrawn_at, Some(at(3670 + DAY + 1200)));
}

#[test]
fn a_gap_before_a_start_is_no_waiting_where_no_key_signs() {
    let mut ring = Ring::started();
    let first = ring.0[0].kid.clone();
    ring.apply(ring.view().withdraw(at(100), &first, true, &POLICY).unwrap());
    let down = ClockJump::at_start(at(200), at(7200)).unwrap();
    assert_eq!(ring.view().follow_clock(&down, &POLICY), []);
    assert_eq!(ring.signing_index(7200), Some(1));
    // Set ahead for sure: it was not published for so long.
    ring.step(200, 7200);
    assert_eq!(ring.signing_index(7200), None);
    assert_eq!(ring.0[1].schedule.active_at, at(7200 + 3530));
}

#[test]
fn a_key_that_waits_for_a_witness_keeps_its_wait() {
    let waiting = RotationPolicy { witness_deadline: Some(SignedDuration::from_secs(DAY * 3)), ..POLICY };
    let mut ring = Ring::started();
    let ahead = 35 * DAY;
    ring.apply(ring.view().due(at(ahead), &waiting, &Witnesses::default()));
    ring.apply(ring.view().follow_clock(&jump(ahead + 60, 60), &waiting));
    let schedule = ring.0[1].schedule;
    assert_eq!((schedule.due_at, schedule.active_at), (Some(at(3630)), at(3630 + 3 * DAY)));
    assert_eq!(ring.signing_index(60), Some(0));
    assert!(schedule.waits(at(60)));
    // A fetch that was noted under the clock that was ahead, and is noted as of now since, was after its publication.
    let seen: Witnesses = [(ring.0[1].kid.clone(), at(60))].into_iter().collect();
    ring.apply(ring.view().due(at(61), &waiting, &seen));
    assert_eq!((ring.0[1].schedule.due_at, ring.0[1].schedule.active_at), (None, at(3630)));
    // Set ahead: not due before it was seen for long enough.
    let mut ring = Ring::started();
    ring.apply(ring.view().rotate(at(10), Some(SignedDuration::from_secs(3630)), &waiting).unwrap());
    ring.apply(ring.view().follow_clock(&jump(20, 20 + DAY), &waiting));
    let schedule = ring.0[1].schedule;
    assert_eq!((schedule.due_at, schedule.active_at), (Some(at(20 + DAY + 3620)), at(20 + DAY + 3620 + 3 * DAY)));
}

#[derive(Debug, Clone)]
enum Event {
    Pass(i64),
    /// The clock is set.
    Set(i64),
    /// The issuer ends, the clock is set, and it starts again.
    Restart(i64),
    Rotate(i64),
    Withdraw(usize, bool),
}

fn event() -> impl Strategy<Value = Event> {
    let by = prop_oneof![-4_000_000_i64..4_000_000, -5_000_i64..5_000, -100_i64..100];
    prop_oneof![
        4 => (1_i64..300_000).prop_map(Event::Pass),
        2 => by.clone().prop_map(Event::Set),
        1 => by.prop_map(Event::Restart),
        1 => (3630_i64..200_000).prop_map(Event::Rotate),
        1 => (0_usize..8, proptest::bool::weighted(0.3)).prop_map(|(key, bad)| Event::Withdraw(key, bad)),
    ]
}

type SeenKeys = std::collections::HashMap<KeyId, i64>;

/// Looks at the keys by a clock that may be wrong, and judges by the true time.
fn check(
    ring: &Ring,
    true_now: i64,
    clock: Timestamp,
    published_since: &mut SeenKeys,
    withdrawn: &mut std::collections::HashSet<KeyId>,
) -> Result<(), TestCaseError> {
    for key in &ring.0 {
        published_since.entry(key.kid.clone()).or_insert(true_now);
        let phase = key.schedule.phase(clock);
        prop_assert!(phase == KeyPhase::Withdrawn || !withdrawn.contains(&key.kid), "{} came back", key.kid);
        if phase == KeyPhase::Withdrawn {
            withdrawn.insert(key.kid.clone());
        }
    }
    if let Some(signing) = ring.view().signing(clock) {
        let first_of_all = signing.kid == ring.0[0].kid;
        let published_for = true_now - published_since[&signing.kid];
        prop_assert!(first_of_all || published_for >= POLICY.jwks_max_age.as_secs(), "signs after {} s", published_for);
    }
    Ok(())
}

proptest! {
    /// By true time, which no issuer knows: whatever the clock is set to, no key signs before it was published for the JWKS `max-age`, a
    /// withdrawn one never comes back, and where a key signs one signs after the clock was set.
    #[test]
    fn the_promises_hold_by_true_time(events in proptest::collection::vec(event(), 1..40)) {
        const STEP: i64 = 600;
        let mut ring = Ring::started();
        // True time, and by how much the clock differs from it.
        let (mut true_now, mut off) = (0_i64, 0_i64);
        let mut published_since = SeenKeys::new();
        let mut withdrawn = std::collections::HashSet::new();
        let mut restarted_without_signing = false;
        for event in events {
            let clock = at(true_now + off);
            match event {
                Event::Pass(seconds) => {
                    let end = true_now + seconds;
                    while true_now < end {
                        ring.run(at(true_now + off));
                        if !restarted_without_signing {
                            check(&ring, true_now, at(true_now + off), &mut published_since, &mut withdrawn)?;
                        }
                        true_now = (true_now + STEP).min(end);
                    }
                }
                Event::Set(by) | Event::Restart(by) => {
                    let now = at(true_now + off + by);
                    let running = matches!(event, Event::Set(_));
                    let jump = if running { ClockJump::while_running(clock, now) } else { ClockJump::at_start(clock, now) };
                    let signed = ring.view().signing(clock).map(|key| key.kid.clone());
                    // A start cannot tell a clock that was set from an issuer that was down, and waits no longer where no key signs.
                    restarted_without_signing |= !running && signed.is_none() && by > 0;
                    // Below what counts as a jump nothing moves, and the slack of `propagation` covers it; here it would add up.
                    let Some(jump) = jump else { continue };
                    let changes = ring.view().follow_clock(&jump, &POLICY);
                    ring.apply(changes);
                    off += by;
                    prop_assert!(signed.is_none() || ring.view().signing(now).is_some(), "nothing signs any more");
                    if let (Some(before), true) = (&signed, jump.is_back()) {
                        prop_assert_eq!(&ring.view().signing(now).unwrap().kid, before);
                    }
                    let again = ClockJump { reached: now, now, certain: true };
                    prop_assert_eq!(ring.view().follow_clock(&again, &POLICY), vec![]);
                }
                Event::Rotate(ahead) => {
                    if let Ok(changes) = ring.view().rotate(clock, Some(SignedDuration::from_secs(ahead)), &POLICY) {
                        ring.apply(changes);
                    }
                }
                Event::Withdraw(index, compromised) => {
                    let kid = ring.0[index % ring.0.len()].kid.clone();
                    if let Ok(changes) = ring.view().withdraw(clock, &kid, compromised, &POLICY) {
                        ring.apply(changes);
                    }
                }
            }
        }
    }
}
