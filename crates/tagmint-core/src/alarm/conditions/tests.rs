//! Each condition on both sides of its limit.

use super::*;
use crate::{
    alarm::{AlarmKind, Severity},
    key_schedule::KeySchedule,
    signing_key::Algorithm,
};

const DAY: SignedDuration = SignedDuration::from_hours(24);
const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn start() -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap()
}

fn policy() -> RotationPolicy {
    RotationPolicy {
        algorithm: Algorithm::Es256,
        jwks_max_age: HOUR,
        propagation: SignedDuration::from_secs(30),
        rotate_every: DAY * 30,
        publish_ahead: DAY,
        witness_deadline: None,
    }
}

fn key(active_at: Timestamp) -> KeyState {
    KeyState {
        kid: "a".repeat(43).parse().unwrap(),
        algorithm: Algorithm::Es256,
        schedule: KeySchedule {
            published_at: active_at - DAY,
            active_at,
            retiring_at: None,
            withdrawn_at: None,
            due_at: None,
            withdrawn: false,
        },
    }
}

/// An issuer that is well, at `start`.
fn well() -> Observations {
    Observations {
        now: start(),
        running_for: HOUR,
        certificate: Some(CertificateView {
            served: Some(CertificateLife { not_before: start() - DAY, not_after: start() + DAY * 89 }),
            stored: StoredCertificate::Served,
            renewal: None,
        }),
        keys: KeysView {
            states: vec![key(start() - DAY)],
            policy: policy(),
            read_ago: SignedDuration::from_secs(10),
            can_sign: true,
            signs_from: None,
        },
        ledger_failures: 0,
        ledger_rolled_back: None,
        database: None,
        disk: Some(DiskView { free: 10 << 30, size: 20 << 30 }),
        session_backend: None,
        providers: vec![ProviderView {
            name: "github".to_owned(),
            usable: 4,
            age: Some(HOUR),
            stale_after: DAY,
            failing: true,
            passed_over: Vec::new(),
        }],
        reuse: Vec::new(),
        clock_step: None,
    }
}

fn kinds(seen: &Observations) -> Vec<(AlarmKind, Severity)> {
    standing(seen).into_iter().map(|alarm| (alarm.kind, alarm.severity)).collect()
}

/// The alarms of an issuer that is well but for what `change` does.
fn with(change: impl FnOnce(&mut Observations)) -> Vec<(AlarmKind, Severity)> {
    let mut seen = well();
    change(&mut seen);
    kinds(&seen)
}

#[test]
fn an_issuer_that_is_well_raises_nothing() {
    assert_eq!(kinds(&well()), []);
    assert_eq!(with(|seen| (seen.certificate, seen.disk) = (None, None)), []);
}

#[test]
fn every_length_of_certificate_leaves_time_to_act() {
    for (days, late, urgent) in [(365, 21.0, 7.0), (90, 21.0, 7.0), (64, 16.0, 6.4), (45, 11.25, 4.5), (6, 1.5, 0.6)] {
        let life = CertificateLife { not_before: start(), not_after: start() + DAY * days };
        assert!(
            (life.late_below().as_secs_f64() / 86_400.0 - late).abs() < 0.001 || (days == 90 && late > 20.0),
            "{days}"
        );
        assert!((life.urgent_below().as_secs_f64() / 86_400.0 - urgent).abs() < 0.001, "{days}");
        // Renewal begins when a third is left, or a half of less than ten days: that is before anybody is told.
        let renewal = if days < 10 { life.length() / 2 } else { life.length() / 3 };
        assert!(renewal > life.late_below() && life.late_below() > life.urgent_below() * 2, "{days}");
    }
}

