use proptest::prelude::*;

use super::*;

const DAY: SignedDuration = SignedDuration::from_hours(24);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + seconds).unwrap()
}

fn validity(lifetime: SignedDuration) -> Validity {
    Validity { not_before: at(0), not_after: at(0) + lifetime }
}

fn failed(consecutive: u32) -> Failed<'static> {
    Failed {
        at: at(0),
        consecutive,
        not_after: Some(at(0) + DAY * 30),
        rate_limited: false,
        retry_after: None,
        validations: &[],
        draw: 0,
    }
}

#[test]
fn without_a_window_a_third_is_left_and_half_of_short_lives() {
    // Let's Encrypt's lifetimes: classic today, from 2027 and from 2028 on, and shortlived (160 hours).
    for (lifetime, left) in [
        (DAY * 90, DAY * 30),
        (DAY * 64, SignedDuration::from_hours(64 * 8)),
        (DAY * 45, DAY * 15),
        (DAY * 10, SignedDuration::from_hours(80)),
        (DAY * 6, DAY * 3),
        (SignedDuration::from_hours(160), SignedDuration::from_hours(80)),
    ] {
        let validity = validity(lifetime);
        assert_eq!(renewal_at("c", validity, None), validity.not_after - left, "{lifetime:?}");
    }
}

#[test]
fn a_window_is_drawn_from_once_for_all_nodes_and_anew_when_it_moves() {
    let validity = validity(DAY * 90);
    let window = RenewalWindow::new(at(0) + DAY * 60, at(0) + DAY * 62).unwrap();
    let moment = renewal_at("one", validity, Some(window));
    assert!((window.start()..window.end()).contains(&moment), "{moment}");
    assert_eq!(renewal_at("one", validity, Some(window)), moment);
    assert_ne!(renewal_at("two", validity, Some(window)), moment, "certificates spread over the window");
    let moved = RenewalWindow::new(at(0) + DAY * 20, at(0) + DAY * 22).unwrap();
    let moment = renewal_at("one", validity, Some(moved));
    assert!((moved.start()..moved.end()).contains(&moment), "{moment}");
}

#[test]
fn the_draws_are_spread_evenly() {
    let window = RenewalWindow::new(at(0), at(10_000)).unwrap();
    let validity = validity(DAY * 90);
    let mut tenths = [0_u32; 10];
    for number in 0..2_000 {
        let moment = renewal_at(&format!("certificate {number}"), validity, Some(window));
        tenths[usize::try_from(moment.duration_since(at(0)).as_secs() / 1_000).unwrap()] += 1;
    }
    assert!(tenths.iter().all(|count| (130..=270).contains(count)), "{tenths:?}");
}

#[test]
fn a_window_in_the_past_means_now_and_one_beyond_the_end_does_not_lead_there() {
    let validity = validity(DAY * 90);
    let past = RenewalWindow::new(at(0) - DAY * 3, at(0) - DAY * 2).unwrap();
    assert!(renewal_at("c", validity, Some(past)) < at(0));
    let late = RenewalWindow::new(at(0) + DAY * 200, at(0) + DAY * 201).unwrap();
    assert_eq!(renewal_at("c", validity, Some(late)), validity.not_after - DAY * 9);
    assert_eq!(RenewalWindow::new(at(5), at(5)), None);
    assert_eq!(RenewalWindow::new(at(5), at(4)), None);
}

#[test]
fn a_certificate_is_used_for_an_hour_at_least_or_a_quarter_of_a_short_life() {
    assert_eq!(not_again_before(at(7), validity(DAY * 90)), at(7) + SignedDuration::from_hours(1));
    assert_eq!(not_again_before(at(7), validity(SignedDuration::from_mins(4))), at(7) + SignedDuration::from_mins(1));
}

#[test]
fn look_ups_follow_retry_after_within_bounds() {
    let next = |retry_after| next_lookup(at(0), retry_after).duration_since(at(0));
    assert_eq!(next(None), SignedDuration::from_hours(6));
    assert_eq!(next(Some(SignedDuration::from_hours(7))), SignedDuration::from_hours(7));
    assert_eq!(next(Some(SignedDuration::ZERO)), SignedDuration::from_mins(1));
    assert_eq!(next(Some(SignedDuration::from_secs(-5))), SignedDuration::from_mins(1));
    assert_eq!(next(Some(DAY * 400)), DAY);
}

