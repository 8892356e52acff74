//! One notice when it begins, one when it worsens, reminders, one when it is over: whatever the looks, the nodes and the clock do.

use super::*;
use crate::alarm::AlarmKind;

const POLICY: NoticePolicy =
    NoticePolicy { after: SignedDuration::from_mins(2), remind_every: SignedDuration::from_hours(24) };

/// So many minutes after the tests' beginning.
fn at(minutes: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + minutes * 60).unwrap()
}

fn alarm(severity: Severity) -> Alarm {
    Alarm {
        kind: AlarmKind::CertificateExpiring,
        subject: None,
        severity,
        text: "it ends".to_owned(),
        fix: "renew it".to_owned(),
    }
}

/// A shared book, and the events that came out of it.
#[derive(Default)]
struct Book {
    records: Vec<AlarmRecord>,
    events: Vec<(i64, NoticeEvent)>,
}

impl Book {
    fn look(&mut self, minute: i64, seen: &[Alarm]) {
        self.look_since(minute, seen, i64::MIN / 1_000_000);
    }

    fn look_since(&mut self, minute: i64, seen: &[Alarm], looking_since: i64) {
        let since = if looking_since < -1_000_000 { Timestamp::MIN } else { at(looking_since) };
        let Changes { records, notices } = advance(&self.records, seen, at(minute), since, &POLICY);
        self.records = merged(std::mem::take(&mut self.records), &[]);
        for record in records {
            self.records.retain(|known| known.name() != record.name());
            self.records.push(record);
        }
        self.events.extend(notices.iter().map(|notice| (minute, notice.event)));
    }

    fn state(&self) -> AlarmState {
        self.records[0].state
    }
}

#[test]
fn an_alarm_is_told_once_when_it_begins_and_once_when_it_is_over() {
    let mut book = Book::default();
    let warning = [alarm(Severity::Warning)];
    for minute in 0..=30 {
        book.look(minute, &warning);
    }
    assert_eq!(book.events, [(2, NoticeEvent::Began)]);
    for minute in 31..=60 {
        book.look(minute, &[]);
    }
    assert_eq!(book.events, [(2, NoticeEvent::Began), (33, NoticeEvent::Ended)]);
    assert_eq!(book.state(), AlarmState::Over { ended_at: at(33) });
    // It begins anew, and its time counts from there.
    book.look(70, &warning);
    book.look(72, &warning);
    assert_eq!(book.events[2..], [(72, NoticeEvent::Began)]);
    assert_eq!(book.records[0].since, at(70));
}

#[test]
fn what_comes_and_goes_within_the_wait_is_not_told() {
    let mut book = Book::default();
    book.look(0, &[alarm(Severity::Critical)]);
    book.look(1, &[alarm(Severity::Critical)]);
    for minute in 2..20 {
        book.look(minute, &[]);
    }
    assert_eq!(book.events, []);
    assert_eq!(book.state(), AlarmState::Over { ended_at: at(4) });
}

#[test]
fn a_short_break_is_no_end() {
    let mut book = Book::default();
    for minute in 0..10 {
        book.look(minute, &[alarm(Severity::Warning)]);
    }
    book.look(10, &[]);
    book.look(11, &[]);
    book.look(12, &[alarm(Severity::Warning)]);
    assert_eq!(book.events, [(2, NoticeEvent::Began)]);
}

#[test]
fn it_is_told_when_it_becomes_critical_and_not_when_it_eases() {
    let mut book = Book::default();
    for (minute, severity) in [
        (0, Severity::Warning),
        (2, Severity::Warning),
        (3, Severity::Critical),
        (4, Severity::Warning),
        (5, Severity::Critical),
    ] {
        book.look(minute, &[alarm(severity)]);
    }
    assert_eq!(book.events, [(2, NoticeEvent::Began), (3, NoticeEvent::Worsened)]);
    assert_eq!(book.records[0].alarm.severity, Severity::Critical);
    // While it waits it may turn worse: the one notice says so.
    let mut book = Book::default();
    book.look(0, &[alarm(Severity::Critical)]);
    book.look(2, &[alarm(Severity::Warning)]);
    assert_eq!((book.events.len(), book.records[0].alarm.severity), (1, Severity::Warning));
}

#[test]
fn it_is_told_again_every_day() {
    let mut book = Book::default();
    for minute in 0..=(3 * 24 * 60) {
        book.look(minute, &[alarm(Severity::Warning)]);
    }
    let day = 24 * 60;
    let again = |days: i64| (2 + days * day, NoticeEvent::Reminder);
    assert_eq!(book.events, [(2, NoticeEvent::Began), again(1), again(2)]);
}

#[test]
fn two_nodes_tell_once_and_the_blind_one_does_not_call_it_over() {
    let mut book = Book::default();
    for minute in 0..60 {
        book.look(minute, &[alarm(Severity::Warning)]);
        book.look(minute, &[]);
    }
    assert_eq!(book.events, [(2, NoticeEvent::Began)]);
}

#[test]
fn a_restart_neither_repeats_nor_ends_it() {
    let mut book = Book::default();
    for minute in 0..5 {
        book.look(minute, &[alarm(Severity::Warning)]);
    }
    // Ten minutes later: the new process has not had time to see it.
    for minute in 15..18 {
        book.look_since(minute, &[], 15);
    }
    book.look_since(18, &[alarm(Severity::Warning)], 15);
    assert_eq!(book.events, [(2, NoticeEvent::Began)]);
    for minute in 30..40 {
        book.look_since(minute, &[], 30);
    }
    assert_eq!(book.events[1..], [(33, NoticeEvent::Ended)]);
}

#[test]
fn a_clock_that_is_set_back_neither_silences_nor_floods() {
    let day = 24 * 60;
    let mut book = Book::default();
    book.look(10 * day, &[alarm(Severity::Warning)]);
    book.look(9 * day, &[alarm(Severity::Warning)]);
    assert_eq!(book.events, [(9 * day, NoticeEvent::Began)]);
    book.look(9 * day + 1, &[alarm(Severity::Warning)]);
    assert_eq!(book.events.len(), 1);
    book.look(8 * day, &[]);
    assert_eq!(book.events[1..], [(8 * day, NoticeEvent::Ended)]);
}

#[test]
fn the_newer_record_of_two_books_counts() {
    let record = |state, seen_at| AlarmRecord { alarm: alarm(Severity::Warning), state, since: at(0), seen_at };
    let stored = record(AlarmState::Pending, at(1));
    let noted = record(AlarmState::Firing { notified_at: at(2) }, at(2));
    assert_eq!(merged(vec![stored.clone()], std::slice::from_ref(&noted)), std::slice::from_ref(&noted));
    assert_eq!(merged(vec![noted.clone()], &[stored]), std::slice::from_ref(&noted));
    assert_eq!(merged(vec![], std::slice::from_ref(&noted)), [noted]);
}