#[test]
fn a_certificate_is_told_in_time_and_worse_when_it_is_late() {
    let second = SignedDuration::from_secs(1);
    let left = |left: SignedDuration| {
        with(|seen| {
            let life = CertificateLife { not_before: start() + left - DAY * 90, not_after: start() + left };
            seen.certificate.as_mut().unwrap().served = Some(life);
        })
    };
    assert_eq!(left(DAY * 21), []);
    assert_eq!(left(DAY * 21 - second), [(AlarmKind::CertificateExpiring, Severity::Warning)]);
    assert_eq!(left(DAY * 7), [(AlarmKind::CertificateExpiring, Severity::Warning)]);
    assert_eq!(left(DAY * 7 - second), [(AlarmKind::CertificateExpiring, Severity::Critical)]);
    assert_eq!(left(second), [(AlarmKind::CertificateExpiring, Severity::Critical)]);
    assert_eq!(left(SignedDuration::ZERO), [(AlarmKind::CertificateUnservable, Severity::Critical)]);
    assert_eq!(left(DAY * 91), [(AlarmKind::CertificateUnservable, Severity::Critical)], "not valid yet");
}

#[test]
fn nothing_to_serve_and_a_stored_certificate_that_is_another_or_none() {
    let certificate = |change: fn(&mut CertificateView)| with(|seen| change(seen.certificate.as_mut().unwrap()));
    assert_eq!(certificate(|view| view.served = None), [(AlarmKind::CertificateUnservable, Severity::Critical)]);
    let other = certificate(|view| view.stored = StoredCertificate::Other { not_after: start() + DAY });
    assert_eq!(other, [(AlarmKind::CertificateNotTakenUp, Severity::Warning)]);
    let unusable = certificate(|view| view.stored = StoredCertificate::Unusable("gone".to_owned()));
    assert_eq!(unusable, [(AlarmKind::CertificateUnusable, Severity::Warning)]);
    let failing = |failures| {
        with(|seen| {
            let renewal = RenewalView { failures, last_error: Some("dns".to_owned()), next_at: Some(start() + HOUR) };
            seen.certificate.as_mut().unwrap().renewal = Some(renewal);
        })
    };
    assert_eq!(failing(2), []);
    assert_eq!(failing(3), [(AlarmKind::CertificateRenewalFailing, Severity::Warning)]);
}

#[test]
fn keys_that_are_late_missing_or_unread() {
    let active = |ago: SignedDuration| with(|seen| seen.keys.states = vec![key(start() - ago)]);
    let slack = DAY / 10;
    let minute = SignedDuration::from_mins(1);
    assert_eq!(active(DAY * 29 + slack), []);
    assert_eq!(active(DAY * 29 + slack + minute), [(AlarmKind::SigningKeyNoSuccessor, Severity::Warning)]);
    assert_eq!(active(DAY * 30 + slack + minute), [(AlarmKind::SigningKeyOverdue, Severity::Warning)]);
    let with_next = with(|seen| seen.keys.states = vec![key(start() - DAY * 30), key(start() + HOUR)]);
    assert_eq!(with_next, []);
    let after_a_long_stop = with(|seen| seen.keys.states = vec![key(start() - DAY * 70), key(start() + HOUR)]);
    assert_eq!(after_a_long_stop, [], "the next one is published, and has its moment");
    let waiting = with(|seen| {
        let mut next = key(start() + DAY);
        next.schedule.due_at = Some(start() - DAY * 2);
        seen.keys.states = vec![key(start() - DAY * 32), next];
    });
    assert_eq!(waiting, [], "its deadline is to come");
    assert_eq!(with(|seen| seen.keys.can_sign = false), [(AlarmKind::SigningKeyMissing, Severity::Critical)]);
    for seconds in [31, -31] {
        let unread = with(|seen| seen.keys.read_ago = SignedDuration::from_secs(seconds));
        assert_eq!(unread, [(AlarmKind::SigningKeysUnread, Severity::Critical)]);
    }
}

#[test]
fn ledger_database_and_session_backend() {
    assert_eq!(with(|seen| seen.ledger_failures = 1), [(AlarmKind::LedgerFailing, Severity::Critical)]);
    let rolled_back = with(|seen| seen.ledger_rolled_back = Some("row 7 is gone".to_owned()));
    assert_eq!(rolled_back, [(AlarmKind::LedgerRolledBack, Severity::Critical)]);
    let full = with(|seen| seen.database = Some("full".to_owned()));
    assert_eq!(full, [(AlarmKind::DatabaseUnwritable, Severity::Critical)]);
    let down = with(|seen| seen.session_backend = Some("it answered 502".to_owned()));
    assert_eq!(down, [(AlarmKind::SessionBackendDown, Severity::Critical)]);
}