#[test]
fn pauses_double_up_to_six_hours() {
    let minutes: Vec<i64> =
        (1..=12).map(|count| retry_at(&failed(count)).duration_since(at(0)).as_secs() / 60).collect();
    assert_eq!(minutes, [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360, 360]);
    assert_eq!(retry_at(&failed(u32::MAX)).duration_since(at(0)), SignedDuration::from_hours(6));
    assert_eq!(retry_at(&failed(0)).duration_since(at(0)), SignedDuration::from_mins(1));
}

#[test]
fn pauses_are_shorter_when_the_end_is_near_or_there_is_no_certificate() {
    let hours = |left: Option<SignedDuration>| {
        let failed = Failed { not_after: left.map(|left| at(0) + left), ..failed(20) };
        retry_at(&failed).duration_since(at(0)).as_hours()
    };
    assert_eq!(hours(Some(DAY * 30)), 6);
    assert_eq!(hours(Some(SignedDuration::from_hours(30))), 3);
    assert_eq!(hours(Some(SignedDuration::from_hours(2))), 1);
    assert_eq!(hours(Some(-DAY)), 1);
    assert_eq!(hours(None), 1);
}

#[test]
fn the_servers_wishes_hold() {
    let pause = |rate_limited, retry_after| {
        retry_at(&Failed { rate_limited, retry_after, draw: 999, ..failed(1) }).duration_since(at(0))
    };
    let hours = SignedDuration::from_hours;
    assert_eq!(pause(false, Some(hours(3))), hours(3));
    assert_eq!(pause(true, None), hours(1));
    assert_eq!(pause(true, Some(hours(30))), hours(30));
    assert_eq!(pause(true, Some(hours(24 * 365))), hours(24 * 7), "no server switches renewal off");
    let later = Failed { retry_after: Some(SignedDuration::from_secs(5)), ..failed(5) };
    assert_eq!(retry_at(&later), at(16 * 60), "a short Retry-After does not shorten the pause");
}

#[test]
fn five_failed_validations_an_hour_are_the_most() {
    let mut now = at(0);
    let mut failures = Vec::new();
    for consecutive in 1..=40 {
        failures.push(now);
        let recent = failures.iter().filter(|failure| now.duration_since(**failure) < SignedDuration::from_hours(1));
        assert!(recent.count() <= MOST_FAILED_VALIDATIONS, "{failures:?}");
        now =
            retry_at(&Failed { at: now, consecutive, not_after: None, validations: &failures, draw: 999, ..failed(1) });
    }
    assert_eq!(validation_allowed_at(&failures[..4]), None);
    let five = [at(50), at(10), at(40), at(20), at(30)];
    assert_eq!(validation_allowed_at(&five), Some(at(10) + SignedDuration::from_hours(1)));
}

proptest! {
    #[test]
    fn a_renewal_is_never_planned_for_the_last_tenth(
        lifetime in 3_600_i64..400 * 86_400,
        start in -86_400_i64..500 * 86_400,
        length in 1_i64..40 * 86_400,
        with_window: bool,
    ) {
        let validity = validity(SignedDuration::from_secs(lifetime));
        let window = RenewalWindow::new(at(start), at(start + length)).filter(|_| with_window);
        let moment = renewal_at("c", validity, window);
        prop_assert!(moment <= validity.last_call());
        prop_assert!(window.is_none_or(|window| moment >= window.start().min(validity.last_call())));
    }

    #[test]
    fn a_retry_lies_ahead_and_within_the_bounds(
        consecutive: u32,
        left in -10_000_000_i64..10_000_000,
        draw: u64,
        retry_after in proptest::option::of(-10_i64..1_000_000_000),
        rate_limited: bool,
    ) {
        let failed = Failed {
            consecutive,
            not_after: Some(at(left)),
            draw,
            rate_limited,
            retry_after: retry_after.map(SignedDuration::from_secs),
            ..failed(1)
        };
        let pause = retry_at(&failed).duration_since(at(0));
        prop_assert!(pause >= SignedDuration::from_secs(45));
        prop_assert!(pause <= SignedDuration::from_hours(24 * 7));
    }
}