#[test]
fn a_disk_is_nearly_full_by_its_size() {
    let mib = |free: u64, size: u64| with(|seen| seen.disk = Some(DiskView { free: free << 20, size: size << 20 }));
    let (warning, critical) = (AlarmKind::DiskNearlyFull, AlarmKind::DiskNearlyFull);
    assert_eq!(mib(1024, 1 << 20), []);
    assert_eq!(mib(1023, 1 << 20), [(warning, Severity::Warning)]);
    assert_eq!(mib(255, 1 << 20), [(critical, Severity::Critical)]);
    assert_eq!(mib(400, 8000), []);
    assert_eq!(mib(399, 8000), [(warning, Severity::Warning)]);
    assert_eq!(mib(159, 8000), [(critical, Severity::Critical)]);
}

#[test]
fn a_platform_that_cannot_be_asked_for_half_the_time_is_told() {
    let provider = |change: fn(&mut ProviderView)| with(|seen| change(&mut seen.providers[0]));
    assert_eq!(provider(|view| view.age = Some(DAY / 2)), []);
    let half = provider(|view| view.age = Some(DAY / 2 + SignedDuration::from_secs(1)));
    assert_eq!(half, [(AlarmKind::ProviderKeysStale, Severity::Warning)]);
    let old_but_well = provider(|view| (view.age, view.failing) = (Some(DAY - HOUR), false));
    assert_eq!(old_but_well, []);
    let none = provider(|view| (view.usable, view.age) = (0, None));
    assert_eq!(none, [(AlarmKind::ProviderKeysStale, Severity::Critical)]);
    let under_way = provider(|view| (view.usable, view.age, view.failing) = (0, None, false));
    assert_eq!(under_way, [], "the first fetch has not ended");
}

/// What is said of keys is true: fetched or not, too old, or fetched and of no use.
#[test]
fn an_alarm_about_a_platforms_keys_says_what_is_wrong_with_them() {
    let text = |change: &dyn Fn(&mut ProviderView)| {
        let mut seen = well();
        seen.providers[0].usable = 0;
        change(&mut seen.providers[0]);
        let alarms = standing(&seen);
        let [alarm] = alarms.as_slice() else { panic!("{alarms:?}") };
        assert_eq!((alarm.kind, alarm.severity), (AlarmKind::ProviderKeysStale, Severity::Critical));
        alarm.text.clone()
    };
    let refused = "the tokens of `github` are refused: its key";
    assert_eq!(text(&|view| view.age = None), format!("{refused}s could not be fetched since the start"));
    assert_eq!(text(&|view| view.age = Some(DAY * 2)), format!("{refused}s were last fetched 2 days ago"));
    let minute = SignedDuration::from_mins(1);
    let fetched = format!("{refused} set, fetched 60 seconds ago, has no usable key");
    assert_eq!(text(&|view| (view.age, view.failing) = (Some(minute), false)), format!("{fetched}: it is empty"));
    let unused = |keys: &[&str]| {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        text(&|view| {
            view.age = Some(minute);
            view.passed_over.clone_from(&keys);
        })
    };
    assert_eq!(unused(&["`k1`: RSA of 1024 bits"]), format!("{fetched} (`k1`: RSA of 1024 bits)"));
    assert_eq!(unused(&["a", "b", "c", "d", "e", "f", "g"]), format!("{fetched} (a; b; c; d; e; and 2 more)"));
}

#[test]
fn a_token_from_several_networks_is_told_for_an_hour() {
    let ago = |ago| {
        with(|seen| seen.reuse = vec![ReuseView { provider: "cluster".to_owned(), count: 1, last: start() - ago }])
    };
    let told = [(AlarmKind::CiTokenFromSeveralNetworks, Severity::Warning)];
    assert_eq!(ago(HOUR - SignedDuration::from_secs(1)), told);
    assert_eq!(ago(HOUR), []);
}

#[test]
fn what_was_not_tried_yet_raises_nothing() {
    // A platform whose first fetch has not ended, and one whose first fetch has failed or brought no key.
    let first = |failing, age| {
        with(|seen| {
            let view = &mut seen.providers[0];
            (view.usable, view.age, view.failing) = (0, age, failing);
        })
    };
    let missing = [(AlarmKind::ProviderKeysStale, Severity::Critical)];
    assert_eq!(first(false, None), []);
    assert_eq!(first(true, None), missing);
    assert_eq!(first(false, Some(SignedDuration::ZERO)), missing, "it publishes no key that can be used");
    // A first certificate that is being ordered, or a stored one that is about to be taken up.
    let ordering = |failures, running_for, stored: StoredCertificate| {
        with(|seen| {
            seen.running_for = running_for;
            let renewal = Some(RenewalView { failures, last_error: None, next_at: Some(start()) });
            seen.certificate = Some(CertificateView { served: None, stored, renewal });
        })
    };
    let minute = SignedDuration::from_mins(1);
    let other = StoredCertificate::Other { not_after: start() + DAY };
    let unservable = (AlarmKind::CertificateUnservable, Severity::Critical);
    assert_eq!(ordering(0, SignedDuration::ZERO, StoredCertificate::Unknown), []);
    assert_eq!(ordering(0, SignedDuration::ZERO, other.clone()), []);
    assert_eq!(ordering(0, minute * 5 - SignedDuration::from_millis(1), StoredCertificate::Unknown), []);
    assert_eq!(ordering(0, minute * 5, StoredCertificate::Unknown), [unservable]);
    assert_eq!(ordering(0, minute * 5, other), [unservable, (AlarmKind::CertificateNotTakenUp, Severity::Warning)]);
    assert_eq!(ordering(1, SignedDuration::ZERO, StoredCertificate::Unknown), [unservable], "the order failed");
    // Files are there from the start or never.
    let files = with(|seen| {
        seen.running_for = SignedDuration::ZERO;
        seen.certificate.as_mut().unwrap().served = None;
    });
    assert_eq!(files, [unservable]);
}

#[test]
fn a_clock_that_was_set_is_told_for_an_hour() {
    let span = SignedDuration::from_secs;
    assert_eq!(ClockStep::between(start(), span(89), span(60)), None);
    assert_eq!(ClockStep::between(start(), span(90), span(60)), Some(ClockStep { at: start(), by: span(30) }));
    assert_eq!(ClockStep::between(start(), span(-60), span(60)), Some(ClockStep { at: start(), by: span(-120) }));
    let ago = |ago| with(|seen| seen.clock_step = Some(ClockStep { at: start() - ago, by: span(-40) }));
    assert_eq!(ago(HOUR - span(1)), [(AlarmKind::ClockStepped, Severity::Warning)]);
    assert_eq!(ago(HOUR), []);
}

#[test]
fn every_alarm_says_what_to_do_in_one_line() {
    let mut seen = well();
    seen.certificate = Some(CertificateView {
        served: None,
        stored: StoredCertificate::Unusable("the file is empty".to_owned()),
        renewal: Some(RenewalView { failures: 4, last_error: None, next_at: None }),
    });
    seen.keys.can_sign = false;
    seen.keys.read_ago = HOUR;
    seen.ledger_failures = 3;
    seen.ledger_rolled_back = Some("row 7 is gone".to_owned());
    seen.database = Some("full".to_owned());
    seen.disk = Some(DiskView { free: 0, size: 1 << 30 });
    seen.session_backend = Some("no connection".to_owned());
    seen.providers[0].usable = 0;
    seen.reuse = vec![ReuseView { provider: "cluster".to_owned(), count: 2, last: start() }];
    seen.clock_step = Some(ClockStep { at: start(), by: -HOUR });
    let told: Vec<String> =
        standing(&seen).iter().map(|alarm| format!("{}: {}. {}", alarm.kind, alarm.text, alarm.fix)).collect();
    assert!(told.iter().all(|line| !line.contains('\n') && !line.contains("..")), "{told:#?}");
    assert_eq!(told.join("\n"), include_str!("alarms.txt").trim_end());
}

#[test]
fn ids_are_unique_and_read_back() {
    for kind in AlarmKind::ALL {
        assert_eq!(kind.as_str().parse(), Ok(kind));
    }
    assert!("certificate".parse::<AlarmKind>().is_err());
}
